"""A foreign key without a key behind it: with any INSERT trigger on its parent SQLite refuses INSERTs."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from config.errors import Unsupported
from tests.fidelity.engine import streaming
from tests.fidelity.outcome import outcome
from tests.fixtures.sqlite import MakeSource
from triggers import capture
from triggers.key import choose
from triggers.relations import harmed
from triggers.schema import tables

PARENT = "CREATE TABLE p(id INTEGER PRIMARY KEY, a TEXT, b INT);"
CHILD = "CREATE TABLE c(x REFERENCES p(a));"

#: Schemas, and whether our triggers make a statement of the application fail.
SCHEMAS = {
    "no index": (PARENT + CHILD, True),
    "a partial index": (PARENT + "CREATE UNIQUE INDEX u ON p(a) WHERE b > 1;" + CHILD, True),
    "an index over more": (PARENT + "CREATE UNIQUE INDEX u ON p(a, b);" + CHILD, True),
    "an index that is not unique": (PARENT + "CREATE INDEX u ON p(a);" + CHILD, True),
    "no primary key": ("CREATE TABLE p(a, b); CREATE TABLE c(x REFERENCES p);", True),
    "a primary key of two": (
        "CREATE TABLE p(a, b, PRIMARY KEY(a, b)); CREATE TABLE c(x REFERENCES p);",
        True,
    ),
    "a unique index": (PARENT + "CREATE UNIQUE INDEX u ON P(A);" + CHILD, False),
    "two columns in another order": (
        "CREATE TABLE p(a, b, UNIQUE(b, a)); CREATE TABLE c(x, y, FOREIGN KEY(x, y) REFERENCES p(a, b));",
        False,
    ),
    "the primary key, not named": (PARENT + "CREATE TABLE c(x REFERENCES p);", False),
    "a table that is not there": (PARENT + "CREATE TABLE c(x REFERENCES q(a));", False),
    "the table itself": ("CREATE TABLE p(id INTEGER PRIMARY KEY, a, b REFERENCES p(a));", False),
    "a trigger of the application's": (
        PARENT + CHILD + "CREATE TRIGGER app AFTER INSERT ON p BEGIN SELECT 1; END;",
        False,
    ),
}

STATEMENTS = (
    *("INSERT INTO p(a, b) VALUES(1, 1)", "REPLACE INTO p(a, b) VALUES(1, 1)", "UPDATE p SET a = 2"),
    *("UPDATE p SET b = 2", "DELETE FROM p", "INSERT INTO c(x) VALUES(NULL)", "DELETE FROM c"),
)


@pytest.mark.parametrize("what", SCHEMAS)
def test_what_is_refused_is_what_would_fail_because_of_us(what: str) -> None:
    """Each statement with and without capture, as SQLite itself has it."""
    schema, breaks = SCHEMAS[what]
    told = []
    for statement in STATEMENTS:
        errors = []
        for captured in (False, True):
            with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
                connection.executescript(f"{schema}; PRAGMA foreign_keys = on")
                if captured:
                    found, _ = tables(connection)
                    capture.install(connection, [(table, choose(table)) for table in found], 1)
                errors.append(outcome(connection, statement).error)
        told.append(errors[0] != errors[1])
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema)
        broken = harmed(connection, tables(connection)[0])
    assert any(told) is bool(broken) is breaks


async def test_the_capture_is_not_installed(make_source: MakeSource, target_url: str) -> None:
    """The daemon names the parent and the columns, and changes nothing."""
    path = make_source(script=PARENT + CHILD)
    with pytest.raises(Unsupported, match=r"'c' refers to 'p' \(a\)"):
        async with streaming(path, target_url):
            pass
    with closing(sqlite3.connect(path)) as source:
        assert source.execute("SELECT count(*) FROM sqlite_master").fetchone() == (2,)
