"""Work that gives no sign is told from work that gets on, and from work that may be silent."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from daemon.liveness import Liveness
from replicator.streaming.reader import _fetched
from triggers import pulse
from triggers.session import Session


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_silent_work_is_a_stall_until_it_gives_a_sign() -> None:
    """Only beyond what is allowed, and no more after a sign or its end."""
    clock = Clock()
    with pulse.work("reading", clock=clock) as reading:
        clock.now = 30
        assert pulse.stalled(30, clock=clock) is None
        clock.now = 31
        assert str(pulse.stalled(30, clock=clock)) == "reading has not got on for 31 s"
        reading.beat()
        assert pulse.stalled(30, clock=clock) is None
        clock.now = 90
    assert pulse.stalled(30, clock=clock) is None


def test_patience_is_granted_on_top() -> None:
    """A batch that waits for its target is not stuck for as long as the driver has it wait."""
    clock = Clock()
    with pulse.work("a batch", 1000, clock=clock):
        clock.now = 1030
        assert pulse.stalled(30, clock=clock) is None
        clock.now = 1031
        assert pulse.stalled(30, clock=clock) is not None


def test_a_sign_counts_for_the_innermost_work() -> None:
    """An inner one that gets on says nothing of the outer; outside of all it is nobody's."""
    clock = Clock()
    with pulse.work("outer", clock=clock):
        with pulse.work("inner", clock=clock):
            clock.now = 40
            pulse.beat()
            stall = pulse.stalled(30, clock=clock)
            assert stall is not None and stall.what == "outer"
        pulse.beat()
        assert pulse.stalled(30, clock=clock) is None
    pulse.beat()


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, for some seconds at most."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # a thread raises no event
            await asyncio.sleep(0.01)


async def test_a_thread_that_is_stuck_is_noticed_and_so_is_its_end(tmp_path: Path) -> None:
    """The event loop turns all the while."""
    path, release = tmp_path / "a.db", threading.Event()
    sqlite3.connect(path).close()
    liveness = Liveness(0.2)
    async with Session(path) as session:
        await session.run(lambda c: c.execute("SELECT 1").fetchone())
        assert liveness.healthy()
        stuck = asyncio.create_task(session.run(lambda _: release.wait(20)))
        await until(lambda: not liveness.healthy())
        assert liveness.trouble is not None and "reading" in liveness.trouble and "a.db" in liveness.trouble
        release.set()
        await stuck
        assert liveness.healthy()
        assert liveness.trouble is None


async def test_a_long_statement_gives_signs_of_its_own(tmp_path: Path) -> None:
    """However long SQLite works on one, it is not stuck."""
    path = tmp_path / "a.db"
    sqlite3.connect(path).close()
    counting = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) "
        "SELECT max(i) FROM n"
    )
    async with Session(path) as session:
        begun = time.monotonic()
        running = asyncio.create_task(session.run(lambda c: c.execute(counting).fetchone()))
        while time.monotonic() - begun < 1.5:
            await asyncio.sleep(0.05)
            # a step more than one sign takes, on a machine that is busy
            assert pulse.stalled(1.2) is None
        running.cancel()
        await asyncio.wait([running])


async def test_what_a_thread_does_counts_for_whoever_waits_for_it(tmp_path: Path) -> None:
    """A batch is not stuck while its rows are read, be they so many that it takes an hour."""
    path, clock = tmp_path / "a.db", Clock()
    sqlite3.connect(path).close()
    with pulse.work("a batch", clock=clock):
        clock.now = 31
        assert pulse.stalled(30, clock=clock) is not None
        async with Session(path) as session:
            await session.run(lambda _: pulse.beat())
        assert pulse.stalled(30, clock=clock) is None


async def test_rows_from_a_slow_disk_give_signs(tmp_path: Path) -> None:
    """Each row may take longer than all the steps of SQLite's machine for it."""
    path, signs = tmp_path / "a.db", 0
    sqlite3.connect(path).close()
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n"

    class Counting(pulse.Work):
        def beat(self) -> None:
            nonlocal signs
            signs += 1

    def read(connection: sqlite3.Connection) -> int:
        with pulse.work("reading") as one:
            one.behind = Counting("waiting", 0)
            return len(_fetched(connection, rows, (), marking=False))

    async with Session(path) as session:
        assert await session.run(read) == 1000
    assert signs == 5
