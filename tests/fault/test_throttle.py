"""The copy holds itself back: by the operator's word, and when the application suffers from it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.fault.scene import COPIERS, HASTY, copying, end_equal, source_of, started
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

#: A table to be copied, and one that is written to.
LARGE = """
CREATE TABLE large(id INTEGER PRIMARY KEY, body TEXT);
WITH RECURSIVE counted(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < {rows})
    INSERT INTO large SELECT i, hex(randomblob(50)) FROM counted;
CREATE TABLE small(id INTEGER PRIMARY KEY, n INTEGER, body BLOB);
"""

#: So that the copy is still under way when something is to be seen of it.
HELD = {"LITEFERRY_THROTTLE_ROWS_PER_SECOND": "800"}


def order(daemon: RunningDaemon, **options: Any) -> dict[str, Any]:
    """Order a limit and return the throttle."""
    told: dict[str, Any] = daemon.ask("/control/throttle", options)["throttle"]
    return told


@pytest.mark.parametrize("copiers", [False, True], ids=["by the daemon", "by copiers"])
async def test_a_limit_counts_at_once_and_after_a_restart(
    copiers: bool, daemon: StartDaemon, make_source: MakeSource, target_url: str
) -> None:
    """It reaches the processes that copy; taken away, the copy ends soon, and both sides are equal."""
    path = make_source(script=LARGE.format(rows=15_000))
    env = {**HASTY, **(COPIERS if copiers else {}), "LITEFERRY_THROTTLE_ROWS_PER_SECOND": "400"}
    running = daemon(path, target_url, env=env)
    await asyncio.to_thread(copying, running, 100)
    told = running.status()["throttle"]
    assert told["active"] and told["by"] == "operator" and told["limit_rows_per_second"] == 400
    assert told["reason"] == "throttle_rows_per_second is 400" and told["factor"] == 1

    await asyncio.to_thread(order, running, rows_per_second=1000)
    begun, before = time.monotonic(), source_of(running.status())["rows_copied"]
    await asyncio.to_thread(copying, running, before + 1500)
    rows, seconds = source_of(running.status())["rows_copied"] - before, time.monotonic() - begun
    # a chunk of half a second may have been under way at either end, in each of the workers
    assert rows <= 1000 * seconds + 2000, (rows, seconds)

    running.kill()
    running = daemon(path, target_url, env=env)
    await asyncio.to_thread(running.wait_until, lambda s: s["throttle"]["limit_rows_per_second"] == 1000)
    assert "liteferry throttle 1000" in running.status()["throttle"]["reason"]
    told = await asyncio.to_thread(order, running, rows_per_second=0)
    assert not told["active"] and told["reason"] is None
    await end_equal(running, path, target_url)
    assert (await asyncio.to_thread(order, running, reset=True))["limit_rows_per_second"] == 400
    assert source_of(running.status())["throttled_seconds"] >= 0


class Busy:
    """An application that commits as fast as it can, large rows, on a thread of its own."""

    def __init__(self, path: Path, body: int, hold: float = 0.0) -> None:
        self._path, self._body, self._hold = path, body, hold
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.errors: list[str] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[Busy]:
        """Write while inside."""
        self._thread.start()
        try:
            yield self
        finally:
            self.end()

    def end(self) -> None:
        """Write no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as database:
            while not self._stop.is_set():
                try:
                    database.execute("BEGIN IMMEDIATE")
                    row = (self._body,)
                    database.execute("INSERT OR REPLACE INTO small VALUES (1, 1, randomblob(?))", row)
                    # the lock is kept, as by an application that is slow itself
                    self._stop.wait(self._hold)
                    database.execute("COMMIT")
                except sqlite3.Error as error:
                    self.errors.append(str(error))


async def test_a_wal_that_grows_slows_the_copy_down_and_it_recovers(
    daemon: StartDaemon, make_source: MakeSource, target_url: str
) -> None:
    """A reader keeps the WAL from beginning anew; while it grows we read less, and when it ends all again."""
    path = make_source(script=LARGE.format(rows=60_000), journal="wal")
    env = {**HASTY, **COPIERS, "LITEFERRY_THROTTLE_WAL_MB": "8", **HELD}
    running = daemon(path, target_url, env=env)
    await asyncio.to_thread(copying, running, 0)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader, Busy(path, 4096).running() as busy:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM small").fetchall()
        slow = await asyncio.to_thread(
            running.wait_until, lambda s: s["throttle"]["factor"] <= 0.25, 30, "the copy slowed down"
        )
        told, one = slow["throttle"], source_of(slow)
        assert told["by"] == "source_wal" and "grows, throttle_wal_mb is 8" in told["reason"]
        assert told["since"] is not None and one["wal_used_bytes"] > 8 << 20
        assert one["state"] == "snapshot"
        reader.execute("ROLLBACK")
        busy.end()
        assert busy.errors == []
    whole = await asyncio.to_thread(
        running.wait_until, lambda s: s["throttle"]["by"] == "operator", 60, "full speed again"
    )
    assert whole["throttle"]["factor"] == 1 and source_of(whole)["state"] == "snapshot"
    assert "copying and comparing at full speed again" in running.log
    await asyncio.to_thread(order, running, rows_per_second=0)
    await end_equal(running, path, target_url)


async def test_a_write_lock_that_is_long_waited_for_slows_the_copy_down(
    daemon: StartDaemon, make_source: MakeSource, target_url: str
) -> None:
    """Measured only while rows are read; without rows to read nothing is asked for and nothing throttled."""
    path = make_source(script=LARGE.format(rows=20_000), journal="wal")
    env = {**HASTY, "LITEFERRY_THROTTLE_WRITE_LATENCY_MS": "30", **HELD}
    running = daemon(path, target_url, env=env)
    await asyncio.to_thread(copying, running, 0)
    with Busy(path, 10, hold=0.15).running() as busy:
        slow = await asyncio.to_thread(
            running.wait_until, lambda s: s["throttle"]["factor"] <= 0.5, 30, "the copy slowed down"
        )
        assert slow["throttle"]["by"] == "write_latency"
        assert source_of(slow)["write_wait_seconds"] > 0.03
        busy.end()
        assert busy.errors == []
    await asyncio.to_thread(order, running, rows_per_second=0)
    await end_equal(running, path, target_url)
    await asyncio.to_thread(
        running.wait_until, lambda s: source_of(s)["write_wait_seconds"] is None, 30, "no measurement"
    )


async def test_a_limit_holds_a_verification_back_too(
    daemon: StartDaemon, make_source: MakeSource, target_url: str
) -> None:
    """It reads as the copy does."""
    path = make_source(script=LARGE.format(rows=1_200))
    running = await started(daemon, path, target_url)
    await asyncio.to_thread(order, running, rows_per_second=600)
    begun = time.monotonic()
    assert (await asyncio.to_thread(running.verify))["equal"]
    assert time.monotonic() - begun > 1.2
