"""The application changes its schema in the wrong instant: no write of it fails, and nothing is missing."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from replicator.planning.profiling import profiled as look
from replicator.planning.types import Evidence
from tests.compare import differences
from tests.fault.scene import HASTY, StartWriter, end_equal, settle, started, stop_all
from tests.fault.shop import CHANGES, SCHEMA, apply, missing_tables, pulse
from tests.fidelity.engine import streaming
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource
from tests.writer import SCHEMA as WRITER_SCHEMA
from triggers.schema import Table
from triggers.session import Session


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
        monkeypatch.setattr("replicator.drift.follower.profiled", profiled)
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
