"""How fast a backlog is worked off that grew while the daemon was away."""

from __future__ import annotations

import asyncio
from pathlib import Path

from .data import Shop
from .ferry import Ferry
from .figures import Figure, at_least, median_figure
from .scale import Scale
from .server import Server

BENCH = "catch-up"


async def measure(server: Server, folder: Path, scale: Scale) -> list[Figure]:
    """Stop the daemon, change many rows, start it again; several times."""
    shop = Shop(folder / "catch-up.db", scale.catch_up_rows)
    rates = []
    async with server.database() as url:
        async with Ferry(shop.path, url) as ferry:
            await ferry.reached("streaming")
        for _ in range(scale.rounds):
            changes = await asyncio.to_thread(shop.change, scale.catch_up_changes)
            await server.checkpoint()
            async with Ferry(shop.path, url) as ferry:
                streaming = await ferry.reached("streaming")
                # the state before it: entered right before the first batch is read
                rates.append(changes / (streaming - await ferry.reached("catch_up")))
                await ferry.drained()
    note = f"{changes:,} changes of {changes:,} rows in 3 tables: 40 % inserts, 40 % updates, 20 % deletes"
    return [median_figure(BENCH, "row changes/s", rates, "changes/s", at_least(40_000), note)]
