"""A large table is profiled from two sides at once, and what is told of it is what one side would tell."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from replicator.planning.profiling import TWO_SIDES_ROWS, halves, profiled
from tests.fixtures.sqlite import MakeSource
from triggers.schema import Table, tables
from triggers.session import Session

#: Rowids from below zero to far above, with both classes of `v` on either side of the middle.
LAST = 2 * TWO_SIDES_ROWS
SCRIPT = f"""
    PRAGMA journal_mode = {{0}};
    CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, w TEXT, x BOOLEAN);
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
    INSERT INTO t SELECT i * {LAST // 4000} - 50, CASE WHEN i % 1000 = 7 THEN 'N/A' || i ELSE i END,
        substr('longest of all', 1, i % 14), i % 3 FROM n;
    CREATE TABLE small(id INTEGER PRIMARY KEY); INSERT INTO small VALUES (1), (99);
    CREATE TABLE kept(k TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO kept VALUES ('a');
    CREATE TABLE empty(id INTEGER PRIMARY KEY);
"""


def found(path: Path) -> dict[str, Table]:
    """Return the tables of a source by name."""
    with closing(sqlite3.connect(path)) as database:
        return {table.name: table for table in tables(database, ())[0]}


def parts(path: Path) -> dict[str, int]:
    """Return from how many sides each table is looked at."""
    with closing(sqlite3.connect(path)) as database:
        return {name: len(halves(database, table)) for name, table in found(path).items()}


async def test_both_sides_together_have_met_each_row_once(make_source: MakeSource) -> None:
    """Counts, the longest text, the range of the numbers, and the first row of each class by its key."""
    path = make_source(script=SCRIPT.format("WAL"))
    async with Session(path) as session:
        key, v, w, x = await profiled(session, found(path)["t"], 0.0005)

    assert parts(path)["t"] == 2
    assert (v.rows, v.classes["integer"], v.classes["text"]) == (4001, 3997, 4)
    assert v.firsts["text"] == (str(7 * (LAST // 4000) - 50), "'N/A7'")
    assert w.longest == 13
    assert (key.least, key.greatest, v.least, v.greatest) == (-50, LAST - 50, 0, 4000)
    assert (w.least, w.greatest) == (None, None)
    assert x.beyond_bool == 1333


async def test_some_rows_only_are_the_first_ones(make_source: MakeSource) -> None:
    """A second side would look at rows that nobody asked for."""
    path = make_source(script=SCRIPT.format("WAL"))
    async with Session(path) as session:
        evidence = await profiled(session, found(path)["t"], 0.0005, 900)
    assert evidence[1].rows == 900
    assert evidence[1].classes["text"] == 1


@pytest.mark.parametrize(("mode", "sides"), [("WAL", 2), ("DELETE", 1)])
def test_two_readers_are_for_large_tables_with_a_wal(make_source: MakeSource, mode: str, sides: int) -> None:
    """In a rollback journal the application's writers would wait for both."""
    assert parts(make_source(script=SCRIPT.format(mode))) == {"t": sides, "small": 1, "kept": 1, "empty": 1}
