"""An application that writes to whichever side takes its writes, and remembers what was acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import asyncpg

SCHEMA = """
CREATE TABLE things(
    id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER NOT NULL, ok BOOLEAN, d DECIMAL(10,2));
CREATE TABLE parts(thing INTEGER REFERENCES things(id) ON DELETE CASCADE, part TEXT, n INTEGER,
    PRIMARY KEY(thing, part)) WITHOUT ROWID;
CREATE TABLE trail(what TEXT, thing INTEGER);
CREATE TABLE probe(a TEXT, b TEXT, n INTEGER, PRIMARY KEY(a, b));
"""

#: A row of `things` as both sides have it: name, n.
Model = dict[int, tuple[str, int]]

REFUSED = (asyncpg.ObjectNotInPrerequisiteStateError, sqlite3.IntegrityError)
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, sqlite3.OperationalError)


class Mover:
    """Writes one transaction after the other; each counts in the model once it is acknowledged."""

    def __init__(self, path: Path, url: str, seed: int) -> None:
        self.path, self.url = path, url
        self.chance = random.Random(seed)
        self.model: Model = {}
        #: What a COMMIT without an answer may have left: None for no row.
        self.unsure: dict[int, list[tuple[str, int] | None]] = {}
        self.next = seed * 1_000_000 + 1
        #: Transactions acknowledged by each side.
        self.count = {"source": 0, "target": 0}
        self.switches = 0
        self.stopped = False
        self._side = "source"

    async def run(self) -> None:
        """Write until stopped; what is begun is ended, so that it is known."""
        while not self.stopped:
            statements, outcome = self.change()
            try:
                await self.write(statements)
            except REFUSED:
                # nothing was done: the other side has the writes, or will have them
                self._side = "target" if self._side == "source" else "source"
                self.switches += 1
                await asyncio.sleep(0.01)
                continue
            except LOST:
                for key, row in outcome.items():
                    self.unsure.setdefault(key, [self.model.get(key)]).append(row)
                    self.model.pop(key, None)
                await asyncio.sleep(0.05)
                continue
            self.count[self._side] += 1
            for key, row in outcome.items():
                self.unsure.pop(key, None)
                self.model.pop(key, None)
                if row is not None:
                    self.model[key] = row
            await asyncio.sleep(0.002)

    def change(self) -> tuple[list[str], dict[int, tuple[str, int] | None]]:
        """Return some statements in one transaction, and what they make of rows."""
        kind = self.chance.random()
        if kind < 0.5 or len(self.model) < 5:
            key, n = self.next, self.chance.randint(-(10**9), 10**9)
            self.next += 1
            made = [
                f"INSERT INTO things VALUES ({key}, 'thing {key}', {n}, NULL, {n % 1000}.25)",
                f"INSERT INTO parts VALUES ({key}, 'a', {n}), ({key}, 'b', 1)",
                f"INSERT INTO trail(what, thing) VALUES ('made', {key})",
            ]
            return made, {key: (f"thing {key}", n)}
        key = self.chance.choice(list(self.model))
        name, n = self.model[key]
        if kind < 0.7:
            changed = [
                f"UPDATE things SET n = n + 1 WHERE id = {key}",
                f"UPDATE parts SET part = 'c' WHERE thing = {key} AND part = 'b'",
            ]
            return changed, {key: (name, n + 1)}
        if kind < 0.85:
            gone = [f"DELETE FROM things WHERE id = {key}", f"DELETE FROM trail WHERE thing = {key}"]
            return gone, {key: None}
        other = self.chance.choice(list(self.model))
        if other == key:
            return [f"UPDATE things SET n = {n} WHERE id = {key}"], {key: (name, n)}
        swapped = [
            f"UPDATE things SET name = 'on the way' WHERE id = {key}",
            f"UPDATE things SET name = '{name}' WHERE id = {other}",
            f"UPDATE things SET name = '{self.model[other][0]}' WHERE id = {key}",
        ]
        return swapped, {key: (self.model[other][0], n), other: (name, self.model[other][1])}

    async def write(self, statements: list[str]) -> None:
        """Run statements in one transaction on the side that is believed to take them."""
        if self._side == "source":
            return await asyncio.to_thread(self._write_source, statements)
        connection = await asyncpg.connect(self.url, timeout=5)
        try:
            async with connection.transaction():
                for statement in statements:
                    await connection.execute(statement, timeout=20)
        finally:
            with contextlib.suppress(*LOST):
                await connection.close(timeout=2)

    def _write_source(self, statements: list[str]) -> None:
        with closing(sqlite3.connect(self.path, timeout=10, isolation_level=None)) as database:
            database.execute("PRAGMA foreign_keys = on")
            database.execute("BEGIN IMMEDIATE")
            try:
                for statement in statements:
                    database.execute(statement)
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def assert_kept(self) -> None:
        """Assert that the source holds what was acknowledged, and nothing that was not tried."""
        with closing(sqlite3.connect(self.path, timeout=10)) as database:
            rows = database.execute("SELECT id, name, n FROM things").fetchall()
        found: Model = {key: (name, n) for key, name, n in rows}
        for key, row in self.model.items():
            assert found.pop(key, None) == row, key
        for key, possible in self.unsure.items():
            assert found.pop(key, None) in possible, key
        assert not found


@asynccontextmanager
async def moving(path: Path, url: str, seed: int = 1) -> AsyncIterator[Mover]:
    """Have an application write while inside."""
    mover = Mover(path, url, seed)
    task = asyncio.create_task(mover.run(), name="application")
    try:
        yield mover
    finally:
        mover.stopped = True
        await task
