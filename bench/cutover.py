"""How long a cutover stops the application: as predicted, as measured, and as the application sees it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from .data import Shop
from .ferry import Ferry
from .figures import Figure, median_figure
from .scale import Scale
from .server import Server
from .writer import Seen, writing

BENCH = "cutover"

#: Transactions of the application per second.
RATE = 1_000

#: Between two rehearsals, so that the stream and the prediction settle.
REST_SECONDS = 2.0


@dataclass(frozen=True)
class Attempt:
    """One rehearsal or cutover: milliseconds, and when it was on the monotonic clock."""

    predicted: float
    pause: float
    span: tuple[int, int]


async def measure(server: Server, folder: Path, scale: Scale) -> list[Figure]:
    """Rehearse several times and cut over once while an application writes all the time."""
    shop = Shop(folder / "cutover.db", scale.cutover_rows // 3)
    async with server.database() as url, Ferry(shop.path, url) as ferry:
        await ferry.reached("streaming")
        async with writing(shop.path, RATE) as writer:
            rehearsals = [await _attempt(ferry, rehearse=True) for _ in range(scale.rehearsals)]
            real = await _attempt(ferry, rehearse=False)
            seen = await writer.wait()
    return _figures(rehearsals, real, seen)


async def _attempt(ferry: Ferry, *, rehearse: bool) -> Attempt:
    await asyncio.sleep(REST_SECONDS)
    predicted = (await ferry.status())["predicted_pause_seconds"] or 0.0
    begun = time.monotonic_ns()
    report = await ferry.cutover(rehearse=rehearse)
    return Attempt(predicted * 1e3, report["pause_seconds"] * 1e3, (begun, time.monotonic_ns()))


def _figures(rehearsals: list[Attempt], real: Attempt, seen: Seen) -> list[Figure]:
    stalls = [seen.longest(*attempt.span) for attempt in rehearsals]
    quiet = seen.longest_outside([attempt.span for attempt in [*rehearsals, real]])
    note = f"{len(seen.commits):,} transactions at about {RATE}/s"
    return [
        median_figure(BENCH, "rehearsals: predicted pause", [a.predicted for a in rehearsals], "ms"),
        median_figure(BENCH, "rehearsals: pause", [a.pause for a in rehearsals], "ms", note=note),
        median_figure(BENCH, "rehearsals: application's longest stall", stalls, "ms"),
        Figure(BENCH, "cutover: predicted pause", real.predicted, "ms"),
        Figure(BENCH, "cutover: pause", real.pause, "ms"),
        Figure(BENCH, "cutover: application's longest stall", seen.longest(*real.span), "ms"),
        Figure(BENCH, "longest transaction at any other time", quiet, "ms"),
    ]
