"""`liteferry verify`: whether both sides hold the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from daemon.control import ask

from .options import control_option, json_option, settings_from
from .text import plural, to_json


@click.command()
@control_option
@click.option("--counts", is_flag=True, help="Compare only how many rows each table has.")
@click.option("--detailed", is_flag=True, help="Compare row by row (the default).")
@click.option("--table", metavar="T", help="Compare one table.")
@json_option
@click.pass_context
def verify(
    context: click.Context,
    /,
    config: Path | None,
    control: Path | None,
    counts: bool,
    detailed: bool,
    table: str | None,
    as_json: bool,
) -> None:
    """Compare both sides while the application writes, row by row or by counts.

    The running daemon reads each chunk on both sides at one position of the change log, so live data is no
    hindrance and nothing is locked. Nothing is changed; rows that differ are named, not repaired. Exit
    status 0 when all is equal, 1 when something differs.
    """
    if counts and detailed:
        raise click.UsageError("--counts and --detailed cannot be combined")
    socket = settings_from(config, control=control).control
    report = asyncio.run(ask(socket, "/control/verify", {"counts_only": counts, "table": table}))
    click.echo(to_json(report) if as_json else "\n".join(describe(report, counts=counts)))
    context.exit(0 if report["equal"] else 1)


def describe(report: dict[str, Any], *, counts: bool) -> list[str]:
    """Return a report as lines to read, the verdict last."""
    lines: list[str] = []
    for source in report["sources"]:
        if len(report["sources"]) > 1:
            lines.append(f"{source['path']}:")
        for entry in source["tables"]:
            lines += [_counted(entry)] if counts else _compared(entry)
    return [*lines, _verdict(report)]


def _counted(entry: dict[str, Any]) -> str:
    word = "ok" if entry["equal"] else "DIFFERENT"
    return f"{entry['name']}: SQLite={entry['source_rows']}, PostgreSQL={entry['target_rows']} {word}"


def _compared(entry: dict[str, Any]) -> Iterator[str]:
    yield _counted(entry)
    if not entry["equal"]:
        kinds = ("missing", "different", "extra", "quarantined")
        yield "  " + ", ".join(f"{entry[kind]:,} {kind}" for kind in kinds)
        yield from (f"  {detail}" for detail in entry["details"])


def _verdict(report: dict[str, Any]) -> str:
    tables = [entry for source in report["sources"] for entry in source["tables"]]
    different = [entry for entry in tables if not entry["equal"]]
    if report["equal"]:
        return f"equal: {plural(len(tables), 'table')}"
    return f"different: {len(different)} of {plural(len(tables), 'table')}"
