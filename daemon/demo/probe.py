"""The lag as a reader of PostgreSQL sees it, measured from outside and not told by the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg

from .server import connected
from .store import STATEMENTS

SAMPLE_SECONDS = 0.05


class Probe:
    """Looks again and again how old the newest of the application's transactions on the target is.

    The age counts from just before the commit on SQLite, and the wait for the next transaction counts too.
    """

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection
        self.samples: list[float] = []

    @property
    def latest(self) -> float | None:
        """Return the last sample in seconds."""
        return self.samples[-1] if self.samples else None

    async def run(self) -> None:
        """Take samples until cancelled."""
        while True:
            [record] = await self._connection.fetch(STATEMENTS["last_event"])
            written = datetime.fromisoformat(record["at"]).replace(tzinfo=UTC)
            self.samples.append((datetime.now(UTC) - written).total_seconds())
            await asyncio.sleep(SAMPLE_SECONDS)


@asynccontextmanager
async def probing(url: str) -> AsyncIterator[Probe]:
    """Take samples while inside."""
    async with connected(url) as connection:
        probe = Probe(connection)
        task = asyncio.create_task(probe.run(), name="probe")
        try:
            yield probe
        finally:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            # it ended before its time
            task.result()


def quantile(values: Sequence[float], part: float) -> float | None:
    """Return the value below which a part of all lies, None when there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else None
