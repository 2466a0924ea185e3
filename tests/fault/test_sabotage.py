"""Somebody tampers with the source, or with the target's bookkeeping: refused, or healed."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from tests.fault.scene import (
    HASTY,
    StartWriter,
    end_equal,
    fetch,
    make_archive,
    run_once,
    source_of,
    started,
    stop_all,
    versions,
)
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

#: The exit status of trouble with the source.
SOURCE = 3


def run(*statements: str) -> Callable[[Path], None]:
    """Return what runs statements on a source."""

    def apply(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as database:
            for statement in statements:
                database.execute(statement)

    return apply


def write_on(path: Path) -> None:
    """Let the application write far beyond the position that the target has got."""
    with closing(sqlite3.connect(path, timeout=10)) as database:
        for number in range(4_000):
            database.execute("INSERT INTO documents(key) VALUES (?)", (f"later {number}",))
        database.commit()


def restore(path: Path, end: str = ".backup") -> None:
    """Put a backup in the place of the database, as `cp` does when nobody has it open."""
    for companion in ("-wal", "-shm"):
        Path(f"{path}{companion}").unlink(missing_ok=True)
    shutil.copyfile(f"{path}{end}", path)


def back_up(path: Path, end: str) -> None:
    """Take a backup as SQLite's own tools do."""
    with closing(sqlite3.connect(path)) as database, closing(sqlite3.connect(f"{path}{end}")) as copy:
        database.backup(copy)


def both(*parts: Callable[[Path], None]) -> Callable[[Path], None]:
    """Return what does one after the other."""

    def apply(path: Path) -> None:
        for part in parts:
            part(path)

    return apply


DROP_ALL = "SELECT 'DROP TRIGGER \"' || name || '\"' FROM sqlite_schema WHERE name GLOB '_liteferry_*_*'"


def drop_triggers(path: Path) -> None:
    """Drop every trigger of ours."""
    run(*(statement for (statement,) in fetch(path, f"{DROP_ALL} AND type = 'trigger'")))(path)


def drop_one(path: Path) -> None:
    """Drop one trigger of ours, as a rebuild of its table does."""
    [statement] = fetch(path, f"{DROP_ALL} AND type = 'trigger' AND name GLOB '*_bd' LIMIT 1")[0]
    run(statement)(path)


DELETE_ONE = "DELETE FROM _liteferry_log WHERE seq = (SELECT max(seq) - 99 FROM _liteferry_log)"

#: With this policy whatever may have been missed is refused. What has arrived is not pruned meanwhile: the
#: file is to be compared with what it was.
HALT = {**HASTY, "LITEFERRY_PRUNE_INTERVAL": "600", "LITEFERRY_ON_SCHEMA_CHANGE": "halt"}

#: An entry of the log that is a heartbeat of the daemon's own.
HEARTBEAT = re.compile(r'INSERT INTO "_liteferry_log" VALUES\(\d+,[^,]+,0,')

SABOTAGE = {
    "the log was emptied": run("DELETE FROM _liteferry_log"),
    "the log was emptied and written to": both(run("DELETE FROM _liteferry_log"), write_on),
    "an entry of the log was deleted": both(write_on, run(DELETE_ONE)),
    "the log was dropped": both(drop_triggers, run("DROP TABLE _liteferry_log")),
    "all triggers were dropped": drop_triggers,
    "one trigger was dropped": drop_one,
    "a backup was restored": restore,
    "a backup was restored and written to": both(restore, write_on),
    "a column was added": run("ALTER TABLE documents ADD COLUMN more TEXT"),
    "a table was dropped": run("DROP TABLE documents"),
    "a table was rebuilt": run(
        "CREATE TABLE rebuilt(key TEXT PRIMARY KEY, body BLOB, score REAL, meta TEXT)",
        "INSERT INTO rebuilt SELECT * FROM documents",
        "DROP TABLE documents",
        "ALTER TABLE rebuilt RENAME TO documents",
    ),
}


@pytest.mark.slow
async def test_a_source_that_was_tampered_with_is_refused(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """While the daemon is down, each in turn: it says so, ends with its status, and touches neither side."""
    path = make_archive(make_source, rows=300)
    writing = writer(path, rate=150)
    running = await started(daemon, path, target_url)
    back_up(path, ".backup")
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["changes_applied"] > 300)
    assert stop_all([writing]) == []
    await end_equal(running, path, target_url)
    assert running.stop() == 0

    back_up(path, ".whole")
    rows = await versions(path, target_url)
    found = {}
    for what, tamper in SABOTAGE.items():
        restore(path, ".whole")
        tamper(path)
        before = dump(path)
        again = daemon(path, target_url, env=HALT)
        found[what] = await asyncio.to_thread(again.wait_end)
        assert "Error: " in again.log
        assert "Try: " in again.log
        assert dump(path) == before, what
        assert await versions_of(rows, path, target_url) == rows, what
    assert found == dict.fromkeys(SABOTAGE, SOURCE)
    restore(path, ".whole")
    await end_equal(daemon(path, target_url, env=HASTY), path, target_url)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_source_that_was_tampered_with_is_read_again(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """By default each of these heals by itself, one after the other, and the source is the truth."""
    path = make_archive(make_source, rows=300)
    running = await started(daemon, path, target_url)
    back_up(path, ".backup")
    run(*(f"INSERT INTO tags VALUES ('more', 't{number}', 1)" for number in range(50)))(path)
    await end_equal(running, path, target_url)
    assert running.stop() == 0
    back_up(path, ".whole")
    for what, tamper in SABOTAGE.items():
        restore(path, ".whole")
        tamper(path)
        again = daemon(path, target_url, env=HASTY)
        await asyncio.to_thread(again.wait_for, "streaming")
        run("INSERT INTO tags VALUES ('pulse', 'after', 1)")(path)
        await end_equal(again, path, target_url)
        assert again.stop() == 0, what


async def test_a_database_that_is_another_one_empties_no_target(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Neither an empty file in its place, nor one of other tables, is taken for what the application did."""
    path = make_archive(make_source, rows=300)
    await run_once(daemon, path, target_url)
    rows = await versions(path, target_url)
    drop_triggers(path)
    run("DROP TABLE _liteferry_log", "DROP TABLE _liteferry_meta", "DROP TABLE _liteferry_tables")(path)
    run("DROP TABLE documents")(path)
    again = daemon(path, target_url, env=HASTY)
    assert await asyncio.to_thread(again.wait_end) != 0
    assert await versions_of(rows, path, target_url) == rows


def dump(path: Path) -> list[str]:
    """Return the whole source as text, without the heartbeats that a run adds."""
    with closing(sqlite3.connect(path)) as database:
        return [line for line in database.iterdump() if not HEARTBEAT.match(line)]


async def versions_of(known: dict[str, str], path: Path, url: str) -> dict[str, str]:
    """Return the versions of the tables that were known; one may be gone from the source."""
    found = await versions(path, url)
    return {**known, **{table: found[table] for table in known if table in found}}


async def test_triggers_dropped_under_a_halting_daemon_end_it(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """It notices within seconds and ends, for every write since may be lost."""
    path = make_archive(make_source, rows=300)
    writer(path, rate=150)
    running = await started(daemon, path, target_url, env=HALT)
    drop_one(path)
    assert await asyncio.to_thread(running.wait_end, 10) == SOURCE
    assert "triggers of table" in running.log


async def test_a_target_that_was_set_back_is_brought_forward(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """Restored, or failed over to a standby that had less, and what it lacks is pruned from the log.

    A halting daemon refuses it, any other reads everything again.
    """
    path = make_archive(make_source, rows=300)
    writing = writer(path, rate=150)
    running = await started(daemon, path, target_url)
    target = await asyncpg.connect(target_url)
    early = await target.fetchrow("SELECT position, mark FROM liteferry.source")
    assert early is not None
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["position"] > early["position"] + 500)
    assert stop_all([writing]) == []
    await end_equal(running, path, target_url)
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["log_entries"] < 400)
    running.kill()
    await target.execute("UPDATE liteferry.source SET position = $1, mark = $2", *early)
    again = daemon(path, target_url, env=HALT)
    assert await asyncio.to_thread(again.wait_end) == SOURCE
    assert "the target was restored" in again.log
    await target.execute("SET liteferry.writer = 'on'; DELETE FROM documents WHERE score IS NOT NULL")
    await target.close()
    await end_equal(daemon(path, target_url, env=HASTY), path, target_url)
