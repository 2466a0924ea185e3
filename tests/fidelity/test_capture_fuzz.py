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

from .follower import Follower, level, outcome
from .sequence import Life, draw, run, shrink

#: Sequences in an ordinary run, in blocks that share the machine's cores badly but fail one by one.
BLOCKS = 4
BLOCK_SEEDS = 110


@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_log_leads_to_what_the_source_has(block: int) -> None:
    """After each burst the keys in the log, looked up, make a copy equal to the table."""
    live_through(range(block * BLOCK_SEEDS, (block + 1) * BLOCK_SEEDS))


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_the_log_leads_to_what_the_source_has_for_ever() -> None:
    """The same until it fails or is stopped, or for the seeds in LITEFERRY_FUZZ_SEEDS."""
    first, _, last = os.environ.get("LITEFERRY_FUZZ_SEEDS", "1000-").partition("-")
    live_through(range(int(first), int(last) + 1) if last else itertools.count(int(first)))


def live_through(seeds: Iterable[int]) -> None:
    """Live the lives of some seeds; the first that fails is cut down and told."""
    for seed in seeds:
        life = draw(seed)
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
    "a foreign key that refers to no key": (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE c(v REFERENCES t(v))",
        "INSERT INTO t(v) VALUES(1)",
    ),
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
        connection.execute("DROP TRIGGER _liteferry_1_bu")
        for statement in ("INSERT INTO t VALUES(1, 1)", "UPDATE t SET v = 2"):
            connection.execute(statement)
            follower.follow()
            connection.execute("DELETE FROM _liteferry_log WHERE seq < (SELECT max(seq) FROM _liteferry_log)")
        assert follower.differences() == ["table 't': missing ['(1, 2)'], extra ['(1, 1)']"]
