"""The `liteferry` command."""

from __future__ import annotations

import sys

import click

from config.errors import LiteferryError

from .options import exit_status
from .run import run

VERBS: tuple[click.Command, ...] = (run,)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="liteferry", message="liteferry %(version)s")
def cli() -> None:
    """Move a live SQLite application to PostgreSQL.

    Copies the tables while the application writes, streams every change after, and switches over with
    `cutover` in a blink. Settings come from options, LITEFERRY_* variables and liteferry.toml.

    \b
    Exit status: 0 done; 1 the answer is no (a check failed, sides differ, cutover refused); 2 wrong options
    or settings; 3 trouble with the source; 4 with the target; 5 a value cannot be stored; 6 no daemon
    answers.
    """


for verb in VERBS:
    cli.add_command(verb)


def main() -> None:
    """Run the command line and exit."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except LiteferryError as error:
        click.echo(f"Error: {error}", err=True)
        if error.hint:
            click.echo(f"Try: {error.hint}", err=True)
        sys.exit(exit_status(error))
