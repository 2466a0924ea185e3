"""The whole way through a real PgBouncer in transaction mode, where nothing may be left in a session."""

from __future__ import annotations

import asyncio

from tests.compare import differences
from tests.databases import on_target
from tests.fault.scene import (
    COPIERS,
    HASTY,
    SMALL_CHUNKS,
    StartWriter,
    copying,
    ended_equal,
    make_archive,
    source_open,
    started,
    target_open,
)
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.pgbouncer import Pooling
from tests.fixtures.sqlite import MakeSource

CHANGES = "UPDATE archive SET n = n + 1 WHERE id % 7 = 0; DELETE FROM archive WHERE id % 11 = 0"


async def test_the_whole_way_through_a_pooler(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str, pooling: Pooling
) -> None:
    """Copied by copiers, killed, streamed, verified, cut over, rolled back: with three sessions for all."""
    url = pooling(target_url, size=3)
    path = make_archive(make_source, rows=2_000)
    writing = writer(path, rate=25)
    first = daemon(path, url, env={**HASTY, **COPIERS}, args=SMALL_CHUNKS)
    await asyncio.to_thread(copying, first, 300)
    first.kill()
    running = await started(daemon, path, url)
    second = daemon(path, url, env=HASTY)
    assert await asyncio.to_thread(second.wait_end) == 3
    assert "another liteferry is at work" in second.log
    assert (await asyncio.to_thread(running.verify))["equal"]
    await asyncio.to_thread(running.wait_ready)
    assert (await asyncio.to_thread(running.cutover))["outcome"] == "cut_over"
    writing.stop()
    assert not source_open(path)
    assert await target_open(target_url)
    assert await differences(path, target_url) == []
    on_target(target_url, CHANGES)
    await asyncio.to_thread(running.wait_home, 60)
    assert (await asyncio.to_thread(running.rollback))["outcome"] == "rolled_back"
    assert source_open(path)
    assert not await target_open(target_url)
    await ended_equal(writer(path, rate=25, seed=2), running, path, target_url)
