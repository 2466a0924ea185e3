"""A random application against the whole engine: whatever it did, PostgreSQL has the same rows.

More seeds: LITEFERRY_FUZZ_SEEDS=1000-1099 with -m soak, or without it for ever.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from replicator.verification.verifier import Verifier
from tests.compare import differences
from tests.fixtures.sqlite import MakeSource
from triggers import changelog

from .applications import SCHEMAS, VALUES
from .engine import emptied, streaming
from .outcome import outcome
from .statements import Statements, shapes

#: Bursts between two comparisons, and comparisons per run.
BURSTS, ROUNDS = 15, 4


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


async def live(path: Path, url: str, seed: int) -> None:
    """Write before, during and after the first copy; compare several times, by two comparisons."""
    with closing(Application(path, seed)) as application:
        application.write(BURSTS)
        async with streaming(path, url) as running:
            for _ in range(ROUNDS):
                await asyncio.to_thread(application.write, BURSTS)
                await running.caught_up(application.head())
                assert await differences(path, url) == [], f"seed {seed}, after {application.written[-40:]}"
            reports = await Verifier(running.pipeline).run()
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
