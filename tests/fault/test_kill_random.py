"""The daemon is killed at moments that nobody has chosen, over and over, while the application writes.

LITEFERRY_TEST_SEED repeats a run's choices; the seed is printed when a test fails.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from config.errors import LiteferryError
from tests.compare import differences
from tests.fault.scene import (
    COPIERS,
    HASTY,
    SMALL_CHUNKS,
    StartWriter,
    acknowledged,
    copying,
    end_equal,
    make_archive,
    settle,
    source_open,
    stop_all,
    target_count,
    target_open,
)
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

#: Lives in each of which the cutover is killed over and over, and how often at most.
ROUNDS, KILLS = 4, 3

#: How often it is killed before it streams, and once more so often after.
FEW, MANY = 4, 14


@pytest.fixture
def chance() -> random.Random:
    """Return a source of chance whose seed is printed."""
    # the system's: pytest-randomly sets the other one
    seed = int(os.environ.get("LITEFERRY_TEST_SEED") or random.SystemRandom().randrange(1_000_000))
    sys.stdout.write(f"LITEFERRY_TEST_SEED={seed}\n")
    return random.Random(seed)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("journal", "kills"),
    [
        ("wal", FEW),
        pytest.param("wal", MANY, marks=pytest.mark.soak),
        pytest.param("delete", MANY, marks=pytest.mark.soak),
    ],
)
async def test_kills_from_the_first_second_to_the_stream(
    journal: str,
    kills: int,
    chance: random.Random,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    target_url: str,
    tmp_path: Path,
) -> None:
    """Some lives end while it starts, most in the snapshot, the rest in catch-up and stream."""
    path = make_archive(make_source, rows=25_000, journal=journal)
    confirmed = tmp_path / "journal"
    writing = writer(path, rate=150, journal=confirmed)
    lives = [life(daemon, path, target_url, 0)]
    for number in range(2 * kills):
        await asyncio.to_thread(let_live, lives[-1], chance, number, number < kills)
        lives[-1].kill()
        lives.append(life(daemon, path, target_url, number + 1))
    await asyncio.to_thread(settle, lives[-1], path)
    assert stop_all([writing]) == []
    await end_equal(lives[-1], path, target_url)
    assert await target_count(target_url, 1) == acknowledged(confirmed)
    assert [one.returncode for one in lives[:-1]] == [-9] * (2 * kills)


def life(daemon: StartDaemon, path: Path, url: str, number: int) -> RunningDaemon:
    """Start the daemon once more, every other time one that lets copiers do the copying."""
    return daemon(path, url, env={**HASTY, **(COPIERS if number % 2 == 0 else {})}, args=SMALL_CHUNKS)


def let_live(running: RunningDaemon, chance: random.Random, number: int, early: bool) -> None:
    """Let it live for a moment: at first not even until it answers, later until it has done something."""
    if number % 5 == 4:
        with suppress(AssertionError):
            running.wait_until(lambda status: False, chance.uniform(0.3, 1.2))
        return
    if early:
        copying(running, 0)
    else:
        running.wait_until(lambda status: status["state"] in ("catch_up", "streaming"))
    with suppress(AssertionError):
        running.wait_until(lambda status: False, chance.uniform(0, 0.4))


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_kills_in_the_cutover(
    number: int,
    chance: random.Random,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    target_url: str,
    tmp_path: Path,
) -> None:
    """Again and again until one has brought it to its end: never are both sides open, nothing is lost."""
    path = make_archive(make_source, rows=500, journal=chance.choice(["wal", "delete"]))
    confirmed = tmp_path / "journal"
    writing = writer(path, rate=150, journal=confirmed)
    running = daemon(path, target_url, env=HASTY)
    for _ in range(KILLS):
        await asyncio.to_thread(running.wait_ready)
        await asyncio.to_thread(kill_in_cutover, running, chance)
        assert not (source_open(path) and await target_open(target_url))
        running = daemon(path, target_url, env=HASTY)
        state = await asyncio.to_thread(resolved, running)
        sides = (source_open(path), await target_open(target_url))
        assert sides == ((True, False) if state == "streaming" else (False, True))
        if state == "cut_over":
            break
    else:
        await asyncio.to_thread(running.wait_ready)
        await asyncio.to_thread(running.cutover)
    assert stop_all([writing]) == []
    assert await differences(path, target_url) == []
    assert await target_count(target_url, 1) >= acknowledged(confirmed)


def kill_in_cutover(running: RunningDaemon, chance: random.Random) -> None:
    """Kill it within some hundredths of a second from when a cutover has begun."""
    with ThreadPoolExecutor(1) as thread:
        cutover = thread.submit(running.cutover)
        running.wait_log("cutting_over")
        time.sleep(chance.uniform(0, 0.03))
        running.kill()
        with suppress(LiteferryError):
            cutover.result()


def resolved(running: RunningDaemon) -> str:
    """Return the state in which a restarted daemon ends up."""
    return str(running.wait_until(lambda status: status["state"] in ("streaming", "cut_over"))["state"])
