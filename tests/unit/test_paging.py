"""Walking a table in short reads meets every row once, and never reads rows again to find its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.sources.paging import Cursor, Pace, Paging, decode, encode, paging
from triggers.identifier import quote
from triggers.key import choose
from triggers.schema import tables

MIXED = (
    "(1), (2), (1.5), (-3), (9e999), (-9e999), (9007199254740993), "
    "('1'), ('a'), ('A'), (''), (x''), (x'00ff'), (x'61')"
)
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 59) "

#: A schema and rows per kind of key; the last expression tells whether the walk is by an index of its own.
TABLES = {
    "rowid alias": "CREATE TABLE t(id INTEGER PRIMARY KEY, v);"
    + NUMBERS
    + "INSERT INTO t SELECT i * i - 700, i FROM n;",
    "keyless": "CREATE TABLE t(v);"
    + NUMBERS
    + "INSERT INTO t SELECT i % 7 FROM n; DELETE FROM t WHERE v = 3;",
    "text key of a rowid table": f"CREATE TABLE t(k PRIMARY KEY, v); INSERT INTO t(k) VALUES {MIXED};",
    "mixed classes": f"CREATE TABLE t(k PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES {MIXED};",
    "descending": f"CREATE TABLE t(k, PRIMARY KEY(k DESC)) WITHOUT ROWID; INSERT INTO t VALUES {MIXED};",
    "nocase": "CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID;"
    + NUMBERS
    + "INSERT INTO t SELECT char(65 + i % 2 * 32 + i / 2 % 26) || i, i FROM n;",
    "collated in the key only": "CREATE TABLE t(k TEXT, PRIMARY KEY(k COLLATE NOCASE DESC)) WITHOUT ROWID;"
    + NUMBERS
    + "INSERT INTO t SELECT char(65 + i % 2 * 32) || i FROM n;",
    "mixed composite": "CREATE TABLE t(a TEXT, b, c REAL, v, PRIMARY KEY(b DESC, a COLLATE RTRIM, c DESC)) "
    "WITHOUT ROWID;"
    + NUMBERS
    + "INSERT INTO t SELECT i % 3 || '', CASE i % 5 WHEN 0 THEN 'x' WHEN 1 THEN x'01' "
    "ELSE i % 4 END, i / 4.0, i FROM n;",
    "shadowed rowid": "CREATE TABLE t(rowid TEXT NOT NULL, oid, _rowid_, PRIMARY KEY(oid, rowid DESC));"
    + NUMBERS
    + "INSERT INTO t SELECT i % 6 || '', i / 6, i FROM n;",
    "shadowed rowid, unique index": "CREATE TABLE t(rowid, oid, _rowid_ BLOB NOT NULL); "
    "CREATE UNIQUE INDEX u ON t(_rowid_ DESC);"
    + NUMBERS
    + "INSERT INTO t SELECT i, i, randomblob(8) FROM n;",
}


@pytest.fixture(params=list(TABLES))
def walked(request: pytest.FixtureRequest) -> Iterator[tuple[sqlite3.Connection, Paging]]:
    """Give a table of every kind with the order in which it is walked."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(TABLES[request.param])
        ((table,), _) = tables(connection)
        yield connection, paging(table, choose(table))


def walk(connection: sqlite3.Connection, order: Paging, limit: int) -> list[tuple[object, ...]]:
    """Read a table page by page, through cursors as text."""
    select = ", ".join(map(quote, order.columns)) + ", *"
    rows: list[tuple[object, ...]] = []
    after: Cursor | None = None
    while page := connection.execute(*order.page(select, after, limit)).fetchall():
        after = decode(encode(page[-1][: len(order.columns)]))
        rows += [row[len(order.columns) :] for row in page]
        assert len(rows) < 1000, "the walk goes round in circles"
    return rows


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 60, 1000])
def test_every_row_is_met_exactly_once(walked: tuple[sqlite3.Connection, Paging], limit: int) -> None:
    """Whatever the key's classes, collations and directions, and wherever a page ends."""
    connection, order = walked
    met = walk(connection, order, limit)
    assert sorted(map(repr, met)) == sorted(map(repr, connection.execute("SELECT * FROM t")))


def test_every_page_is_found_by_a_search(walked: tuple[sqlite3.Connection, Paging]) -> None:
    """A page in the middle is an index search too: no scan from the start and no sort."""
    connection, order = walked
    select = ", ".join(map(quote, order.columns))
    first = connection.execute(*order.page(select, None, 3)).fetchall()[-1]
    sql, parameters = order.page("*", first, 3)
    plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters))
    assert plan.count("SEARCH") == len(order.columns)
    assert "SCAN t" not in plan
    assert "TEMP B-TREE" not in plan


def test_a_late_page_of_a_large_group_costs_as_much_as_an_early_one() -> None:
    """Where all keys begin alike, as with a tenant's number, no page reads the group from its start."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(
            "CREATE TABLE t(a, b TEXT COLLATE NOCASE, c, PRIMARY KEY(a, b DESC, c)) WITHOUT ROWID;"
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19999) "
            "INSERT INTO t SELECT 1, i % 2, i FROM n"
        )
        ((table,), _) = tables(connection)
        order = paging(table, choose(table))
        steps: list[int] = []
        for cursor in ((1, "1", 21), (1, "1", 19001), (1, "0", 20), (1, "0", 19000)):
            done: list[int] = []
            connection.set_progress_handler(lambda done=done: done.append(1), 10)  # type: ignore[misc]  # None: go on
            assert len(connection.execute(*order.page("*", cursor, 100)).fetchall()) == 100
            steps.append(len(done))
        assert max(steps) < 1.5 * min(steps)


def test_the_last_row_of_a_page_can_be_found_by_offset(walked: tuple[sqlite3.Connection, Paging]) -> None:
    """The profile skips over a page it has only counted."""
    connection, order = walked
    columns = ", ".join(map(quote, order.columns))
    page = connection.execute(*order.page(columns, None, 5)).fetchall()
    assert connection.execute(*order.page(columns, None, 1, 4)).fetchall() == page[4:]


@given(
    st.lists(
        st.one_of(
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False),
            st.text(st.characters(exclude_categories=["Cs"])),
            st.binary(),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_cursor_comes_back_as_it_was(cursor: list[int | float | str | bytes]) -> None:
    """Every class and every bit, as text in a column of the target."""
    back = decode(encode(cursor))
    assert repr(back) == repr(tuple(cursor))


def test_the_pace_comes_to_the_time_wanted() -> None:
    """Reads of 10 microseconds a row come to 5,000 rows in 50 milliseconds, step by step."""
    pace = Pace(0.05, rows=200)
    for _ in range(5):
        pace.took(pace.rows, pace.rows * 10e-6)
    assert pace.rows == 5000


@pytest.mark.parametrize(("seconds", "rows"), [(10.0, 50), (1e-9, 800), (0.0, 800)])
def test_the_pace_changes_fourfold_at_most(seconds: float, rows: int) -> None:
    """One slow read, or a clock that stood still, does not throw it about."""
    pace = Pace(0.05, rows=200)
    pace.took(200, seconds)
    assert pace.rows == rows


def test_a_page_that_was_not_full_does_not_change_the_pace() -> None:
    """The end of a table says nothing about the next."""
    pace = Pace(0.05, rows=200)
    pace.took(3, 1e-6)
    assert pace.rows == 200


@pytest.mark.parametrize(("row_bytes", "rows"), [(100, 200), (100_000, 83), (1 << 30, 1), (0, 200)])
def test_large_rows_are_read_few_at_a_time(row_bytes: int, rows: int) -> None:
    """A read stays within its memory, and is never of nothing."""
    pace = Pace(0.05, rows=200)
    pace.bound(row_bytes, 8 << 20)
    assert pace.rows == rows
