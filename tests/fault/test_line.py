"""The line to PostgreSQL is cut in the middle of things, again and again, or falls silent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from tests.fault.scene import (
    HASTY,
    SMALL_CHUNKS,
    StartWriter,
    copying,
    end_equal,
    make_archive,
    settle,
    source_of,
    started,
    stop_all,
)
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.proxy import Proxy
from tests.fixtures.sqlite import MakeSource

MakeProxy = Callable[[str], Proxy]


async def test_cuts_at_any_moment_of_the_whole_way(
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    proxy: MakeProxy,
    target_url: str,
) -> None:
    """Every connection is reset thirty times, from the snapshot to the stream."""
    path = make_archive(make_source, rows=8_000)
    writing, line = writer(path, rate=150), proxy(target_url)
    running = daemon(path, line.url, env=HASTY, args=SMALL_CHUNKS)
    await asyncio.to_thread(copying, running, 200)
    chance = random.Random(3)
    for _ in range(30):
        line.cut()
        await asyncio.sleep(chance.uniform(0, 0.25))
    await asyncio.to_thread(settle, running, path)
    assert stop_all([writing]) == []
    await end_equal(running, path, target_url)
    assert source_of(running.status())["retries"] > 5


@pytest.mark.parametrize("nbytes", [150, 900, 3_000, 12_000, 60_000])
async def test_connections_that_break_after_some_bytes(
    nbytes: int,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    proxy: MakeProxy,
    target_url: str,
) -> None:
    """Inside the greeting, a COPY, a batch, before a COMMIT: each connection dies there until it heals."""
    path = make_archive(make_source, rows=3_000)
    writing, line = writer(path, rate=100), proxy(target_url)
    running = daemon(path, line.url, env=HASTY, args=SMALL_CHUNKS)
    await asyncio.to_thread(copying, running, 200)
    line.cut_after(nbytes)
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["retries"] > 3)
    line.heal()
    await asyncio.to_thread(settle, running, path)
    before = source_of(running.status())["retries"]
    line.cut_after(nbytes)
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["retries"] > before + 2)
    line.heal()
    assert stop_all([writing]) == []
    await end_equal(running, path, target_url)


async def test_a_silent_line_is_waited_for(
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    proxy: MakeProxy,
    target_url: str,
) -> None:
    """For some seconds nothing comes back: the lag shows it, in the snapshot and in the stream."""
    path = make_archive(make_source, rows=8_000)
    writing, line = writer(path, rate=100), proxy(target_url)
    running = daemon(path, line.url, env=HASTY, args=SMALL_CHUNKS)
    await asyncio.to_thread(copying, running, 200)
    for _ in range(2):
        line.deaf()
        silent = await asyncio.to_thread(
            running.wait_until, lambda s: source_of(s)["oldest_unapplied_seconds"] > 2.5
        )
        assert not silent["can_cutover"] or source_of(silent)["pending_changes"] < 1000
        line.heal()
        await asyncio.to_thread(settle, running, path)
    assert stop_all([writing]) == []
    await end_equal(running, path, target_url)


async def test_a_stop_is_obeyed_while_the_line_is_silent(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, proxy: MakeProxy, target_url: str
) -> None:
    """SIGTERM ends the daemon within its time, though the target answers nothing, and it goes on later."""
    path = make_archive(make_source, rows=1_000)
    writing, line = writer(path, rate=100), proxy(target_url)
    running = await started(daemon, path, line.url, env={**HASTY, "LITEFERRY_SHUTDOWN_TIMEOUT": "2"})
    line.deaf()
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["oldest_unapplied_seconds"] > 1)
    async with asyncio.timeout(10):
        assert await asyncio.to_thread(running.stop) == 0
    line.heal()
    running = daemon(path, line.url, env=HASTY)
    assert stop_all([writing]) == []
    await end_equal(running, path, target_url)
