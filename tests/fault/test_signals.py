"""SIGTERM at any moment ends the daemon in order within seconds, and the next start goes on where it was."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from config.errors import ControlError
from daemon.embedded import EmbeddedPostgres
from tests.compare import differences
from tests.fault.scene import (
    HASTY,
    SMALL_CHUNKS,
    StartWriter,
    copying,
    end_equal,
    ended_equal,
    make_archive,
    settle,
    source_of,
    source_open,
    started,
    stop_all,
    target_open,
)
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

#: Stopping takes a few tenths of a second; the rest is for a busy machine.
SOON = 5


@pytest.mark.parametrize("state", ["preflight", "snapshot", "streaming"])
async def test_a_stop_is_obeyed_and_a_restart_goes_on(
    state: str, make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """It exits with 0 within seconds, and what was copied is not copied again."""
    path = make_archive(make_source, rows=12_000)
    writing = writer(path, rate=150)
    running = daemon(path, target_url, env=HASTY, args=SMALL_CHUNKS)
    if state == "snapshot":
        await asyncio.to_thread(copying, running, 500)
    elif state == "streaming":
        await asyncio.to_thread(settle, running, path)
    else:
        await asyncio.to_thread(running.wait_until, lambda status: True)
    copied = sum(one["rows_copied"] for one in running.status()["sources"])
    async with asyncio.timeout(SOON):
        assert await asyncio.to_thread(running.stop) == 0

    running = daemon(path, target_url, env=HASTY, args=SMALL_CHUNKS)
    again = await asyncio.to_thread(copying, running, 0)
    assert source_of(again)["rows_copied"] >= copied
    await ended_equal(writing, running, path, target_url)


async def test_a_stop_is_obeyed_while_the_target_is_away(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, own_postgres: EmbeddedPostgres
) -> None:
    """Before the first connection, and in the middle of the stream."""
    path = make_archive(make_source, rows=500)
    writing = writer(path, rate=150)
    running = await started(daemon, path, own_postgres.url)
    own_postgres.stop("immediate")
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["retries"] > 1)
    async with asyncio.timeout(SOON):
        assert await asyncio.to_thread(running.stop) == 0

    running = daemon(path, own_postgres.url, env=HASTY)
    await asyncio.to_thread(running.wait_log, "waiting for the target")
    async with asyncio.timeout(SOON):
        assert await asyncio.to_thread(running.stop) == 0

    await asyncio.to_thread(own_postgres.start)
    running = daemon(path, own_postgres.url, env=HASTY)
    await ended_equal(writing, running, path, own_postgres.url)


async def test_a_stop_in_the_cutover_leaves_one_side_open(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """It is carried to its end, or was not begun: the state after the restart is what the sides say."""
    path = make_archive(make_source, rows=500)
    writing = writer(path, rate=150)
    chance = random.Random(5)
    state = "streaming"
    for _ in range(3):
        running = daemon(path, target_url, env=HASTY)
        await asyncio.to_thread(running.wait_ready)
        cutover = asyncio.create_task(asyncio.to_thread(running.cutover))
        await asyncio.sleep(chance.uniform(0, 0.04))
        async with asyncio.timeout(SOON):
            assert await asyncio.to_thread(running.stop) == 0
        with suppress(ControlError):
            await cutover
        sides = (source_open(path), await target_open(target_url))
        assert sides in ((True, False), (False, True))
        state = "cut_over" if sides[1] else "streaming"
        if state == "cut_over":
            break
    running = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(running.wait_for, state)
    assert stop_all([writing]) == []
    if state == "streaming":
        await end_equal(running, path, target_url)
    assert await differences(path, target_url) == []
