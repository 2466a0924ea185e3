"""Django and Alembic migrate the database of a running daemon: none fails, and both sides are equal."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.fault.scene import end_equal, settle, started
from tests.fidelity.migrations import SCENARIOS
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

#: A table that no migration touches: when its newest row has arrived, what came before has been followed.
PULSE = "CREATE TABLE pulse(n INTEGER PRIMARY KEY)"


@pytest.mark.parametrize("name", SCENARIOS)
async def test_each_step_of_a_migration_is_followed(
    name: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """The application writes before and after each step; nothing is restarted, nothing is left out."""
    path = make_source(script=PULSE)
    scenario, chance = SCENARIOS[name], random.Random(1)
    await asyncio.to_thread(scenario.begin, path)
    write(path, chance)
    running = await started(daemon, path, target_url)
    for number, (_, step) in enumerate(scenario.steps[1:]):
        write(path, chance)
        await asyncio.to_thread(step, path)
        write(path, chance)
        with closing(sqlite3.connect(path, timeout=10)) as application:
            application.execute("INSERT INTO pulse VALUES(?)", (number,))
            application.commit()
        await asyncio.to_thread(settle, running, path)
    await asyncio.to_thread(running.wait_ready)
    await end_equal(running, path, target_url)


def write(path: Path, chance: random.Random) -> None:
    """Write some rows to every table of the application, as far as its constraints let them in."""
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as application:
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '_liteferry_*'"
        for (table,) in application.execute(tables).fetchall():
            if table in ("pulse", "sqlite_sequence"):
                continue
            columns = application.execute(f'PRAGMA table_info("{table}")').fetchall()
            names = ", ".join(f'"{column[1]}"' for column in columns)
            for _ in range(6):
                # references stay empty, for Django checks where they lead
                values = [None if c[1].endswith("_id") else value(chance, c[2]) for c in columns]
                marks = ", ".join("?" * len(values))
                try:
                    application.execute(f'REPLACE INTO "{table}"({names}) VALUES({marks})', values)
                except sqlite3.IntegrityError as error:
                    assert "constraint failed" in str(error)
            application.execute(f'DELETE FROM "{table}" WHERE rowid % 5 = 0')


def value(chance: random.Random, declared: str) -> object:
    """Draw a value that a column of that type may hold, out of few, so that rows collide."""
    kind = declared.lower()
    if "bool" in kind:
        return chance.randint(0, 1)
    if "int" in kind:
        return chance.randint(1, 30)
    if "char" in kind or "text" in kind:
        return chance.choice("abcdefgh")
    return chance.randint(1, 9) / 2 if "real" in kind or "dec" in kind or "num" in kind else None
