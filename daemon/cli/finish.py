"""`liteferry finish`: the way back is given up, and nothing of ours is left on either side."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from daemon.control import ask

from .cutover import yes_option
from .options import control_option, daemon_of, json_option
from .text import count, table, to_json

DANGER = """\
After this there is no way back: what PostgreSQL takes is not brought to SQLite any more.
The SQLite file is as it was before liteferry, and takes writes again from whatever still uses it: see that
nothing does, or put the file away."""


@click.command()
@control_option
@yes_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="File for the report, as JSON.",
)
@json_option
@click.pass_context
def finish(
    context: click.Context,
    /,
    config: Path | None,
    control: Path | None,
    yes: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Give the way back up, and take everything of liteferry off both sides.

    PostgreSQL keeps the tables: their triggers, side columns and the schema `liteferry` go. The SQLite files
    lose triggers, change log and fence. Possible once all sources are cut over.
    """
    socket = daemon_of(config, control)
    if not yes and not _confirmed():
        click.echo("Nothing was changed.", err=True)
        context.exit(1)
    report = asyncio.run(ask(socket, "/control/finish", {}))
    if out is not None:
        out.write_text(to_json(report) + "\n", encoding="utf-8")
    click.echo(to_json(report) if as_json else "\n".join(describe(report)))


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("this asks before it acts, and nobody can answer here: give --yes")
    click.echo(DANGER, err=True)
    return click.confirm("Give the way back up now?", err=True)


def describe(report: dict[str, Any]) -> list[str]:
    """Return a report as lines to read."""
    return [line for source in report["sources"] for line in _source(source)] + [
        "finished: liteferry can be stopped"
    ]


def _source(source: dict[str, Any]) -> Iterator[str]:
    yield f"{source['path']} -> schema {source['schema']}"
    yield from table([(one["target"], count(one["rows"])) for one in source["tables"]], right=(1,))
    if source["rows_left_behind"]:
        yield f"  {source['rows_left_behind']} rows stay behind in SQLite"
    if source["changes_not_brought_back"]:
        yield f"  {source['changes_not_brought_back']} changes were not brought back"
    yield ""
