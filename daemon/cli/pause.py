"""`liteferry pause` and `liteferry resume`: nothing is carried over for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from daemon.control import ask

from .options import control_option, daemon_of, json_option
from .text import to_json

source_option = click.option(
    "--source",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Only this source, by its path or file name (default: all).",
)


@click.command()
@control_option
@source_option
@json_option
def pause(config: Path | None, control: Path | None, source: Path | None, as_json: bool) -> None:
    """Carry nothing over until `liteferry resume`: no copy, no changes, no comparison.

    The batch in hand is finished or rolled back. The application goes on writing, its changes wait in the
    change log. The pause is kept on the target, so that a restart does not end it; no cutover begins
    meanwhile. After the cutover it holds the way back.
    """
    _order("/control/pause", config, control, source, as_json)


@click.command()
@control_option
@source_option
@json_option
def resume(config: Path | None, control: Path | None, source: Path | None, as_json: bool) -> None:
    """Go on after `liteferry pause`, where it was."""
    _order("/control/resume", config, control, source, as_json)


def _order(path: str, config: Path | None, control: Path | None, source: Path | None, raw: bool) -> None:
    socket = daemon_of(config, control)
    body = {"source": None if source is None else named(source)}
    report = asyncio.run(ask(socket, path, body))
    click.echo(to_json(report) if raw else "\n".join(describe(report)))


def named(path: Path) -> str:
    """Return how a source is told to the daemon: a file that is here by its whole path."""
    return str(path.absolute()) if path.exists() else str(path)


def describe(report: dict[str, Any]) -> list[str]:
    """Return the answer as lines to read."""
    return [*(_source(one) for one in report["sources"]), *_rest(report)]


def _source(one: dict[str, Any]) -> str:
    if one["paused"] is None:
        return f"{one['path']}: {one['state']}"
    return f"{one['path']}: paused since {one['paused']['since']}, before that {one['paused']['before']}"


def _rest(report: dict[str, Any]) -> Iterator[str]:
    if report["paused"] and not report["at_rest"]:
        yield "Noted; something that cannot be cut short is still in hand, see `liteferry status`."
