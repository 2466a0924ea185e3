"""A session runs work on its thread and leaves nothing behind when its caller is cancelled."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import pytest

from config.errors import NotADatabase
from tests.fixtures.sqlite import MakeSource
from triggers.connection import reading, writing
from triggers.session import Session

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

Work: TypeAlias = Callable[[sqlite3.Connection, threading.Event], None]


def busy_reading(connection: sqlite3.Connection, begun: threading.Event) -> None:
    """Read for ever inside a transaction."""
    with reading(connection):
        connection.execute("SELECT count(*) FROM t").fetchone()
        begun.set()
        connection.execute(ENDLESS).fetchone()


def busy_writing(connection: sqlite3.Connection, begun: threading.Event) -> None:
    """Hold the write lock for ever."""
    with writing(connection, 5.0):
        connection.execute("INSERT INTO t VALUES(1)")
        begun.set()
        connection.execute(ENDLESS).fetchone()


def nested_reading(connection: sqlite3.Connection, begun: threading.Event) -> None:
    """Be in the middle of one statement's rows while another one runs for ever."""
    with reading(connection):
        for _ in connection.execute("SELECT * FROM t"):
            begun.set()
            connection.execute(ENDLESS).fetchone()


def in_transaction(connection: sqlite3.Connection) -> bool:
    """Tell whether a transaction is open."""
    return connection.in_transaction


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("work", [busy_reading, busy_writing, nested_reading])
async def test_a_cancelled_caller_frees_the_thread_and_every_lock(
    make_source: MakeSource, journal: str, work: Work
) -> None:
    """The statement in hand is interrupted, the transaction ended, and the session is good for more."""
    path = make_source(script="CREATE TABLE t(a); INSERT INTO t VALUES(7), (8)", journal=journal)
    begun = threading.Event()
    async with Session(path, writable=work is busy_writing) as session:
        task = asyncio.create_task(session.run(work, begun))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
        assert not await session.run(in_transaction)
        with closing(sqlite3.connect(path, timeout=0)) as other, other:
            other.execute("INSERT INTO t VALUES(9)")
            assert other.execute("SELECT a FROM t").fetchall() == [(7,), (8,), (9,)]


async def test_work_that_waits_its_turn_is_cancelled_with_its_caller(make_source: MakeSource) -> None:
    """It may run or not, but nothing stays open, and what comes after it runs."""
    path = make_source(script="CREATE TABLE t(a); INSERT INTO t VALUES(7)")
    begun, second = threading.Event(), threading.Event()
    async with Session(path) as session:
        first = asyncio.create_task(session.run(busy_reading, begun))
        await asyncio.to_thread(begun.wait, 10)
        waiting = asyncio.create_task(session.run(busy_reading, second))
        await asyncio.sleep(0)
        for task in (waiting, first):
            task.cancel()
        await asyncio.wait_for(asyncio.wait([first, waiting]), 10)
        assert first.cancelled() and waiting.cancelled()
        assert not await session.run(in_transaction)


async def test_a_cancelled_caller_interrupts_nobody_elses_work(make_source: MakeSource) -> None:
    """Neither while it waits its turn behind that work, nor when it is through before it."""
    path = make_source(script="CREATE TABLE t(a)")
    begun, ran = threading.Event(), threading.Event()

    def counting(connection: sqlite3.Connection) -> int:
        begun.set()
        return int(connection.execute(ENDLESS.replace("FROM n)", "FROM n LIMIT 1000000)")).fetchone()[0])

    async with Session(path) as session:
        first = asyncio.create_task(session.run(counting))
        await asyncio.to_thread(begun.wait, 10)
        waiting = asyncio.create_task(session.run(lambda _: ran.set()))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert await first == 1_000_000
        assert not await session.run(in_transaction)
    assert not ran.is_set()


async def test_an_error_of_the_work_is_the_callers(make_source: MakeSource) -> None:
    """It is raised where it is awaited, and the session goes on."""
    path = make_source(script="CREATE TABLE t(a)")
    async with Session(path) as session:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await session.run(lambda connection: connection.execute("SELECT * FROM gone"))
        assert not await session.run(in_transaction)


async def test_a_reading_session_cannot_write(make_source: MakeSource) -> None:
    """Whatever is asked of it by mistake."""
    path = make_source(script="CREATE TABLE t(a)")
    async with Session(path) as session:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await session.run(lambda connection: connection.execute("INSERT INTO t VALUES(1)"))


async def test_a_file_that_is_no_database_leaves_no_thread(tmp_path: Path) -> None:
    """Missing, or something else entirely."""
    other = tmp_path / "notes.txt"
    other.write_text("not a database, but long enough to be read as one" * 100)
    for path in (tmp_path / "missing.db", other):
        with pytest.raises(NotADatabase):
            async with Session(path):
                pass
    assert not [t for t in threading.enumerate() if t.name.startswith("sqlite-")]
    assert not (tmp_path / "missing.db").exists()


@pytest.mark.parametrize("writable", [True, False])
async def test_opening_waits_for_a_writer_that_is_just_committing(
    make_source: MakeSource, writable: bool
) -> None:
    """Without WAL nobody can even look while a transaction is written down."""
    path = make_source(script="CREATE TABLE t(a)", journal="delete")
    with closing(sqlite3.connect(path, isolation_level=None)) as application:
        application.execute("BEGIN EXCLUSIVE")
        opening = asyncio.create_task(Session(path, writable=writable).__aenter__())
        done, _ = await asyncio.wait([opening], timeout=0.2)
        assert not done
        application.execute("COMMIT")
        session = await asyncio.wait_for(opening, 10)
        assert not await session.run(in_transaction)
        await session.close()


async def test_a_closed_session_is_not_used(make_source: MakeSource) -> None:
    """It says so instead of opening the file again; closing twice is harmless."""
    path = make_source(script="CREATE TABLE t(a)")
    async with Session(path) as session:
        pass
    await session.close()
    with pytest.raises(RuntimeError, match="closed"):
        await session.run(in_transaction)


async def test_a_forgotten_session_warns(make_source: MakeSource) -> None:
    """It owns a thread and a connection."""
    session = Session(make_source(script="CREATE TABLE t(a)"))
    await session.__aenter__()
    with pytest.warns(ResourceWarning, match="unclosed session"):
        session.__del__()
    await session.close()
