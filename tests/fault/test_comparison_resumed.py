"""A comparison of all rows that was interrupted goes on within a table, where that is right."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from config.errors import ControlError
from replicator.pipeline import Pipeline
from replicator.verification.bookmarks import COMMAND
from replicator.verification.findings import TableReport
from replicator.verification.progress import Progress
from replicator.verification.verifier import Verifier, Wish
from tests.compare import differences
from tests.databases import on_source, on_target
from tests.fault.scene import HASTY, run_once, started
from tests.fidelity.engine import Running, streaming
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource
from triggers import changelog

SCHEMA = """
CREATE TABLE picture(id INTEGER PRIMARY KEY, name TEXT, body BLOB);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 1500)
    INSERT INTO picture SELECT n, 'picture ' || n, randomblob(20) FROM i;
CREATE TABLE tag(name TEXT, picture INT, PRIMARY KEY(name, picture)) WITHOUT ROWID;
INSERT INTO tag SELECT 'tag ' || id % 7, id FROM picture;
"""

#: No comparison but those that a test asks for.
QUIET = {**HASTY, "LITEFERRY_COMPARE_INTERVAL": "0", "LITEFERRY_RECHECK_INTERVAL": "0"}

#: As soon as the target knows of the first rows that were compared.
KILLED = {"LITEFERRY_FAILPOINTS": "comparison.saved=kill"}

TOUCH = "UPDATE picture SET name = 'touched' WHERE id IN (3, 1400)"


def tamper(url: str, rows: str) -> None:
    """Change rows on the target behind everybody's back."""
    on_target(url, f"SET liteferry.writer = 'on'; UPDATE picture SET name = 'tampered' WHERE id IN ({rows})")


def table(report: dict[str, Any], name: str = "picture") -> dict[str, Any]:
    """Return what a report tells of one table."""
    [found] = [one for one in report["sources"][0]["tables"] if one["name"] == name]
    assert isinstance(found, dict)
    return found


async def test_a_command_goes_on_after_a_kill_and_compares_again_what_was_touched(
    make_source: MakeSource, daemon: StartDaemon, liteferry: Liteferry, target_url: str
) -> None:
    """Rows of the part that was compared: one touched while nobody was there, and one that was not."""
    path = make_source(script=SCHEMA)
    first = daemon(path, target_url, env={**QUIET, **KILLED})
    await asyncio.to_thread(first.wait_ready)
    with pytest.raises(ControlError):
        await asyncio.to_thread(first.verify)
    assert await asyncio.to_thread(first.wait_end) == -9
    on_source(path, TOUCH)
    second = await started(daemon, path, target_url, env=QUIET)
    tamper(target_url, "3, 4")

    def verify(*options: str) -> tuple[int, dict[str, Any]]:
        answer = liteferry("verify", "--control", second.socket, "--json", *options)
        return answer.status, table(answer.json)

    status, found = await asyncio.to_thread(verify, "--resume")
    assert (status, found["different"], found["compared"]) == (1, 1, 1_500), second.log
    assert found["details"] == ["different: key 3, columns name"]
    assert (0 < found["taken_up"] < 1_500, found["rechecked"]) == (True, 2)
    assert (await asyncio.to_thread(verify))[1]["different"] == 2
    # nothing is left to go on with
    status, found = await asyncio.to_thread(verify, "--resume", "--repair")
    assert (status, found["taken_up"], found["repaired"]) == (0, 0, 2)
    assert on_target(target_url, "SELECT * FROM liteferry.comparison") == []
    assert liteferry("verify", "--resume", "--counts").status == 2


async def test_the_background_goes_on_after_a_kill_and_then_looks_at_all_once_more(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Nobody has watched between the two: what is behind the place of the kill is found by the second."""
    path = make_source(script=SCHEMA)
    await run_once(daemon, path, target_url)
    second = daemon(path, target_url, env={**HASTY, **KILLED})
    assert await asyncio.to_thread(second.wait_end) == -9
    on_source(path, TOUCH)
    tamper(target_url, "4, 1499")
    third = daemon(path, target_url, env=HASTY)

    def reports(running: RunningDaemon) -> list[dict[str, Any]]:
        running.wait_until(lambda s: bool(s["sources"]) and s["sources"][0]["repaired_rows"] == 2, 60)
        running.wait_until(lambda s: s["verification"]["background"] is not None)
        kept = on_target(target_url, "SELECT report::text FROM liteferry.verification ORDER BY finished_at")
        return [table(json.loads(str(text))) for (text,) in kept]

    found = await asyncio.to_thread(reports, third)
    resumed = found[0]
    assert (0 < resumed["taken_up"] < 1_500, resumed["rechecked"] >= 1) == (True, True)
    assert (resumed["compared"], resumed["repaired"]) == (1_500, 1)
    assert await differences(path, target_url) == []


async def test_there_and_back_again_the_background_begins_afresh(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """What it had looked at before the cutover has been in other hands since."""
    path = make_source(script=SCHEMA)
    await run_once(daemon, path, target_url)
    running = daemon(path, target_url, env={**HASTY, "LITEFERRY_THROTTLE_ROWS_PER_SECOND": "1000"})

    def throttle(rate: int) -> None:
        running.ask("/control/throttle", {"rows_per_second": rate})

    def move() -> None:
        running.wait_until(lambda s: compared(s) == {"picture"}, 60)
        throttle(1)
        running.wait_ready()
        running.cutover()
        running.wait_home()
        running.rollback()
        tamper(target_url, "4")
        throttle(0)
        running.wait_until(lambda s: s["sources"][0]["repaired_rows"] == 1)

    await asyncio.to_thread(move)
    assert await differences(path, target_url) == []


def compared(status: dict[str, Any]) -> set[str]:
    """Return the tables all rows of which were compared."""
    tables = status["sources"][0]["tables"] if status["sources"] else []
    return {one["name"] for one in tables if one["verification_age_seconds"] is not None}


async def interrupted(running: Running, write: Callable[[], None] | None = None) -> None:
    """Compare, and give it up when the first rows are compared; keep how far it is."""
    progress, pipeline = Progress(2, 3_000, "full"), running.pipeline
    comparing = asyncio.create_task(Verifier(pipeline, progress).run(Wish(bookmark=COMMAND)))
    await running.until(lambda: pipeline.bookmarks.has(COMMAND))
    comparing.cancel()
    await asyncio.wait([comparing])
    await pipeline.bookmarks.save()


def can_go_on(pipeline: Pipeline) -> bool:
    """Tell whether the first table can be gone on with."""
    return pipeline.bookmarks.find(COMMAND, min(pipeline.plans)) is not None


async def test_what_was_touched_meanwhile_is_compared_again_whoever_ended_it(
    make_source: MakeSource, target_url: str
) -> None:
    """Given up and gone on with by one daemon: the log is pruned in between, and the rows are known."""
    path = make_source(script=SCHEMA)
    async with streaming(path, target_url, compare_interval=0, recheck_interval=0) as running:
        await running.caught_up(head(path))
        await interrupted(running)
        await asyncio.to_thread(on_source, path, TOUCH)
        await running.caught_up(head(path))
        await asyncio.to_thread(tamper, target_url, "3, 4")
        assert (running.pipeline.bookmarks.position or 0) < head(path)
        await running.pipeline.bookmarks.save()
        assert running.pipeline.bookmarks.position == head(path)
        found = await Verifier(running.pipeline).run(Wish(bookmark=COMMAND, resume=True))
        assert [(r.different, r.compared, r.rechecked) for r in found] == [(1, 1_500, 2), (0, 1_500, 0)]
        assert found[0].source_rows == found[0].target_rows == 1_500


def emptied(path: Path, url: str) -> None:
    """Empty the change log, and write."""
    on_source(path, f"DELETE FROM _liteferry_log; {TOUCH}")


def renumbered(path: Path, url: str) -> None:
    """Number the rows anew, which moves the places that the walk goes by."""
    with closing(sqlite3.connect(path, isolation_level=None)) as tool:
        tool.execute("VACUUM")


def suspected(path: Path, url: str) -> None:
    """Leave something that the last daemon had not looked into."""
    on_target(url, "UPDATE liteferry.source SET compared_at = NULL")


def altered(path: Path, url: str) -> None:
    """Give the table another column."""
    on_source(path, "ALTER TABLE picture ADD COLUMN more TEXT")


def nothing(path: Path, url: str) -> None:
    """Write as ever."""
    on_source(path, TOUCH)


@pytest.mark.parametrize("disturb", [nothing, emptied, renumbered, suspected, altered])
async def test_after_what_nobody_can_tell_the_rows_of_it_is_begun_afresh(
    disturb: Callable[[Path, str], None], make_source: MakeSource, target_url: str
) -> None:
    """A log that is not the one, rows numbered anew, a doubt, another schema; ordinary writes are known."""
    path = make_source(script=SCHEMA)
    quiet = {"compare_interval": 0, "recheck_interval": 0}
    async with streaming(path, target_url, **quiet) as running:
        await running.caught_up(head(path))
        await asyncio.to_thread(on_source, path, "UPDATE tag SET name = name || '!' WHERE picture < 50")
        await running.caught_up(head(path))
        await interrupted(running)
        assert can_go_on(running.pipeline)
    await asyncio.to_thread(disturb, path, target_url)
    async with streaming(path, target_url, **quiet) as running:
        await running.settled(path)
        assert can_go_on(running.pipeline) == (disturb is nothing)
        if disturb is nothing:
            running.pipeline.healer.suspect("to have it looked into")
            assert not can_go_on(running.pipeline)
            await running.pipeline.bookmarks.save()
            assert await asyncio.to_thread(on_target, target_url, "SELECT * FROM liteferry.comparison") == []
        found = await Verifier(running.pipeline).run(Wish(bookmark=COMMAND, resume=True))
        assert [(r.equal, r.compared, r.taken_up) for r in found] == [(True, 1_500, 0)] * 2


def test_what_was_found_so_far_is_taken_up_as_it_was() -> None:
    """Counts, checksums and the first details; never values."""
    report = TableReport("t", compared=7, missing=1, extra=2, repaired=1)
    report.source_sum.add(1 << 127)
    report.note("missing on the target: key 3")
    report.sample("missing", (3,), [])
    again = TableReport.of_state("t", json.loads(json.dumps(report.state())))
    assert again.as_dict() == report.as_dict()
    assert again.samples == []


def head(path: Path) -> int:
    """Return the newest position of the source."""
    with closing(sqlite3.connect(path)) as source, contextlib.suppress(sqlite3.OperationalError):
        return changelog.head(source)
    return 0
