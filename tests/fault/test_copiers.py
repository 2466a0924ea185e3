"""Copiers, the processes that copy large tables: what they leave to the daemon, and none left over."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.fault.scene import (
    COPIERS,
    HASTY,
    SMALL_CHUNKS,
    StartWriter,
    copying,
    end_equal,
    ended_equal,
    make_archive,
    poll,
    source_of,
    started,
)
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.proxy import Proxy
from tests.fixtures.sqlite import MakeSource

MakeProxy = Callable[[str], Proxy]

ENV = {**HASTY, **COPIERS}

#: Every copier stays a moment in its second chunk, so that something can happen to it there.
LINGERING = {**ENV, "LITEFERRY_FAILPOINTS": "copier.before_commit@2=0.7"}


def copiers_of(daemon: RunningDaemon) -> list[int]:
    """Return the process ids of a daemon's copiers."""
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    return [
        int(pid)
        for pid in children
        if b"replicator.loading.copier" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


async def gone(pids: list[int]) -> None:
    """Wait until none of some processes is alive."""

    async def look() -> bool | None:
        return True if not any(alive(pid) for pid in pids) else None

    await poll(look)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_no_copier_outlives_its_daemon(
    how: str, make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """Killed or stopped in the middle of the copy, and started again: equal."""
    path = make_archive(make_source, rows=25_000)
    writing = writer(path, rate=150)
    first = daemon(path, target_url, env=LINGERING, args=SMALL_CHUNKS)
    await asyncio.to_thread(copying, first, 0)
    copiers = copiers_of(first)
    assert copiers
    if how == "kill":
        first.kill()
    else:
        assert first.stop() == 0
    await gone(copiers)
    second = await started(daemon, path, target_url, env=ENV, args=SMALL_CHUNKS)
    await ended_equal(writing, second, path, target_url)


async def test_copiers_share_the_lanes_and_end_with_the_copy(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """Rows that move from lane to lane, come and go meanwhile: all lanes by copiers, and equal."""
    path = make_archive(make_source, rows=20_000)
    writing = writer(path, rate=300)
    running = await started(daemon, path, target_url, env=ENV, args=SMALL_CHUNKS)
    await ended_equal(writing, running, path, target_url)
    assert running.log.count('"lane copied"') > 10
    assert "gave up" not in running.log
    assert copiers_of(running) == []


async def test_killed_copiers_are_replaced_by_the_daemon(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Whoever kills them, and in whatever they are doing: no restart, no loss."""
    path = make_archive(make_source, rows=25_000)
    running = daemon(path, target_url, env=LINGERING, args=SMALL_CHUNKS)
    for enough in (0, 5_000, 10_000):
        await asyncio.to_thread(copying, running, enough)
        for pid in copiers_of(running):
            os.kill(pid, signal.SIGKILL)
    await end_equal(running, path, target_url)
    assert "a copier gave up" in running.log


async def test_an_outage_is_waited_for_by_the_daemon(
    make_source: MakeSource, daemon: StartDaemon, proxy: MakeProxy, target_url: str
) -> None:
    """A connection that breaks ends the copier; the daemon goes on as soon as the target is back."""
    path = make_archive(make_source, rows=25_000)
    line = proxy(target_url)
    running = daemon(path, line.url, env=LINGERING, args=SMALL_CHUNKS)
    await asyncio.to_thread(copying, running, 0)
    line.cut()
    await end_equal(running, path, target_url)
    assert "a copier gave up" in running.log
    status = source_of(running.status())
    assert (status["error"], status["target_connected"]) == (None, True)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("'a' || char(0) || 'b'", "NUL"),
        ("CAST(x'636166e9' AS TEXT)", "UTF-8"),
        ("x'01'", "holds text"),
    ],
)
async def test_a_value_that_cannot_be_stored_is_named_as_ever(
    value: str, reason: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Put in after the profile: the copier meets it, the daemon names table, key and column, and ends."""
    path = make_archive(make_source, rows=5_000)
    registered = {**ENV, "LITEFERRY_FAILPOINTS": "register.after=kill"}
    assert daemon(path, target_url, env=registered).wait_end() == -9
    with closing(sqlite3.connect(path)) as application:
        application.execute(f"UPDATE archive SET body = {value} WHERE id = 3456")
        application.commit()
    running = daemon(path, target_url, env={**ENV, "LITEFERRY_ON_BAD_VALUE": "halt"}, args=SMALL_CHUNKS)
    assert running.wait_end() != 0
    for told in ("archive", "3456", "body", reason):
        assert told in running.log


async def test_the_writers_of_a_rollback_journal_wait_for_no_copier(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """There every reader makes them wait, so one at a time is enough."""
    path = make_archive(make_source, rows=5_000, journal="delete")
    running = daemon(path, target_url, env=ENV, args=SMALL_CHUNKS)
    await end_equal(running, path, target_url)
    assert "lane copied" not in running.log
