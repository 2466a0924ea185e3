"""`liteferry verify`: whether both sides hold the same."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from config.errors import ControlError
from daemon.control import Where, ask
from daemon.report import files
from replicator.whoami import whoami

from .options import control_option, daemon_of, json_option, settings_from
from .passes import Passes, line
from .text import count, duration, percent, plural, to_json, to_line

#: Between two passes, where the daemon itself makes none.
SELDOM_SECONDS = 300.0

#: Between two looks at how far the daemon is.
LOOK_SECONDS = 0.5

ERASE_LINE = "\r\x1b[K"


@click.command()
@control_option
@click.option("--counts", is_flag=True, help="Compare only how many rows each table has.")
@click.option("--detailed", is_flag=True, help="Show keys and the beginnings of values that differ.")
@click.option("--incremental", is_flag=True, help="Only what was written since all was last found equal.")
@click.option("--table", metavar="T", help="Compare one table.")
@click.option("--repair", is_flag=True, help="Make equal on PostgreSQL exactly the rows that differ.")
@click.option("--resume", is_flag=True, help="Go on where the last one of all rows was interrupted.")
@click.option("--follow", is_flag=True, help="Compare what is written again and again until Ctrl-C.")
@click.option("--every", metavar="TIME", help="Time between passes (default: recheck_interval).")
@click.option(
    "--report", metavar="DIR|FILE", type=click.Path(path_type=Path), help="Write the report: JSON, a page."
)
@click.option(
    "--last", is_flag=True, help="Show, or write with --report, the newest report; compare nothing."
)
@click.option(
    "--check-report",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Tell whether a report is as it was written; asks no daemon.",
)
@json_option
@click.pass_context
def verify(
    context: click.Context,
    /,
    config: Path | None,
    control: Path | None,
    counts: bool,
    detailed: bool,
    incremental: bool,
    table: str | None,
    repair: bool,
    resume: bool,
    follow: bool,
    every: str | None,
    report: Path | None,
    last: bool,
    check_report: Path | None,
    as_json: bool,
) -> None:
    """Compare both sides while the application writes: rows, or counts, and the structure.

    The running daemon reads each chunk on both sides at one position of the change log, so live data is no
    hindrance and nothing is locked. Nothing is changed unless --repair says so. Ctrl-C ends it. Exit status
    0 when all is equal, 1 when something differs; with --follow at the end, which comes with Ctrl-C, the
    daemon's end or a cutover.
    """
    if check_report is not None:
        context.exit(_check(check_report))
    for one, other in ((detailed, "--detailed"), (repair, "--repair"), (incremental, "--incremental")):
        if counts and one:
            raise click.UsageError(f"--counts and {other} cannot be combined")
    single = (detailed, "--detailed"), (incremental, "--incremental"), (report is not None, "--report")
    for one, other in single:
        if follow and one:
            raise click.UsageError(f"--follow and {other} cannot be combined")
    if every is not None and not follow:
        raise click.UsageError("--every goes with --follow")
    wish = {"counts_only": counts, "table": table, "samples": detailed, "repair": repair}
    if resume and (counts or incremental or follow or table is not None):
        raise click.UsageError("--resume goes with a comparison of all rows of all tables")
    if last and (resume or counts or detailed or repair or incremental or follow or table is not None):
        raise click.UsageError("--last compares nothing: only --report and --json go with it")
    if follow:
        seconds = settings_from(config, control=control, recheck_interval=every).recheck_interval
        wished = {**wish, "by": whoami()}
        context.exit(_follow(daemon_of(config, control), wished, seconds or SELDOM_SECONDS, as_json))
    socket = daemon_of(config, control)
    if last:
        answer = asyncio.run(ask(socket, "/control/report", {}))["report"]
        if answer is None:
            raise ControlError("no report is kept yet", hint="make one with `liteferry verify`")
    else:
        answer = asyncio.run(
            _ask(socket, {**wish, "incremental": incremental, "resume": resume, "by": whoami()})
        )
    samples = answer.pop("samples", [])
    written = files.write(answer, report) if report is not None else []
    if as_json:
        click.echo(to_json({**answer, "samples": samples} if detailed else answer))
    else:
        told = [*describe(answer, samples), *(f"report: {place}" for place in written)]
        if last:
            told = [f"{answer['kind']}, ended {answer['finished_at']}", *told]
        # the verdict is the last line
        click.echo("\n".join([*told, answer["verdict"]]))
    context.exit(0 if answer["equal"] else 1)


def _follow(socket: Where, wish: dict[str, Any], every: float, as_json: bool) -> int:
    """Compare pass after pass; return the exit status."""
    following = Passes(socket, wish, every, partial(_ask, socket))
    try:
        why = asyncio.run(following.run(lambda told: click.echo(to_line(told) if as_json else line(told))))
        click.echo(f"ended: {why}", err=True)
    except KeyboardInterrupt:
        if following.equal is None:
            raise
    return 0 if following.equal else 1


async def _ask(socket: Where, wish: dict[str, Any]) -> dict[str, Any]:
    """Have the daemon compare; on a terminal tell how far it is."""
    if not sys.stderr.isatty():
        return await ask(socket, "/control/verify", wish)
    telling = asyncio.create_task(_tell(socket))
    try:
        return await ask(socket, "/control/verify", wish)
    finally:
        telling.cancel()
        click.echo(ERASE_LINE, nl=False, err=True)


async def _tell(socket: Where) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            running = (await ask(socket, "/api/status"))["verification"]["running"]
        except ControlError:
            continue
        if running:
            click.echo(ERASE_LINE + progress(running), nl=False, err=True)


def progress(running: dict[str, Any]) -> str:
    """Return how far a verification is, as one line."""
    done, left = running["rows_done"], running["remaining_seconds"]
    share = percent(done, running["rows"])
    line = f"table {running['tables_done'] + 1} of {running['tables']}, {count(done)} rows ({share})"
    return line if left is None else f"{line}, {duration(left)} left"


def _check(place: Path) -> int:
    """Tell whether a report is as it was written; return the exit status."""
    report, intact = files.read(place)
    word = "intact" if intact else "CHANGED since it was written"
    click.echo(f"{word}: {report.get('verdict')}, {report.get('finished_at')}, {report.get('digest')}")
    return 0 if intact else 1


def describe(report: dict[str, Any], samples: list[dict[str, Any]]) -> list[str]:
    """Return a report as lines to read, but for the verdict."""
    lines: list[str] = []
    for source in report["sources"]:
        if len(report["sources"]) > 1:
            lines.append(f"{source['path']}:")
        for entry in source["tables"]:
            shown = [s for s in samples if (s["path"], s["table"]) == (source["path"], entry["name"])]
            lines += _compared(entry, shown)
    return lines


def _compared(entry: dict[str, Any], samples: list[dict[str, Any]]) -> Iterator[str]:
    yield _counted(entry)
    found = entry["missing"] + entry["different"] + entry["extra"]
    if found:
        kinds = ("missing", "different", "extra", "quarantined")
        repaired = f", {entry['repaired']:,} repaired" if entry["repaired"] else ""
        yield "  " + ", ".join(f"{entry[kind]:,} {kind}" for kind in kinds) + repaired
        yield from (_sampled(samples) if samples else (f"  {detail}" for detail in entry["details"]))
    if entry["taken_up"]:
        rows = plural(entry["taken_up"], "row")
        yield f"  gone on behind {rows}; {entry['rechecked']:,} touched since were compared again"
    if entry["unreturned"]:
        yield f"  {plural(entry['unreturned'], 'row')} kept aside: SQLite cannot hold what is there"
    if entry["repair_pending"]:
        yield "  is read again in the background: rows with one unique value stood in each other's way"
    for one in entry["structure"]:
        word = "note" if one["harmless"] else "structure"
        yield f"  {word}: {one['what']} {one['problem']}"
        yield f"    {one['hint']}"


def _counted(entry: dict[str, Any]) -> str:
    word = "ok" if entry["equal"] else "DIFFERENT"
    if entry["compared_by"] == "touched":
        return f"{entry['name']}: {plural(entry['compared'], 'row')} written since {word}"
    if entry["compared_by"] == "structure":
        return f"{entry['name']}: structure {word}"
    return f"{entry['name']}: SQLite={entry['source_rows']}, PostgreSQL={entry['target_rows']} {word}"


def _sampled(samples: list[dict[str, Any]]) -> Iterator[str]:
    for one in samples:
        yield f"  {one['kind']}: key {', '.join(one['key'])}"
        for column in one["columns"]:
            yield f"    {column['name']}: SQLite {column['source']}, PostgreSQL {column['target']}"
