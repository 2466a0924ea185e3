"""`liteferry throttle`: how fast rows are copied and compared."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from daemon.control import ask

from .options import control_option, daemon_of, json_option
from .text import count, to_json


def _rate(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Return rows per second: a whole number, `/s` behind it or not."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,10})(?:/s)?", value.strip())
    if match is None or not int(match[1]):
        raise click.BadParameter(f"{value!r}: must be rows per second, such as 5000; --off for no limit")
    return int(match[1])


@click.command()
@click.argument("rate", required=False, callback=_rate)
@control_option
@click.option("--off", is_flag=True, help="Take any limit away, that of the settings too.")
@click.option("--reset", is_flag=True, help="Take the order back: the setting counts again.")
@json_option
def throttle(
    config: Path | None, control: Path | None, rate: int | None, off: bool, reset: bool, as_json: bool
) -> None:
    """Limit copying and comparing to RATE rows per second, or tell what they are held back by.

    The limit is that of all sources together, counts at once, and is kept on the target through restarts.
    The stream is not held back: `liteferry pause` is for that. Beside it reading slows down by itself while
    a source's WAL grows or its write lock is long waited for.
    """
    if sum((rate is not None, off, reset)) > 1:
        raise click.UsageError("RATE, --off and --reset cannot be combined")
    socket = daemon_of(config, control)
    body = {"rows_per_second": 0 if off else rate, "reset": reset}
    report = asyncio.run(ask(socket, "/control/throttle", body))
    click.echo(to_json(report) if as_json else "\n".join(describe(report)))


def describe(report: dict[str, Any]) -> list[str]:
    """Return the answer as lines to read."""
    whole = report["throttle"]
    if not whole["active"]:
        return ["copying and comparing at full speed"]
    limit = whole["limit_rows_per_second"]
    return [
        f"limit: {count(limit)} rows/s" if limit else "no limit by the operator",
        *(line for one in report["sources"] for line in _source(one)),
    ]


def _source(one: dict[str, Any]) -> Iterator[str]:
    told = one["throttle"]
    since = f" since {told['since']}" if told["since"] else ""
    if told["active"]:
        yield f"{one['path']}: at {100 * told['factor']:.3g} % of full speed{since}: {told['reason']}"
