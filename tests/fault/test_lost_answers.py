"""The line dies while the target is at a COMMIT: nobody has told the daemon whether it was done."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import asyncpg
import pytest

from config.errors import CutoverRefused
from tests.compare import differences
from tests.databases import on_target
from tests.fault.scene import (
    HASTY,
    SMALL_CHUNKS,
    StartWriter,
    end_equal,
    make_archive,
    poll,
    source_of,
    source_open,
    started,
    stop_all,
    target_open,
)
from tests.fault.test_fallback import cut_over, home
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.proxy import Proxy
from tests.fixtures.sqlite import MakeSource

MakeProxy = Callable[[str], Proxy]
GATE = 815


class Gate:
    """Holds every COMMIT that changed one of liteferry's tables until it is opened."""

    def __init__(self, keeper: asyncpg.Connection[asyncpg.Record], table: str, when: str = "true") -> None:
        self._keeper, self._table, self._when = keeper, table, when

    async def close(self) -> None:
        """Let no COMMIT through from now on."""
        await self._keeper.execute(f"SELECT pg_advisory_lock({GATE})")
        await self._keeper.execute(
            "CREATE FUNCTION liteferry.wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NULL; END $$"
        )
        await self._keeper.execute(
            f"CREATE CONSTRAINT TRIGGER gate AFTER UPDATE ON {self._table} DEFERRABLE INITIALLY DEFERRED "
            f"FOR EACH ROW WHEN ({self._when}) EXECUTE FUNCTION liteferry.wait_at_gate()"
        )

    async def somebody_waits(self) -> int:
        """Return the process of a backend whose COMMIT has come to the gate, waiting for one."""
        query = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {GATE} AND NOT granted"
        return await poll(lambda: self._keeper.fetchval(query))

    async def others_wait_for(self, pid: int) -> None:
        """Return when another backend stands behind that one."""
        query = "SELECT true FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid)) LIMIT 1"
        await poll(lambda: self._keeper.fetchval(query, pid))

    async def open(self) -> None:
        """Let everybody through."""
        await self._keeper.execute(f"SELECT pg_advisory_unlock({GATE})")


@asynccontextmanager
async def gate(url: str, table: str, when: str = "true") -> AsyncIterator[Gate]:
    """Return a gate before the COMMITs that change a table of liteferry's."""
    keeper = await asyncpg.connect(url)
    try:
        yield Gate(keeper, table, when)
    finally:
        await keeper.close()


@pytest.mark.parametrize("end", ["cut", "kill"])
async def test_a_batch_whose_commit_is_on_its_way_is_not_taken_for_anothers(
    end: str,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    proxy: MakeProxy,
    target_url: str,
) -> None:
    """The connection, or the daemon, dies at COMMIT; the commit is done a little later; streaming goes on."""
    path = make_archive(make_source, rows=500)
    writing, line = writer(path, rate=100), proxy(target_url)
    running = await started(daemon, path, line.url)
    async with gate(target_url, "liteferry.source") as before_commit:
        await before_commit.close()
        backend = await before_commit.somebody_waits()
        if end == "kill":
            running.kill()
            running = daemon(path, line.url, env=HASTY)
        else:
            line.cut()
        await before_commit.others_wait_for(backend)
        await before_commit.open()
    assert stop_all([writing]) == []
    await end_equal(running, path, target_url)


async def test_a_widened_column_whose_commit_is_on_its_way_is_waited_for(
    make_source: MakeSource, daemon: StartDaemon, proxy: MakeProxy, target_url: str
) -> None:
    """Nothing is sent by the old type once the new one may be there."""
    script = "CREATE TABLE t(id INTEGER PRIMARY KEY, flag BOOLEAN); INSERT INTO t VALUES (1, 0), (2, 1)"
    path, line = make_source(script=script), proxy(target_url)
    running = daemon(path, line.url, env={**HASTY, "LITEFERRY_ON_TYPE_DRIFT": "widen"})
    await asyncio.to_thread(running.wait_ready)
    async with gate(target_url, "liteferry.progress", "OLD.plan <> NEW.plan") as before_commit:
        await before_commit.close()
        write(path, "UPDATE t SET flag = 2 WHERE id = 1")
        backend = await before_commit.somebody_waits()
        write(path, "UPDATE t SET flag = 1 WHERE id = 2")
        line.cut()
        await before_commit.others_wait_for(backend)
        await before_commit.open()
    await end_equal(running, path, target_url)
    await asyncio.to_thread(running.wait_ready)
    await end_equal(running, path, target_url)


def write(path: Path, statement: str) -> None:
    """Write as the application."""
    with closing(sqlite3.connect(path, timeout=10)) as application, application:
        application.execute(statement)


def numbers(rows: int) -> str:
    """Return the statement that inserts that many rows."""
    counted = f"WITH RECURSIVE c(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c WHERE i < {rows})"
    return f"{counted} INSERT INTO t(n) SELECT i FROM c WHERE {rows} > 0"


@pytest.mark.parametrize("rows", [2_000, 0])
async def test_a_chunk_whose_commit_is_on_its_way_is_not_taken_for_anothers(
    rows: int, make_source: MakeSource, daemon: StartDaemon, proxy: MakeProxy, target_url: str
) -> None:
    """The same in the snapshot, and for a table without rows, whose only chunk moves no cursor."""
    path = make_source(script=f"CREATE TABLE t(id INTEGER PRIMARY KEY, n INT); {numbers(rows)}")
    registered = {**HASTY, "LITEFERRY_FAILPOINTS": "register.after=kill"}
    assert daemon(path, target_url, env=registered).wait_end() == -9
    line = proxy(target_url)
    async with gate(target_url, "liteferry.lane") as before_commit:
        await before_commit.close()
        running = daemon(path, line.url, env=HASTY, args=SMALL_CHUNKS)
        backend = await before_commit.somebody_waits()
        line.cut()
        await before_commit.others_wait_for(backend)
        await before_commit.open()
    await end_equal(running, path, target_url)
    status = source_of(running.status())
    assert (status["rows_copied"], status["error"], status["target_connected"]) == (rows, None, True)


@pytest.mark.parametrize("change", ["DROP COLUMN n", "RENAME COLUMN n TO number", "RENAME TO other"])
async def test_a_schema_change_whose_commit_is_on_its_way_is_not_made_twice(
    change: str, make_source: MakeSource, daemon: StartDaemon, proxy: MakeProxy, target_url: str
) -> None:
    """The connection dies at the COMMIT of the target's DDL; the daemon finds it done, and streams on."""
    path = make_source(script=f"CREATE TABLE t(id INTEGER PRIMARY KEY, n INT, m INT); {numbers(500)}")
    line = proxy(target_url)
    running = daemon(path, line.url, env=HASTY)
    await asyncio.to_thread(running.wait_ready)
    async with gate(target_url, "liteferry.progress") as before_commit:
        await before_commit.close()
        with closing(sqlite3.connect(path, timeout=10)) as application:
            application.execute(f"ALTER TABLE t {change}")
        backend = await before_commit.somebody_waits()
        line.cut()
        await before_commit.others_wait_for(backend)
        await before_commit.open()
    await end_equal(running, path, target_url)
    await asyncio.to_thread(running.wait_ready)
    assert "read again" not in running.log


async def test_a_decision_whose_commit_is_on_its_way_is_waited_for(
    make_source: MakeSource, daemon: StartDaemon, proxy: MakeProxy, target_url: str
) -> None:
    """Both sides stay closed until the target has told; then the target is open and the source is not."""
    path = make_archive(make_source, rows=500)
    line = proxy(target_url)
    running = daemon(path, line.url, env=HASTY)
    await asyncio.to_thread(running.wait_ready)
    async with gate(target_url, "liteferry.cutover") as before_commit:
        await before_commit.close()
        cutover = asyncio.create_task(asyncio.to_thread(running.cutover))
        backend = await before_commit.somebody_waits()
        assert not source_open(path)
        line.cut()
        await before_commit.others_wait_for(backend)
        assert not source_open(path)
        await before_commit.open()
        assert (await cutover)["outcome"] == "cut_over"
    assert (source_open(path), await target_open(target_url)) == (False, True)
    assert await differences(path, target_url) == []


async def test_rows_brought_home_whose_commit_is_on_its_way_are_not_taken_for_anothers(
    make_source: MakeSource, daemon: StartDaemon, proxy: MakeProxy, target_url: str
) -> None:
    """The connection dies at the COMMIT that empties the key log; the way back goes on behind it."""
    path = make_source(script=f"CREATE TABLE t(id INTEGER PRIMARY KEY, n INT); {numbers(3)}")
    line = proxy(target_url)
    running = daemon(path, line.url, env=HASTY)
    await cut_over(running)
    async with gate(target_url, "liteferry.source") as before_commit:
        await before_commit.close()
        on_target(target_url, "UPDATE t SET n = 10 WHERE id = 1")
        backend = await before_commit.somebody_waits()
        line.cut()
        on_target(target_url, "UPDATE t SET n = 20 WHERE id = 2")
        await before_commit.others_wait_for(backend)
        await before_commit.open()
    await home(running, target_url)
    assert await differences(path, target_url) == []


async def test_cutovers_out_of_time_lose_nothing(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """Rehearsals that may take next to no time are broken off at any moment of the last batch."""
    path = make_archive(make_source, rows=500)
    writing = [writer(path, seed=seed, rate=200) for seed in (1, 2)]
    running = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(running.wait_ready)
    outcomes = Counter([await asyncio.to_thread(rehearse, running) for _ in range(25)])
    assert outcomes["refused"] > 2
    assert stop_all(writing) == []
    await end_equal(running, path, target_url)
    assert source_open(path)


def rehearse(running: RunningDaemon) -> str:
    """Try once; tell what came of it."""
    running.wait_ready()
    try:
        return str(running.cutover(rehearse=True, max_pause=0.01)["outcome"])
    except CutoverRefused:
        return "refused"
