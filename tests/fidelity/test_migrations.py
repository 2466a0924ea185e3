"""Migrations of Django and Alembic on a captured file: none fails, and nothing is missed."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from .follower import Follower
from .migrations import SCENARIOS
from .statements import Statements, shapes
from .twin import Twin


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_migration_beside_the_capture_goes_as_without_it(tmp_path: Path, name: str, journal: str) -> None:
    """Another connection writes after each step, before the capture is mended and after it."""
    scenario = SCENARIOS[name]
    captured, plain = tmp_path / "captured.db", tmp_path / "plain.db"
    for path in (captured, plain):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA journal_mode = {journal}")
        scenario.begin(path)
    with (
        closing(Twin(str(captured), str(plain), patience=100_000)) as twin,
        closing(sqlite3.connect(captured, isolation_level=None)) as source,
    ):
        follower = Follower(source)
        twin.settle([])
        for number, (what, step) in enumerate(scenario.steps[1:]):
            write(twin, number)
            step(captured)
            step(plain)
            for moment in ("before", "after"):
                write(twin, number)
                follower.follow()
                assert follower.differences() == [], f"{moment} the capture was mended, after {what}"


def draw(chance: random.Random, table: str, column: str) -> str:
    """Draw a value that may collide; a reference leads nowhere, for Django checks them."""
    return "NULL" if column.endswith("_id") else chance.choice((*"1234", "'a'", "'A'", "'b'", "'c'", "NULL"))


def write(twin: Twin, seed: int) -> None:
    """Let the application write on both files; it must see the same on both."""
    there = shapes(twin.plain)
    chance = random.Random(seed)
    statements = Statements(chance, there, draw, mixed=False)
    for _ in range(30):
        table = chance.choice(there)
        # of one row: the order of several is a known limit
        update = f"{statements.update(table).partition(' WHERE ')[0]} WHERE rowid = {chance.randint(1, 9)}"
        burst = [statements.insert(table), statements.upsert(table), update]
        if chance.random() < 0.2:
            burst.append(statements.delete(table))
        assert twin.live(burst) is None


def test_the_scenarios_write_rows_that_collide(tmp_path: Path) -> None:
    """The test's own eyes: what is written between the steps replaces rows by their unique values."""
    path = tmp_path / "shop.db"
    scenario = SCENARIOS["django: constraints"]
    for _, step in scenario.steps[:2]:
        step(path)
    with closing(Twin(str(path), str(tmp_path / "empty.db"))) as twin:
        twin.captured.execute("INSERT INTO shop_book(title, shelf) VALUES('a', 1)")
        twin.captured.execute("REPLACE INTO shop_book(title, shelf) VALUES('a', 1)")
        assert twin.captured.execute("SELECT count(*), max(id) FROM shop_book").fetchone() == (1, 2)
