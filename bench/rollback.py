"""What the way back costs: for PostgreSQL's writes while it is kept open, and for the rollback itself."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from .data import make_items
from .ferry import Ferry
from .figures import Figure, at_most, median_figure
from .scale import Scale
from .server import Server

BENCH = "rollback"

#: Longest that giving the writes back may take, with all the changes waiting.
BAR_SECONDS = 5.0

#: The same rows in a table that nobody logs.
TWIN = "CREATE TABLE twin (LIKE item INCLUDING ALL); INSERT INTO twin SELECT * FROM item; ANALYZE twin"


async def measure(server: Server, folder: Path, scale: Scale) -> list[Figure]:
    """Cut over, write to a logged table and to its twin in turn, then roll back with all changes waiting."""
    totals, pauses, ratios = [], [], []
    for number in range(scale.rounds):
        source = folder / f"rollback-{number}.db"
        make_items(source, scale.cutover_rows)
        async with server.database() as url, Ferry(source, url) as ferry, _connected(url) as application:
            await ferry.reached("streaming")
            await ferry.cutover(rehearse=False)
            ratios += await _ratios(application, scale)
            await application.execute(
                "UPDATE item SET quantity = quantity + 1 WHERE id <= $1", scale.rollback_changes
            )
            begun = time.monotonic()
            report = await ferry.rollback()
            totals.append(time.monotonic() - begun)
            pauses.append(report["pause_seconds"] * 1e3)
    note = f"{scale.rollback_changes:,} changes waiting, {scale.cutover_rows:,} rows"
    return [
        median_figure(BENCH, "rollback, all of it", totals, "s", at_most(BAR_SECONDS), note),
        median_figure(BENCH, "rollback: pause", pauses, "ms"),
        median_figure(BENCH, "PostgreSQL's writes, logged / not", ratios, "x", note="one-row transactions"),
    ]


async def _ratios(application: asyncpg.Connection[asyncpg.Record], scale: Scale) -> list[float]:
    await application.execute(TWIN)
    chance = random.Random(1)
    found = []
    for _ in range(scale.write_rounds):
        seconds = {}
        for table in chance.sample(["item", "twin"], 2):
            keys = [chance.randrange(1, scale.cutover_rows + 1) for _ in range(scale.write_transactions)]
            begun = time.monotonic()
            for key in keys:
                await application.execute(f"UPDATE {table} SET quantity = quantity + 1 WHERE id = $1", key)
            seconds[table] = time.monotonic() - begun
        found.append(seconds["twin"] / seconds["item"])
    return found


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
