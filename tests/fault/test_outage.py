"""PostgreSQL goes away under load, by all the ways it can, and comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daemon.embedded import EmbeddedPostgres
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
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

#: Long enough that some measurements of the lag, two a second, lie in it.
SHORT, LONG = 3.0, 20.0

WAYS = ("fast", "immediate", "kill")


def go_away(server: EmbeddedPostgres, way: str) -> None:
    """Stop the server in order, abort it, or kill all of its processes."""
    if way == "kill":
        server.kill()
    else:
        server.stop(way)


@pytest.mark.parametrize("way", WAYS)
async def test_an_outage_while_streaming(
    way: str,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    own_postgres: EmbeddedPostgres,
) -> None:
    """The lag rises honestly and falls again, the daemon lives, and both sides end up equal."""
    await streaming_outage(way, SHORT, make_source, writer, daemon, own_postgres)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
async def test_a_long_outage_while_streaming(
    way: str,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    own_postgres: EmbeddedPostgres,
) -> None:
    """The same for twenty seconds."""
    await streaming_outage(way, LONG, make_source, writer, daemon, own_postgres)


async def streaming_outage(
    way: str,
    seconds: float,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    server: EmbeddedPostgres,
) -> None:
    """Stream, lose the server, watch the lag, get it back."""
    path = make_archive(make_source, rows=1_000)
    writing = writer(path, rate=150)
    running = await started(daemon, path, server.url)

    await asyncio.to_thread(go_away, server, way)
    seen = await asyncio.to_thread(watch, running, seconds)
    await asyncio.to_thread(server.start)
    assert_honest(seen, seconds)

    await asyncio.to_thread(settle, running, path)
    await asyncio.to_thread(running.wait_ready)
    after = source_of(running.status())
    assert (after["target_connected"], after["error"]) == (True, None)
    assert after["oldest_unapplied_seconds"] < 1
    assert stop_all([writing]) == []
    await end_equal(running, path, server.url)


def watch(running: RunningDaemon, seconds: float) -> list[dict[str, Any]]:
    """Return one status per half second, from when the daemon has noticed."""
    found = [running.wait_until(lambda status: not source_of(status)["target_connected"])]
    for count in range(round(seconds * 2)):
        start = source_of(found[0])["heartbeat_age_seconds"]
        wanted = start + 0.5 * (count + 1)
        later = running.wait_until(lambda s, w=wanted: source_of(s)["heartbeat_age_seconds"] >= w)  # type: ignore[misc]
        found.append(later)
    return found


def assert_honest(seen: list[dict[str, Any]], seconds: float) -> None:
    """Nothing froze, nothing fell, and a cutover was out of the question."""
    facts = [source_of(status) for status in seen]
    for earlier, later in zip(facts, facts[1:], strict=False):
        assert later["oldest_unapplied_seconds"] > earlier["oldest_unapplied_seconds"]
        assert later["pending_changes"] >= earlier["pending_changes"]
    grown = {facts[i + 3]["pending_changes"] - facts[i]["pending_changes"] for i in range(len(facts) - 3)}
    assert min(grown) > 0, "the number of pending changes stood still"
    assert facts[-1]["oldest_unapplied_seconds"] > seconds * 0.9
    assert all(not one["target_connected"] and "away" in one["error"] for one in facts)
    assert all(not status["can_cutover"] and status["reasons"] for status in seen)
    assert facts[-1]["retries"] > facts[0]["retries"]


@pytest.mark.parametrize("way", WAYS)
async def test_an_outage_in_the_snapshot(
    way: str,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    own_postgres: EmbeddedPostgres,
) -> None:
    """The copy waits at the chunk in hand and goes on there; what it waits for is told."""
    path = make_archive(make_source, rows=20_000)
    writing = writer(path, rate=100)
    running = daemon(path, own_postgres.url, env=HASTY, args=SMALL_CHUNKS)
    await asyncio.to_thread(copying, running, 500)
    await asyncio.to_thread(go_away, own_postgres, way)
    away = await asyncio.to_thread(
        running.wait_until, lambda s: not source_of(s)["target_connected"] and source_of(s)["retries"] > 2
    )
    assert away["state"] == "snapshot"
    assert "away" in source_of(away)["error"]
    await asyncio.to_thread(own_postgres.start)
    enough = source_of(away)["rows_copied"] + 300
    again = await asyncio.to_thread(
        running.wait_until, lambda s: source_of(s)["rows_copied"] > enough or s["state"] != "snapshot"
    )
    assert source_of(again)["target_connected"]
    assert stop_all([writing]) == []
    await end_equal(running, path, own_postgres.url)
    assert source_of(running.status())["error"] is None


async def test_a_target_that_is_away_at_the_start_is_waited_for(
    make_source: MakeSource, daemon: StartDaemon, own_postgres: EmbeddedPostgres
) -> None:
    """Started before its PostgreSQL, and once more while it is away again."""
    path = make_archive(make_source, rows=500)
    own_postgres.stop("immediate")
    running = daemon(path, own_postgres.url, env=HASTY)
    await asyncio.to_thread(running.wait_log, "waiting for the target")
    await asyncio.to_thread(own_postgres.start)
    await end_equal(running, path, own_postgres.url)

    running.kill()
    own_postgres.kill()
    running = daemon(path, own_postgres.url, env=HASTY)
    await asyncio.to_thread(running.wait_log, "waiting for the target")
    await asyncio.to_thread(own_postgres.start)
    await end_equal(running, path, own_postgres.url)
