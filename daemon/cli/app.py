"""The `liteferry` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import IO, Any, NoReturn

import click

from config.errors import LiteferryError

from . import INTERRUPTED
from .options import exit_status

#: In the order in which one needs them. Each is a module of its own, imported when it is wanted: most of them
#: need half a second for that, which nobody has to wait for who asks for the status.
VERBS = (
    "check",
    "plan",
    "run",
    "status",
    "verify",
    "quarantine",
    "cutover",
    "rollback",
    "finish",
    "pause",
    "resume",
    "throttle",
    "doctor",
    "uninstall",
    "install-service",
    "demo",
)

#: Verbs that live in another's module.
BESIDE = {"resume": "pause"}


class Failure(click.ClickException):
    """An error of ours as the command line tells it: what is wrong, what to try, an exit status by class."""

    def __init__(self, error: LiteferryError) -> None:
        super().__init__(str(error))
        self.hint = error.hint
        # declared for the class, but click reads it from the instance: each error has its own
        vars(self)["exit_code"] = exit_status(error)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print both lines to standard error."""
        click.echo(f"Error: {self.message}", err=True)
        if self.hint:
            click.echo(f"Try: {self.hint}", err=True)


class Verbs(click.Group):
    """The group of all verbs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of VERBS."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a verb, imported now; None for a word that is none."""
        return verb(cmd_name) if cmd_name in VERBS else None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; our errors become click's, so that they end it the same way."""
        try:
            return super().invoke(ctx)
        except LiteferryError as error:
            raise Failure(error) from error


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="liteferry", message="liteferry %(version)s")
def cli() -> None:
    """Move a live SQLite application to PostgreSQL.

    Copies the tables while the application writes, streams every change after, and switches over with
    `cutover` in a blink. Settings come from options, LITEFERRY_* variables and liteferry.toml.

    \b
    Exit status: 0 done; 1 the answer is no (a check failed, sides differ, cutover refused); 2 wrong options
    or settings; 3 trouble with the source; 4 with the target; 5 a value cannot be stored; 6 no daemon
    answers; 7 any other error.
    """


def verb(name: str) -> click.Command:
    """Return the command of a verb."""
    own = name.replace("-", "_")
    module = import_module(f"daemon.cli.{BESIDE.get(name, own)}")
    command: click.Command = getattr(module, own)
    return command


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, with the process's own arguments or these, and exit."""
    try:
        status = cli.main(args=arguments, prog_name="liteferry", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    # what a verb asked for with ctx.exit() comes back as a number here
    sys.exit(status if isinstance(status, int) else 0)
