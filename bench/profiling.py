"""What looking at every value before planning costs, beside the copy of the same rows."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from replicator.planning.profiling import profiled as profile
from triggers.schema import tables
from triggers.session import Session

from .data import connect, make_items
from .ferry import Ferry
from .figures import Figure, at_most, median_figure
from .scale import Scale
from .server import Server

BENCH = "profiling"

#: Longest read transaction, as the daemon has it in WAL mode.
READ_SECONDS = 0.05


@dataclass(frozen=True)
class Round:
    """Seconds of one round over the same rows."""

    profiled: float
    #: From the state snapshot to the state catch_up: all rows stored.
    copied: float
    #: From the state preflight to the state snapshot, by a daemon that skips the profile.
    prepared: float


async def measure(server: Server, folder: Path, scale: Scale) -> list[Figure]:
    """Look at one table of mixed columns, then copy it by a daemon that does not, several times in turn."""
    rows = scale.snapshot_rows
    rounds = [await _round(server, folder / f"profiling-{n}.db", rows) for n in range(scale.rounds)]
    ratios = [r.profiled / r.copied for r in rounds]
    return [
        median_figure(BENCH, "profile's time / copy's", ratios, "x", at_most(0.5), f"{rows:,} rows"),
        median_figure(BENCH, "profile, rows/s", [rows / r.profiled for r in rounds], "rows/s"),
        median_figure(BENCH, "before the copy, without profile", [r.prepared for r in rounds], "s"),
    ]


async def _round(server: Server, source: Path, rows: int) -> Round:
    make_items(source, rows)
    profiled = await _profiled(source)
    settings = source.with_suffix(".toml")
    settings.write_text("profile = false\n")
    async with server.database() as url:
        await server.checkpoint()
        async with Ferry(source, url, "--config", str(settings)) as ferry:
            copied = await ferry.reached("catch_up")
            begun, looked = await ferry.reached("snapshot"), await ferry.reached("preflight")
    return Round(profiled, copied - begun, begun - looked)


async def _profiled(source: Path) -> float:
    with closing(connect(source)) as connection:
        [table], _ = tables(connection)
    async with Session(source) as session:
        begun = time.monotonic()
        await profile(session, table, READ_SECONDS)
        return time.monotonic() - begun
