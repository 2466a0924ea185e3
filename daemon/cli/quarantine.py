"""`liteferry quarantine`: rows that PostgreSQL cannot hold."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from daemon.control import ask

from .options import control_option, daemon_of, json_option
from .text import plural, to_json

table_option = click.option("--table", metavar="T", help="Only of this table.")


@click.group()
def quarantine() -> None:
    """List the rows that PostgreSQL cannot hold, try them again, or accept their absence.

    Such a row is not on the target; the others go on without it, and a cutover waits. It is stored as soon
    as the application writes it in a form that can be. The daemon must be running.
    """


@quarantine.command(name="list")
@control_option
@table_option
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Most rows.")
@json_option
def list_(*, config: Path | None, control: Path | None, table: str | None, limit: int, as_json: bool) -> None:
    """List the rows, oldest first: table, key, column and reason; with --json all their values."""
    found = _ask(config, control, "list", {"table": table, "limit": limit})
    click.echo(to_json(found) if as_json else "\n".join(describe(found)))


@quarantine.command()
@control_option
@table_option
@json_option
def retry(*, config: Path | None, control: Path | None, table: str | None, as_json: bool) -> None:
    """Have the tables read again, beside the stream: for rows that PostgreSQL would take by now."""
    found = _ask(config, control, "retry", {"table": table})
    click.echo(to_json(found) if as_json else f"{plural(found['tables'], 'table')} are read again")


@quarantine.command()
@control_option
@click.argument("table")
@json_option
def accept(*, config: Path | None, control: Path | None, table: str, as_json: bool) -> None:
    """Let a cutover go on without the rows of TABLE that are in quarantine now.

    They stay behind in SQLite, and in liteferry.quarantine. A row that comes later, or changes and still
    cannot be stored, must be accepted anew.
    """
    found = _ask(config, control, "accept", {"table": table})
    click.echo(to_json(found) if as_json else f"accepted: {plural(found['accepted'], 'row')} stay behind")


def _ask(config: Path | None, control: Path | None, what: str, body: dict[str, Any]) -> dict[str, Any]:
    socket = daemon_of(config, control)
    return asyncio.run(ask(socket, f"/control/quarantine/{what}", body))


def describe(found: dict[str, Any]) -> list[str]:
    """Return the list as lines to read; of the rows only their keys."""
    lines = [
        f"{row['table']} {', '.join(map(str, row['key']))}: "
        + (f"column {row['column']}: " if row["column"] else "")
        + row["reason"]
        + (" (accepted)" if row["accepted"] else "")
        for row in found["rows"]
    ]
    return [*lines, f"{plural(found['total'], 'row')} in quarantine"]
