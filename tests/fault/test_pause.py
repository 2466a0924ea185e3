"""A pause holds everything but the capture, outlives the daemon, and loses nothing."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.errors import CommandRefused, ConfigError, ControlError, CutoverRefused, TargetAway
from tests.compare import differences
from tests.databases import on_source, on_target
from tests.fault.scene import (
    COPIERS,
    HASTY,
    SMALL_CHUNKS,
    StartWriter,
    copying,
    end_equal,
    ended_equal,
    head,
    make_archive,
    one_value,
    source_of,
    started,
)
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.proxy import Proxy
from tests.fixtures.sqlite import MakeSource

SCRIPT = "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t(a) VALUES('x');"


def pause(daemon: RunningDaemon, **options: Any) -> dict[str, Any]:
    """Order a pause."""
    return daemon.ask("/control/pause", options)


def resume(daemon: RunningDaemon, **options: Any) -> dict[str, Any]:
    """Take it back."""
    return daemon.ask("/control/resume", options)


async def test_while_paused_nothing_is_carried_over_and_nothing_is_lost(
    daemon: StartDaemon, make_source: MakeSource, writer: StartWriter, target_url: str
) -> None:
    """Changes wait in the log and are counted, also through a kill; after `resume` both sides are equal."""
    path = make_archive(make_source, rows=500)
    running = await started(daemon, path, target_url)
    writing = writer(path, seed=1, rate=100)
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["changes_applied"] > 100)
    told = await asyncio.to_thread(pause, running)
    assert told["at_rest"] and told["sources"][0]["paused"]["before"] == "streaming"
    # twice is once, and it is since when it was
    again = await asyncio.to_thread(pause, running)
    assert again["sources"] == told["sources"]

    before = source_of(running.status())
    count = await one_value(target_url, "SELECT sum(position) FROM liteferry.source")
    waiting = await asyncio.to_thread(
        running.wait_until, lambda s: source_of(s)["pending_changes"] > before["pending_changes"] + 100
    )
    one = source_of(waiting)
    assert waiting["state"] == one["state"] == "paused"
    assert not waiting["can_cutover"] and "is paused" in waiting["reasons"][0]
    assert one["position"] == before["position"] and one["oldest_unapplied_seconds"] > 0
    assert one["heartbeat_age_seconds"] > before["heartbeat_age_seconds"]
    assert await one_value(target_url, "SELECT sum(position) FROM liteferry.source") == count
    for command in (running.cutover, running.verify):
        with pytest.raises(CutoverRefused, match="paused"):
            await asyncio.to_thread(command)

    running.kill()
    running = daemon(path, target_url, env=HASTY)
    status = await asyncio.to_thread(running.wait_for, "paused")
    assert source_of(status)["paused"] == told["sources"][0]["paused"]
    assert await one_value(target_url, "SELECT sum(position) FROM liteferry.source") == count
    await asyncio.to_thread(
        running.wait_until, lambda s: source_of(s)["pending_changes"] > one["pending_changes"]
    )
    assert (await asyncio.to_thread(resume, running))["resumed"] == 1
    assert (await asyncio.to_thread(resume, running))["resumed"] == 0
    await ended_equal(writing, running, path, target_url)
    assert source_of(running.status())["paused"] is None


async def test_a_pause_in_the_middle_of_the_copy_keeps_what_is_copied(
    daemon: StartDaemon, make_source: MakeSource, writer: StartWriter, target_url: str
) -> None:
    """The copiers are ended, no row comes in until `resume`, and the copy goes on behind the last chunk."""
    path = make_archive(make_source, rows=40_000)
    slow = {**HASTY, **COPIERS, "LITEFERRY_FAILPOINTS": "copier.after_commit@2=1"}
    running = daemon(path, target_url, env=slow, args=SMALL_CHUNKS)
    writing = writer(path, seed=2, rate=50)
    await asyncio.to_thread(copying, running, 300)
    told = await asyncio.to_thread(pause, running)
    assert told["at_rest"] and told["sources"][0]["paused"]["before"] == "snapshot"
    written = head(path)
    await asyncio.to_thread(running.wait_until, lambda _: head(path) > written + 50)
    # a commit that was on its way when its copier was ended counts too
    rows = await one_value(target_url, "SELECT count(*) FROM archive")
    copied = await one_value(target_url, "SELECT sum(rows_copied)::int FROM liteferry.lane")
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["rows_copied"] == copied)
    assert 0 < rows < 40_000
    # a stop and a start in between change nothing
    assert await asyncio.to_thread(running.stop) == 0
    running = daemon(path, target_url, env={**HASTY, **COPIERS})
    status = await asyncio.to_thread(running.wait_for, "paused")
    assert source_of(status)["rows_copied"] == copied
    assert await one_value(target_url, "SELECT count(*) FROM archive") == rows
    await asyncio.to_thread(resume, running)
    await ended_equal(writing, running, path, target_url)


async def test_a_daemon_that_dies_behind_the_note_comes_back_paused(
    daemon: StartDaemon, make_source: MakeSource, target_url: str
) -> None:
    """The order counts from when the target has it, whether or not anybody was told."""
    path = make_source(script=SCRIPT)
    running = await started(
        daemon, path, target_url, env={**HASTY, "LITEFERRY_FAILPOINTS": "pause.noted=kill"}
    )
    with pytest.raises(ControlError):
        await asyncio.to_thread(pause, running)
    assert running.wait_end() == -signal.SIGKILL
    running = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(running.wait_for, "paused")
    await asyncio.to_thread(resume, running)
    await end_equal(running, path, target_url)


async def test_an_order_that_cannot_be_kept_is_refused(
    daemon: StartDaemon, make_source: MakeSource, proxy: Callable[[str], Proxy], target_url: str
) -> None:
    """With the target away neither order is taken; the state says what is true, and so does the lag."""
    path = make_source(script=SCRIPT)
    line = proxy(target_url)
    running = await started(daemon, path, line.url)
    line.refuse()
    with pytest.raises(TargetAway, match="the order was not taken"):
        await asyncio.to_thread(pause, running)
    assert source_of(running.status())["paused"] is None
    line.heal()
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["target_connected"])
    assert (await asyncio.to_thread(pause, running))["at_rest"]

    line.refuse()
    on_source(path, "INSERT INTO t(a) VALUES ('y')")
    gone = await asyncio.to_thread(running.wait_until, lambda s: not source_of(s)["target_connected"])
    assert gone["state"] == "paused"
    with pytest.raises(TargetAway, match="the order was not taken"):
        await asyncio.to_thread(resume, running)
    assert running.status()["state"] == "paused"
    line.heal()
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["target_connected"])
    await asyncio.to_thread(resume, running)
    await end_equal(running, path, target_url)


async def test_the_way_back_can_be_paused_and_then_there_is_no_rollback(
    daemon: StartDaemon, make_source: MakeSource, target_url: str
) -> None:
    """The state stays `cut_over`; what waits is counted, and comes home after `resume`."""
    path = make_source(script=SCRIPT)
    running = await started(daemon, path, target_url)
    await asyncio.to_thread(running.wait_ready)
    await asyncio.to_thread(running.cutover)
    await asyncio.to_thread(running.wait_home)
    told = await asyncio.to_thread(pause, running)
    assert told["at_rest"] and told["sources"][0]["state"] == "cut_over"
    on_target(target_url, "INSERT INTO t(a) VALUES ('y'), ('z')")
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["fallback"]["pending_changes"] == 2)
    with pytest.raises(CutoverRefused, match="its way back is paused"):
        await asyncio.to_thread(running.rollback)
    await asyncio.to_thread(resume, running)
    await asyncio.to_thread(running.wait_home)
    assert await differences(path, target_url) == []
    await asyncio.to_thread(running.rollback)
    assert (await asyncio.to_thread(pause, running))["sources"][0]["paused"]
    await asyncio.to_thread(resume, running)
    await end_equal(running, path, target_url)


async def test_one_source_rests_while_the_other_streams(
    daemon: StartDaemon, make_source: MakeSource, target_url: str
) -> None:
    """The whole is told to be paused; a name that is none of theirs is refused with theirs."""
    one, two = (make_source(name, script=SCRIPT) for name in ("one.db", "two.db"))
    running = daemon([one, two], target_url, env=HASTY)
    await asyncio.to_thread(running.wait_ready)
    with pytest.raises(ConfigError, match="'three.db' is followed"):
        await asyncio.to_thread(pause, running, source="three.db")
    await asyncio.to_thread(pause, running, source="one.db")
    for path in (one, two):
        on_source(path, "INSERT INTO t(a) VALUES ('y')")
    await asyncio.to_thread(
        running.wait_until, lambda s: [x["pending_changes"] > 0 for x in s["sources"]] == [True, False]
    )
    status = running.status()
    assert status["state"] == "paused" and not status["can_cutover"]
    assert [x["state"] for x in status["sources"]] == ["paused", "streaming"]
    await asyncio.to_thread(resume, running)
    await asyncio.to_thread(running.wait_ready)


async def test_nothing_rests_in_the_middle_of_a_cutover(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """The order is refused while writes are moved, and taken when it is over."""
    path, begun = make_source(script=SCRIPT), tmp_path / "begun"
    hooks = {"before_cutover": f"touch {begun} && sleep 1"}
    running = await started(daemon, path, target_url, env={**HASTY, "LITEFERRY_HOOKS": json.dumps(hooks)})
    await asyncio.to_thread(running.wait_ready)
    moving = asyncio.create_task(asyncio.to_thread(running.cutover, rehearse=True))
    await asyncio.to_thread(running.wait_until, lambda _: begun.exists())
    with pytest.raises(CommandRefused, match="being moved just now"):
        await asyncio.to_thread(pause, running)
    assert (await moving)["outcome"] == "rehearsed"
    assert (await asyncio.to_thread(pause, running))["at_rest"]
