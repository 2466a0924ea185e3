"""`liteferry status`: where the migration is."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from config.errors import ControlError
from daemon.control import Where, ask

from . import aftercare
from .options import control_option, daemon_of, json_option
from .text import count, duration, percent, size, table, to_json

WATCH_SECONDS = 1.0

#: States in which the source has no writes to carry over any more, and so no lag.
MOVED = ("cut_over", "finished")

#: Put the cursor at the top left, and erase from there on: no flicker, as a full clear would give.
HOME, ERASE_LINE, ERASE_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


@click.command()
@control_option
@json_option
@click.option("--watch", is_flag=True, help="Show it anew every second until Ctrl-C.")
@click.option(
    "--after-cutover",
    "after",
    is_flag=True,
    help="Look at the target instead, which has the writes by now; exit status 1 when something is found.",
)
@click.pass_context
def status(
    context: click.Context,
    /,
    config: Path | None,
    control: Path | None,
    as_json: bool,
    watch: bool,
    after: bool,
) -> None:
    """Tell where the migration is: state, readiness for cutover, lag, progress of every table.

    Asks the running daemon; exit status 6 when none answers.
    """
    if watch and (as_json or after):
        raise click.UsageError("--watch cannot be combined with --json or --after-cutover")
    socket = daemon_of(config, control)
    if after:
        found = asyncio.run(ask(socket, "/control/aftercare", {}))
        click.echo(to_json(found) if as_json else "\n".join(aftercare.describe(found)))
        context.exit(1 if found["findings"] else 0)
    if watch:
        _watch(socket)
    else:
        _show(socket, as_json)


def _show(socket: Where, raw: bool) -> None:
    found = asyncio.run(ask(socket, "/api/status"))
    click.echo(to_json(found) if raw else "\n".join(describe(found)))


def _watch(socket: Where) -> None:
    """Refresh until interrupted; a daemon that goes away meanwhile may come back."""
    lines = describe(asyncio.run(ask(socket, "/api/status")))
    try:
        while True:
            _refresh(lines)
            time.sleep(WATCH_SECONDS)
            try:
                lines = describe(asyncio.run(ask(socket, "/api/status")))
            except ControlError as error:
                lines = [str(error)]
    except KeyboardInterrupt:
        click.echo()


def _refresh(lines: list[str]) -> None:
    if not sys.stdout.isatty():
        click.echo("\n".join([*lines, ""]))
        return
    width, height = shutil.get_terminal_size()
    if len(lines) >= height:
        hidden = len(lines) - height + 2
        lines = [*lines[: height - 2], f"... {hidden} more lines, see `liteferry status`"]
    # a wrapped line would push the first ones off the screen
    cropped = [line[: width - 1] + ERASE_LINE for line in lines]
    click.echo(HOME + "\n".join(cropped) + "\n" + ERASE_BELOW, nl=False)


def describe(status: dict[str, Any]) -> list[str]:
    """Return a status as lines to read."""
    return [*_head(status), *(line for source in status["sources"] for line in _source(source))]


def _head(status: dict[str, Any]) -> Iterator[str]:
    if status["state"] in MOVED:
        yield status["state"]
        if status["state"] == "cut_over":
            yield "ready for rollback" if status.get("can_rollback") else "not ready for rollback"
            yield from (f"  {reason}" for reason in status.get("rollback_reasons", ()))
    elif status["can_cutover"]:
        pause = status["predicted_pause_seconds"]
        expected = "" if pause is None else f", expected pause {duration(pause)}"
        yield f"{status['state']}, ready for cutover{expected}"
    else:
        yield f"{status['state']}, not ready for cutover"
        yield from (f"  {reason}" for reason in status["reasons"])
    yield from (f"notice: {notice}" for notice in status.get("notices", ()))
    last = status["cutover"]
    if last:
        paused = last["pause_seconds"]
        waited = "" if paused is None else f", writers waited {duration(paused)}"
        why = f": {last['reason']}" if last["reason"] else ""
        yield f"last cutover: {last['outcome'].replace('_', ' ')} at {last['finished_at']}{waited}{why}"
    back = status.get("rollback")
    if back:
        why = f": {back['reason']}" if back["reason"] else ""
        yield f"last rollback: {back['outcome'].replace('_', ' ')} at {back['finished_at']}{why}"
    yield from _verification(status.get("verification") or {})
    yield f"liteferry {status['version']}, running since {status['started_at']}"


def _verification(told: dict[str, Any]) -> Iterator[str]:
    running, last = told.get("running"), told.get("last")
    if running:
        share = percent(running["rows_done"], running["rows"])
        left = duration(running["remaining_seconds"])
        yield f"verification under way: {running['table']}, {share} of all rows, {left} left"
    if last:
        yield f"last verification: {last['verdict']} ({last['kind']}), {duration(last['age_seconds'])} ago"


def _source(source: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield f"{source['path']} -> schema {source['schema']}: {source['state']}"
    if source["error"]:
        yield f"  error: {source['error']}"
    yield from table(list(_figures(source)))
    if source["tables"]:
        yield ""
        yield from table([("table", "state", "rows", "copied", "changes"), *_tables(source)], right=(2, 3, 4))


def _figures(source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if source["state"] not in MOVED:
        yield "pending changes", count(source["pending_changes"])
        yield "oldest unapplied", duration(source["oldest_unapplied_seconds"])
        yield "heartbeat age", duration(source["heartbeat_age_seconds"])
        yield "time to catch up", duration(source["estimated_catch_up_seconds"])
    if back := source.get("fallback"):
        yield "to bring back", f"{count(back['pending_changes'])} changes"
        yield "oldest of them", duration(back["oldest_unapplied_seconds"])
        yield "brought back", f"{count(back['changes_applied'])} changes"
    yield "applied", f"{count(source['changes_applied'])} changes, {count(source['apply_rate'])}/s"
    if source["state"] in ("snapshot", "catch_up"):
        yield "copied", f"{count(source['rows_copied'])} rows, {count(source['copy_rate'])}/s"
    yield "target", "connected" if source["target_connected"] else "away"
    yield "source file", f"{size(source['source_bytes'])}, WAL {size(source['wal_bytes'])}"


def _tables(source: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for entry in source["tables"]:
        done, whole = entry["rows_copied"], entry["rows_estimate"]
        complete = entry["state"] in ("copied", "streaming")
        share = "100 %" if complete else percent(min(done, whole - 1), whole)
        yield entry["name"], entry["state"], count(done), share, count(entry["changes_applied"])
