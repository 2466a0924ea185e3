"""The number of a table in the change log is given out once, for as long as an entry bears it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.fixtures.sqlite import MakeSource
from triggers import capture, refit
from triggers.key import choose
from triggers.schema import tables


def test_a_number_with_entries_is_not_given_out_again(make_source: MakeSource) -> None:
    """The table is gone, but its keys would be read as the new one's, whatever they look like."""
    path = make_source(
        script="CREATE TABLE a(id INTEGER PRIMARY KEY); CREATE TABLE b(name TEXT PRIMARY KEY);"
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        capture.install(database, [(t, choose(t)) for t in tables(database, ())[0]], 1)
        database.executescript(
            "INSERT INTO b VALUES('x'); DROP TABLE b; CREATE TABLE c(id INTEGER PRIMARY KEY)"
        )
        database.execute("DELETE FROM _liteferry_tables WHERE name = 'b'")
        seen = refit.survey(database, (), enforced=True)
        assert sorted(seen.names) == [1]
        assert seen.free_number == 3

        database.execute("DELETE FROM _liteferry_log")
        assert refit.survey(database, (), enforced=True).free_number == 2
