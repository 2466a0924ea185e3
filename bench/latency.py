"""How long a commit in the source takes to be visible on the target."""

from __future__ import annotations

import asyncio
import bisect
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from .data import Shop
from .ferry import Ferry
from .figures import Figure, at_most, percentile
from .scale import Scale
from .server import Server
from .writer import writing

BENCH = "latency"

#: Transactions of the application per second.
RATE = 200

#: Wait between two looks at the target.
PAUSE_SECONDS = 0.001

#: Rows of each table beforehand, and how long the application runs before it is measured.
ROWS = 1_000
WARM_UP_SECONDS = 1.0

MILLION = 1_000_000


@dataclass
class Watch:
    """What a reader of the target saw: the greatest key, and when the answer was there."""

    keys: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    #: Time from one answer to the next: no latency can be told more exactly.
    gaps: list[float] = field(default_factory=list)

    async def run(self, url: str) -> None:
        """Look again and again until cancelled."""
        connection = await asyncpg.connect(url)
        try:
            before = time.monotonic_ns()
            while True:
                key = await connection.fetchval("SELECT max(id) FROM invoice")
                now = time.monotonic_ns()
                self.gaps.append((now - before) / MILLION)
                before = now
                if not self.keys or key > self.keys[-1]:
                    self.keys.append(key)
                    self.at.append(now)
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            connection.terminate()

    def seen(self, key: int) -> int:
        """Return when a key was first seen. Raises IndexError when it never was."""
        return self.at[bisect.bisect_left(self.keys, key)]


async def measure(server: Server, folder: Path, scale: Scale) -> list[Figure]:
    """Let an application commit 200 rows a second, each on its own, and look when each one arrives."""
    shop = Shop(folder / "latency.db", ROWS)
    watch = Watch()
    async with server.database() as url, Ferry(shop.path, url) as ferry:
        await ferry.reached("streaming")
        watching = asyncio.create_task(watch.run(url), name="watch")
        seconds = WARM_UP_SECONDS + scale.latency_seconds
        async with writing(shop.path, RATE, seconds) as writer:
            commits = (await writer.wait()).commits
        await ferry.drained()
        await asyncio.sleep(10 * PAUSE_SECONDS)
        watching.cancel()
        await asyncio.wait([watching])
    counted = commits[int(WARM_UP_SECONDS * RATE) :]
    return _figures([(watch.seen(key) - at) / MILLION for key, at in counted], watch.gaps)


def _figures(latencies: list[float], gaps: list[float]) -> list[Figure]:
    note = (
        f"{len(latencies):,} commits at {RATE}/s; the target was looked at every "
        f"{statistics.median(gaps):.1f} ms (99 %: {percentile(gaps, 0.99):.1f} ms), which is counted in"
    )
    return [
        Figure(BENCH, "commit to visible, p50", percentile(latencies, 0.5), "ms", at_most(15), note),
        Figure(BENCH, "commit to visible, p99", percentile(latencies, 0.99), "ms"),
        Figure(BENCH, "commit to visible, longest", max(latencies), "ms"),
    ]
