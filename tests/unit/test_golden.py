"""Everything that is generated for a table, as files to read: triggers, reading, the target's DDL, applying.

LITEFERRY_GOLDEN=write pytest tests/unit/test_golden.py writes the files anew; look at the difference.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from replicator.fallback import keylog
from replicator.planning.naming import Naming, named, short_name
from replicator.planning.plan import SourcePlan, TablePlan, plan_table
from replicator.planning.types import Evidence
from replicator.schema import ddl, dml
from replicator.streaming.reader import changes_sql
from triggers import fence
from triggers.capture import Captured
from triggers.schema import tables
from triggers.trigger_sql import fingerprint, log_sql

#: Stands for the id of an installation.
SOURCE = UUID("12345678-9abc-def0-1234-56789abcdef0")

GOLDEN = Path(__file__).parent / "golden"

#: One schema per hazard.
CASES = {
    "rowid_alias": "CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT NOT NULL, active BOOLEAN DEFAULT 1)",
    "autoincrement": "CREATE TABLE events(id INTEGER PRIMARY KEY AUTOINCREMENT, at DATETIME, payload JSON)",
    "not_a_rowid_alias": "CREATE TABLE t(id INTEGER PRIMARY KEY DESC, v REAL)",
    "composite_nocase": "CREATE TABLE words(lang TEXT, word TEXT COLLATE NOCASE, n, PRIMARY KEY(lang, word))",
    "without_rowid_desc": "CREATE TABLE scores(game INT, at REAL, who TEXT, PRIMARY KEY(game, at DESC)) "
    "WITHOUT ROWID",
    "partial_unique": "CREATE TABLE tasks(id INTEGER PRIMARY KEY, owner TEXT, done BOOLEAN, slot INT);"
    "CREATE UNIQUE INDEX one_open ON tasks(owner, slot COLLATE RTRIM DESC) WHERE NOT done -- open ones\n"
    "AND slot > 0",
    "expression_unique": "CREATE TABLE people(id INTEGER PRIMARY KEY, mail TEXT NOT NULL DEFAULT none, n);"
    "CREATE UNIQUE INDEX by_mail ON people(lower(mail) COLLATE NOCASE, n DESC)",
    "replaced_default": "CREATE TABLE t(id INTEGER PRIMARY KEY, code INT NOT NULL ON CONFLICT REPLACE "
    "DEFAULT '007' UNIQUE, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP UNIQUE)",
    "generated_unique": "CREATE TABLE t(a TEXT PRIMARY KEY, b GENERATED ALWAYS AS (upper(a)) STORED UNIQUE)",
    "keyless": "CREATE TABLE log(at, text, UNIQUE(at))",
    "shadowed_rowid": 'CREATE TABLE t("rowid" TEXT, "_rowid_" INT, v)',
    "no_rowid_left": "CREATE TABLE t(rowid TEXT NOT NULL, oid INT, _rowid_, UNIQUE(rowid))",
    "unique_index_key": "CREATE TABLE t(a INT, code TEXT NOT NULL, region INT NOT NULL, note TEXT);"
    "CREATE UNIQUE INDEX k ON t(region DESC, code);CREATE UNIQUE INDEX n ON t(note COLLATE NOCASE)",
    "defaults": "CREATE TABLE t(id INTEGER PRIMARY KEY, n INT DEFAULT -1, r REAL DEFAULT 1e3, s TEXT DEFAULT "
    "'it''s', b BLOB DEFAULT x'00FF', d DECIMAL(10,2) DEFAULT (0.5), t TEXT DEFAULT CURRENT_TIMESTAMP, "
    'f BOOL DEFAULT FALSE, w TEXT DEFAULT "word", x TEXT DEFAULT (hex(randomblob(4))))',
    "foreign_keys": "CREATE TABLE a(id INTEGER PRIMARY KEY, up INT REFERENCES a(id) ON DELETE SET NULL);"
    "CREATE TABLE b(x INT, y INT, z INT REFERENCES gone(id), PRIMARY KEY(x, y));"
    "CREATE TABLE c(id TEXT PRIMARY KEY, x INT, y INT, a INT REFERENCES a ON UPDATE CASCADE, "
    "FOREIGN KEY(x, y) REFERENCES b ON DELETE CASCADE ON UPDATE SET DEFAULT)",
    "awkward_names": 'CREATE TABLE "it\'s ""t"""("select" INTEGER PRIMARY KEY, "a b" TEXT UNIQUE, "É" TEXT, '
    '"é" TEXT UNIQUE)',
    "long_names": f"CREATE TABLE {'long_' * 12}(id INTEGER PRIMARY KEY, {'column_' * 8} INT UNIQUE);"
    f"CREATE INDEX {'index_' * 12} ON {'long_' * 12}({'column_' * 8} DESC)",
    "carried": "CREATE TABLE t(id INTEGER PRIMARY KEY, mail TEXT UNIQUE COLLATE NOCASE CHECK (mail LIKE '%'),"
    " active BOOLEAN CONSTRAINT bit CHECK (active IN (0, 1)), n INT, m TEXT AS (lower(mail)), "
    "CHECK (n BETWEEN 1 AND 5 OR mail < 'm'), CHECK (date(mail) <> 'x'));"
    "CREATE UNIQUE INDEX one_active ON t(n) WHERE active = 1",
    "key_of_five": "CREATE TABLE t(a, b, c, d, e, PRIMARY KEY(e, d, c, b, a)) WITHOUT ROWID",
}

#: Names of all kinds, and what each policy makes of them.
NAMED = """CREATE TABLE Users(Id INTEGER PRIMARY KEY AUTOINCREMENT, "E-Mail" TEXT UNIQUE, xmin INT);
CREATE TABLE "Order Details"(OrderId INT, "Line No" INT, UserID INT REFERENCES users(id), Slot INT,
    PRIMARY KEY(OrderId, "Line No"));
CREATE UNIQUE INDEX "One Slot" ON "Order Details"(Slot, abs([Line No])) WHERE Slot > 0 AND "OrderId" <> 0;
CREATE TABLE "2nd/""É"("HTTPServer", "" TEXT)"""
POLICIES = {
    "names_exact": Naming(),
    "names_lower": Naming("lower", "app_"),
    "names_snake": Naming("snake", renames={"Users": "Customers", "Order Details.Slot": "Place"}),
}
CASES |= dict.fromkeys(POLICIES, NAMED)

#: What a SQLite of 2013 cannot parse or does not know, inside a trigger or the log's tables.
TOO_NEW = re.compile(
    r"\b(IS\s+(NOT\s+)?DISTINCT|STRICT|RETURNING|FILTER|OVER|WITH|MATERIALIZED|NULLS|GENERATED|EXCLUDED|iif|"
    r"unixepoch|json\w*|format|concat\w*|string_agg|TRUE|FALSE|UPSERT|DO\s+(NOTHING|UPDATE)|ON\s+CONFLICT|"
    r"INSERT\s+OR|UPDATE\s+OR|REPLACE\s+INTO|AUTOINCREMENT|timediff|octet_length|subsec)\b|->",
    re.IGNORECASE,
)


def planned(connection: sqlite3.Connection, naming: Naming | None = None) -> list[TablePlan]:
    """Plan every table from its declarations alone."""
    found, _ = tables(connection)
    names = named(naming or Naming(), found)
    return [
        plan_table(table, "public", [Evidence()] * len(table.columns), {}, names=names[table.name])
        for table in found
    ]


def generated(connection: sqlite3.Connection, script: str, naming: Naming | None) -> str:
    """Return all that is made for a schema."""
    plans = planned(connection, naming)
    parts = ["-- source", *(f"{statement.strip()};" for statement in script.split(";"))]
    for number, plan in enumerate(plans, 1):
        captured = Captured(number, plan.table, plan.key)
        mark = fingerprint(trigger.sql for trigger in captured.triggers)
        parts += [f"\n-- capture of {plan.name}: {plan.key.kind.value}, {mark}"]
        parts += [f"{trigger.sql};" for trigger in captured.triggers]
        parts += ["\n-- changes", f"{changes_sql(plan)};"]
        cursor = tuple(range(1, len(plan.paging.columns) + 1))
        parts += ["-- next page", f"{plan.paging.page('*', cursor, 100)[0]};"]
    parts += ["\n-- target", ddl.script(SourcePlan("public", tuple(plans))).rstrip()]
    for plan in plans:
        makers = (dml.upsert, dml.delete, dml.insert, dml.select_by_key, dml.delete_duplicates, ddl.guard)
        parts += [f"\n-- applied to {plan.name}", *(f"{make(plan)};" for make in makers)]
    for number, plan in enumerate(plans, 1):
        armed = [keylog.function(plan, SOURCE, number), *keylog.triggers(plan, SOURCE, number)]
        read = keylog.changed_sql(plan), keylog.whole_sql(plan), keylog.keep_sql(plan)
        again = keylog.requeue_sql(plan), keylog.kept_sql(plan)
        parts += [f"\n-- the way back of {plan.name}", *(f"{text};" for text in (*armed, *read, *again))]
    return "\n".join(parts) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_what_is_generated_is_what_was_looked_at(name: str) -> None:
    """A change of any generated statement shows in a file, and in the review of it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(CASES[name])
        text = generated(connection, CASES[name], POLICIES.get(name))
    path = GOLDEN / f"{name}.sql"
    if os.environ.get("LITEFERRY_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    """A case that went takes its file along."""
    assert {path.stem for path in GOLDEN.glob("*.sql")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_the_capture_is_accepted_and_writes_go_on(name: str) -> None:
    """SQLite takes every trigger, and a row can be inserted, changed and deleted with them."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(CASES[name])
        plans = planned(connection)
        connection.execute(log_sql(max(4, *(len(p.key.columns) for p in plans))))
        for number, plan in enumerate(plans, 1):
            for trigger in Captured(number, plan.table, plan.key).triggers:
                connection.execute(trigger.sql)
        for plan in plans:
            table = plan.qualified.removeprefix('"public".')
            names = [f'"{c.name}"' for c in plan.table.columns if not c.generated]
            row = ", ".join("1" for _ in names)
            connection.execute(f"INSERT INTO {table}({', '.join(names)}) VALUES({row})")
            connection.execute(f"UPDATE {table} SET {names[0]} = 2, {names[-1]} = 3")
            connection.execute(f"DELETE FROM {table}")
        logged = connection.execute("SELECT t, count(*) FROM _liteferry_log GROUP BY t").fetchall()
        assert [t for t, _ in logged] == list(range(1, len(plans) + 1))


@pytest.mark.parametrize("name", CASES)
def test_a_collision_is_looked_up_in_the_index_itself(name: str) -> None:
    """The check before a REPLACE costs the application a search, in a table of any size, and never a scan."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(CASES[name])
        plans = planned(connection)
        connection.execute(log_sql(5))
        for number, plan in enumerate(plans, 1):
            texts = "".join(t.sql for t in Captured(number, plan.table, plan.key).triggers)
            for body in re.findall(r'(INSERT INTO "_liteferry_log".* SELECT .*);\n', texts):
                query, values = re.subn(r'(NEW|OLD)\."(?:[^"]|"")*"', "?", body)
                steps = connection.execute(f"EXPLAIN QUERY PLAN {query}", [1] * values).fetchall()
                reads = [step[3] for step in steps if step[3].startswith(("SEARCH ", "SCAN "))]
                # a co-routine is a subquery of one constant row
                constant = {"SCAN CONSTANT ROW"} | {
                    s[3].replace("CO-ROUTINE", "SCAN") for s in steps if s[3].startswith("CO-")
                }
                reads = [r for r in reads if r not in constant]
                assert reads, body
                assert all(r.startswith("SEARCH ") for r in reads), f"{body}: {steps}"


@pytest.mark.parametrize("name", CASES)
def test_nothing_in_the_source_is_newer_than_sqlite_3_8(name: str) -> None:
    """A newer word in a trigger makes an old library unable to read the whole file.

    The application's own expressions, which its library has taken, are no concern; none of the cases has any
    of these words in one.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(CASES[name])
        plans = planned(connection)
    texts = [log_sql(9)] + [text for _, text in fence.sql(1, "t")]
    texts += [t.sql for number, p in enumerate(plans, 1) for t in Captured(number, p.table, p.key).triggers]
    found = [match[0] for text in texts for match in TOO_NEW.finditer(text)]
    assert found == []


@pytest.mark.parametrize("name", ["plain", "x" * 63, ""], ids=len)
def test_a_name_that_fits_stays(name: str) -> None:
    """Up to PostgreSQL's 63 bytes."""
    assert short_name(name) == name


def test_long_names_stay_different_and_whole() -> None:
    """PostgreSQL would cut both to the same name in silence, in the middle of a character if need be."""
    names = [short_name("ü" * 40 + ending) for ending in ("a", "b", "")]
    assert len(set(names)) == 3
    assert all(len(name.encode()) <= 63 and name.startswith("ü" * 26) for name in names)
    assert short_name("ü" * 40 + "a") == names[0]
