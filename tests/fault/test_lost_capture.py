"""Somebody takes out or edits what we have put into the source: it is put right, and read again."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.fault.scene import HASTY, end_equal, poll, started
from tests.fault.shop import apply, logged, pulse, repaired, write
from tests.fixtures.daemon import StartDaemon


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
