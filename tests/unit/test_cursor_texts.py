"""A walk along a key goes on behind a text that is not UTF-8, which the driver cannot bind."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from replicator.planning.plan import plan_table
from replicator.planning.profile import Profile
from replicator.planning.types import Evidence
from replicator.sources.paging import decode, encode
from replicator.streaming.reader import found_by_key, read_page
from replicator.values.texts import BadText
from triggers.key import choose
from triggers.schema import tables

KEYS = ("1", "2.5", "'a'", "CAST(x'61e9' AS TEXT)", "CAST(x'e9' AS TEXT)", "CAST(x'e961' AS TEXT)", "x'e9'")


@pytest.mark.parametrize("declared", ["", "TEXT", "INT"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_every_row_is_read_once(declared: str, limit: int) -> None:
    """Page by page, in SQLite's own order, with the cursor stored in between; each is found by its key."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t(k {declared}, n INT, PRIMARY KEY (k, n)) WITHOUT ROWID")
        connection.executescript(
            "".join(f"INSERT INTO t VALUES ({key}, {n});" for key in KEYS for n in (1, 2))
        )
        [table], _ = tables(connection)
        plan = plan_table(table, "public", [Evidence(), Evidence()], {})
        rows, after, last = [], None, False
        while not last:
            page = read_page(connection, plan, after, limit)
            rows += page.rows
            after, last = (decode(encode(page.cursor)) if page.cursor else None), page.last
        assert len(rows) == len(set(map(repr, rows))) == 2 * len(KEYS)
        assert sum(isinstance(row[0], BadText) for row in rows) == 6
        assert all(found_by_key(connection, plan, row, whole=True) == [row] for row in rows)


def test_a_profile_goes_on_behind_one() -> None:
    """Its pages end on keys as well."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t(k TEXT, PRIMARY KEY (k)) WITHOUT ROWID")
        sql = "INSERT INTO t VALUES (CAST(? AS TEXT))"
        connection.executemany(sql, [(b"\xe9" + str(n).encode(),) for n in range(1000)])
        [table], _ = tables(connection)
        profile = Profile(table, choose(table), 0.0001)
        while not profile.done:
            profile.step(connection)
        assert profile.rows == 1000
