"""One statement on either side, from a test that has no event loop of its own."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import asyncpg

BUSY_SECONDS = 10


def on_source(path: Path, script: str) -> None:
    """Run a script on a SQLite file as its application would, and close it."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as database:
        database.executescript(script)


def from_source(path: Path, query: str) -> list[tuple[object, ...]]:
    """Return the rows of a query on a SQLite file."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as database:
        return database.execute(query).fetchall()


def on_target(url: str, query: str) -> list[tuple[object, ...]]:
    """Return the rows of a query, or of a script none, on a PostgreSQL database. Raises asyncpg's errors."""

    async def run() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(url)
        try:
            if ";" in query:
                await connection.execute(query)
                return []
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    # in a thread of its own, so that the test's event loop, running or not, is left alone
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run()).result()
