"""A file that is renamed over a source's is followed when it is the same source, and held when it is not."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.compare import differences
from tests.fault.files import (
    FOLLOWED,
    TABLE,
    backup,
    clear,
    equal,
    followed,
    followed_to_the_end,
    move,
    ready,
    replace,
    told,
)
from tests.fault.scene import (
    ARCHIVE,
    COPIERS,
    HASTY,
    SMALL_CHUNKS,
    StartWriter,
    copying,
    end_equal,
    one_value,
)
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.proxy import Proxy
from tests.fixtures.sqlite import MakeSource
from tests.writer import SCHEMA

#: No heartbeat, so that the log of a copy goes on exactly where the target is.
QUIET = {**HASTY, "LITEFERRY_HEARTBEAT_INTERVAL": "600", "LITEFERRY_READY_MAX_AGE": "600"}

POINTS = ("succession.before_mark", "succession.after_mark", "succession.after_take_over")


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_a_restored_backup_is_followed_while_the_application_goes_on(
    journal: str, make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """What was written since the backup goes from the target, what is written to the backup comes."""
    path = make_source(script=SCHEMA, journal=journal)
    writing = writer(path, rate=100)
    running = daemon(path, target_url, env=HASTY)
    await ready(running)
    aside = backup(path, path.with_name("aside.db"), "UPDATE accounts SET owner = owner || '!'")
    await asyncio.sleep(0.5)
    assert writing.stop().errors == []
    replace(path, aside)
    writing = writer(path, seed=2, rate=100)
    await followed(running)
    assert writing.stop().errors == []
    await ready(running)
    await end_equal(running, path, target_url)
    with closing(sqlite3.connect(path)) as application:
        assert application.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert application.execute("PRAGMA journal_mode").fetchone() == (journal,)


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_a_file_with_a_log_that_fits_is_read_again_all_the_same(
    journal: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Its rows may be any; VACUUM INTO and an atomic save look like that."""
    path = make_source(script=TABLE, journal=journal)
    running = daemon(path, target_url, env=QUIET)
    await ready(running)
    edit = (
        "UPDATE t SET x = 'changed' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (9, 'new')"
    )
    replace(path, backup(path, path.with_name("aside.db"), edit))
    await followed_to_the_end(running, path, target_url)
    assert "capture broken" not in running.log


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_a_file_that_is_replaced_during_its_snapshot_ends_equal(
    journal: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """No row of the first file stays, though copiers were at work on it."""
    path = make_source(script=SCHEMA + ARCHIVE.format(rows=12_000), journal=journal)
    running = daemon(path, target_url, env={**HASTY, **COPIERS}, args=SMALL_CHUNKS)
    await asyncio.to_thread(copying, running, 200)
    edit = "UPDATE archive SET body = 'of the new file'; DELETE FROM archive WHERE id % 3 = 0"
    replace(path, await asyncio.to_thread(backup, path, path.with_name("aside.db"), edit))
    await followed(running)
    await ready(running, 60)
    await end_equal(running, path, target_url)


@pytest.mark.parametrize("killed", [False, True])
async def test_a_file_that_is_replaced_while_the_target_is_away(
    killed: bool,
    make_source: MakeSource,
    daemon: StartDaemon,
    proxy: Callable[[str], Proxy],
    target_url: str,
) -> None:
    """The target learns of it before anything of the file; a daemon that dies first sees it at its start."""
    path, line = make_source(script=TABLE), proxy(target_url)
    running = daemon(path, line.url, env=QUIET)
    await ready(running)
    line.refuse()
    line.cut()
    replace(path, backup(path, path.with_name("aside.db"), "UPDATE t SET x = 'changed'"))
    await asyncio.to_thread(running.wait_until, told(path, "another file"), 5)
    await asyncio.sleep(1)
    assert running.log.count(FOLLOWED) == 0
    if killed:
        running.kill()
        running = daemon(path, line.url, env=QUIET)
    line.heal()
    await ready(running)
    await end_equal(running, path, target_url)


async def test_another_database_is_held_and_the_target_keeps_its_rows(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Emptied or not, it has not our id; when the source comes back as a copy, that is followed."""
    path, other = make_source(script=TABLE), make_source("other.db", "CREATE TABLE t(id INTEGER PRIMARY KEY)")
    running = daemon(path, target_url, env=HASTY)
    await ready(running)
    right = backup(path, path.with_name("aside.db"), "INSERT INTO t(x) VALUES ('three')")
    replace(path, other)
    await asyncio.to_thread(running.wait_until, told(path, "no change log of ours"), 5)
    assert await one_value(target_url, "SELECT count(*) FROM t") == 2
    with closing(sqlite3.connect(path)) as database:
        assert [name for (name,) in database.execute("SELECT name FROM sqlite_schema")] == ["t"]
    replace(path, right)
    await followed_to_the_end(running, path, target_url)


async def test_two_sources_that_change_places_are_both_held(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Each is the other's; back in their places they go on."""
    one, two = (make_source(name, TABLE, "delete") for name in ("one.db", "two.db"))
    aside = one.with_name("aside.db")
    running = daemon([one, two], target_url, env=HASTY)
    await ready(running)
    for path, to in ((one, aside), (two, one), (aside, two)):
        path.rename(to)
    for path in (one, two):
        await asyncio.to_thread(running.wait_until, told(path, "another source's"), 5)
    for path, to in ((two, aside), (one, two), (aside, one)):
        path.rename(to)
    await ready(running)
    for path in (one, two):
        await equal(running, path, target_url, path.stem)


async def test_a_file_that_is_replaced_twice_ends_equal_to_the_last(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Whether the second comes before the first was opened, meanwhile, or after."""
    path = make_source(script=TABLE)
    running = daemon(path, target_url, env=QUIET)
    await ready(running)
    files = [
        backup(path, path.with_name(f"aside{n}.db"), f"UPDATE t SET x = 'file {n}' WHERE id = {1 + n % 2}")
        for n in range(4)
    ]
    for new, pause in zip(files, (0.3, 0.7, 0.8, 0), strict=True):
        replace(path, new)
        await asyncio.sleep(pause)
    await followed_to_the_end(running, path, target_url)


@pytest.mark.parametrize(("point", "journal"), list(zip(POINTS, ("wal", "delete", "wal"), strict=True)))
async def test_a_kill_while_another_file_is_gone_over_to(
    point: str, journal: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """The next start reads everything again, though nothing in the file says that it is needed."""
    path = make_source(script=TABLE, journal=journal)
    running = daemon(path, target_url, env={**QUIET, "LITEFERRY_FAILPOINTS": f"{point}=kill"})
    await ready(running)
    replace(path, backup(path, path.with_name("aside.db"), "UPDATE t SET x = 'changed'"))
    assert await asyncio.to_thread(running.wait_end) == -9
    again = daemon(path, target_url, env=QUIET)
    await ready(again)
    await end_equal(again, path, target_url)


async def test_a_file_that_is_replaced_while_the_daemon_is_down_is_read_again(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """The target remembers which file it was."""
    path = make_source(script=TABLE)
    running = daemon(path, target_url, env=QUIET)
    await ready(running)
    aside = backup(path, path.with_name("aside.db"), "UPDATE t SET x = 'changed'")
    assert await asyncio.to_thread(running.stop) == 0
    replace(path, aside)
    again = daemon(path, target_url, env=QUIET)
    await ready(again)
    await end_equal(again, path, target_url)


async def test_the_old_files_wal_is_not_read_as_the_new_ones(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Left beside a file that was moved over, it keeps the file closed until it is gone."""
    path = make_source(script=TABLE)
    running = daemon(path, target_url, env=HASTY)
    await ready(running)
    aside = backup(path, path.with_name("aside.db"), "INSERT INTO t(x) VALUES ('three')")
    whole = aside.read_bytes()
    aside.rename(path)
    await asyncio.to_thread(running.wait_until, told(path, "still the old file's"), 5)
    assert path.read_bytes() == whole
    clear(path)
    await followed_to_the_end(running, path, target_url)


async def test_a_journal_that_was_left_is_not_played_into_the_new_file(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """It may be the old file's; only a person knows."""
    path = make_source(script=TABLE, journal="delete")
    running = daemon(path, target_url, env=HASTY)
    await ready(running)
    aside = backup(path, path.with_name("aside.db"), "INSERT INTO t(x) VALUES ('three')")
    other = sqlite3.connect(make_source("other.db", TABLE, "delete"), isolation_level=None)
    with closing(other):
        other.executescript("PRAGMA cache_spill = 1; PRAGMA cache_size = 1; BEGIN IMMEDIATE")
        other.execute("INSERT INTO t(x) SELECT hex(randomblob(5000)) FROM t, t, t, t, t")
        left = path.with_name("other.db-journal").read_bytes()
        other.execute("ROLLBACK")
    assert left.startswith(bytes.fromhex("d9d505f920a163d7"))
    whole = aside.read_bytes()
    move(path, path.with_name("away.db"))
    path.with_name("app.db-journal").write_bytes(left)
    aside.rename(path)
    await asyncio.to_thread(running.wait_until, told(path, "a rollback journal beside it"), 5)
    assert path.read_bytes() == whole
    assert path.with_name("app.db-journal").read_bytes() == left
    path.with_name("app.db-journal").unlink()
    await followed_to_the_end(running, path, target_url)


async def test_a_replaced_file_is_held_where_the_policy_is_to_halt(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """The very file is waited for, as the hint says."""
    path = make_source(script=TABLE)
    running = daemon(path, target_url, env={**HASTY, "LITEFERRY_ON_SCHEMA_CHANGE": "halt"})
    await ready(running)
    aside, away = backup(path, path.with_name("aside.db")), path.with_name("away.db")
    move(path, away)
    aside.rename(path)
    await asyncio.to_thread(running.wait_until, told(path, '"halt"'), 5)
    await asyncio.sleep(1)
    assert FOLLOWED not in running.log
    move(away, path)
    await ready(running)
    assert await differences(path, target_url) == []
