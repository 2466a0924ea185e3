"""How much memory the daemon takes at most while it copies a large table."""

from __future__ import annotations

from pathlib import Path

from .data import make_items
from .ferry import Ferry
from .figures import Figure, at_most
from .scale import Scale
from .server import Server

BENCH = "memory"


async def measure(server: Server, folder: Path, scale: Scale) -> list[Figure]:
    """Copy one table of millions of rows and read the high-water mark of the daemon's resident memory."""
    source = folder / "memory.db"
    make_items(source, scale.memory_rows)
    async with server.database() as url, Ferry(source, url) as ferry:
        await ferry.reached("streaming")
        peak = ferry.peak_memory()
    note = f"{scale.memory_rows:,} rows" if peak is not None else "needs Linux's /proc"
    return [Figure(BENCH, "peak resident memory", peak, "MB", at_most(200), note)]
