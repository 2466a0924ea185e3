"""There and back again while an application writes, whatever dies on the way: no write is lost."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from config.errors import ControlError, CutoverRefused
from tests.compare import differences
from tests.databases import from_source, on_source, on_target
from tests.fault.scene import HASTY, poll, source_open, target_open
from tests.fault.test_kill_points import IN_FALLBACK, IN_ROLLBACK
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource
from tests.mover import SCHEMA, Mover, moving

#: Full cycles, or the seconds after which no more is begun; in earnest 50 and more.
CYCLES = int(os.environ.get("LITEFERRY_CYCLES", "0"))
SECONDS = 15.0

#: The daemon goes forward from these on.
DECIDED = (
    "rollback.after_decision",
    "rollback.after_unfence",
    "rollback.before_close",
    "rollback.after_close",
)


async def until(running: RunningDaemon, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait for a status."""
    return await asyncio.to_thread(running.wait_until, reached, 60)


async def there(running: RunningDaemon) -> None:
    """Cut over as soon as it can be done, and wait until there is a way back."""
    while True:
        await until(running, lambda status: bool(status["can_cutover"]))
        with suppress(CutoverRefused):
            await asyncio.to_thread(running.cutover)
            break
    await until(running, lambda status: bool(status["can_rollback"]))


async def back(running: RunningDaemon, **options: Any) -> dict[str, Any]:
    """Roll back as soon as it can be done."""
    while True:
        await until(running, lambda status: bool(status["can_rollback"]))
        with suppress(CutoverRefused):
            return await asyncio.to_thread(running.rollback, **options)


async def one_side(path: Path, url: str) -> str:
    """Return the side that takes writes; never are there two."""
    sides = source_open(path, "probe"), await target_open(url, "probe")
    assert sides != (True, True)
    return {(True, False): "source", (False, True): "target", (False, False): "none"}[sides]


async def settled(running: RunningDaemon, mover: Mover, path: Path, url: str) -> None:
    """Assert that both sides are equal and have all that was acknowledged, when nobody writes any more."""
    state = (await until(running, lambda status: status["state"] in ("streaming", "cut_over")))["state"]
    if state == "streaming":
        await until(running, lambda status: bool(status["can_cutover"]))

    async def equal() -> bool | None:
        return True if not await differences(path, url) else None

    with suppress(AssertionError):
        await poll(equal, 20)
    assert await differences(path, url) == []
    mover.assert_kept()


@pytest.mark.timeout(120 + 40 * CYCLES)
async def test_there_and_back_again_while_an_application_writes(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Full cycles with random timing: each transaction that either side has acknowledged is on both."""
    path, chance = make_source(script=SCHEMA), random.Random(CYCLES or time.time())
    running = daemon(path, target_url, env=HASTY)
    begun, done = time.monotonic(), 0
    async with moving(path, target_url) as mover:
        while done < CYCLES or (not CYCLES and time.monotonic() - begun < SECONDS):
            await asyncio.sleep(chance.random() * 0.3)
            await there(running)
            await asyncio.sleep(chance.random() * 0.3)
            if chance.random() < 0.2:
                await back(running, rehearse=True)
            report = await back(running)
            assert report["outcome"] == "rolled_back"
            done += 1
            if done % 10 == 0:
                # a restart in the middle finds nothing to do
                assert await asyncio.to_thread(running.stop) == 0
                running = daemon(path, target_url, env=HASTY)
    assert done >= 2 and min(mover.count.values()) > 0 and mover.switches >= 2 * done - 2
    await settled(running, mover, path, target_url)
    assert mover.unsure == {}
    assert '"is read again"' not in running.log and '"repaired"' not in running.log


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("point", [*IN_FALLBACK, *IN_ROLLBACK])
async def test_a_kill_on_the_way_back_leaves_one_side_open(
    point: str, journal: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Never both sides take writes; after the restart exactly one does, with all that was acknowledged."""
    if journal == "delete" and point not in ("rollback.before_decision", "rollback.after_decision"):
        pytest.skip("the journal makes no difference there")
    path = make_source(script=SCHEMA, journal=journal)
    first = daemon(path, target_url, env={**HASTY, "LITEFERRY_FAILPOINTS": f"{point}=kill"})
    async with moving(path, target_url) as mover:
        with suppress(ControlError, AssertionError):
            await there(first)
            await poll(lambda: _more(mover, {"target": 0}))
            await back(first)
        assert await asyncio.to_thread(first.wait_end) == -9
        await one_side(path, target_url)
        second = daemon(path, target_url, env=HASTY)
        wanted = "streaming" if point in DECIDED else "cut_over"
        await until(second, lambda status: status["state"] == wanted)
        assert await one_side(path, target_url) == ("source" if wanted == "streaming" else "target")
        before = dict(mover.count)
        await poll(lambda: _more(mover, before))
        if wanted == "cut_over":
            await back(second)
    await settled(second, mover, path, target_url)


async def _more(mover: Mover, before: dict[str, int]) -> bool | None:
    return True if any(mover.count[side] > before[side] for side in before) else None


async def test_two_kills_one_after_the_other_still_end_in_order(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """It dies behind the decision, and again where the next one has just opened the source."""
    path = make_source(script=SCHEMA)
    points = ("rollback.after_decision", "rollback.after_late_unfence")
    async with moving(path, target_url) as mover:
        for point in points:
            running = daemon(path, target_url, env={**HASTY, "LITEFERRY_FAILPOINTS": f"{point}=kill"})
            with suppress(AssertionError, ControlError):
                await there(running)
                await back(running)
            assert await asyncio.to_thread(running.wait_end) == -9
            await one_side(path, target_url)
        last = daemon(path, target_url, env=HASTY)
        await until(last, lambda status: status["state"] == "streaming")
    await settled(last, mover, path, target_url)


@pytest.mark.parametrize("opened", [1, 2])
async def test_a_kill_between_two_sources_is_finished_for_both(
    opened: int, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """With one or both of them open, it goes forward."""
    script = "CREATE TABLE {0}(id INTEGER PRIMARY KEY, n INT); INSERT INTO {0}(n) VALUES (1), (2), (3)"
    paths = [make_source(f"{name}.db", script.format(name)) for name in ("one", "two")]
    args = ("--schema", "public")
    env = {**HASTY, "LITEFERRY_FAILPOINTS": f"rollback.after_unfence@{opened}=kill"}
    first = daemon(paths, target_url, env=env, args=args)
    await there(first)
    on_target(target_url, "UPDATE one SET n = n + 10; DELETE FROM two WHERE n = 2")
    with suppress(ControlError):
        await back(first)
    assert await asyncio.to_thread(first.wait_end) == -9
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
        on_target(target_url, "UPDATE two SET n = 0; SELECT 1")
    second = daemon(paths, target_url, env=HASTY, args=args)
    await until(second, lambda status: status["state"] == "streaming")
    assert from_source(paths[0], "SELECT n FROM one") == [(11,), (12,), (13,)]
    assert from_source(paths[1], "SELECT n FROM two") == [(1,), (3,)]
    for path, table in zip(paths, ("one", "two"), strict=True):
        on_source(path, f"INSERT INTO {table}(n) VALUES (7)")
    await there(second)
    for path, table in zip(paths, ("one", "two"), strict=True):
        assert await differences(path, target_url, tables=[table]) == []
