"""Keys of the target are looked up in the source by the index that makes them keys, not by the column."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from replicator.planning.plan import TablePlan, plan_table
from replicator.planning.types import Evidence
from replicator.verification.matching import absent
from triggers.key import choose
from triggers.schema import tables

#: Each has the row 'a', whose key is compared by another collation than the column.
TABLES = {
    "nocase column, binary key": "CREATE TABLE t(k TEXT COLLATE NOCASE, PRIMARY KEY(k COLLATE BINARY))",
    "binary column, nocase key": "CREATE TABLE t(k TEXT, PRIMARY KEY(k COLLATE NOCASE)) WITHOUT ROWID",
    "nocase column, binary unique index": "CREATE TABLE t(k TEXT COLLATE NOCASE NOT NULL); "
    "CREATE UNIQUE INDEX u ON t(k COLLATE BINARY)",
    "the application's collation, binary unique index": "CREATE TABLE t(k TEXT COLLATE ours NOT NULL); "
    "CREATE UNIQUE INDEX u ON t(k COLLATE BINARY)",
}


def planned(connection: sqlite3.Connection) -> TablePlan:
    """Plan the only table."""
    [table], _ = tables(connection)
    return plan_table(table, "public", [Evidence()], {})


@pytest.mark.parametrize("script", TABLES.values(), ids=TABLES)
def test_a_key_is_sought_and_not_scanned_for(script: str) -> None:
    """A scan of the whole table for each key would take hours; the answer is exact all the same."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        # the application's own, which nobody else has
        connection.create_collation("ours", lambda one, other: (one > other) - (one < other))
        connection.executescript(f"{script}; INSERT INTO t VALUES ('a')")
        connection.create_collation("ours", None)
        plan = planned(connection)
        assert choose(plan.table).columns == ("k",)
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        missing = absent(connection, plan, [("a",), ("A",)])
        connection.set_trace_callback(None)
        ways = [row[3] for sql in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert missing == [("A",)]
    assert len(ways) == 2 and all(way.startswith("SEARCH") for way in ways)
