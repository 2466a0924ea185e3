"""Putting the capture into a file and taking it out again, beside an application that writes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from config.errors import SourceBusy, SourceError
from tests.fixtures.sqlite import MakeSource
from tests.fixtures.writer import Writer
from triggers import capture, changelog, fence
from triggers.capture import Captured, Installed
from triggers.connection import connect, writing
from triggers.inspection import application_triggers
from triggers.key import choose
from triggers.schema import tables

BUDGET = 5.0
SCRIPT = """
CREATE TABLE users(id INTEGER PRIMARY KEY, mail TEXT COLLATE NOCASE UNIQUE, n INT DEFAULT 0);
CREATE TABLE words(lang TEXT, word TEXT COLLATE NOCASE, PRIMARY KEY(lang, word)) WITHOUT ROWID;
CREATE TABLE log(at, text);
CREATE TABLE tasks(id INTEGER PRIMARY KEY, owner TEXT, done BOOLEAN);
CREATE UNIQUE INDEX one_open ON tasks(owner) WHERE NOT done;
CREATE TABLE t5(k TEXT PRIMARY KEY); CREATE TABLE t6(k INT NOT NULL UNIQUE); CREATE TABLE t7(a, b, c, d, e,
    PRIMARY KEY(a, b, c, d, e)) WITHOUT ROWID; CREATE TABLE t8(id INTEGER PRIMARY KEY);
CREATE VIEW v AS SELECT * FROM users;
CREATE TRIGGER app AFTER INSERT ON users BEGIN INSERT INTO log(text) VALUES(NEW.mail); END;
PRAGMA user_version = 7;
"""
WRITES = (
    "INSERT INTO users(mail) VALUES('a@x'), ('b@x')",
    "REPLACE INTO users(id, mail) VALUES(9, 'A@x')",
    "INSERT INTO words VALUES('de', 'Haus')",
    "UPDATE words SET word = 'haus'",
    "INSERT INTO tasks(owner, done) VALUES('a', 0)",
    "INSERT INTO t7 VALUES(1, 2, 3, 4, 5)",
    "INSERT INTO t6 VALUES(1)",
    "DELETE FROM t7",
)


@contextmanager
def writable(path: Path) -> Iterator[sqlite3.Connection]:
    """Open as the daemon's writer does."""
    with closing(connect(path, writable=True)) as connection:
        yield connection


def install(path: Path) -> list[Captured]:
    """Install the capture of every table."""
    with closing(connect(path)) as connection:
        found, _ = tables(connection)
    with writable(path) as connection:
        return capture.install(connection, [(t, choose(t)) for t in found], BUDGET)


def schema(path: Path) -> list[tuple[Any, ...]]:
    """Return all that the file says of its structure."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid"
        ).fetchall()
        return [*rows, connection.execute("PRAGMA user_version").fetchone()]


def write(path: Path) -> None:
    """Write to every kind of table, as the application; raises what it would see."""
    with closing(sqlite3.connect(path, timeout=BUDGET)) as connection, connection:
        for statement in WRITES:
            connection.execute(statement)
        connection.rollback()


def states(path: Path, captured: list[Captured]) -> set[Installed]:
    """Return how the tables' triggers stand."""
    with closing(connect(path)) as connection:
        return {capture.state(connection, one) for one in captured}


@pytest.mark.parametrize("journal", ["wal", "delete", "truncate"])
def test_uninstalling_leaves_the_schema_as_it_was(make_source: MakeSource, journal: str) -> None:
    """Byte for byte and in the same order; with rows written meanwhile."""
    path = make_source(script=SCRIPT, journal=journal)
    before = schema(path)
    install(path)
    write(path)
    with writable(path) as connection:
        assert capture.uninstall(connection, BUDGET)
        assert not capture.uninstall(connection, BUDGET)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert schema(path) == before


def test_installing_again_changes_nothing(make_source: MakeSource) -> None:
    """A restart finds its own work: the same id, the same numbers, not a byte of the schema touched."""
    path = make_source(script=SCRIPT)
    first = install(path)
    with closing(connect(path)) as connection:
        identity = capture.source_id(connection)
        version = connection.execute("PRAGMA schema_version").fetchone()
    before = schema(path)
    assert [(c.id, c.table.name) for c in install(path)] == [(c.id, c.table.name) for c in first]
    assert schema(path) == before
    with closing(connect(path)) as connection:
        assert capture.source_id(connection) == identity
        assert connection.execute("PRAGMA schema_version").fetchone() == version


def test_nothing_of_sqlite_s_own_is_left_behind(make_source: MakeSource) -> None:
    """AUTOINCREMENT in the log would have made sqlite_sequence, for good."""
    path = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY)")
    install(path)
    with closing(sqlite3.connect(path)) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name GLOB 'sqlite_seq*'").fetchall()


class Dying(sqlite3.Connection):
    """A connection whose process dies behind a commit."""

    commits_left = 10**9

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Die once the commits are used up."""
        if self.commits_left == 0:
            raise Died
        done = super().execute(sql, parameters)
        self.commits_left -= sql == "COMMIT"
        return done


class Died(BaseException):
    """The process is gone."""


def die_after(path: Path, commits: int, work: Callable[[sqlite3.Connection], object]) -> bool:
    """Do some work on a file, dying behind that many commits; tell whether it died."""
    with closing(sqlite3.connect(path, factory=Dying, isolation_level=None)) as connection:
        connection.commits_left = commits
        try:
            work(connection)
        except Died:
            return True
        return connection.commits_left == 0


@pytest.mark.parametrize("commits", [1, 2])
def test_a_crash_while_installing_does_no_harm_and_is_mended(make_source: MakeSource, commits: int) -> None:
    """Between any two transactions: the application goes on writing, and the next start completes it."""
    path = make_source(script=SCRIPT)
    before = schema(path)
    with closing(connect(path)) as connection:
        found, _ = tables(connection)
    wanted = [(t, choose(t)) for t in found]
    assert die_after(path, commits, lambda c: capture.install(c, wanted, BUDGET))
    write(path)
    captured = [Captured(n, t, k) for n, (t, k) in enumerate(wanted, 1)]
    assert Installed.ABSENT in states(path, captured)

    assert states(path, install(path)) == {Installed.INSTALLED}
    write(path)
    with writable(path) as connection:
        capture.uninstall(connection, BUDGET)
    assert schema(path) == before


@pytest.mark.parametrize("commits", [1, 2, 3, 4])
def test_a_crash_while_uninstalling_does_no_harm_and_is_mended(make_source: MakeSource, commits: int) -> None:
    """Triggers go before the log they write to, so that no write ever fails for want of it."""
    path = make_source(script=SCRIPT)
    before = schema(path)
    install(path)
    die_after(path, commits, lambda c: capture.uninstall(c, BUDGET))
    write(path)
    with writable(path) as connection:
        capture.uninstall(connection, BUDGET)
    assert schema(path) == before


REPLACED = "CREATE TRIGGER _liteferry_1_bd BEFORE DELETE ON users BEGIN SELECT 1; END"
REBUILT = (
    "DROP VIEW v; CREATE TABLE new(id INTEGER PRIMARY KEY, mail TEXT COLLATE NOCASE UNIQUE, n INT DEFAULT 0);"
    "DROP TABLE users; ALTER TABLE new RENAME TO users"
)


@pytest.mark.parametrize(
    ("damage", "state"),
    [
        ("DROP TRIGGER _liteferry_1_bd", Installed.MISSING),
        (f"DROP TRIGGER _liteferry_1_bd; {REPLACED}", Installed.FOREIGN),
        (REBUILT, Installed.ABSENT),
    ],
    ids=["dropped", "replaced", "rebuilt"],
)
def test_damage_to_the_triggers_is_seen_and_mended(
    make_source: MakeSource, damage: str, state: Installed
) -> None:
    """Dropped, replaced, or lost in a rebuild of the table as migrations do it."""
    path = make_source(script=SCRIPT)
    with writable(path) as connection:
        found, _ = tables(connection)
        wanted = [(t, choose(t)) for t in sorted(found, key=lambda t: t.name != "users")]
        (users, *others) = capture.install(connection, wanted, BUDGET)
    assert users.table.name == "users"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(damage)

    assert states(path, [users]) == {state}
    assert states(path, others) == {Installed.INSTALLED}
    with writable(path) as connection:
        capture.install(connection, wanted, BUDGET)
    assert states(path, [users, *others]) == {Installed.INSTALLED}


def test_a_wider_key_widens_the_log(make_source: MakeSource) -> None:
    """A table with a key of six columns appears after the log was made for four."""
    path = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY)")
    install(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE w(a, b, c, d, e, f, PRIMARY KEY(a, b, c, d, e, f))")
    install(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO w VALUES(1, 'x', 2.5, x'00', NULL, '01')")
        logged = connection.execute("SELECT k1, k2, k3, k4, k5, k6 FROM _liteferry_log").fetchall()
    assert set(map(repr, logged)) == {"(1, 'x', 2.5, b'\\x00', None, '01')"}


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_an_application_that_writes_all_the_time_notices_nothing(
    make_source: MakeSource, writer: Callable[..., Writer], journal: str
) -> None:
    """Installing, pruning and uninstalling beside it: not one error, no stall beyond its busy_timeout."""
    path = make_source(script="CREATE TABLE spare(id INTEGER PRIMARY KEY)", journal=journal)
    # The writer makes its tables in WAL when it finds an empty file; it finds one table here.
    running = await asyncio.to_thread(writer, path)
    deadline = asyncio.get_running_loop().time() + 60

    async def patiently(work: Callable[[], object]) -> None:
        while True:
            try:
                await asyncio.to_thread(work)
            except SourceBusy:
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.05)
            else:
                return

    await patiently(lambda: install(path))
    with closing(connect(path)) as connection:
        begun = changelog.head(connection)
        while changelog.head(connection) < begun + 200:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
        newest = changelog.head(connection)
    await patiently(lambda: prune(path, newest))
    await patiently(lambda: uninstall(path))
    summary = await asyncio.to_thread(running.stop)
    assert summary.errors == []
    assert summary.max_stall_ms < 5000
    assert not [row for row in schema(path) if "_liteferry" in str(row)]


def prune(path: Path, position: int) -> None:
    """Delete what is before a position."""
    with writable(path) as connection:
        changelog.prune(connection, position, 1000, 0.5)


def uninstall(path: Path) -> None:
    """Take the capture out."""
    with writable(path) as connection:
        capture.uninstall(connection, 0.5)


def test_an_application_is_told_the_same_with_the_capture(make_source: MakeSource) -> None:
    """Row counts, changes(), the last rowid, RETURNING and errors, statement by statement."""
    statements = [
        "INSERT INTO users(mail) VALUES('a'), ('b'), ('c')",
        "INSERT OR IGNORE INTO users(mail) VALUES('A'), ('d')",
        "REPLACE INTO users(id, mail) VALUES(50, 'a')",
        "INSERT INTO users(mail) VALUES('b') ON CONFLICT(mail) DO UPDATE SET n = n + 1 RETURNING id, n",
        "UPDATE users SET n = 5 WHERE id > 1",
        "UPDATE OR REPLACE users SET mail = 'd' WHERE mail = 'c' RETURNING *",
        "INSERT INTO users(mail) VALUES('d')",
        "UPDATE users SET id = id + 1000",
        "INSERT INTO words VALUES('de', 'x'), ('de', 'X')",
        "INSERT INTO words VALUES('de', 'y')",
        "DELETE FROM users WHERE id > 1002",
        "DELETE FROM log",
        "DELETE FROM words RETURNING word",
    ]
    told = []
    for name in ("plain.db", "captured.db"):
        path = make_source(name, SCRIPT)
        if name == "captured.db":
            install(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            told.append([tell(connection, statement) for statement in statements])
    assert told[0] == told[1]


def tell(connection: sqlite3.Connection, statement: str) -> tuple[Any, ...]:
    """Run a statement and return what an application can see of it."""
    try:
        cursor = connection.execute(statement)
        seen: tuple[Any, ...] = (cursor.fetchall(), cursor.rowcount, cursor.lastrowid)
    except sqlite3.Error as error:
        seen = (str(error),)
    return (*seen, connection.execute("SELECT changes(), last_insert_rowid()").fetchone())


def test_the_fence_refuses_every_write_and_can_be_lifted(make_source: MakeSource) -> None:
    """On all tables, to connections that were open before; reading goes on; lifted, all is as it was.

    The application's triggers are away meanwhile: they would fire for the rows that come back.
    """
    path = make_source(script=SCRIPT)
    captured = install(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as application:
        application.execute("INSERT INTO users(id, mail) VALUES(1, 'a')")
        before = schema(path)
        with writable(path) as connection, writing(connection, BUDGET):
            fence.raise_fence(connection, [(c.id, c.table.name) for c in captured], "cutover-1")
        for statement in (
            *WRITES,
            "UPDATE users SET n = 1",
            "DELETE FROM users",
            "DELETE FROM users WHERE 1",
        ):
            if statement not in ("UPDATE words SET word = 'haus'", "DELETE FROM t7"):
                with pytest.raises(sqlite3.IntegrityError, match="moved to PostgreSQL"):
                    application.execute(statement)
        assert application.execute("SELECT count(*) FROM users").fetchone() == (1,)
        with writable(path) as connection:
            assert fence.fenced_by(connection) == "cutover-1"
            names = [row[1] for row in schema(path) if row[0] == "trigger"]
            assert all(name.startswith("_liteferry_") for name in names)
            assert application_triggers(connection), "put aside, and known"
            with pytest.raises(SourceError, match="fenced"):
                capture.uninstall(connection, BUDGET)
            with writing(connection, BUDGET):
                fence.lift_fence(connection)
            assert not fence.is_fenced(connection)
        application.execute("INSERT INTO users(mail) VALUES('b')")
    # made again, they stand at the end
    assert sorted(schema(path), key=repr) == sorted(before, key=repr)


def test_a_fence_that_is_not_committed_is_none(make_source: MakeSource) -> None:
    """A crash while it goes up leaves the source open."""
    path = make_source(script=SCRIPT)
    captured = install(path)
    with writable(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        fence.raise_fence(connection, [(c.id, c.table.name) for c in captured], "cutover-1")
    write(path)
    with writable(path) as connection:
        assert not fence.is_fenced(connection)


def test_a_fence_is_put_up_under_the_lock_only(make_source: MakeSource) -> None:
    """Outside of a transaction each of its triggers would stay, whatever becomes of the cutover."""
    path = make_source(script=SCRIPT)
    captured = install(path)
    with writable(path) as connection:
        with pytest.raises(RuntimeError, match="inside a write transaction"):
            fence.raise_fence(connection, [(c.id, c.table.name) for c in captured], "cutover-1")
        assert not fence.is_fenced(connection)
