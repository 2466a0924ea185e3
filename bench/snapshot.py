"""How fast the first copy is, beside the same rows as raw binary COPY and beside pgloader."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from .data import make_items
from .ferry import Ferry
from .figures import Figure, at_least, at_most, median_figure
from .scale import Scale
from .server import Server

BENCH = "snapshot"


@dataclass(frozen=True)
class Round:
    """Seconds of one round: all three ways one after the other."""

    #: From the state snapshot to the state catch_up: all rows stored, in a table without keys.
    copied: float
    #: From the state snapshot to the state streaming: keys and indexes built, changes caught up.
    streaming: float
    #: From the start of the process to the state streaming.
    whole: float
    raw: float
    #: What pgloader says of itself, and how long its process ran.
    pgloader: tuple[float, float] | None


async def measure(server: Server, folder: Path, scale: Scale) -> list[Figure]:
    """Copy one table of mixed columns in all three ways, several times in turn."""
    rounds = []
    for number in range(scale.rounds):
        # a new file each time: installed triggers would spare the later rounds their installation
        source = folder / f"snapshot-{number}.db"
        make_items(source, scale.snapshot_rows)
        rounds.append(await _round(server, source, scale.snapshot_rows, folder))
    return [*_against_raw(rounds, scale.snapshot_rows), *_against_pgloader(rounds)]


def _against_raw(rounds: list[Round], rows: int) -> list[Figure]:
    return [
        median_figure(BENCH, "rows/s", [rows / r.copied for r in rounds], "rows/s", note=f"{rows:,} rows"),
        median_figure(BENCH, "raw COPY rows/s", [rows / r.raw for r in rounds], "rows/s"),
        median_figure(BENCH, "time / raw COPY's time", [r.copied / r.raw for r in rounds], "x", at_most(2.5)),
    ]


def _against_pgloader(rounds: list[Round]) -> list[Figure]:
    names = ("speed / pgloader's, copy to keys built", "speed / pgloader's, whole process")
    pairs = [(r, r.pgloader) for r in rounds if r.pgloader is not None]
    if not pairs:
        return [Figure(BENCH, name, None, "x", at_least(3), "pgloader is not installed") for name in names]
    copying = [told / r.streaming for r, (told, _) in pairs]
    whole = [ran / r.whole for r, (_, ran) in pairs]
    seconds = f"pgloader {pairs[-1][1][1]:.1f} s, liteferry {pairs[-1][0].whole:.1f} s in the last run"
    return [
        median_figure(BENCH, names[0], copying, "x", at_least(3)),
        median_figure(BENCH, names[1], whole, "x", note=seconds),
    ]


async def _round(server: Server, source: Path, rows: int, folder: Path) -> Round:
    # pgloader first: it needs the file as it was before our triggers
    loaded = await _pgloader(server, source, rows, folder)
    async with server.database() as url:
        await server.checkpoint()
        async with Ferry(source, url) as ferry:
            streaming = await ferry.reached("streaming")
            begun, copied = await ferry.reached("snapshot"), await ferry.reached("catch_up")
        raw = await _raw(server, url, folder / "item.copy")
    return Round(copied - begun, streaming - begun, streaming - ferry.started_at, raw, loaded)


async def _raw(server: Server, url: str, file: Path) -> float:
    """Stream the rows that were copied, encoded beforehand, into a table like the one they are in."""
    connection = await asyncpg.connect(url)
    try:
        await connection.copy_from_table("item", output=file, format="binary")
        # neither keys nor indexes, as our own table has none while it is copied
        await connection.execute("CREATE TABLE raw (LIKE item)")
        await server.checkpoint()
        begun = time.monotonic()
        await connection.copy_to_table("raw", source=file, format="binary")
        return time.monotonic() - begun
    finally:
        await connection.close()


async def _pgloader(server: Server, source: Path, rows: int, folder: Path) -> tuple[float, float] | None:
    """Return the seconds that pgloader says it took, and those that its process ran; None without it."""
    program = shutil.which("pgloader")
    if program is None:
        return None
    summary = folder / "pgloader.json"
    async with server.database() as url:
        await server.checkpoint()
        command = [program, "--quiet", "--summary", str(summary), f"sqlite://{source}", url]
        begun = time.monotonic()
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, cwd=folder)
        ran = time.monotonic() - begun
        if done.returncode != 0:
            raise RuntimeError(f"pgloader failed: {done.stderr or done.stdout}")
        await _require_all(url, rows)
    return _told(summary), ran


def _told(summary: Path) -> float:
    """Return the seconds from the first row to the last index in pgloader's summary.

    It is not quite JSON (a table's name is missing in it), so the times are looked for in its text.
    """
    found = re.findall(r'"NAME":"([^"]+)"[^}]*"START":(\d+)', summary.read_text())
    begun = {name: int(microseconds) / 1e6 for name, microseconds in found}
    return begun["Install Comments"] - begun["COPY Threads Completion"]


async def _require_all(url: str, rows: int) -> None:
    # pgloader's exit status is 0 even when it loaded nothing
    connection = await asyncpg.connect(url)
    try:
        loaded = await connection.fetchval("SELECT count(*) FROM item")
    finally:
        await connection.close()
    if loaded != rows:
        raise RuntimeError(f"pgloader loaded {loaded} of {rows} rows")
