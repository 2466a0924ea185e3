"""Databases that appear in a watched folder while the daemon runs join it, or are told of."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fault.files import Status, equal
from tests.fault.scene import HASTY, StartWriter
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource
from tests.fixtures.writer import Writer
from triggers import capture
from triggers.key import choose
from triggers.schema import tables

ONE_TABLE = "CREATE TABLE {0}(id INTEGER PRIMARY KEY, x TEXT); INSERT INTO {0}(x) VALUES ('one'), ('two');"

#: Nobody looks at the values before they are copied.
UNSEEN = {**HASTY, "LITEFERRY_PROFILE": "false", "LITEFERRY_ON_BAD_VALUE": "halt"}

#: Seconds within which a file with a table is a source.
SOON = 5.0


@pytest.fixture
def folder(make_source: MakeSource) -> Path:
    """Give a folder with one database, which is alone and so goes to `public`."""
    return make_source("in/first.db", ONE_TABLE.format("first")).parent


def source(status: Status, path: Path) -> Status | None:
    """Return what is told of one file, None when it is no source."""
    return next((one for one in status["sources"] if one["path"] == str(path)), None)


def streams(path: Path) -> Callable[[Status], bool]:
    """Return the condition that a file streams."""

    def reached(status: Status) -> bool:
        one = source(status, path)
        return one is not None and one["state"] == "streaming"

    return reached


def noticed(path: Path, text: str = "") -> Callable[[Status], bool]:
    """Return the condition that a notice about a file holds a text."""
    return lambda status: any(n.startswith(f"{path}: ") and text in n for n in status["notices"])


def copy(path: Path, to: Path) -> None:
    """Make a true copy of a database, with what stands in its WAL."""
    with closing(sqlite3.connect(path)) as database, closing(sqlite3.connect(to)) as other:
        database.backup(other)


def write(path: Path, script: str = ONE_TABLE.format("t")) -> None:
    """Run a script on a database that may be new."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)


def until(running: RunningDaemon, reached: Callable[[Status], bool], seconds: float = SOON) -> Any:
    """Wait for a status on a thread."""
    return asyncio.to_thread(running.wait_until, reached, seconds)


async def test_a_file_that_appears_and_is_written_joins_and_stays(
    folder: Path, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """It goes to a schema named after it, and keeps that after a restart, as the first keeps its own."""
    later = folder / "later.db"
    running = daemon(folder, target_url, env=HASTY)
    await until(running, streams(folder / "first.db"), 30)
    writing = writer(later, rate=200)
    seen = await until(running, lambda s: source(s, later) is not None)
    assert not seen["can_cutover"]
    await until(running, streams(later), 30)
    status = await until(running, lambda s: s["can_cutover"], 30)
    [joined] = [one for one in status["sources"] if one["path"] == str(later)]
    assert joined["schema"] == "later"
    assert joined["heartbeat_age_seconds"] is not None

    assert await asyncio.to_thread(running.stop) == 0
    running = daemon(folder, target_url, env=HASTY)
    status = await until(running, lambda s: s["can_cutover"], 30)
    assert [one["schema"] for one in status["sources"]] == ["public", "later"]
    await both_equal(writing, running, folder, later, target_url)


async def test_many_files_that_appear_at_once_all_join(
    folder: Path, daemon: StartDaemon, target_url: str
) -> None:
    """More than there are connections to spare."""
    running = daemon(folder, target_url, env=HASTY, args=["--parallel", "1"])
    await until(running, streams(folder / "first.db"), 30)
    paths = [folder / f"n{number:02}.db" for number in range(20)]
    for path in paths:
        write(path)
    status = await until(running, lambda s: s["can_cutover"] and len(s["sources"]) == 21, 60)
    assert status["notices"] == []
    for path in paths:
        await equal(running, path, target_url, path.stem)
    report = await asyncio.to_thread(running.cutover)
    assert report["outcome"] == "cut_over"


async def test_an_empty_file_waits_for_its_first_table(
    folder: Path, daemon: StartDaemon, target_url: str
) -> None:
    """Neither nothing nor a database without tables is an error, or keeps the others from the cutover."""
    new = folder / "new.db"
    running = daemon(folder, target_url, env=HASTY)
    await until(running, streams(folder / "first.db"), 30)
    new.touch()
    await until(running, noticed(new, "is empty so far"))
    with closing(sqlite3.connect(new)) as application:
        application.execute("PRAGMA journal_mode = wal")
        await until(running, noticed(new, "has no tables yet"))
        await until(running, lambda s: s["can_cutover"], 30)
        application.executescript(ONE_TABLE.format("t"))
        await until(running, lambda s: streams(new)(s) and not s["notices"])
        application.executescript("INSERT INTO t(x) VALUES ('three')")
    await equal(running, new, target_url, "new")


async def test_what_is_no_database_harms_nobody(folder: Path, daemon: StartDaemon, target_url: str) -> None:
    """A text, a table that cannot be replicated, a copy and a second name are told of; the stream goes on."""
    first, second = folder / "first.db", folder / "link.db"
    running = daemon(folder, target_url, env=HASTY)
    await until(running, streams(first), 30)
    (folder / "x.db").write_text("this is a text, not a database")
    write(folder / "odd.db", "CREATE TABLE odd(rowid, oid, _rowid_)")
    copy(first, folder / "backup.db")
    second.hardlink_to(first)
    (folder / "soft.db").symlink_to(first)

    await until(running, noticed(folder / "x.db", "is no SQLite database"))
    await until(running, noticed(folder / "odd.db", "has no key"))
    await until(running, noticed(folder / "backup.db", "a copy"))
    await until(running, noticed(second, "another name"))
    await until(running, noticed(folder / "soft.db", "another name"))
    with closing(sqlite3.connect(folder / "odd.db")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema")]
        assert names == ["odd"]
        database.executescript("DROP TABLE odd;" + ONE_TABLE.format("even"))
    await until(running, streams(folder / "odd.db"), 20)
    (folder / "x.db").unlink()
    await until(running, lambda s: not noticed(folder / "x.db")(s))
    second.unlink()
    status = await until(running, lambda s: s["can_cutover"], 30)
    assert len(status["sources"]) == 2
    await equal(running, first, target_url, "public")
    await equal(running, folder / "odd.db", target_url, "odd")


async def test_a_restart_is_not_kept_from_its_sources_by_what_else_is_there(
    folder: Path, daemon: StartDaemon, target_url: str
) -> None:
    """What would be refused at the first start is told of; and a file that went is missed."""
    gone = folder / "gone.db"
    running = daemon(folder, target_url, env=HASTY)
    await until(running, streams(folder / "first.db"), 30)
    write(gone)
    await until(running, streams(gone), 30)
    await asyncio.to_thread(running.stop)
    gone.unlink()
    write(folder / "odd.db", "CREATE TABLE odd(rowid, oid, _rowid_)")
    shutil.copy(folder / "odd.db", folder / "odd.sqlite")
    running = daemon(folder, target_url, env=HASTY)
    # both would go to one schema, and the one that comes first cannot be carried over
    await until(running, noticed(folder / "odd.db"), 30)
    await until(running, noticed(folder / "odd.sqlite"))
    assert any("has no key" in notice for notice in running.status()["notices"])
    status = await until(running, noticed(gone, "not there any more"))
    assert [one["schema"] for one in status["sources"]] == ["public"]
    await until(running, lambda s: s["can_cutover"], 30)


async def test_the_map_may_name_a_file_that_comes_later_once_the_target_follows_one(
    folder: Path, daemon: StartDaemon, target_url: str
) -> None:
    """At the first start it is refused as a typing error; later it sends the newcomer where it belongs."""
    later, args = folder / "later.db", ["--schema-map", "later.db=elsewhere"]
    refused = daemon(folder, target_url, args=args)
    assert await asyncio.to_thread(refused.wait_end) == 2
    assert "names what is no source" in refused.log
    running = daemon(folder, target_url, env=HASTY)
    await until(running, streams(folder / "first.db"), 30)
    await asyncio.to_thread(running.stop)
    running = daemon(folder, target_url, env=HASTY, args=args)
    await until(running, streams(folder / "first.db"), 30)
    write(later)
    await until(running, streams(later), 30)
    await equal(running, later, target_url, "elsewhere")


async def test_tables_that_would_meet_are_refused_while_the_others_stream(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """Told to send all to one schema, a file with other tables joins, one with the same tables does not."""
    path = make_source("in/app.db")
    writing = writer(path, rate=100)
    running = daemon(path.parent, target_url, env=HASTY, args=["--schema", "all"])
    await until(running, streams(path), 30)
    shutil.copy(make_source("aside.db", ONE_TABLE.format("tags")), path.parent / "same.db")
    shutil.copy(make_source("aside2.db", ONE_TABLE.format("other")), path.parent / "other.db")
    await until(running, noticed(path.parent / "same.db", "would meet in schema 'all'"))
    await until(running, streams(path.parent / "other.db"), 30)
    assert "would meet in schema" in running.log
    assert writing.stop().errors == []
    await equal(running, path, target_url, "all")
    await equal(running, path.parent / "other.db", target_url, "all")


async def test_a_schema_that_is_taken_is_not_shared_by_chance(
    folder: Path, daemon: StartDaemon, target_url: str
) -> None:
    """`first.sqlite` beside a `public.db` that would go where the first has gone."""
    running = daemon(folder, target_url, env=HASTY)
    await until(running, streams(folder / "first.db"), 30)
    write(folder / "public.db")
    await until(running, noticed(folder / "public.db", "would all go to schema 'public'"))
    await until(running, lambda s: s["can_cutover"], 30)


@pytest.mark.parametrize("point", ["join.begun", "install.after@2", "register.after@2", "join.prepared"])
async def test_killed_while_one_joins_it_joins_at_the_next_start(
    point: str, folder: Path, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """Wherever it dies, both files end equal, and the first stays where it was."""
    later = folder / "later.db"
    running = daemon(folder, target_url, env={**HASTY, "LITEFERRY_FAILPOINTS": f"{point}=kill"})
    await until(running, streams(folder / "first.db"), 30)
    writing = writer(later, rate=200)
    assert await asyncio.to_thread(running.wait_end) == -9
    running = daemon(folder, target_url, env=HASTY)
    await until(running, streams(later), 30)
    status = await until(running, lambda s: s["can_cutover"], 30)
    assert sorted(one["schema"] for one in status["sources"]) == ["later", "public"]
    await both_equal(writing, running, folder, later, target_url)


async def test_a_cutover_takes_the_newcomer_along_or_waits_for_it(
    folder: Path, daemon: StartDaemon, target_url: str
) -> None:
    """Asked for in the instant in which a file appears, it is refused, not done without it."""
    running = daemon(folder, target_url, env=HASTY)
    await until(running, lambda s: s["can_cutover"], 30)
    write(folder / "late.db")
    with pytest.raises(Exception, match=r"late\.db"):
        await asyncio.to_thread(running.cutover)
    await until(running, lambda s: s["can_cutover"] and streams(folder / "late.db")(s), 30)
    report = await asyncio.to_thread(running.cutover)
    assert report["outcome"] == "cut_over"
    status = await until(running, lambda s: s["state"] == "cut_over")
    assert {one["state"] for one in status["sources"]} == {"cut_over"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_file_that_may_not_be_read_joins_when_it_may(
    folder: Path, daemon: StartDaemon, target_url: str
) -> None:
    """The permission is asked for; a change of it is enough."""
    running = daemon(folder, target_url, env=HASTY)
    await until(running, streams(folder / "first.db"), 30)
    write(folder.parent / "locked.db")
    (folder.parent / "locked.db").chmod(0)
    locked = (folder.parent / "locked.db").rename(folder / "locked.db")
    await until(running, noticed(locked, "Permission denied"))
    locked.chmod(0o600)
    await until(running, streams(locked), 20)


async def test_a_newcomer_that_cannot_be_copied_is_told_of_and_goes_on_when_it_can(
    folder: Path, daemon: StartDaemon, target_url: str
) -> None:
    """The others stream, a restart is not kept from them, and no cutover leaves its rows behind."""
    new = folder / "new.db"
    running = daemon(folder, target_url, env=UNSEEN)
    await until(running, streams(folder / "first.db"), 30)
    write(folder.parent / "new.db", ONE_TABLE.format("t") + "INSERT INTO t VALUES (9000, 'a' || char(0))")
    shutil.move(folder.parent / "new.db", new)
    await until(running, noticed(new, "could not be copied"), 10)
    assert source(running.status(), new) is None
    assert not running.status()["can_cutover"]
    assert await asyncio.to_thread(running.stop) == 0
    running = daemon(folder, target_url, env=UNSEEN)
    status = await until(running, noticed(new, "could not be copied"), 10)
    assert streams(folder / "first.db")(status)
    write(new, "UPDATE t SET x = 'mended' WHERE id = 9000")
    await until(running, lambda s: streams(new)(s) and s["can_cutover"] and not s["notices"], 20)
    await equal(running, new, target_url, "new")
    await equal(running, folder / "first.db", target_url, "public")


async def test_a_capture_that_this_target_does_not_know_is_told_of(
    folder: Path, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """A refused file keeps it, for it may be another target's; the notice tells how to take it out."""
    odd = make_source("odd.db", ONE_TABLE.format("odd"))
    with closing(sqlite3.connect(odd, isolation_level=None)) as database:
        [table], _ = tables(database, ())
        capture.install(database, [(table, choose(table))], 1)
        database.execute("CREATE TABLE other(rowid, oid, _rowid_)")
    running = daemon(folder, target_url, env=HASTY)
    await until(running, streams(folder / "first.db"), 30)
    shutil.move(odd, folder / "odd.db")
    await until(running, noticed(folder / "odd.db", "liteferry uninstall"), 10)
    with closing(sqlite3.connect(folder / "odd.db")) as database:
        assert capture.source_id(database) is not None


async def both_equal(writing: Writer, running: RunningDaemon, folder: Path, later: Path, url: str) -> None:
    """Let the writer end, and assert that the first file and the newcomer have arrived whole."""
    assert writing.stop().errors == []
    await equal(running, later, url, "later")
    await equal(running, folder / "first.db", url, "public")
