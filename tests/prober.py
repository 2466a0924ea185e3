"""Writes to both sides all the time, and knows which of them were accepted, when, and that none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from tests.databases import from_source, on_target
from tests.mover import LOST, REFUSED

REST_SECONDS = 0.01


@dataclass
class Side:
    """What one side has accepted: the key of each row, right before and right behind its COMMIT."""

    write: Callable[[int], Awaitable[tuple[float, float]]]
    accepted: dict[int, tuple[float, float]] = field(default_factory=dict)
    #: Keys of rows whose COMMIT had no answer.
    unsure: set[int] = field(default_factory=set)

    async def run(self, keys: range, stop: asyncio.Event) -> None:
        """Try one row after the other."""
        for key in keys:
            if stop.is_set():
                return
            try:
                self.accepted[key] = await self.write(key)
            except REFUSED:
                pass
            except LOST:
                self.unsure.add(key)
                await asyncio.sleep(0.05)
            await asyncio.sleep(REST_SECONDS)


class Prober:
    """An application that is told nothing and tries both sides."""

    def __init__(self, path: Path, url: str) -> None:
        self._path, self._url = path, url
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self.source = Side(lambda key: asyncio.to_thread(self._to_source, key))
        self.target = Side(self._to_target)

    def _to_source(self, key: int) -> tuple[float, float]:
        with closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                database.execute("INSERT INTO probe VALUES ('source', ?, 1)", (str(key),))
                begun = time.monotonic()
                database.execute("COMMIT")
                return begun, time.monotonic()
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    async def _to_target(self, key: int) -> tuple[float, float]:
        try:
            if self._connection is None:
                self._connection = await asyncpg.connect(self._url, timeout=5)
            transaction = self._connection.transaction()
            await transaction.start()
            try:
                await self._connection.execute(f"INSERT INTO probe VALUES ('target', '{key}', 1)", timeout=60)
            except BaseException:
                await transaction.rollback()
                raise
            begun = time.monotonic()
            await transaction.commit()
            return begun, time.monotonic()
        except REFUSED:
            raise
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Give the connection up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def assert_one_side(self, *, forth: bool) -> None:
        """Assert that there was a moment before which only one side took writes, and behind it the other."""
        before, behind = (self.source, self.target) if forth else (self.target, self.source)
        last = max((begun for begun, _ in before.accepted.values()), default=0.0)
        first = min((ended for _, ended in behind.accepted.values()), default=float("inf"))
        assert last <= first, f"both sides took writes within {last - first:.3f} s"

    def assert_kept(self) -> None:
        """Assert that both sides hold each row that either has accepted, and none that was refused."""
        found = {tuple(row) for row in from_source(self._path, "SELECT a, b FROM probe WHERE n = 1")}
        assert found == {tuple(row) for row in on_target(self._url, "SELECT a, b FROM probe WHERE n = 1")}
        for name, side in (("source", self.source), ("target", self.target)):
            rows = {int(str(key)) for where, key in found if where == name}
            assert set(side.accepted) <= rows
            assert rows <= set(side.accepted) | side.unsure


@asynccontextmanager
async def probing(path: Path, url: str) -> AsyncIterator[Prober]:
    """Have both sides written to while inside."""
    prober, stop = Prober(path, url), asyncio.Event()
    tasks = [asyncio.create_task(s.run(range(1, 10**6), stop)) for s in (prober.source, prober.target)]
    try:
        yield prober
    finally:
        stop.set()
        with contextlib.suppress(*LOST):
            await asyncio.gather(*tasks)
        await prober.close()
