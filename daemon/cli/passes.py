"""`liteferry verify --follow`: pass after pass, one line for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import click

from config.errors import ConfigError, ControlError, LiteferryError
from daemon.control import Where, ask

from .text import count, plural

#: Between two looks at what the daemon is doing.
LOOK_SECONDS = 1.0

#: States in which the writes are on PostgreSQL; a comparison goes the other way there.
AWAY = ("cut_over", "reversing")

#: In which nothing can be compared, and which do not last.
PASSING = ("cutting_over", "reversing", "rolled_back")

#: Behind which nothing is to be compared any more.
OVER = ("finished", "failed")

Verify = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class Passes:
    """Compares until the daemon ends, or the writes move to the other side."""

    def __init__(self, socket: Where, wish: dict[str, Any], every: float, verify: Verify) -> None:
        """Take what to ask for, the seconds between two passes, and what asks for one."""
        self._socket, self._wish, self._every, self._verify = socket, wish, every, verify
        self._away: bool | None = None
        self._done = 0
        #: What is waited for.
        self._told = ""
        #: Whether all was equal in the last pass; None before the first has ended.
        self.equal: bool | None = None

    async def run(self, tell: Callable[[dict[str, Any]], None]) -> str:
        """Compare, and tell of each pass; return why there is nothing more to compare.

        Raises ControlError when no daemon answers at first, ConfigError for a wrong wish.
        """
        while True:
            if (why := await self._moved()) is not None:
                return why
            try:
                report = await self._verify({**self._wish, "incremental": self._is_incremental()})
            except ConfigError:
                raise
            except LiteferryError as error:
                # another is running, or the target is away; or it is over, and the next look tells so
                if isinstance(error, ControlError) and self._done == 0 and await self._state() is None:
                    raise
                self._tell_once(str(error))
                await asyncio.sleep(LOOK_SECONDS)
                continue
            self._done, self._told = self._done + 1, ""
            self.equal = report["equal"]
            tell(summary(report, self._done))
            if (why := await self._rest()) is not None:
                return why

    def _tell_once(self, why: str) -> None:
        if why != self._told:
            click.echo(f"waiting: {why}", err=True)
        self._told = why

    def _is_incremental(self) -> bool:
        return self._done > 0 and not self._wish["counts_only"]

    async def _rest(self) -> str | None:
        """Wait for the next pass; return why there is none."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._every
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(left, LOOK_SECONDS))
            if (why := await self._moved()) is not None:
                return why
        return None

    async def _moved(self) -> str | None:
        """Return why it is over, None when it is not; wait while the writes are just being moved."""
        while True:
            state = await self._state()
            if state is None:
                if self._away is None:
                    await ask(self._socket, "/api/status")
                return "the daemon has ended"
            if state in OVER:
                return f"the state is {state}"
            if state not in PASSING:
                break
            await asyncio.sleep(LOOK_SECONDS / 10)
        away, self._away = self._away, state in AWAY
        if away is None or away == self._away:
            return None
        return "cut over: PostgreSQL has the writes" if self._away else "rolled back: SQLite has the writes"

    async def _state(self) -> str | None:
        """Return the daemon's state, None when it does not answer."""
        try:
            return str((await ask(self._socket, "/api/status"))["state"])
        except ControlError:
            return None


def summary(report: dict[str, Any], number: int) -> dict[str, Any]:
    """Return what is told of one pass."""
    tables = [table for source in report["sources"] for table in source["tables"]]
    return {
        "at": report["finished_at"],
        "pass": number,
        "kind": report["kind"],
        "positions": {source["path"]: source["position_after"] for source in report["sources"]},
        "compared": sum(table["compared"] for table in tables),
        "differences": sum(t["missing"] + t["different"] + t["extra"] for t in tables),
        "repaired": sum(table["repaired"] for table in tables),
        "tables": sorted({table["name"] for table in tables if not table["equal"]}),
        "equal": report["equal"],
        "seconds": report["seconds"],
        "id": report["id"],
        "digest": report["digest"],
    }


def line(told: dict[str, Any]) -> str:
    """Return it as one line to read."""
    places = ", ".join(count(position) for position in told["positions"].values())
    verdict = "equal" if told["equal"] else f"DIFFERENT in {', '.join(told['tables'])}"
    differ = f"{told['differences']:,} differ" if told["differences"] else "none differs"
    repaired = f", {told['repaired']:,} repaired" if told["repaired"] else ""
    rows = plural(told["compared"], "row")
    return f"{told['at'][:19]}Z position {places}: {rows} compared, {differ}{repaired}: {verdict}"
