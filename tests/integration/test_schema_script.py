"""The script of `plan` runs as it stands, in an empty database, and makes all that it speaks of."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from replicator.planning.plan import SourcePlan, plan_table
from replicator.planning.types import Evidence
from replicator.schema import ddl
from tests.databases import on_target
from tests.fixtures.cli import Liteferry
from tests.fixtures.sqlite import MakeSource
from tests.unit.test_golden import CASES
from triggers.schema import tables
from triggers.select import views

SHOP = """
CREATE TABLE users(id INTEGER PRIMARY KEY, mail TEXT NOT NULL UNIQUE COLLATE NOCASE CHECK (mail LIKE '%_@_%'),
    active BOOLEAN NOT NULL DEFAULT 1 CHECK (active IN (0, 1)), born DATE, name TEXT,
    shown TEXT GENERATED ALWAYS AS (coalesce(name, mail)) VIRTUAL);
INSERT INTO users(mail, name) VALUES('a@example.org', 'Ada');
CREATE UNIQUE INDEX one_active ON users(name) WHERE active = 1;
CREATE TABLE orders(id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id) ON DELETE CASCADE,
    cents INTEGER NOT NULL, CONSTRAINT positive CHECK (cents > 0), CHECK (date(cents) IS NOT NULL));
CREATE VIEW spent AS SELECT u.mail, count(*) AS orders, sum(o.cents) AS cents
    FROM users u JOIN orders o ON o.user_id = u.id WHERE u.active GROUP BY u.id, u.mail;
CREATE VIEW active AS SELECT * FROM users WHERE active = 1 ORDER BY mail;
CREATE VIEW top AS SELECT mail FROM active LIMIT 1;
"""


def script_of(statements: str) -> str:
    """Return the script for a schema, from its declarations alone."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(statements)
        found, skipped = tables(connection)
        planned = tuple(plan_table(t, "public", [Evidence()] * len(t.columns), {}) for t in found)
        return ddl.script(SourcePlan("public", planned, tuple(skipped), tuple(views(connection))))


@pytest.mark.parametrize("name", CASES)
def test_every_script_runs_as_it_stands(name: str, target_url: str) -> None:
    """In an empty database, and nothing of liteferry's own is in it."""
    script = script_of(CASES[name])
    on_target(target_url, script)

    assert "liteferry." not in script


def test_the_file_of_plan_makes_tables_constraints_and_views(
    liteferry: Liteferry, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """And says what it does not make, with the text of it."""
    answer = liteferry("plan", make_source(script=SHOP), "--out", tmp_path / "schema.sql")
    script = (tmp_path / "schema.sql").read_text()
    on_target(target_url, script)

    assert answer.status == 0
    query = "SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
    made = sorted(str(name) for (name,) in on_target(target_url, query))
    assert made == ["positive", "users_active_check", "users_mail_check"]
    assert on_target(target_url, "SELECT viewname FROM pg_views WHERE schemaname = 'public'") == [("active",)]
    assert "not carried: orders, check (date(cents) IS NOT NULL): the function date" in script
    assert "left out: view top: LIMIT is not carried over: CREATE VIEW top" in script
    assert "left out: view spent: it groups by NOCASE" in script


def test_the_file_says_how_it_may_be_used(liteferry: Liteferry, make_source: MakeSource) -> None:
    """Edited, run with psql, and taken up by `run --adopt`."""
    assert "psql -v ON_ERROR_STOP=1" in liteferry("plan", make_source(script=SHOP)).output


def test_columns_say_where_they_came_from(target_url: str) -> None:
    """Declared type, and how it is read where that was asked for."""
    on_target(target_url, script_of(SHOP))
    query = (
        "SELECT col_description(attrelid, attnum) FROM pg_attribute "
        "WHERE attrelid = 'users'::regclass AND attname = 'shown'"
    )

    assert on_target(target_url, query) == [("from SQLite TEXT; generated",)]
