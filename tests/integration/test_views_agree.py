"""A view that is carried gives the rows that it gave in SQLite; one that might not is not carried."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import asyncpg
import pytest

from replicator.planning.plan import TablePlan, plan_table
from replicator.planning.types import Evidence
from replicator.schema import ddl, dml
from replicator.schema.views import translate
from tests.compare import from_postgres, shorten
from triggers.schema import tables
from triggers.select import views

TABLES = """
CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, nick TEXT COLLATE NOCASE, active BOOLEAN, height REAL,
    saldo DECIMAL(9,2), "a b" INT, born DATE);
INSERT INTO people VALUES(1, 'Ada', 'ada', 1, 1.7, 10.5, 3, '1815-12-10'),
    (2, 'bob', 'ADA', 0, NULL, 3, NULL, NULL), (3, 'Éva', 'Eva', 1, 1.6, NULL, 3, '2000-01-01'),
    (4, NULL, NULL, NULL, 1.7, 0.1, -3, '1999-09-09');
CREATE TABLE notes(id INTEGER PRIMARY KEY, person INT, text TEXT);
INSERT INTO notes VALUES(1, 1, 'x'), (2, 1, 'y%'), (3, 3, 'Z'), (4, 9, 'lost');
"""

CARRIED = {
    "all": "SELECT * FROM people",
    "some": "SELECT p.id AS number, \"a b\", p.name || '!' AS loud, active = 1 AS is_active FROM people AS p",
    "chosen": "SELECT id FROM people WHERE active AND height > 1.6 OR name LIKE 'É%'",
    "joined": "SELECT p.name, n.* FROM people p JOIN notes n ON n.person = p.id WHERE n.text <> 'y%'",
    "outer": "SELECT p.id, n.text FROM people p LEFT OUTER JOIN notes n ON p.id = n.person AND n.id > 1",
    "crossed": "SELECT p.id AS p, n.id AS n FROM people p, notes n WHERE p.id < n.id",
    "counted": "SELECT active, count(*) AS n, count(DISTINCT height), max(name), min(height), sum(id) "
    "FROM people GROUP BY active HAVING count(*) > 0",
    "total": 'SELECT count(*), sum("a b" + 1), max(length(name)) FROM people',
    "empty": "SELECT sum(id), count(name) FROM people WHERE id > 100",
    "distinct": 'SELECT DISTINCT "a b", height FROM people',
    "sorted": "SELECT id, name AS n FROM people ORDER BY n DESC, 1",
    "sorted_folded": "SELECT nick FROM people ORDER BY nick, id",
    "computed": "SELECT CASE WHEN active THEN 'on' WHEN id > 3 THEN 'none' END, -id, upper(name) FROM people",
    "nested": "SELECT loud, number + 1 AS next FROM some WHERE is_active = 1",
    "named": "SELECT id, coalesce(saldo, 0) FROM people",
}
REFUSED = {
    "compound": "SELECT id FROM people UNION SELECT id FROM notes",
    "limited": "SELECT id FROM people LIMIT 1",
    "subquery": "SELECT (SELECT max(id) FROM notes) AS m FROM people",
    "windowed": "SELECT row_number() OVER (ORDER BY id) FROM people",
    "changing": "SELECT date('now') FROM people",
    "averaged": "SELECT avg(height) FROM people",
    "summed": "SELECT sum(height) FROM people",
    "folded": "SELECT nick, count(*) FROM people GROUP BY nick",
    "folded_distinct": "SELECT DISTINCT nick FROM people",
    "any_row": "SELECT name, max(id) FROM people",
    "any_row_of_group": "SELECT name, active FROM people GROUP BY active",
    "own_column": 'SELECT id + 1 AS "next" FROM people WHERE "next" > 2',
    "compared": "SELECT id FROM people WHERE name > id",
    "using": "SELECT p.id FROM people p JOIN notes USING (id)",
    "with": "WITH x AS (SELECT 1) SELECT * FROM x",
    "of_refused": "SELECT * FROM limited",
}


@pytest.fixture
def source() -> Iterator[sqlite3.Connection]:
    """Make the tables and all views."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(TABLES)
        for name, sql in {**CARRIED, **REFUSED}.items():
            connection.execute(f'CREATE VIEW "{name}" AS {sql}')
        yield connection


def planned(source: sqlite3.Connection) -> list[TablePlan]:
    """Plan the tables by their declarations."""
    return [plan_table(t, "public", [Evidence()] * len(t.columns), {}) for t in tables(source)[0]]


async def test_carried_views_give_the_same_rows(source: sqlite3.Connection, target_url: str) -> None:
    """In the same order where one is asked for, under the same names."""
    plans = planned(source)
    made, _ = translate(views(source), plans, "public")
    target = await asyncpg.connect(target_url)
    try:
        for plan in plans:
            await target.execute(ddl.create_table(plan))
            rows = source.execute(f'SELECT * FROM "{plan.name}"').fetchall()
            await target.execute(dml.insert(plan), *plan.converter.columns(rows))
        for view in made:
            await target.execute(view.sql)
        for name, sql in CARRIED.items():
            cursor = source.execute(f'SELECT * FROM "{name}"')
            here = [shorten(list(row)) for row in cursor]
            found = await target.fetch(f'SELECT * FROM "{name}"')
            there = [shorten([from_postgres(value) for value in row.values()]) for row in found]
            assert there == here if "ORDER BY" in sql else sorted(there) == sorted(here), name
            assert not found or list(found[0].keys()) == [column[0] for column in cursor.description], name
    finally:
        await target.close()
    assert [view.name for view in made if view.name in CARRIED] == [v.name for v in made]
    assert len(made) == len(CARRIED)


def test_other_views_are_told_with_their_text(source: sqlite3.Connection) -> None:
    """Each with a reason, none is left out in silence."""
    _, notes = translate(views(source), planned(source), "public")

    assert {note.table for note in notes} == set(REFUSED)
    assert all(REFUSED[note.table] in note.reason for note in notes)
