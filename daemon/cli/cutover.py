"""`liteferry cutover`: the application's writes move to PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from config.errors import CutoverRefused
from config.values import parse_duration
from daemon.control import Where, ask

from .options import control_option, daemon_of, json_option
from .text import duration, table, to_json

WAIT_SECONDS = 0.2

#: Limits of --max-pause in seconds, those of the setting.
SHORTEST, LONGEST = 0.01, 3600.0

#: States in which waiting for readiness would never end.
SETTLED = ("failed", "cut_over", "finished", "rolled_back")

NEXT = """\
The target has the application's writes now; the source refuses them.
Restart the application with DATABASE_URL set to the target."""


def _seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Return a duration in seconds, within the limits of the setting `max_pause`."""
    if value is None:
        return None
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from None
    if not SHORTEST <= seconds <= LONGEST:
        raise click.BadParameter(f"{value!r}: must be from 10ms to 1h")
    return seconds


yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
max_pause_option = click.option(
    "--max-pause",
    callback=_seconds,
    metavar="DURATION",
    help="Longest time that writers may be kept waiting (default: 5s); over it, it is undone.",
)


@click.command()
@control_option
@yes_option
@click.option("--wait", is_flag=True, help="Wait until it is ready, instead of refusing.")
@max_pause_option
@click.option("--rehearse", is_flag=True, help="Do everything but the last step, report the pause, go on.")
@click.option("--dry-run", is_flag=True, help="Only tell whether it could be done now.")
@json_option
@click.pass_context
def cutover(
    context: click.Context,
    /,
    config: Path | None,
    control: Path | None,
    yes: bool,
    wait: bool,
    max_pause: float | None,
    rehearse: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Move the application's writes to PostgreSQL.

    Its writers are kept waiting, not failed, while the last changes are carried over; then the source
    refuses writes and the target takes them. Whatever is in doubt before that point undoes it: streaming
    goes on. Exit status 1 when it was refused; nothing was changed then.
    """
    if rehearse and dry_run:
        raise click.UsageError("--rehearse and --dry-run cannot be combined")
    socket = daemon_of(config, control)
    if not (yes or rehearse or dry_run) and not _confirmed(socket):
        click.echo("Nothing was changed.", err=True)
        context.exit(1)
    body = {"max_pause": max_pause, "rehearse": rehearse, "dry_run": dry_run}
    report = _when_ready(socket, body) if wait else _order(socket, body)
    click.echo(to_json(report) if as_json else "\n".join(describe(report)))
    context.exit(0 if report.get("can_cutover", True) else 1)


def _confirmed(socket: Where) -> bool:
    """Ask a person; where nobody can be asked that is a wrong call."""
    if not sys.stdin.isatty():
        raise click.UsageError("a cutover asks before it acts, and nobody can answer here: give --yes")
    found = asyncio.run(ask(socket, "/api/status"))
    for source in found["sources"]:
        click.echo(f"{source['path']} -> schema {source['schema']}: {source['state']}", err=True)
    pause = found["predicted_pause_seconds"]
    expected = "" if pause is None else f", for about {duration(pause)}"
    click.echo(f"Writers will be kept waiting{expected}; after that SQLite refuses writes.", err=True)
    return click.confirm("Cut over now?", err=True)


def _when_ready(socket: Where, body: dict[str, Any]) -> dict[str, Any]:
    """Give the order as soon as it can be carried out.

    The waiting is done here and not by the daemon: Ctrl-C takes it back.
    """
    told: list[str] = []
    while True:
        found = asyncio.run(ask(socket, "/api/status"))
        if found["can_cutover"]:
            try:
                return _order(socket, body)
            except CutoverRefused:
                found = asyncio.run(ask(socket, "/api/status"))
                if found["can_cutover"]:
                    raise
        if found["state"] in SETTLED:
            raise CutoverRefused(f"it will not get ready: {'; '.join(found['reasons'])}")
        if found["reasons"] != told:
            told = found["reasons"]
            click.echo(f"waiting: {'; '.join(told)}", err=True)
        time.sleep(WAIT_SECONDS)


def _order(socket: Where, body: dict[str, Any]) -> dict[str, Any]:
    try:
        return asyncio.run(ask(socket, "/control/cutover", body))
    except KeyboardInterrupt:
        click.echo("The daemon goes on with it; see `liteferry status`.", err=True)
        raise


def describe(report: dict[str, Any]) -> list[str]:
    """Return a report as lines to read."""
    return list(_dry(report) if report["outcome"] == "dry_run" else _done(report))


def phases(report: dict[str, Any]) -> Iterator[str]:
    """Return the phases of a cutover or rollback as lines to read."""
    found = [(phase["name"], duration(phase["seconds"])) for phase in report["phases"]]
    yield from table(found, right=(1,)) if found else ()


def _dry(report: dict[str, Any]) -> Iterator[str]:
    yield "ready for cutover" if report["can_cutover"] else "not ready for cutover:"
    yield from (f"  {reason}" for reason in report["reasons"])


def _checked(check: dict[str, Any] | None) -> Iterator[str]:
    if check is None:
        return
    yield f"equal: {check['rows_compared']} rows written last, the counts of {check['tables_counted']} tables"
    if check["rows_not_compared"]:
        yield f"no time for {check['rows_not_compared']} more rows"
    if left := check["tables_not_counted"]:
        yield "no time to count " + ", ".join(left[:5]) + (f", and {len(left) - 5} more" if left[5:] else "")


def _done(report: dict[str, Any]) -> Iterator[str]:
    yield from phases(report)
    pause = duration(report["pause_seconds"])
    yield from _checked(report.get("check"))
    if report["outcome"] == "rehearsed":
        yield f"rehearsed: writers waited {pause}; streaming goes on, nothing was changed"
        return
    yield f"cut over: writers waited {pause}"
    yield from (f"note: {note}" for note in report.get("notes", ()))
    yield ""
    yield NEXT
