"""Two daemons on one source: one does the work, the other is told why it must not."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.fault.scene import (
    HASTY,
    SMALL_CHUNKS,
    StartWriter,
    copying,
    end_equal,
    ended_equal,
    make_archive,
    settle,
    started,
    stop_all,
)
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

REFUSED = "another liteferry is at work"


@pytest.mark.parametrize("state", ["snapshot", "streaming"])
async def test_a_second_daemon_is_refused(
    state: str, make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """It ends at once with a clear error, changes nothing, and the first goes on."""
    path = make_archive(make_source, rows=12_000 if state == "snapshot" else 500)
    writing = writer(path, rate=150)
    first = daemon(path, target_url, env=HASTY, args=SMALL_CHUNKS)
    if state == "snapshot":
        await asyncio.to_thread(copying, first, 200)
    else:
        await asyncio.to_thread(settle, first, path)
    second = daemon(path, target_url, env=HASTY)
    assert await asyncio.to_thread(second.wait_end) == 3
    assert REFUSED in second.log
    assert first.returncode is None
    await ended_equal(writing, first, path, target_url)


async def test_of_two_started_at_once_one_works(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """Whichever is first sets everything up; the other leaves without a trace."""
    path = make_archive(make_source, rows=2_000)
    writing = writer(path, rate=150)
    both = [daemon(path, target_url, env=HASTY) for _ in range(2)]
    refused = await asyncio.to_thread(first_to_end, [one.wait_end for one in both])
    assert both[refused].returncode == 3
    assert REFUSED in both[refused].log
    assert stop_all([writing]) == []
    await end_equal(both[1 - refused], path, target_url)


def first_to_end(waits: list[Callable[[float], int]]) -> int:
    """Return the place of the first that ends."""
    for place in itertools.cycle(range(len(waits))):
        with suppress(subprocess.TimeoutExpired):
            waits[place](0.05)
            return place
    raise AssertionError


async def test_a_daemon_that_was_frozen_keeps_its_source(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """SIGSTOP for more than a second, a second daemon meanwhile, SIGCONT: the first goes on."""
    path = make_archive(make_source, rows=500)
    writing = writer(path, rate=150)
    first = await started(daemon, path, target_url)
    first.signal(signal.SIGSTOP)
    second = daemon(path, target_url, env=HASTY)
    assert await asyncio.to_thread(second.wait_end) == 3
    await asyncio.sleep(1)
    first.signal(signal.SIGCONT)
    await ended_equal(writing, first, path, target_url)
