"""`liteferry status`: where the migration is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from config.errors import ControlError
from daemon.control import Where, ask

from . import aftercare
from .live import frame
from .options import control_option, daemon_of, json_option
from .screen import Screen, can_draw, is_screen, open_screen
from .telling import describe
from .text import duration, to_json

WATCH_SECONDS = 1.0

#: A daemon that does not answer for so long is told of, and asked again.
ANSWER_SECONDS = 5.0


@click.command()
@control_option
@json_option
@click.option("--watch", is_flag=True, help="Show it anew every second until Ctrl-C, also over a restart.")
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
        _watch(Watched(socket))
    else:
        _show(socket, as_json)


def _show(socket: Where, raw: bool) -> None:
    found = asyncio.run(ask(socket, "/api/status"))
    click.echo(to_json(found) if raw else "\n".join(describe(found)))


@dataclass
class Watched:
    """A daemon that is asked again and again, and what it told last."""

    socket: Where
    status: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    #: Why nobody answers, empty while somebody does.
    trouble: str = ""
    _told_at: float = 0.0

    def ask(self) -> None:
        """Ask now. Raises ControlError when nobody answers."""
        try:
            self.status, events = asyncio.run(self._ask())
        except TimeoutError:
            raise ControlError(
                f"liteferry does not answer within {ANSWER_SECONDS:g} s", hint="see its log"
            ) from None
        self.events, self.trouble, self._told_at = events, "", time.monotonic()

    async def _ask(self) -> tuple[dict[str, Any], Any]:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await ask(self.socket, "/api/status"), await ask(self.socket, "/api/journal")

    def ask_again(self) -> None:
        """Ask now, and keep what was told before when nobody answers."""
        try:
            self.ask()
        except ControlError as error:
            self.trouble = str(error)

    @property
    def away(self) -> str:
        """Return the trouble with how old the figures are, empty when they are not."""
        if not self.trouble:
            return ""
        age = duration(max(1, round(time.monotonic() - self._told_at)))
        return f"{self.trouble}; waiting for it, these figures are {age} old"


def _watch(watched: Watched) -> None:
    """Refresh until interrupted; a daemon that goes away meanwhile may come back."""
    watched.ask()
    try:
        if is_screen():
            with open_screen() as screen:
                for _ in _turns(watched):
                    _paint(screen, watched)
        else:
            for _ in _turns(watched):
                # a log: each status below the one before
                lines = [watched.trouble] if watched.trouble else describe(watched.status)
                click.echo("\n".join([*lines, ""]))
    except KeyboardInterrupt:
        pass


def _turns(watched: Watched) -> Iterator[None]:
    while True:
        yield
        time.sleep(WATCH_SECONDS)
        watched.ask_again()


def _paint(screen: Screen, watched: Watched) -> None:
    lines = frame(watched.status, watched.events, screen.size, away=watched.away, drawn=can_draw())
    screen.paint(lines)
