"""The profile counts every class of every column, page by page, however they are mixed."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from replicator.planning.profile import CLASSES, Profile
from triggers.key import choose
from triggers.schema import tables

COLUMNS = ("a INTEGER", "b REAL", "c TEXT", "d BLOB", "e NUMERIC", "f BOOLEAN", "g", "h DATE")
VALUES = (None, 0, 1, 7, -5, 1.5, 2.0, 9e99, "", "text", "12", "3.5", "longer text", b"", b"\x00\xff")


def table(chance: random.Random, rows: int, purity: float) -> sqlite3.Connection:
    """Make a table whose columns hold mostly one value's class, by `purity`, and NULLs."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(f"CREATE TABLE t(id INTEGER PRIMARY KEY, {', '.join(COLUMNS)})")
    usual = [chance.choice(VALUES) for _ in COLUMNS]
    made = [
        [one if chance.random() < purity else chance.choice(VALUES) for one in usual] for _ in range(rows)
    ]
    connection.executemany(f"INSERT INTO t VALUES (NULL, {', '.join('?' * len(COLUMNS))})", made)
    return connection


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("purity", [0.0, 0.7, 0.995, 1.0])
def test_the_counts_are_those_of_a_plain_count(seed: int, purity: float) -> None:
    """Over several pages, with columns that turn out other than they look at first."""
    chance = random.Random(seed)
    rows = chance.choice([0, 1, 199, 200, 201, 3_000])
    with closing(table(chance, rows, purity)) as connection:
        [found], _ = tables(connection)
        profile = Profile(found, choose(found), 0.0001)
        while not profile.done:
            profile.step(connection)
        for column, evidence in zip(found.columns, profile.evidence(), strict=True):
            assert evidence.rows == rows
            assert dict(evidence.classes) == counted(connection, column.name)
            if column.name == "f":
                beyond = "SELECT count(*) FROM t WHERE typeof(f) = 'integer' AND f NOT IN (0, 1)"
                assert evidence.beyond_bool == connection.execute(beyond).fetchone()[0]
            longest = (
                f"SELECT max(length({column.name})) FROM t WHERE typeof({column.name}) IN ('text', 'blob')"
            )
            assert evidence.longest >= (connection.execute(longest).fetchone()[0] or 0)
            numbers = f"SELECT {column.name} AS v FROM t WHERE typeof({column.name}) IN ('integer', 'real')"
            reach = connection.execute(f"SELECT min(v), max(v) FROM ({numbers})").fetchone()
            assert (evidence.least, evidence.greatest) == reach


def counted(connection: sqlite3.Connection, name: str) -> dict[str, int]:
    """Count the classes of a column in one plain query."""
    found = dict(connection.execute(f"SELECT typeof({name}), count(*) FROM t GROUP BY 1"))
    return {kind: found.get(kind, 0) for kind in CLASSES}


def test_the_first_of_each_class_is_told_with_its_key() -> None:
    """The key as an integer; the value's beginning for the operator's own eyes."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v REAL)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, n / 2) for n in range(1, 1001)])
        connection.execute("UPDATE t SET v = 'N/A' WHERE id IN (700, 900)")
        [found], _ = tables(connection)
        profile = Profile(found, choose(found), 0.0001)
        while not profile.done:
            profile.step(connection)
    evidence = profile.evidence()[1]
    assert evidence.firsts["text"] == ("700", "'N/A'")
    assert evidence.dissent() == "2 of 1,000 rows are text, first key 700"
    assert evidence.dissent(excerpts=True).endswith("first key 700: 'N/A'")


@pytest.mark.parametrize(("most", "counted_rows"), [(1, 1), (150, 150), (700, 700), (5_000, 1_000)])
def test_only_so_many_rows_are_looked_at_as_asked_for(most: int, counted_rows: int) -> None:
    """The first ones, whatever the size of a page."""
    with closing(table(random.Random(1), 1_000, 1.0)) as connection:
        [found], _ = tables(connection)
        profile = Profile(found, choose(found), 0.0001, most)
        while not profile.done:
            profile.step(connection)
    assert profile.evidence()[0].rows == counted_rows


def test_a_text_among_numbers_need_not_be_utf8() -> None:
    """Though it is the greatest of its page."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER)")
        connection.execute("INSERT INTO t VALUES (1, 5), (2, CAST(x'ff' AS TEXT)), (3, x'ff')")
        [found], _ = tables(connection)
        profile = Profile(found, choose(found), 0.0001)
        while not profile.done:
            profile.step(connection)
    evidence = profile.evidence()[1]
    assert (evidence.least, evidence.greatest, evidence.classes["text"]) == (5, 5, 1)
