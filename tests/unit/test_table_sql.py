"""What the text of a CREATE TABLE tells: CHECKs, collations, generated columns."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from triggers.table_sql import Check, read


def stored(sql: str) -> str:
    """Return a CREATE TABLE as SQLite keeps it; it must be one that SQLite takes."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(sql)
        return str(connection.execute("SELECT sql FROM sqlite_master").fetchone()[0])


@pytest.mark.parametrize(
    ("body", "checks"),
    [
        ("a CHECK (a > 0)", [Check("", "a", "a > 0")]),
        ("a CONSTRAINT pos CHECK(a > 0), b", [Check("pos", "a", "a > 0")]),
        ('"a b" TEXT CONSTRAINT "x, (y" CHECK ("a b" <> \')\')', [Check("x, (y", "a b", "\"a b\" <> ')'")]),
        ("a, CHECK (a) CHECK (a < 2)", [Check("", "", "a"), Check("", "", "a < 2")]),
        ("a, CONSTRAINT one CHECK (a), CONSTRAINT two UNIQUE (a)", [Check("one", "", "a")]),
        ("a CONSTRAINT nn NOT NULL CHECK (a)", [Check("", "a", "a")]),
        ("[check] INT DEFAULT (1) CHECK ([check] IN (1, 2))", [Check("", "check", "[check] IN (1, 2)")]),
        ("a /* CHECK (b) */ INT -- CHECK (c)\n, b", []),
        ("a DECIMAL(10, 2) DEFAULT 'CHECK (a)' CHECK(a<>'\n')", [Check("", "a", "a<>'\n'")]),
        ('a CONSTRAINT "check" CHECK (a)', [Check("check", "a", "a")]),
    ],
)
def test_checks_are_found_where_they_stand(body: str, checks: list[Check]) -> None:
    """Of a column or of the table, named or not, whatever is quoted around them."""
    assert list(read(stored(f"CREATE TABLE t({body})")).checks) == checks


def test_collations_belong_to_their_columns() -> None:
    """Not those of a constraint or of an expression."""
    text = read(
        stored(
            "CREATE TABLE t(\"A\" TEXT COLLATE nocase, b TEXT CHECK (b = 'x' COLLATE RTRIM), "
            "c COLLATE BINARY DEFAULT 'COLLATE', UNIQUE (b COLLATE NOCASE))"
        )
    )
    assert text.collations == {"a": "NOCASE", "c": "BINARY"}


def test_generated_columns_have_their_expressions() -> None:
    """Long and short form."""
    text = read(
        stored(
            "CREATE TABLE t(a, b GENERATED ALWAYS AS (a || ')') STORED, c INT AS (a + 1), d CHECK (d AND a))"
        )
    )
    assert text.generated == {"b": "a || ')'", "c": "a + 1"}


def test_a_table_without_a_text_has_nothing() -> None:
    """Of one that is known by its name alone."""
    assert read("").checks == ()
