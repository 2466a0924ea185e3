"""The daemon dies at each named point of its code, is started again, and goes on as if nothing had been."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path

import pytest

import replicator
from config.errors import ControlError
from tests.compare import differences
from tests.fault import (
    test_changed_settings,
    test_existing_schema,
    test_replaced_source,
    test_schema_changes,
    test_widening,
)
from tests.fault.scene import (
    COPIERS,
    HASTY,
    SMALL_CHUNKS,
    StartWriter,
    acknowledged,
    end_equal,
    fetch,
    make_archive,
    settle,
    source_open,
    started,
    stop_all,
    target_count,
    target_open,
    versions,
)
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

ROWS = 4_000

#: Each point, and at which pass the daemon dies there.
ON_THE_WAY = (
    "install.after",
    "register.after",
    "snapshot.before_commit@1",
    "snapshot.before_commit@25",
    "snapshot.after_commit@1",
    "snapshot.after_commit@25",
    "apply.before_position@1",
    "apply.before_commit@1",
    "apply.before_commit@8",
    "apply.after_commit@1",
    "apply.after_commit@8",
    "pipeline.streaming",
)
#: After these a third start follows, which must find nothing to do.
STARTED_ONCE_MORE = ("snapshot.after_commit@25", "apply.before_commit@8", "pipeline.streaming")

#: Here a copier dies, and the daemon does not.
IN_COPIER = (
    "copier.before_commit@1",
    "copier.before_commit@2",
    "copier.after_commit@1",
    "copier.after_commit@2",
)

IN_CUTOVER = (
    "cutover.after_journal",
    "cutover.before_lock",
    "cutover.after_lock",
    "cutover.after_drain",
    "cutover.after_check",
    "cutover.before_fence",
    "cutover.after_fence",
    "cutover.after_decision",
)

#: While what the target has taken is brought home.
IN_FALLBACK = (
    "fallback.after_read",
    "fallback.after_source",
    "fallback.before_commit",
    "fallback.after_commit",
)

IN_ROLLBACK = (
    "rollback.after_journal",
    "rollback.after_lock",
    "rollback.after_drain",
    "rollback.before_decision",
    "rollback.after_decision",
    "rollback.after_unfence",
    "rollback.before_close",
    "rollback.after_close",
)


def test_every_named_point_is_in_these_tests() -> None:
    """A new point in the code is not forgotten here."""
    code = "".join(path.read_text() for path in Path(replicator.__file__).parent.rglob("*.py"))
    named = set(re.findall(r'failpoint\.reach\("([^"]+)"\)', code))
    elsewhere = (
        "rollback.after_late_unfence",
        "finish.after_target",
        "finish.after_source",
        "compaction.before_commit",
        "compaction.after_commit",
        "recapture.after_install",
        "comparison.saved",
        "tail.reading",
    )
    tested = (
        *elsewhere,
        *ON_THE_WAY,
        *IN_CUTOVER,
        *IN_FALLBACK,
        *IN_ROLLBACK,
        *IN_COPIER,
        *test_schema_changes.POINTS,
        *test_existing_schema.POINTS,
        *test_replaced_source.POINTS,
        *test_widening.POINTS,
        *test_changed_settings.POINTS,
    )
    assert {point.partition("@")[0] for point in tested} == named


@pytest.mark.parametrize("point", ON_THE_WAY)
async def test_a_kill_on_the_way_loses_nothing(
    point: str, make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """Killed at that point while the application writes, and started again: equal, and stays so."""
    path = make_archive(make_source, rows=ROWS)
    writing = writer(path, rate=150)
    env = {**HASTY, "LITEFERRY_FAILPOINTS": f"{point}=kill"}
    assert await asyncio.to_thread(daemon(path, target_url, env=env, args=SMALL_CHUNKS).wait_end) == -9

    second = await started(daemon, path, target_url, args=SMALL_CHUNKS)
    assert stop_all([writing]) == []
    await end_equal(second, path, target_url)
    if point in STARTED_ONCE_MORE:
        await assert_a_restart_rewrites_nothing(second, daemon, path, target_url)


@pytest.mark.parametrize("point", IN_COPIER)
async def test_the_daemon_goes_on_where_a_copier_died(
    point: str, make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """No restart is needed, and nothing is copied twice or left out, while the application writes."""
    path = make_archive(make_source, rows=ROWS)
    writing = writer(path, rate=150)
    env = {**HASTY, **COPIERS, "LITEFERRY_FAILPOINTS": f"{point}=kill"}
    running = await started(daemon, path, target_url, env=env, args=SMALL_CHUNKS)
    assert stop_all([writing]) == []
    await end_equal(running, path, target_url)
    assert "a copier gave up" in running.log


async def assert_a_restart_rewrites_nothing(
    running: RunningDaemon, daemon: StartDaemon, path: Path, url: str
) -> None:
    """Stop it in order, start it once more, and compare every row's transaction."""
    assert running.stop() == 0
    before = await versions(path, url)
    again = await started(daemon, path, url)
    assert await versions(path, url) == before
    assert again.stop() == 0


@pytest.mark.parametrize(
    ("point", "journal"),
    [(point, "wal") for point in IN_CUTOVER]
    + [(point, "delete") for point in ("cutover.before_fence", "cutover.after_fence")],
)
async def test_a_kill_in_the_cutover_leaves_one_side_open(
    point: str,
    journal: str,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    target_url: str,
    tmp_path: Path,
) -> None:
    """Never both sides take writes; after the restart exactly one does, and it has all acknowledged ones."""
    path = make_archive(make_source, rows=500, journal=journal)
    confirmed = tmp_path / "journal"
    writing = writer(path, rate=150, journal=confirmed)
    env = {**HASTY, "LITEFERRY_FAILPOINTS": f"{point}=kill"}
    first = daemon(path, target_url, env=env)
    await asyncio.to_thread(first.wait_ready)
    with suppress(ControlError):
        await asyncio.to_thread(first.cutover)
    assert first.wait_end() == -9
    assert not (source_open(path) and await target_open(target_url))

    second = daemon(path, target_url, env=HASTY)
    state = await asyncio.to_thread(resolved, second, path)
    # the fence commits after everything but the decision's COMMIT is done
    assert state == ("cut_over" if point.endswith(("after_fence", "after_decision")) else "streaming")
    assert (source_open(path), await target_open(target_url)) == (state == "streaming", state == "cut_over")
    assert stop_all([writing]) == []
    if state == "streaming":
        await end_equal(second, path, target_url)
    assert await differences(path, target_url) == []
    assert await target_count(target_url, 1) >= acknowledged(confirmed)


def resolved(daemon: RunningDaemon, path: Path) -> str:
    """Wait until a restarted daemon has finished or undone the cutover; return the state it went to."""
    if daemon.wait_until(lambda status: status["state"] in ("streaming", "cut_over"))["state"] == "cut_over":
        return "cut_over"
    settle(daemon, path)
    return "streaming"


@pytest.mark.parametrize("fences", [1, 2])
async def test_a_kill_between_two_fences_leaves_both_sources_on_one_side(
    fences: int, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """With one of two fences up the cutover is undone, with both it is finished."""
    script = "CREATE TABLE {0}(id INTEGER PRIMARY KEY, n INT); INSERT INTO {0}(n) VALUES (1), (2), (3)"
    paths = [make_source(f"{name}.db", script.format(name)) for name in ("one", "two")]
    env = {**HASTY, "LITEFERRY_FAILPOINTS": f"cutover.after_fence@{fences}=kill"}
    args = ("--schema", "public")
    first = daemon(paths, target_url, env=env, args=args)
    await asyncio.to_thread(first.wait_ready)
    with suppress(ControlError):
        await asyncio.to_thread(first.cutover)
    assert first.wait_end() == -9
    assert sum(fenced(path) for path in paths) == fences

    second = daemon(paths, target_url, env=HASTY, args=args)
    await asyncio.to_thread(second.wait_for, "cut_over" if fences == 2 else "streaming")
    assert [fenced(path) for path in paths] == [fences == 2] * 2
    assert [await differences(path, target_url) for path in paths] == [[], []]


def fenced(path: Path) -> bool:
    """Tell whether the fence's triggers are in a source."""
    query = "SELECT count(*) FROM sqlite_schema WHERE name GLOB '_liteferry_fence_*'"
    return bool(fetch(path, query)[0][0])
