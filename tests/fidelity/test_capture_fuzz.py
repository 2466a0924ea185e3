"""The capture against random applications: no change is missed, and nobody notices it.

A failure prints its seed and the smallest script that shows it. More seeds: LITEFERRY_FUZZ_SEEDS=1000-9999
with -m soak, or without it for ever.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing

import pytest

from triggers import capture
from triggers.key import choose
from triggers.schema import tables

from .follower import Follower
from .outcome import level, outcome
from .sequence import Life, draw, run, shrink

#: Sequences in an ordinary run, in blocks that share the machine's cores badly but fail one by one.
BLOCKS = 4
BLOCK_SEEDS = 40


@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_log_leads_to_what_the_source_has(block: int) -> None:
    """After each burst the keys in the log, looked up, make a copy equal to the table."""
    live_through(range(block * BLOCK_SEEDS, (block + 1) * BLOCK_SEEDS))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_schema_changes_of_the_application_go_as_without_capture(block: int) -> None:
    """Nor is anything missed: after each the capture is mended, what it may have missed read again."""
    live_through(range(block * BLOCK_SEEDS, (block + 1) * BLOCK_SEEDS), alter=True)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("alter", [False, True], ids=["fixed", "altered"])
def test_the_log_leads_to_what_the_source_has_for_ever(alter: bool) -> None:
    """The same until it fails or is stopped, or for the seeds in LITEFERRY_FUZZ_SEEDS."""
    first, _, last = os.environ.get("LITEFERRY_FUZZ_SEEDS", "1000-").partition("-")
    live_through(range(int(first), int(last) + 1) if last else itertools.count(int(first)), alter=alter)


def live_through(seeds: Iterable[int], *, alter: bool = False) -> None:
    """Live the lives of some seeds; the first that fails is cut down and told."""
    for seed in seeds:
        life = draw(seed, alter=alter)
        wrong = run(life) if life else None
        if life and wrong:
            pytest.fail(f"seed {seed}: {wrong}\n\nsmallest:\n{smallest(life, wrong)}")


def smallest(life: Life, wrong: str) -> str:
    """Return the smallest life that goes wrong in the same way, as a script."""
    noticed = "with capture" in wrong

    def fails(less: Life) -> bool:
        found = run(less)
        return found is not None and ("with capture" in found) is noticed

    return str(shrink(life, fails))


#: What the fuzzer, or a look at the triggers, has found: the schema, what came after the capture, statements.
FOUND = {
    "a key replaced by one that its collation takes for it": """
        CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY, v);
        -- capture
        -- writes
        INSERT INTO t VALUES('a', 1), ('b', 1);
        REPLACE INTO t VALUES('A', 2);
        UPDATE OR REPLACE t SET k = 'B'""",
    "a NULL key that was never stored": """
        CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, v);
        -- capture
        -- writes
        INSERT OR IGNORE INTO t VALUES(NULL, 1);
        INSERT INTO t VALUES('a', 1);
        UPDATE OR IGNORE t SET k = NULL""",
    "a moved rowid whose AFTER triggers are swallowed": """
        CREATE TABLE t(id INTEGER PRIMARY KEY, v);
        -- capture
        CREATE TRIGGER app AFTER UPDATE ON t BEGIN SELECT RAISE(IGNORE); END;
        -- writes
        INSERT INTO t VALUES(1, 1);
        UPDATE t SET id = 5""",
    "columns that differ in a letter beyond ASCII": """
        CREATE TABLE t(id INTEGER PRIMARY KEY, "É" TEXT, "é" TEXT UNIQUE);
        -- capture
        -- writes
        INSERT INTO t VALUES(1, 'a', 'b');
        REPLACE INTO t VALUES(2, 'c', 'b')""",
    "a default that is a bare word": """
        CREATE TABLE t(
            id INTEGER PRIMARY KEY, s TEXT NOT NULL ON CONFLICT REPLACE DEFAULT active UNIQUE, active);
        -- capture
        -- writes
        INSERT INTO t(active) VALUES(1);
        REPLACE INTO t(s) VALUES(NULL);
        UPDATE t SET s = 'x'""",
    "a default that the column stores otherwise": """
        CREATE TABLE t(
            id INTEGER PRIMARY KEY, r REAL NOT NULL ON CONFLICT REPLACE DEFAULT 9007199254740993 UNIQUE,
            n INT NOT NULL ON CONFLICT REPLACE DEFAULT '07');
        CREATE UNIQUE INDEX i ON t(typeof(n), r);
        -- capture
        -- writes
        INSERT INTO t(r) VALUES(NULL);
        REPLACE INTO t(r) VALUES(NULL);
        REPLACE INTO t(r, n) VALUES(1, NULL)""",
    "an expression that compares by the column's collation": """
        CREATE TABLE t(id INTEGER PRIMARY KEY, s TEXT NOT NULL DEFAULT 'x' COLLATE NOCASE);
        CREATE UNIQUE INDEX i ON t((s = 'A'));
        -- capture
        -- writes
        INSERT INTO t(s) VALUES('a');
        REPLACE INTO t(s) VALUES('A')""",
    "a comment between the words of an index": """
        CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);
        CREATE UNIQUE INDEX i ON t(lower(a)/**/COLLATE NOCASE) WHERE b=1--open
OR b=2;
        -- capture
        -- writes
        INSERT INTO t(a, b) VALUES('x', 1);
        REPLACE INTO t(a, b) VALUES('X', 2)""",
    "rows that foreign keys' actions change": """
        CREATE TABLE p(id INTEGER PRIMARY KEY, u UNIQUE);
        CREATE TABLE t(k TEXT PRIMARY KEY, p REFERENCES p(u) ON DELETE CASCADE ON UPDATE CASCADE);
        PRAGMA foreign_keys = on;
        -- capture
        -- writes
        INSERT INTO p VALUES(1, 'a'), (2, 'b');
        INSERT INTO t VALUES('x', 'a'), ('y', 'b');
        UPDATE p SET u = 'c' WHERE id = 1;
        REPLACE INTO p VALUES(3, 'b');
        DELETE FROM p""",
}


@pytest.mark.parametrize("what", FOUND)
def test_what_was_missed_once_is_not_missed_again(what: str) -> None:
    """Each a real miss, or a write of the application's that failed because of us."""
    schema, _, rest = FOUND[what].partition("-- capture")
    after, _, statements = rest.partition("-- writes")
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(f"{schema} CREATE TEMP TABLE one(x)")
        follower = Follower(connection)
        connection.executescript(after)
        for statement in statements.split(";\n"):
            assert outcome(connection, statement).error == ""
            follower.follow()
            assert follower.differences() == []


#: What any trigger on a table changes in SQLite, whoever made it; and what no trigger can see.
LIMITS = {
    "a dangling reference that REPLACE puts in": (
        "CREATE TABLE t(id TEXT PRIMARY KEY, up TEXT REFERENCES t(id) ON DELETE SET NULL)",
        "REPLACE INTO t VALUES('a', 'nobody')",
    ),
    "an update that succeeds in one order of rows only": (
        """CREATE TABLE t(id INTEGER PRIMARY KEY, list, age, place UNIQUE); CREATE INDEX i ON t(list, age);
        INSERT INTO t VALUES(1, 1, 3, 3), (2, 1, 2, 2), (3, 1, 1, 1)""",
        "UPDATE t SET place = place - 1 WHERE list = 1",
    ),
}


ANYONE = """CREATE TRIGGER one AFTER INSERT ON t BEGIN UPDATE t SET rowid = rowid WHERE 0; END;
CREATE TRIGGER two AFTER UPDATE ON t BEGIN SELECT 1; END"""


@pytest.mark.parametrize("what", LIMITS)
def test_a_limit_is_where_it_is_said_to_be(what: str) -> None:
    """Succeeds without a trigger, and fails with ours as with anybody's; the documentation says so."""
    schema, statement = LIMITS[what]
    errors = []
    for trigger in ("", ANYONE, "capture"):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            connection.executescript(f"{schema}; PRAGMA foreign_keys = on; CREATE TEMP TABLE one(x)")
            if trigger == "capture":
                Follower(connection)
            else:
                connection.executescript(trigger)
            errors.append(outcome(connection, statement).error)
    assert errors[0] == ""
    assert errors[1] == errors[2] != ""


def test_an_insert_under_a_newer_trigger_that_swallows_it_is_missed() -> None:
    """The known hole: made after ours, it runs before ours; whatever finds such a row, it is not the log."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TEMP TABLE one(x)")
        follower = Follower(connection)
        connection.execute("CREATE TRIGGER app AFTER INSERT ON t BEGIN SELECT RAISE(IGNORE); END")
        connection.execute("INSERT INTO t(v) VALUES(1)")
        follower.follow()
        assert follower.differences() != []


def test_the_follower_and_the_comparison_see_a_missing_entry() -> None:
    """The test's own eyes: without one trigger the difference shows."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TEMP TABLE one(x)")
        follower = Follower(connection)
        level(connection)
        connection.execute("INSERT INTO t VALUES(1, 1)")
        follower.follow()
        text = capture.installed_triggers(connection)["_liteferry_1_bu"]
        connection.executescript(f"DROP TRIGGER _liteferry_1_bu; UPDATE t SET v = 2; {text}")
        follower.follow()
        assert follower.differences() == ["table 't': missing ['(1, 2)'], extra ['(1, 1)']"]


#: What the application's own schema changes can meet: the schema, the statements in one burst, the outcome.
ALTERED = "CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT, n INT); CREATE UNIQUE INDEX x ON t(u)"

UNHARMED = {
    "a unique index is dropped with its column": (
        "DROP INDEX x; ALTER TABLE t DROP COLUMN u; INSERT INTO t(n) VALUES(1)"
    ),
    "and in the old way": (
        "PRAGMA legacy_alter_table = on; DROP INDEX x; ALTER TABLE t DROP COLUMN u; INSERT INTO t(n) SELECT 1"
    ),
    "its column gets another name": "ALTER TABLE t RENAME COLUMN u TO v; REPLACE INTO t(v) VALUES('a')",
    "its table gets another name": "ALTER TABLE t RENAME TO s; REPLACE INTO s(u) VALUES('a')",
    "its table is made anew": """CREATE TABLE s(id INTEGER PRIMARY KEY, u TEXT UNIQUE);
        INSERT INTO s SELECT id, u FROM t; DROP TABLE t; ALTER TABLE s RENAME TO t;
        REPLACE INTO t(u) VALUES('a')""",
}


@pytest.mark.parametrize("what", UNHARMED)
def test_a_schema_change_does_not_fail_because_of_us(what: str) -> None:
    """In one transaction, that is before the capture could be mended; nothing is missed afterwards."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(f"{ALTERED}; CREATE TEMP TABLE one(x); INSERT INTO t(u) VALUES('a')")
        follower = Follower(connection)
        for statement in f"BEGIN; {UNHARMED[what]}; COMMIT".split(";"):
            assert outcome(connection, statement).error == ""
        follower.follow()
        assert follower.differences() == []


#: Schema changes that fail, or leave failing writes, until the capture is mended; see the documentation.
HARMED = {
    "a table renamed in the old way": (
        "PRAGMA legacy_alter_table = on; ALTER TABLE t RENAME TO s",
        "INSERT INTO s(u) VALUES('b')",
        "SQLITE_ERROR no such table: main.t",
    ),
    "a column dropped under its new name": (
        "ALTER TABLE t RENAME COLUMN u TO v; DROP INDEX x",
        "ALTER TABLE t DROP COLUMN v",
        "SQLITE_ERROR error in trigger _liteferry_1_ri after drop column: no such column: NEW.v",
    ),
}


@pytest.mark.parametrize("what", HARMED)
def test_a_schema_change_fails_until_the_capture_is_mended(what: str) -> None:
    """The known limits; once the capture is mended, the same statement passes."""
    before, statement, error = HARMED[what]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(f"{ALTERED}; CREATE TEMP TABLE one(x); INSERT INTO t(u) VALUES('a')")
        follower = Follower(connection)
        connection.executescript(before)
        assert outcome(connection, statement).error == error
        follower.follow()
        assert outcome(connection, statement).error == ""
        follower.follow()
        assert follower.differences() == []


#: What leaves rows changed, no entry in the log, and the schema's text as it was.
UNSEEN = {
    "an index that came and went": """CREATE UNIQUE INDEX y ON t(n); REPLACE INTO t(u, n) VALUES('c', 1);
        DROP INDEX y""",
    "a column that went and came back": "ALTER TABLE t DROP COLUMN n; ALTER TABLE t ADD COLUMN n INT",
}


@pytest.mark.parametrize("what", UNSEEN)
def test_a_schema_change_that_is_undone_at_once_is_missed(what: str) -> None:
    """The known hole: only schema_version tells that something was there."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(f"{ALTERED}; INSERT INTO t(u, n) VALUES('a', 1), ('b', 2)")
        follower = Follower(connection)
        version = connection.execute("PRAGMA schema_version").fetchone()
        mark = capture.schema_mark(connection)
        connection.executescript(UNSEEN[what])
        assert connection.execute("PRAGMA schema_version").fetchone() > version
        assert capture.schema_mark(connection) == mark
        follower.follow()
        assert follower.differences() != []


@pytest.mark.parametrize(
    "change",
    [
        "DROP INDEX x",
        "ALTER TABLE t RENAME TO s",
        "DROP TABLE t",
        "ALTER TABLE t RENAME TO s; CREATE TABLE t(a)",
    ],
)
def test_triggers_that_are_not_wanted_any_more_are_taken_out(change: str) -> None:
    """They name columns and tables that the application may go on to change."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(ALTERED)
        follower = Follower(connection)
        connection.executescript(change)
        follower.follow()
        wanted = {
            t.name for n, p in follower.plans.items() for t in capture.Captured(n, p.table, p.key).triggers
        }
        assert set(capture.installed_triggers(connection)) == wanted


def test_a_leftover_trigger_makes_a_table_s_capture_outdated() -> None:
    """The dropped index's re-check triggers are still there, beside all that are wanted."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(ALTERED)
        Follower(connection)
        connection.execute("DROP INDEX x")
        (table,) = tables(connection)[0]
        captured = capture.Captured(1, table, choose(table))
        assert capture.state(connection, captured) is capture.Installed.OUTDATED
