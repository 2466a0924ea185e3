"""The reference of the command line, written from the commands themselves.

Written anew by `python -m daemon.cli.reference > docs/reference/cli.md`; a test fails when it is stale.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import click

from .app import VERBS, cli, verb

#: What each exit status says; the classes of error behind them are in options.EXIT_STATUS.
EXIT_MEANINGS = {
    0: "done; for `check`, `verify` and `cutover --dry-run`: yes",
    1: "the answer is no: a check failed, the sides differ, an order was refused, `doctor` found a problem",
    2: "wrong options or settings, or a source that is missing or no SQLite database",
    3: "trouble with a source",
    4: "trouble with the target",
    5: "a value cannot be stored on the target as it is",
    6: "no daemon answers, or it does not take the token",
    7: "any other error of liteferry's own",
    130: "interrupted, or declined at a question",
}

_HEAD = """\
# Command line

<!-- written by `python -m daemon.cli.reference`; change the commands in daemon/cli/ instead -->

`check`, `plan`, `run` and `uninstall` take SQLite files, or folders of them, and the target. `status`,
`verify`, `cutover` and the other orders ask the daemon that `run` has started, through its control socket,
for which they need the rights of the user that it runs as; or at its address with `--url`, with a token.
`doctor` does without what it cannot reach.

Whatever an option does not say comes from the [settings](settings.md): `LITEFERRY_*` variables,
`liteferry.toml`, `DATABASE_URL`, `SQLITE_DIR`. Answers go to standard output, errors and questions to
standard error: what is wrong in one line, and what to try in a second.
"""


def cli_markdown() -> str:
    """Return the page that describes every verb."""
    return "".join([_HEAD, *_statuses(), *(part for name in VERBS for part in _section(verb(name)))])


def _statuses() -> Iterator[str]:
    yield "\n## Exit status\n\n| status | meaning |\n|---|---|\n"
    yield from (f"| {status} | {meaning} |\n" for status, meaning in EXIT_MEANINGS.items())


def _section(command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"{cli.name} {command.name}")
    usage = " ".join([f"liteferry {command.name}", *command.collect_usage_pieces(context)])
    # click's mark for "leave the lines as they are" is nothing to read
    told = inspect.cleandoc(command.help or "").replace("\b\n", "")
    yield f"\n## {command.name}\n\n```\n{usage}\n```\n\n{told}\n\n"
    for option in command.params:
        record = option.get_help_record(context)
        if isinstance(option, click.Option) and record is not None:
            yield f"- `{record[0]}`: {record[1]}\n"


if __name__ == "__main__":
    sys.stdout.write(cli_markdown())
