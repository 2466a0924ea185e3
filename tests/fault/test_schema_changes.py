"""The application changes its schema while it is streamed: followed, mended, equal, whatever dies."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from replicator.preflight import profiled as look
from replicator.types import Evidence
from tests.compare import differences
from tests.fault.scene import (
    HASTY,
    StartWriter,
    end_equal,
    one_value,
    poll,
    run_once,
    settle,
    source_of,
    started,
    stop_all,
)
from tests.fidelity.engine import streaming
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource
from tests.writer import SCHEMA as WRITER_SCHEMA
from triggers.schema import Table
from triggers.session import Session

SCHEMA = """
CREATE TABLE pulse(n INTEGER PRIMARY KEY);
CREATE TABLE shop(id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT);
CREATE TABLE item(id INTEGER PRIMARY KEY, code TEXT, name TEXT NOT NULL, price REAL,
    shop INT REFERENCES shop(id));
CREATE UNIQUE INDEX item_code ON item(code);
CREATE INDEX item_name ON item(name);
CREATE TABLE entry(k TEXT NOT NULL, n INT NOT NULL, v, UNIQUE(k, n));
CREATE TABLE loose(a TEXT, b INT);
INSERT INTO shop SELECT value, 'shop ' || value, 'city' FROM (
    WITH RECURSIVE i(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM i WHERE value < 50) SELECT * FROM i);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 3000)
    INSERT INTO item SELECT n, 'code ' || n, 'name ' || n, n / 4.0, 1 + n % 50 FROM i;
INSERT INTO entry SELECT 'k' || id, id, name FROM item;
INSERT INTO loose SELECT name, id FROM item;
"""

REBUILD = """
CREATE TABLE new_item(id INTEGER PRIMARY KEY, {columns});
INSERT INTO new_item SELECT id, {values} FROM item;
DROP TABLE item;
ALTER TABLE new_item RENAME TO item;
"""

#: What applications and their migration tools do; each is one transaction unless it says BEGIN and COMMIT.
CHANGES = {
    "a column is added": "ALTER TABLE item ADD COLUMN extra TEXT DEFAULT 'none'",
    "a NOT NULL column is added and filled": """
        ALTER TABLE item ADD COLUMN stock INT NOT NULL DEFAULT 0; UPDATE item SET stock = id""",
    "a column is dropped": "ALTER TABLE item DROP COLUMN price",
    "an index and its column are dropped at once": "DROP INDEX item_code; ALTER TABLE item DROP COLUMN code",
    "a column is renamed": "ALTER TABLE item RENAME COLUMN name TO title",
    "a unique column is renamed": "ALTER TABLE item RENAME COLUMN code TO sku",
    "a table is renamed": "ALTER TABLE item RENAME TO product",
    "table and column are renamed, another added": """
        ALTER TABLE item RENAME TO product; ALTER TABLE product RENAME COLUMN price TO cost;
        ALTER TABLE product ADD COLUMN extra INT""",
    "two tables swap their names": """
        ALTER TABLE item RENAME TO swap; ALTER TABLE loose RENAME TO item;
        ALTER TABLE swap RENAME TO loose""",
    "a table takes the name that another gives up": """
        ALTER TABLE loose RENAME TO spare; ALTER TABLE entry RENAME TO loose""",
    "a table is created and filled": """
        CREATE TABLE fresh(id INTEGER PRIMARY KEY, name TEXT UNIQUE, at TEXT);
        INSERT INTO fresh SELECT id, name, 'now' FROM item""",
    "a table is dropped": "DROP TABLE entry",
    "a table is dropped and created otherwise": """
        DROP TABLE entry; CREATE TABLE entry(id TEXT PRIMARY KEY, v REAL);
        INSERT INTO entry VALUES('a', 1.5)""",
    "a unique index is created, and used to replace": """
        CREATE UNIQUE INDEX item_title ON item(name);
        REPLACE INTO item VALUES(90001, 'new', 'name 5', 1, 1)""",
    "an index is created": "CREATE INDEX item_price ON item(price DESC, name)",
    "an index is dropped": "DROP INDEX item_name; DROP INDEX item_code",
    "a table is rebuilt": REBUILD.format(
        columns="code TEXT, name TEXT NOT NULL, price REAL, shop INT, note TEXT",
        values="code, name, price, shop, 'rebuilt'",
    ),
    "a table is rebuilt with another type": REBUILD.format(
        columns="code TEXT, name TEXT, price TEXT, shop INT", values="code, name, 'p' || price, shop"
    ),
    "a table is rebuilt in several transactions": (
        "BEGIN; CREATE TABLE new_item(id INTEGER PRIMARY KEY, name TEXT); "
        "INSERT INTO new_item SELECT id, name FROM item; COMMIT; "
        "BEGIN; INSERT INTO pulse VALUES(77); COMMIT; "
        "BEGIN; DROP TABLE item; ALTER TABLE new_item RENAME TO item; COMMIT"
    ),
    "a table gets another key": """
        CREATE TABLE other(code TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID;
        INSERT INTO other SELECT code, name FROM item; DROP TABLE item; ALTER TABLE other RENAME TO item""",
    "some triggers of a table are dropped": "DROP TRIGGER _liteferry_{item}_ai; "
    "DROP TRIGGER _liteferry_{item}_bd; INSERT INTO item VALUES(90002, 'c', 'missed', 1, 1); "
    "DELETE FROM item WHERE id < 20",
    "a column is dropped and added again": """
        ALTER TABLE item DROP COLUMN price; ALTER TABLE item ADD COLUMN price REAL""",
    "an index comes, replaces, and goes": """
        CREATE UNIQUE INDEX passing ON item(name); REPLACE INTO item VALUES(90003, 'p', 'name 7', 1, 1);
        DROP INDEX passing""",
    "rowids are numbered anew": "DELETE FROM loose WHERE b % 3 = 0; COMMIT; VACUUM; BEGIN",
}


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    """Give a source with tables of several kinds."""
    return make_source(script=SCHEMA)


def apply(path: Path, statements: str) -> None:
    """Do what the application does, all or nothing, by a connection of its own."""
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as application:
        found = application.execute("SELECT id FROM _liteferry_tables WHERE name = 'item'").fetchone()
        text = statements.replace("{item}", str(found[0]))
        alone = "BEGIN" in text.partition(";")[0]
        application.executescript(text if alone else f"BEGIN; {text}; COMMIT")


def pulse(path: Path, number: int) -> None:
    """Write to a table that every change leaves alone."""
    with closing(sqlite3.connect(path, timeout=10)) as application:
        application.execute("INSERT INTO pulse VALUES(?)", (number,))
        application.commit()


def write(path: Path) -> None:
    """Write to every table there is, as the application goes on doing."""
    with closing(sqlite3.connect(path, timeout=10)) as application:
        names = application.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_litef%' ESCAPE '\\'"
        ).fetchall()
        for (name,) in names:
            application.execute(f"DELETE FROM {name} WHERE rowid = 1" if name not in KEYED else "SELECT 1")
            if name in ("item", "product", "loose") and name not in KEYED:
                application.execute(
                    f"UPDATE {name} SET rowid = rowid + 100000 WHERE rowid BETWEEN 100 AND 120"
                )
        application.commit()


#: Tables without rowids after "a table gets another key".
KEYED: set[str] = set()


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_of_the_schema_is_followed(
    change: str, source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """With writes before, within and behind it; all others stream on, no restart, and equal at the end."""
    running = await started(daemon, source, target_url)
    pulse(source, 1)
    apply(source, CHANGES[change])
    if change != "a table gets another key":
        write(source)
    pulse(source, 2)
    await asyncio.to_thread(settle, running, source)
    # what left no trace but in the rows is found by comparing, for which a cutover would wait
    await asyncio.to_thread(running.wait_ready)
    pulse(source, 3)
    await end_equal(running, source, target_url)
    assert running.returncode is None
    assert await missing_tables(source, target_url) == []
    assert await indexes(target_url) == explicit_indexes(source)


def explicit_indexes(path: Path) -> set[str]:
    """Return the names of the indexes that the application has created."""
    with closing(sqlite3.connect(path)) as source:
        query = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        return {name for (name,) in source.execute(query)}


async def indexes(url: str) -> set[str]:
    """Return the names of the target's indexes that belong to no constraint."""
    query = """
        SELECT string_agg(c.relname, ',') FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE c.relnamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)"""
    return set(filter(None, str(await one_value(url, query) or "").split(",")))


async def missing_tables(path: Path, url: str) -> list[str]:
    """Return the names of tables that are on one side only."""
    with closing(sqlite3.connect(path)) as source:
        query = (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_litef%' ESCAPE '\\'"
        )
        here = {row[0] for row in source.execute(query) if not row[0].startswith("sqlite_")}
    query = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'"
    there = set(str(await one_value(url, query)).split(","))
    return sorted(here ^ there)


#: Where the daemon dies; it passes the first three once before anything has changed.
WHILE_FOLLOWING = (
    "follow.before_refit@2",
    "follow.after_refit@2",
    "follow.after_target@2",
    "repair.after_chunk",
    "repair.before_commit",
)
POINTS = (*WHILE_FOLLOWING, "recapture.after_mark")


@pytest.mark.parametrize("point", WHILE_FOLLOWING)
@pytest.mark.parametrize("change", ["a table is rebuilt", "some triggers of a table are dropped"])
async def test_a_kill_while_following_loses_nothing(
    point: str, change: str, source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """Killed there and started again."""
    env = {**HASTY, "LITEFERRY_FAILPOINTS": f"{point}=kill"}
    first = await started(daemon, source, target_url, env=env)
    apply(source, CHANGES[change])
    write(source)
    assert await asyncio.to_thread(first.wait_end) == -9
    write(source)
    second = daemon(source, target_url, env=HASTY)
    pulse(source, 2)
    await end_equal(second, source, target_url)


async def test_a_kill_before_the_comparison_is_made_up_for(
    source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """Of a change that left no trace but in the rows: the cutover waits until they have been compared."""
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "follow.after_target@2=kill"}
    first = await started(daemon, source, target_url, env=env)
    apply(source, CHANGES["an index comes, replaces, and goes"])
    assert await asyncio.to_thread(first.wait_end) == -9
    # by then it knows the schema's new number
    second = daemon(source, target_url, env={**HASTY, "LITEFERRY_COMPARE_INTERVAL": "0"})
    await asyncio.to_thread(second.wait_ready)
    assert await differences(source, target_url) == []


async def test_changes_while_the_daemon_is_away_are_followed_at_its_start(
    source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """All kinds in a row."""
    await run_once(daemon, source, target_url)
    for change in (
        "a column is added",
        "a table is created and filled",
        "a table is dropped",
        "an index is created",
        "a table is renamed",
    ):
        apply(source, CHANGES[change])
    pulse(source, 2)
    await end_equal(daemon(source, target_url, env=HASTY), source, target_url)
    assert await missing_tables(source, target_url) == []
    assert await indexes(target_url) >= explicit_indexes(source)


async def test_changes_while_tables_are_copied_are_followed(
    source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """In the middle of the snapshot."""
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "snapshot.before_commit@4=0.6"}
    running = daemon(source, target_url, env=env, args=("--batch-size", "100", "--parallel", "1"))
    await asyncio.to_thread(running.wait_for, "snapshot")
    for change in ("a unique column is renamed", "a table is created and filled", "a column is dropped"):
        apply(source, CHANGES[change])
    pulse(source, 2)
    await end_equal(running, source, target_url)


async def test_a_halting_daemon_names_the_table(source: Path, daemon: StartDaemon, target_url: str) -> None:
    """With the policy halt nothing is changed on the target."""
    running = await started(daemon, source, target_url, env={**HASTY, "LITEFERRY_ON_SCHEMA_CHANGE": "halt"})
    apply(source, CHANGES["a column is dropped"])
    pulse(source, 2)
    assert await asyncio.to_thread(running.wait_end) != 0
    assert "'item' has another structure" in running.log
    assert await one_value(target_url, "SELECT count(price) FROM item") == 3000


async def test_a_file_restored_from_a_backup_is_read_again(
    source: Path, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """By the backup interface, into the live file: the log goes back, and so do the rows."""
    running = await started(daemon, source, target_url)
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(tmp_path / "old.db")) as copy:
        live.backup(copy)
    for number in range(10, 60):
        pulse(source, number)
    write(source)
    await end_equal(running, source, target_url)
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(tmp_path / "old.db")) as copy:
        copy.backup(live)
    await poll(repaired(running, 5))
    pulse(source, 5)
    await end_equal(running, source, target_url)


@pytest.mark.parametrize("how", ["emptied", "dropped with its triggers"])
async def test_a_lost_log_is_begun_anew(how: str, source: Path, daemon: StartDaemon, target_url: str) -> None:
    """By somebody who tidies up; killed in the middle of it too."""
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "recapture.after_mark=kill"}
    first = await started(daemon, source, target_url, env=env)
    pulse(source, 1)
    await end_equal(first, source, target_url)
    with closing(sqlite3.connect(source, timeout=10, isolation_level=None)) as application:
        application.execute("BEGIN")
        if how == "emptied":
            application.execute("DELETE FROM _liteferry_log")
        else:
            triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name GLOB '_liteferry_*'"
            for (name,) in application.execute(triggers).fetchall():
                application.execute(f'DROP TRIGGER "{name}"')
            application.execute("DROP TABLE _liteferry_log")
        application.execute("DELETE FROM item WHERE id % 7 = 0")
        application.execute("COMMIT")
    assert await asyncio.to_thread(first.wait_end) == -9
    second = daemon(source, target_url, env=HASTY)
    await asyncio.to_thread(second.wait_for, "streaming")
    pulse(source, 2)
    await end_equal(second, source, target_url)


async def test_a_capture_lost_before_a_change_of_the_schema_breaks_no_write(
    source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """Somebody has tidied up and renamed a key: no trigger that names the old one is put in."""
    # the process stands still there for a while, with the log in again
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "recapture.after_install=1"}
    running = await started(daemon, source, target_url, env=env)
    with closing(sqlite3.connect(source, timeout=10, isolation_level=None)) as application:
        application.execute("BEGIN")
        ours = "SELECT type, name FROM sqlite_master WHERE name GLOB '_liteferry_*' ORDER BY type DESC"
        for kind, name in application.execute(ours).fetchall():
            application.execute(f'DROP {kind} IF EXISTS "{name}"')
        application.execute("ALTER TABLE item RENAME COLUMN id TO nr")
        application.execute("COMMIT")
        await poll(log_is_back(source))
        application.execute("INSERT INTO item VALUES(90005, 'late', 'late', 1, 1)")
    await end_equal(running, source, target_url)


def log_is_back(path: Path) -> Callable[[], Awaitable[bool | None]]:
    """Return a look whether our log is in the file."""

    async def look() -> bool | None:
        with closing(sqlite3.connect(path, timeout=10)) as database:
            found = "SELECT count(*) FROM sqlite_master WHERE name IN ('_liteferry_log', '_liteferry_gaps')"
            return database.execute(found).fetchone() == (2,) or None

    return look


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "silent"])
async def test_edited_triggers_are_put_right(
    counted: bool, source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """By writable_schema, with and without SQLite's count moved; what they let slip is read again."""
    running = await started(daemon, source, target_url)
    edit = """
        PRAGMA writable_schema = ON;
        UPDATE sqlite_master SET sql = replace(sql, 'BEGIN', 'WHEN 0 BEGIN')
            WHERE name = '_liteferry_{item}_ai';
        {count}; PRAGMA writable_schema = RESET; INSERT INTO item VALUES(90004, 'slip', 'slipped', 1, 1)"""
    apply(source, edit.replace("{count}", "PRAGMA schema_version = 7777" if counted else "SELECT 1"))

    await poll(logged(running, "its triggers were edited"))
    await poll(repaired(running, 1))
    await end_equal(running, source, target_url)
    with closing(sqlite3.connect(source)) as application:
        edited = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%WHEN 0%'"
        assert application.execute(edited).fetchone() == (0,)


async def test_a_new_table_that_cannot_be_carried_stands_against_the_cutover_only(
    source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """The others stream on; without it, or with another structure, the objection goes."""
    running = await started(daemon, source, target_url)
    apply(source, "CREATE TABLE note(id INTEGER PRIMARY KEY, xmin INT); INSERT INTO note VALUES(1, 2)")
    pulse(source, 2)
    await asyncio.to_thread(running.wait_until, told_of("it is not replicated"), 30, "the objection")
    apply(source, "ALTER TABLE note RENAME COLUMN xmin TO least")
    await asyncio.to_thread(running.wait_ready)
    pulse(source, 3)
    await end_equal(running, source, target_url)
    assert await missing_tables(source, target_url) == []


async def test_a_foreign_key_to_no_key_takes_the_triggers_away_until_it_has_one(
    source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """With foreign_keys on SQLite would refuse INSERTs into a parent with triggers; the cutover waits."""
    running = await started(daemon, source, target_url)
    with closing(sqlite3.connect(source, timeout=10, isolation_level=None)) as application:
        application.execute("PRAGMA foreign_keys = on")
        application.execute("CREATE TABLE label(text TEXT REFERENCES item(name))")
        await poll(logged(running, '"not captured"'))
        await asyncio.to_thread(running.wait_until, told_of("is not captured"), 30, "the objection")
        # a connection that does nothing but this INSERT would go on by the schema as it knows it
        application.execute("SELECT count(*) FROM shop").fetchone()
        application.execute("INSERT INTO item VALUES(90005, 'unseen', 'unseen', 1, 1)")
        application.execute("CREATE UNIQUE INDEX item_unique_name ON item(name)")
        application.execute("INSERT INTO label VALUES('unseen')")
    await asyncio.to_thread(running.wait_ready)
    pulse(source, 5)
    await end_equal(running, source, target_url)


def told_of(reason: str) -> Callable[[dict[str, Any]], bool]:
    """Return the condition that a reason against a cutover is told."""
    return lambda status: any(reason in one for one in status["reasons"])


def logged(running: RunningDaemon, text: str) -> Callable[[], Awaitable[bool | None]]:
    """Return a look whether the daemon has logged a text."""

    async def look() -> bool | None:
        return text in running.log or None

    return look


async def test_an_application_that_writes_all_the_time_is_followed(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """No write of it fails, and the rows that came in between are there."""
    path = make_source(script=WRITER_SCHEMA + SCHEMA)
    writing = writer(path, rate=200)
    running = await started(daemon, path, target_url)
    changes = ("an index and its column are dropped at once", "a table is created and filled")
    for number, change in enumerate(changes, 10):
        apply(path, CHANGES[change])
        pulse(path, number)
        await asyncio.to_thread(settle, running, path)
    assert stop_all([writing]) == []
    await end_equal(running, path, target_url)


async def test_tables_that_come_and_go_are_no_trouble(
    source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """Gone, or called otherwise, before anybody has had a look at them."""
    running = await started(daemon, source, target_url)
    await asyncio.to_thread(come_and_go, source)
    await end_equal(running, source, target_url)
    assert await missing_tables(source, target_url) == []


def come_and_go(path: Path) -> None:
    """Make and drop scratch tables, each statement a transaction of its own, as some migration tools do."""
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as application:
        for number in range(60):
            application.execute(f"CREATE TABLE scratch{number} AS SELECT * FROM item")
            if number % 3 == 0:
                application.execute(f"ALTER TABLE scratch{number} RENAME TO scratch")
            application.execute(f"DROP TABLE scratch{number if number % 3 else ''}")
            time.sleep(0.02 * (number % 5))


def repaired(running: RunningDaemon, tables: int) -> Callable[[], Awaitable[bool | None]]:
    """Return a look whether so many tables have been repaired."""

    async def look() -> bool | None:
        status = source_of(await asyncio.to_thread(running.status))
        return True if status["repairs"] >= tables and status["state"] == "streaming" else None

    return look


async def test_nothing_else_is_read_again(source: Path, daemon: StartDaemon, target_url: str) -> None:
    """A new column in one table leaves the rows of the others untouched."""
    running = await started(daemon, source, target_url)
    before = await one_value(target_url, "SELECT md5(string_agg(xmin::text, ',' ORDER BY ctid)) FROM entry")
    apply(source, CHANGES["a column is added"])
    pulse(source, 2)
    await end_equal(running, source, target_url)
    after = await one_value(target_url, "SELECT md5(string_agg(xmin::text, ',' ORDER BY ctid)) FROM entry")
    assert before == after
    assert await differences(source, target_url) == []


async def test_a_table_that_goes_just_as_it_is_seen_stops_nothing(
    make_source: MakeSource, target_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration in several transactions drops the table that it has filled before we have counted it."""
    path = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY)")

    async def profiled(session: Session, table: Table, seconds: float) -> list[Evidence]:
        with closing(sqlite3.connect(path, timeout=10)) as application:
            application.executescript("DROP TABLE IF EXISTS passing")
        return await look(session, table, seconds)

    async with streaming(path, target_url) as running:
        await running.settled(path)
        monkeypatch.setattr("replicator.follower.profiled", profiled)
        with closing(sqlite3.connect(path, timeout=10)) as application:
            application.executescript("CREATE TABLE passing(v INT); INSERT INTO t VALUES(1)")
        await running.settled(path)
        assert await differences(path, target_url) == []


async def test_a_change_while_everything_is_looked_at_for_the_first_time_breaks_no_write(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """The triggers that go in are those for the tables as they are by then."""
    rows = "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 300000) "
    path = make_source(
        script="CREATE TABLE a(id INTEGER PRIMARY KEY, code TEXT UNIQUE); "
        f"{rows} INSERT INTO a SELECT n, 'c' || n FROM i; "
        "CREATE TABLE t(id INTEGER PRIMARY KEY, code TEXT UNIQUE); INSERT INTO t(code) VALUES ('first')"
    )
    running = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(running.wait_log, '"preflight"')
    errors = await asyncio.to_thread(rename_and_write, path)
    assert errors == []
    await end_equal(running, path, target_url)


def rename_and_write(path: Path) -> list[str]:
    """Rename a key, then write for some seconds; return the errors."""
    errors = []
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as application:
        time.sleep(0.15)
        application.execute("ALTER TABLE t RENAME COLUMN id TO nr")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            try:
                application.execute("INSERT INTO t(code) VALUES(hex(randomblob(8)))")
            except sqlite3.Error as error:
                errors.append(str(error))
            time.sleep(0.002)
    return errors
