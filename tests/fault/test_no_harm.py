"""The application beside us: nothing of it fails because of what we do, whatever PostgreSQL does."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.fault.scene import HASTY, StartWriter, end_equal, make_archive, settle, source_of, started
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.proxy import Proxy
from tests.fixtures.sqlite import MakeSource

MakeProxy = Callable[[str], Proxy]

#: Everything periodic as often as can be: each is a chance to be in the way.
BUSY = {**HASTY, "LITEFERRY_HEARTBEAT_INTERVAL": "0.1", "LITEFERRY_PRUNE_INTERVAL": "0.1"}


@pytest.mark.parametrize(("journal", "patience_ms"), [("wal", 5_000), ("wal", 50), ("delete", 5_000)])
async def test_no_write_fails_through_install_snapshot_stream_and_pruning(
    journal: str,
    patience_ms: int,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    target_url: str,
) -> None:
    """Not with five seconds of patience, nor with fifty milliseconds, with a verification on top."""
    path = make_archive(make_source, rows=15_000, journal=journal)
    writing = writer(path, rate=250, busy_timeout_ms=patience_ms)
    running = await started(daemon, path, target_url, env=BUSY)
    assert (await asyncio.to_thread(running.verify))["equal"]
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["changes_applied"] > 2_000)
    assert writing.stop().errors == []
    await end_equal(running, path, target_url)


@pytest.mark.soak
async def test_next_to_no_write_fails_without_wal_and_without_patience(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """A commit of ours waits for the disk as any other: a slow one can take fifty milliseconds."""
    path = make_archive(make_source, rows=15_000, journal="delete")
    writing = writer(path, rate=250, busy_timeout_ms=50)
    running = daemon(path, target_url)
    await asyncio.to_thread(settle, running, path)
    assert (await asyncio.to_thread(running.verify))["equal"]
    await asyncio.sleep(20)
    summary = writing.stop()
    assert len(summary.errors) < summary.transactions / 100
    await end_equal(running, path, target_url)


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_a_verification_on_a_silent_line_keeps_no_writer_waiting(
    journal: str,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    proxy: MakeProxy,
    target_url: str,
) -> None:
    """The source is not held open while PostgreSQL is asked for its rows."""
    path = make_archive(make_source, rows=2_000, journal=journal)
    writing, line = writer(path, rate=100), proxy(target_url)
    running = await started(daemon, path, line.url)
    verification = asyncio.create_task(asyncio.to_thread(running.verify))
    await asyncio.to_thread(running.wait_until, lambda s: "a verification is running" in s["reasons"])
    line.deaf()
    await asyncio.sleep(3)
    line.heal()
    assert (await verification)["equal"]
    summary = writing.stop()
    assert summary.errors == []
    assert summary.max_stall_ms < 2_000
    await end_equal(running, path, target_url)


async def test_the_install_beside_a_long_reader_keeps_no_other_reader_out(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Without WAL our commit must wait for a reader; meanwhile other readers come and go as before."""
    path = make_archive(make_source, rows=500, journal="delete")
    with closing(sqlite3.connect(path, isolation_level=None)) as report, Readers(path) as readers:
        report.execute("BEGIN")
        report.execute("SELECT count(*) FROM archive").fetchall()
        running = daemon(path, target_url, env=HASTY)
        await asyncio.to_thread(running.wait_until, lambda s: s["state"] == "preflight")
        await asyncio.sleep(3)
        report.execute("ROLLBACK")
        await asyncio.to_thread(settle, running, path)
    assert readers.errors == []
    assert readers.reads > 50
    await end_equal(running, path, target_url)


#: In a process of its own: within one process SQLite lends the lock of one reader to all others.
READERS = """
import json, sqlite3, sys, threading, time
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0.5)
reads, errors, stop = 0, [], threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set())).start()
while not stop.wait(0.02):
    try:
        database.execute("SELECT max(id) FROM archive").fetchall()
        reads += 1
    except sqlite3.Error as error:
        errors.append(str(error))
print(json.dumps([reads, errors]))
"""


class Readers:
    """An application that reads in short transactions with little patience."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-c", READERS, str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reads = 0
        self.errors: list[str] = []

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *_: object) -> None:
        output = self._process.communicate("", timeout=30)[0]
        self.reads, self.errors = json.loads(output)
