"""A random application against the whole engine: whatever it did, PostgreSQL has the same rows.

More seeds: LITEFERRY_FUZZ_SEEDS=1000-1099 with -m soak, or without it for ever.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from config.settings import load
from replicator.pipeline import Pipeline
from replicator.state import State
from replicator.target import Target
from replicator.verifier import Verifier
from tests.compare import differences
from tests.fixtures.sqlite import MakeSource
from triggers import changelog

from .outcome import outcome
from .statements import Statements, shapes

#: Values of a column by its declared type, as SQL; each type holds all of its own.
VALUES = {
    "INTEGER": ("NULL", "0", "1", "2", "-1", "9223372036854775807", "-9223372036854775808"),
    "INT": ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"),
    "BOOLEAN": ("NULL", "0", "1", "1"),
    "REAL": ("NULL", "0.5", "1", "-1e300", "9e999", "0.1", "5e-324"),
    "DECIMAL(10,2)": ("NULL", "0", "1", "9.99", "-0.1", "1e23", "123456789012"),
    "TEXT": (
        "NULL",
        "''",
        "'a'",
        "'A'",
        "'a '",
        "'b'",
        "'é'",
        "'\U0001f6a2'",
        "'it''s'",
        "'\\N'",
        "'1'",
        "'c'",
        "'d'",
    ),
    "DATETIME": ("NULL", "'2026-01-01 00:00:00'", "'2026-01-01T00:00:00Z'", "datetime(0, 'unixepoch')"),
    "BLOB": ("x''", "x'00'", "x'ff'", "x'616263'", "zeroblob(100)"),
}

SCHEMAS = {
    "shop": """
        CREATE TABLE customers(id INTEGER PRIMARY KEY, mail TEXT UNIQUE, name TEXT COLLATE NOCASE,
            active BOOLEAN NOT NULL DEFAULT 1, score REAL);
        CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, customer INTEGER REFERENCES customers(id)
            ON DELETE CASCADE ON UPDATE CASCADE, total DECIMAL(10,2), placed DATETIME, "group" INT);
        CREATE UNIQUE INDEX one_each ON orders(customer, "group") WHERE "group" > 3;
        CREATE TABLE audit(what TEXT, at DATETIME);
        CREATE TRIGGER app_insert AFTER INSERT ON orders BEGIN
            INSERT INTO audit VALUES('new', NEW.placed); END;
        CREATE TRIGGER app_update AFTER UPDATE OF total ON orders WHEN NEW.total > 5 BEGIN
            UPDATE customers SET score = NEW.total WHERE id = NEW.customer; END;""",
    "documents": '''
        CREATE TABLE tags(doc TEXT COLLATE NOCASE NOT NULL, tag TEXT NOT NULL, place INT UNIQUE, body BLOB,
            PRIMARY KEY(doc, tag DESC)) WITHOUT ROWID;
        CREATE TABLE "it's a ""table"""("select" TEXT NOT NULL PRIMARY KEY ON CONFLICT REPLACE, "É" INT,
            "é" INT, UNIQUE("É", "é") ON CONFLICT REPLACE);
        CREATE TABLE words(lang TEXT NOT NULL, word TEXT NOT NULL, PRIMARY KEY(lang, word COLLATE RTRIM));''',
    "keyless": """
        CREATE TABLE log(at DATETIME, level INT, line TEXT);
        CREATE TABLE settings(name TEXT UNIQUE ON CONFLICT REPLACE, value TEXT, n INT DEFAULT 1);
        CREATE TABLE shadowed(rowid TEXT, oid INT NOT NULL, _rowid_ BLOB);
        CREATE UNIQUE INDEX by_oid ON shadowed(oid);
        CREATE TABLE codes(code INT NOT NULL ON CONFLICT REPLACE DEFAULT 4 UNIQUE,
            region BLOB NOT NULL UNIQUE, made TEXT GENERATED ALWAYS AS (hex(region)) STORED);""",
    "odd keys": """
        CREATE TABLE reals(k REAL NOT NULL PRIMARY KEY, v REAL);
        CREATE TABLE blobs(k BLOB NOT NULL PRIMARY KEY, v BLOB) WITHOUT ROWID;
        CREATE TABLE decimals(k DECIMAL(10,2) NOT NULL PRIMARY KEY, v DECIMAL(10,2) UNIQUE);
        CREATE TABLE many(a TEXT NOT NULL, b REAL NOT NULL, c INT NOT NULL, d BLOB NOT NULL,
            e BOOLEAN NOT NULL, f TEXT, PRIMARY KEY(e, d DESC, c, b DESC, a COLLATE NOCASE))
            WITHOUT ROWID;""",
    "swaps": """
        CREATE TABLE places(id INTEGER PRIMARY KEY, place INT UNIQUE, name TEXT, left INT, right INT,
            UNIQUE(left, right));
        CREATE UNIQUE INDEX by_length ON places(length(name), place);
        CREATE TABLE tree(id TEXT NOT NULL PRIMARY KEY, parent TEXT REFERENCES tree(id) ON DELETE CASCADE
            ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED, place INT);
        CREATE UNIQUE INDEX by_parent ON tree(parent, place);""",
}

#: Bursts between two comparisons, and comparisons per run.
BURSTS, ROUNDS = 15, 4
WAIT_SECONDS = 30.0


class Application:
    """Writes to a file from threads that know nothing of the engine."""

    def __init__(self, path: Path, seed: int) -> None:
        """Open the file and look at its tables."""
        self._database = sqlite3.connect(path, isolation_level=None, timeout=20, check_same_thread=False)
        self._database.execute("PRAGMA foreign_keys = on")
        self._database.execute("CREATE TEMP TABLE one(x)")
        self._types = {
            (table.name, column): declared
            for table in shapes(self._database)
            for _, column, declared, *_ in self._database.execute(
                "SELECT * FROM pragma_table_xinfo(?)", (table.name,)
            )
        }
        self._chance = random.Random(seed)
        self._statements = Statements(self._chance, shapes(self._database), self._draw, mixed=False)
        self.written: list[str] = []

    def _draw(self, chance: random.Random, table: str, column: str) -> str:
        return chance.choice(VALUES[self._types[table, column]])

    def write(self, bursts: int) -> None:
        """Run some bursts of statements; many fail, as they may."""
        for _ in range(bursts):
            for statement in self._statements.burst(8):
                self.written.append(statement)
                outcome(self._database, statement)
            if self._database.in_transaction:
                outcome(self._database, "ROLLBACK")

    def head(self) -> int:
        """Return the newest position of the change log."""
        return changelog.head(self._database)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class Running:
    """The engine on one file, and a way to wait for it."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Take what was prepared."""
        self.pipeline = pipeline
        self._idle = asyncio.Event()

    async def wake(self, seconds: float) -> bool:
        """Let the engine look for itself after a moment; it asks when it has nothing to do."""
        self._idle.set()
        await asyncio.sleep(min(seconds, 0.005))
        return False

    async def caught_up(self, head: int) -> None:
        """Wait until everything up to a position is on the target."""
        facts = self.pipeline.facts
        async with asyncio.timeout(WAIT_SECONDS):
            while facts.position < head or facts.state is not State.STREAMING:
                self._idle.clear()
                await self._idle.wait()


@asynccontextmanager
async def streaming(path: Path, url: str) -> AsyncIterator[Running]:
    """Run the engine on a file, as the supervisor does."""
    settings = load(sources=[path], target=url)
    async with Target(url, size=6) as target, Pipeline(path, "public", settings, target) as pipeline:
        await pipeline.prepare()
        running = Running(pipeline)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(pipeline.run(running.wake))
            yield running
            task.cancel()


async def live(path: Path, url: str, seed: int) -> None:
    """Write before, during and after the first copy; compare several times, by two comparisons."""
    with closing(Application(path, seed)) as application:
        application.write(BURSTS)
        async with streaming(path, url) as running:
            for _ in range(ROUNDS):
                await asyncio.to_thread(application.write, BURSTS)
                await running.caught_up(application.head())
                assert await differences(path, url) == [], f"seed {seed}, after {application.written[-40:]}"
            reports = await Verifier(running.pipeline).run(counts_only=False)
            assert [r.as_dict() for r in reports if not r.equal] == []


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("name", SCHEMAS)
async def test_whatever_an_application_does_arrives(
    make_source: MakeSource, target_url: str, name: str, journal: str, seed: int
) -> None:
    """REPLACE, UPSERT, moved keys, swapped unique values, cascades and rollbacks, on rich schemas."""
    await live(make_source(script=SCHEMAS[name], journal=journal), target_url, seed)


@pytest.mark.soak
@pytest.mark.timeout(0)
async def test_it_arrives_for_ever(make_source: MakeSource, target_url: str) -> None:
    """The same until it fails or is stopped, or for the seeds in LITEFERRY_FUZZ_SEEDS."""
    first, _, last = os.environ.get("LITEFERRY_FUZZ_SEEDS", "1000-").partition("-")
    seeds: Iterable[int] = range(int(first), int(last) + 1) if last else itertools.count(int(first))
    for seed in seeds:
        name = random.Random(seed).choice(list(SCHEMAS))
        path = make_source(f"{seed}.db", SCHEMAS[name], random.Random(seed).choice(["wal", "delete"]))
        await live(path, await emptied(target_url), seed)


async def emptied(url: str) -> str:
    """Empty the target for the next run."""
    async with Target(url, size=1) as target, target.connection() as connection:
        await connection.execute("DROP SCHEMA IF EXISTS liteferry CASCADE; DROP SCHEMA public CASCADE")
        await connection.execute("CREATE SCHEMA public")
    return url
