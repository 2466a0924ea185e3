"""How long a cutover stops the application: as predicted, as measured, and as the application sees it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from config.errors import CutoverRefused

from .data import Shop
from .ferry import Ferry
from .figures import Figure, at_most, median_figure, percentile
from .scale import Scale
from .server import Server
from .writer import Seen, writing

BENCH = "cutover"

#: Transactions of the application per second.
RATE = 1_000

#: Longest pause at that rate, on a database of a million rows.
BAR_MS = 250.0

#: How often an attempt may be refused before the benchmark gives up.
TRIES = 20


@dataclass(frozen=True)
class Attempt:
    """One rehearsal or cutover: milliseconds, and when it was on the monotonic clock."""

    predicted: float
    pause: float
    #: What the pause and the work before it went into.
    phases: str
    span: tuple[int, int]


async def measure(server: Server, folder: Path, scale: Scale) -> list[Figure]:
    """Rehearse several times and cut over once while an application writes all the time."""
    shop = Shop(folder / "cutover.db", scale.cutover_rows // 3)
    # the same without us, to compare the stalls with: the disk and other programs have theirs as well
    seconds = (scale.rest_seconds + 0.5) * (scale.rehearsals + 1)
    async with writing(shop.path, RATE, seconds) as writer:
        alone = await writer.wait()
    async with server.database() as url, Ferry(shop.path, url) as ferry:
        await ferry.reached("streaming")
        async with writing(shop.path, RATE) as writer:
            rehearsals = [
                await _attempt(ferry, scale.rest_seconds, rehearse=True) for _ in range(scale.rehearsals)
            ]
            real = await _attempt(ferry, scale.rest_seconds, rehearse=False)
            seen = await writer.wait()
    return [
        *_figures(rehearsals, real, seen),
        *_stalls(rehearsals, real, seen),
        *_at_other_times(rehearsals, real, seen, alone),
    ]


async def _attempt(ferry: Ferry, rest: float, *, rehearse: bool) -> Attempt:
    for _ in range(TRIES):
        await asyncio.sleep(rest)
        predicted = (await ferry.status())["predicted_pause_seconds"] or 0.0
        begun = time.monotonic_ns()
        try:
            report = await ferry.cutover(rehearse=rehearse)
        except CutoverRefused as error:
            # a gate that closed in between, which is what gates are for
            refused = error
            continue
        phases = ", ".join(f"{p['name']} {p['seconds'] * 1e3:.0f}" for p in report["phases"])
        return Attempt(predicted * 1e3, report["pause_seconds"] * 1e3, phases, (begun, time.monotonic_ns()))
    raise refused


def _figures(rehearsals: list[Attempt], real: Attempt, seen: Seen) -> list[Figure]:
    stalls = [seen.longest(*attempt.span) for attempt in rehearsals]
    note = f"{len(seen.commits):,} transactions at about {RATE}/s"
    return [
        median_figure(BENCH, "rehearsals: predicted pause", [a.predicted for a in rehearsals], "ms"),
        median_figure(BENCH, "rehearsals: pause", [a.pause for a in rehearsals], "ms", at_most(BAR_MS), note),
        median_figure(BENCH, "rehearsals: application's longest stall", stalls, "ms"),
        Figure(BENCH, "cutover: predicted pause", real.predicted, "ms"),
        Figure(BENCH, "cutover: pause", real.pause, "ms", note=f"ms: {real.phases}"),
        Figure(BENCH, "cutover: application's longest stall", seen.longest(*real.span), "ms"),
    ]


def _stalls(rehearsals: list[Attempt], real: Attempt, seen: Seen) -> list[Figure]:
    """Return what the application's transactions took during the cutovers; an error of one ends the bench."""
    found = seen.within([attempt.span for attempt in [*rehearsals, real]])
    note = f"{len(found):,} transactions, busy_timeout 5 s, no error but the fence's"
    return [
        Figure(BENCH, f"application in a cutover: {name}", percentile(found, share), "ms", note=note)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    ]


def _at_other_times(rehearsals: list[Attempt], real: Attempt, seen: Seen, alone: Seen) -> list[Figure]:
    spans = [attempt.span for attempt in [*rehearsals, real]]
    streaming, before = seen.outside(spans), alone.outside([])
    return [
        Figure(
            BENCH,
            "application while streaming: longest transaction",
            max(streaming),
            "ms",
            note=_far(streaming),
        ),
        Figure(
            BENCH, "application without liteferry: longest transaction", max(before), "ms", note=_far(before)
        ),
    ]


def _far(stalls: list[float]) -> str:
    return (
        f"{sum(s > 10 for s in stalls)} longer than 10 ms, {sum(s > 100 for s in stalls)} longer than 100 ms"
    )
