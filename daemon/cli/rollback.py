"""`liteferry rollback`: the application's writes go back to SQLite."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from daemon.control import Where, ask

from .cutover import max_pause_option, phases, yes_option
from .options import control_option, daemon_of, json_option
from .text import duration, to_json

NEXT = """\
SQLite has the application's writes again; PostgreSQL refuses them.
Restart the application with its SQLite file. Streaming goes on; another cutover needs no new copy."""


@click.command()
@control_option
@yes_option
@max_pause_option
@click.option("--rehearse", is_flag=True, help="Do everything but the last step, report the pause, go on.")
@click.option("--dry-run", is_flag=True, help="Only tell whether it could be done now.")
@json_option
@click.pass_context
def rollback(
    context: click.Context,
    /,
    config: Path | None,
    control: Path | None,
    yes: bool,
    max_pause: float | None,
    rehearse: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Give the application's writes back to SQLite, with all that PostgreSQL has taken since the cutover.

    Writers of PostgreSQL are kept waiting, not failed, while the last changes are brought home; then
    PostgreSQL refuses writes and the SQLite file takes them. Whatever is in doubt before that point undoes
    it: the application goes on with PostgreSQL. Exit status 1 when it was refused; nothing was changed then.
    """
    if rehearse and dry_run:
        raise click.UsageError("--rehearse and --dry-run cannot be combined")
    socket = daemon_of(config, control)
    if not (yes or rehearse or dry_run) and not _confirmed(socket):
        click.echo("Nothing was changed.", err=True)
        context.exit(1)
    body = {"max_pause": max_pause, "rehearse": rehearse, "dry_run": dry_run}
    report = asyncio.run(ask(socket, "/control/rollback", body))
    click.echo(to_json(report) if as_json else "\n".join(describe(report)))
    context.exit(0 if report.get("can_rollback", True) else 1)


def _confirmed(socket: Where) -> bool:
    """Ask a person; where nobody can be asked that is a wrong call."""
    if not sys.stdin.isatty():
        raise click.UsageError("a rollback asks before it acts, and nobody can answer here: give --yes")
    found = asyncio.run(ask(socket, "/api/status"))
    for source in found["sources"]:
        waiting = (source["fallback"] or {}).get("pending_changes", 0)
        click.echo(f"{source['path']}: {source['state']}, {waiting} changes to bring back", err=True)
    click.echo("Writers will be kept waiting; after that PostgreSQL refuses writes.", err=True)
    return click.confirm("Roll back now?", err=True)


def describe(report: dict[str, Any]) -> list[str]:
    """Return a report as lines to read."""
    return list(_dry(report) if report["outcome"] == "dry_run" else _done(report))


def _dry(report: dict[str, Any]) -> Iterator[str]:
    yield "ready for rollback" if report["can_rollback"] else "not ready for rollback:"
    yield from (f"  {reason}" for reason in report["reasons"])
    yield from (f"notice: {notice}" for notice in report["notices"])


def _done(report: dict[str, Any]) -> Iterator[str]:
    yield from phases(report)
    yield from (f"notice: {notice}" for notice in report.get("notices", ()))
    pause = duration(report["pause_seconds"])
    if report["outcome"] == "rehearsed":
        yield f"rehearsed: writers waited {pause}; PostgreSQL goes on taking writes, nothing was changed"
        return
    yield f"rolled back: writers waited {pause}"
    yield ""
    yield NEXT
