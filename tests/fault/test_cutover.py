"""The cutover while something is wrong: it goes back to streaming, and no writer waits too long."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import asyncpg
import pytest

from config.errors import CutoverRefused, LiteferryError
from tests.compare import differences
from tests.fault.scene import (
    HASTY,
    StartWriter,
    acknowledged,
    end_equal,
    fetch,
    head,
    make_archive,
    one_value,
    poll,
    source_open,
    target_count,
    target_open,
)
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.proxy import Proxy
from tests.fixtures.sqlite import MakeSource
from tests.fixtures.writer import WriterSummary

MakeProxy = Callable[[str], Proxy]


async def refused(running: RunningDaemon, **options: object) -> None:
    """Try a cutover that must not succeed."""
    with pytest.raises(LiteferryError):
        await asyncio.to_thread(running.cutover, **options)


def assert_unharmed(summary: WriterSummary, most: float) -> None:
    """Assert that the writer met no error, and that nothing took longer than that many seconds."""
    assert summary.errors == []
    assert summary.max_stall_ms < most * 1000


@pytest.mark.parametrize("fault", ["deaf", "refuse"])
async def test_a_line_that_fails_under_the_lock_keeps_no_writer_waiting(
    fault: str,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    proxy: MakeProxy,
    target_url: str,
) -> None:
    """The target falls silent, or away, when the writers are locked out: they go on within the budget."""
    path = make_archive(make_source, rows=500)
    writing, line = writer(path, rate=100), proxy(target_url)
    # the process stands still there for a while, with the lock, so that the line can be broken just then
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "cutover.after_lock=0.7"}
    running = daemon(path, line.url, env=env)
    await asyncio.to_thread(running.wait_ready)
    trial = asyncio.create_task(refused(running, max_pause=1.5))
    await locked(path)
    getattr(line, fault)()
    await open_again(path)
    line.heal()
    await trial
    summary = writing.stop()
    assert_unharmed(summary, 3)
    await end_equal(running, path, target_url)
    assert (source_open(path), await target_open(target_url)) == (True, False)


async def locked(path: Path) -> None:
    """Wait until somebody holds the write lock for longer than a writer's transaction takes."""
    await poll(lambda: answer(True if held(path, 0.3) else None))


async def open_again(path: Path) -> None:
    """Wait until the write lock can be had."""
    await poll(lambda: answer(None if held(path, 0.3) else True))


async def answer(what: bool | None) -> bool | None:
    """Return it, as `poll` wants."""
    return what


def held(path: Path, seconds: float) -> bool:
    """Tell whether the write lock cannot be had within some time."""
    with closing(sqlite3.connect(path, timeout=seconds, isolation_level=None)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        database.execute("ROLLBACK")
    return False


@asynccontextmanager
async def reading_target(url: str) -> AsyncIterator[None]:
    """Hold a transaction on the target that has read a table, as a report or a dump does."""
    reader = await asyncpg.connect(url)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT * FROM accounts LIMIT 1")
            yield
    finally:
        await reader.close()


async def test_a_long_report_on_the_target_refuses_the_cutover_within_the_budget(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """The guard cannot be taken off a table that is being read; afterwards the cutover succeeds."""
    path = make_archive(make_source, rows=500)
    writing = writer(path, rate=100)
    running = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(running.wait_ready)
    async with reading_target(target_url):
        await refused(running, max_pause=0.5)
    await asyncio.to_thread(running.wait_ready)
    assert (await asyncio.to_thread(running.cutover, max_pause=5))["outcome"] == "cut_over"
    summary = writing.wait()
    assert_unharmed(summary, 3)
    assert await differences(path, target_url) == []


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_a_long_write_in_one_source_keeps_no_writer_of_another_waiting(
    journal: str, make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """The second lock is not had: the first is given back within the budget, and streaming goes on."""
    one = make_archive(make_source, rows=500, journal=journal)
    two = make_source("two.db", "CREATE TABLE other(id INTEGER PRIMARY KEY, n INT)", journal)
    writing = writer(one, rate=100)
    running = daemon([one, two], target_url, env=HASTY, args=("--schema", "public"))
    await asyncio.to_thread(running.wait_ready)
    with closing(sqlite3.connect(two, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO other(n) VALUES (1)")
        with pytest.raises(CutoverRefused):
            await asyncio.to_thread(running.cutover, max_pause=0.8)
        database.execute("COMMIT")
    assert_unharmed(writing.stop(), 2)
    await asyncio.to_thread(running.wait_ready)
    await asyncio.to_thread(
        running.wait_until, lambda status: [s["position"] for s in status["sources"]] >= heads(one, two)
    )
    assert [await differences(path, target_url) for path in (one, two)] == [[], []]
    assert (source_open(one), await target_open(target_url)) == (True, False)


def heads(*paths: Path) -> list[int]:
    """Return the newest positions of some sources."""
    return [head(path) for path in paths]


async def test_a_reader_that_keeps_the_second_fence_down_brings_the_first_down_too(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Without WAL a reader keeps a commit waiting: all sources stay open, none is left behind a fence."""
    script = "CREATE TABLE {0}(id INTEGER PRIMARY KEY, n INT); INSERT INTO {0}(n) VALUES (1), (2), (3)"
    paths = [make_source(f"{name}.db", script.format(name), "delete") for name in ("one", "two")]
    running = daemon(paths, target_url, env=HASTY, args=("--schema", "public"))
    await asyncio.to_thread(running.wait_ready)
    with closing(sqlite3.connect(paths[1], isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM two").fetchall()
        await refused(running)
        assert [fences(path) for path in paths] == [0, 0]
    await asyncio.to_thread(running.wait_ready)
    assert (await asyncio.to_thread(running.cutover))["outcome"] == "cut_over"
    assert [fences(path) for path in paths] == [3, 3]


def fences(path: Path) -> int:
    """Return the number of fence triggers in a source."""
    query = "SELECT count(*) FROM sqlite_schema WHERE name GLOB '_liteferry_fence_*'"
    return int(fetch(path, query)[0][0])


async def test_a_line_cut_while_a_restart_resolves_the_cutover_is_waited_for(
    make_source: MakeSource, daemon: StartDaemon, proxy: MakeProxy, target_url: str, tmp_path: Path
) -> None:
    """The daemon that finds both sides closed goes on asking until one of them is open."""
    path = make_archive(make_source, rows=500)
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "cutover.after_fence=kill"}
    first = daemon(path, target_url, env=env)
    await asyncio.to_thread(first.wait_ready)
    await refused(first)
    assert (source_open(path), await target_open(target_url)) == (False, False)

    line = proxy(target_url)
    keeper = await asyncpg.connect(target_url)
    async with keeper.transaction():
        await keeper.execute("SELECT * FROM liteferry.cutover FOR UPDATE")
        second = daemon(path, line.url, env=HASTY)
        me = await keeper.fetchval("SELECT pg_backend_pid()")
        blocked = "SELECT true FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid)) LIMIT 1"
        watcher = await asyncpg.connect(target_url)
        await poll(lambda: watcher.fetchval(blocked, me))
        line.cut()
        await poll(lambda: watcher.fetchval(blocked, me))
        await watcher.close()
    await keeper.close()
    await asyncio.to_thread(second.wait_for, "cut_over")
    assert (source_open(path), await target_open(target_url)) == (False, True)
    assert await differences(path, target_url) == []


async def test_no_acknowledged_write_is_lost_in_a_cutover_under_load(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """Several writers at full speed: each one's last acknowledged transaction is on the target."""
    path = make_archive(make_source, rows=500)
    journals = [tmp_path / f"journal{seed}" for seed in (1, 2)]
    writing = [writer(path, seed=seed, rate=400, journal=journals[seed - 1]) for seed in (1, 2)]
    running = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(running.wait_ready)
    assert (await asyncio.to_thread(running.cutover))["outcome"] == "cut_over"
    for one in writing:
        assert_unharmed(one.wait(), 3)
    assert await differences(path, target_url) == []
    for seed, journal in enumerate(journals, 1):
        assert await target_count(target_url, seed) == acknowledged(journal)


REBUILD = """
BEGIN;
CREATE TABLE other(id INTEGER PRIMARY KEY, code TEXT UNIQUE, body TEXT, n INTEGER NOT NULL);
INSERT INTO other SELECT id, 'new ' || code, body, n FROM archive;
DROP TABLE archive;
ALTER TABLE other RENAME TO archive;
COMMIT;
"""


async def test_a_cutover_asked_for_while_a_schema_change_is_followed_is_refused(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """A table was rebuilt without our triggers, and nothing in the status tells of it yet: no row is lost."""
    path = make_source(
        script="CREATE TABLE tags(doc TEXT, tag TEXT, n INT, PRIMARY KEY(doc, tag)); CREATE TABLE archive("
        "id INTEGER PRIMARY KEY, code TEXT UNIQUE, body TEXT, n INTEGER NOT NULL);"
        "INSERT INTO archive VALUES (1, 'one', 'body', 1), (2, 'two', 'body', 2)"
    )
    # the process stands still there for a while, so that the order arrives just then
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "follow.after_refit@2=1"}
    running = daemon(path, target_url, env=env)
    await asyncio.to_thread(running.wait_ready)
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as application:
        application.executescript(REBUILD)
    await poll(lambda: noted_as_stale(target_url))
    await refused(running)
    assert (source_open(path), await target_open(target_url)) == (True, False)
    await asyncio.to_thread(running.wait_ready)
    assert await differences(path, target_url) == []
    assert (await asyncio.to_thread(running.cutover))["outcome"] == "cut_over"
    assert running.status()["state"] == "cut_over"
    assert await differences(path, target_url) == []


async def noted_as_stale(url: str) -> bool | None:
    """Tell, as `poll` wants it, whether a table is to be read again."""
    count = "SELECT count(*) FROM liteferry.progress WHERE stale IS NOT NULL"
    return bool(await one_value(url, count)) or None


async def test_a_restart_without_one_of_the_sources_moves_none(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Killed between two fences, started again with the closed source only: it is opened, not cut over."""
    script = "CREATE TABLE {0}(id INTEGER PRIMARY KEY, n INT); INSERT INTO {0}(n) VALUES (1), (2), (3)"
    paths = [make_source(f"{name}.db", script.format(name)) for name in ("one", "two")]
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "cutover.after_fence=kill"}
    first = daemon(paths, target_url, env=env, args=("--schema", "public"))
    await asyncio.to_thread(first.wait_ready)
    await refused(first)
    assert [fences(path) for path in paths] == [3, 0]
    alone = daemon(paths[0], target_url, env=HASTY)
    await asyncio.to_thread(alone.wait_for, "streaming")
    assert fences(paths[0]) == 0
    assert alone.stop() == 0
    both = daemon(paths, target_url, env=HASTY, args=("--schema", "public"))
    await asyncio.to_thread(both.wait_ready)
    assert (await asyncio.to_thread(both.cutover))["outcome"] == "cut_over"
    assert [fences(path) for path in paths] == [3, 3]


async def test_a_source_that_was_cut_over_to_another_target_stays_closed(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """A daemon of the target that it was tried with before is refused, and opens nothing."""
    path = make_archive(make_source, rows=500)
    trial = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(trial.wait_ready)
    assert trial.stop() == 0
    # what a target that was set back knows of the cutover: nothing
    earnest = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(earnest.wait_ready)
    await asyncio.to_thread(earnest.cutover)
    assert earnest.stop() == 0
    keeper = await asyncpg.connect(target_url)
    await keeper.execute("DELETE FROM liteferry.cutover; UPDATE liteferry.source SET state = 'streaming'")
    await keeper.close()
    again = daemon(path, target_url, env=HASTY)
    assert await asyncio.to_thread(again.wait_end) != 0
    assert "a cutover that this target does not know" in again.log
    assert not source_open(path)
