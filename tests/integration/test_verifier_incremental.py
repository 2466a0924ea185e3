"""After all rows were found equal only those written since are compared again, while that is right."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from replicator.verification.findings import Mode, TableReport
from replicator.verification.progress import Progress
from replicator.verification.verifier import Verifier, Wish
from tests.databases import on_source, on_target
from tests.fidelity.engine import Running, streaming
from tests.fixtures.sqlite import MakeSource
from triggers import changelog

SCRIPT = """
CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 500)
    INSERT INTO note SELECT n, 'note ' || n FROM i;
CREATE TABLE tag(name TEXT PRIMARY KEY, n INT) WITHOUT ROWID;
INSERT INTO tag VALUES ('a', 1), ('b', 2), ('c', 3);
"""

WRITE = """
UPDATE note SET body = 'new' WHERE id IN (3, 4);
DELETE FROM note WHERE id = 5;
INSERT INTO tag VALUES ('d', 4);
"""


class Scene:
    """A source that streams to a target, both all equal."""

    def __init__(self, path: Path, running: Running, target: asyncpg.Connection[asyncpg.Record]) -> None:
        self.path, self.running, self.pipeline = path, running, running.pipeline
        self._target = target

    async def write(self, script: str) -> None:
        """Write as the application does, and wait until the target has it."""
        await asyncio.to_thread(on_source, self.path, script)
        with closing(sqlite3.connect(self.path)) as source:
            await self.running.caught_up(changelog.head(source))

    async def tamper(self, sql: str) -> None:
        """Change the target as somebody who has put the guard aside."""
        await self._target.execute(f"BEGIN; SET LOCAL liteferry.writer = 'on'; {sql}; COMMIT")

    async def verify(self, *, incremental: bool = True) -> dict[str, TableReport]:
        """Compare both sides."""
        reports = await Verifier(self.pipeline).run(Wish(incremental=incremental))
        return {report.name: report for report in reports}

    async def modes(self) -> dict[str, Mode]:
        """Return how an incremental run compares each table, and that it is equal."""
        reports = await self.verify()
        assert all(report.equal for report in reports.values())
        return {name: report.mode for name, report in reports.items()}


@pytest.fixture
async def scene(make_source: MakeSource, target_url: str) -> AsyncIterator[Scene]:
    """Stream a source and find it equal once."""
    path = make_source(script=SCRIPT)
    target = await asyncpg.connect(target_url)
    try:
        async with streaming(path, target_url, compare_interval=0, recheck_interval=0) as running:
            scene = Scene(path, running, target)
            await scene.write("UPDATE note SET body = 'first' WHERE id = 1;")
            assert all(report.equal for report in (await scene.verify(incremental=False)).values())
            yield scene
    finally:
        await target.close()


async def test_only_rows_that_were_written_since_are_compared(scene: Scene) -> None:
    """Updated, deleted and new ones, once; then nothing is left to compare."""
    assert await scene.modes() == {"note": Mode.TOUCHED, "tag": Mode.TOUCHED}
    await scene.write(WRITE)
    assert [r.compared for r in (await scene.verify()).values()] == [3, 1]
    assert [r.compared for r in (await scene.verify()).values()] == [0, 0]


async def test_a_written_row_that_is_not_equal_is_found_until_it_is(scene: Scene) -> None:
    """Each of the three kinds; what was found unequal is compared again the next time."""
    await scene.write(WRITE)
    await scene.tamper(
        "UPDATE note SET body = 'old' WHERE id = 3; DELETE FROM note WHERE id = 4;"
        "INSERT INTO note VALUES (5, 'back'); UPDATE tag SET n = 0 WHERE name = 'd'"
    )
    for _ in range(2):
        found = await scene.verify()
        assert (found["note"].different, found["note"].missing, found["note"].extra) == (1, 1, 1)
        assert found["tag"].different == 1
    facts = scene.pipeline.facts
    assert facts.differing == set(scene.pipeline.plans)
    mended = await Verifier(scene.pipeline).run(Wish(incremental=True, repair=True))
    assert [(r.found, r.repaired, r.equal) for r in mended] == [(3, 3, True), (1, 1, True)]
    assert facts.differing == set()
    assert all(report.equal for report in (await scene.verify(incremental=False)).values())


async def test_a_row_that_nobody_wrote_is_not_looked_at(scene: Scene) -> None:
    """It is what an incremental run cannot see, and says so; a full one finds it."""
    await scene.tamper("UPDATE note SET body = 'edited' WHERE id = 400")
    assert (await scene.verify())["note"].equal
    assert not (await scene.verify(incremental=False))["note"].equal
    assert (await scene.verify())["note"].mode is Mode.ROWS  # not forgotten by the next that would not look


async def test_a_table_that_may_have_missed_something_is_compared_whole(scene: Scene) -> None:
    """After a change that fired no trigger, of the schema, or when it is noted as stale; only that once."""
    whole, part = {"note": Mode.ROWS, "tag": Mode.ROWS}, {"note": Mode.TOUCHED, "tag": Mode.TOUCHED}
    with closing(sqlite3.connect(scene.path)) as application:
        with application.blobopen("note", "body", 400) as blob:
            blob.write(b"note")
        application.commit()
    scene.pipeline.healer.suspect("a change of the file fired no trigger")
    assert await scene.modes() == whole
    assert await scene.modes() == part
    await scene.write("ALTER TABLE tag ADD COLUMN more TEXT;")
    await scene.running.settled(scene.path)
    assert (await scene.modes())["tag"] is Mode.TOUCHED  # the background has compared it since
    for number in scene.pipeline.plans:
        scene.pipeline.facts.touched.forget(number)
    assert await scene.modes() == whole


async def test_a_schema_that_changes_under_a_comparison_has_the_table_compared_anew(scene: Scene) -> None:
    """By the new plan; nothing is called different that is not."""
    await scene.write(
        "WITH RECURSIVE i(n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM i WHERE n < 30000)"
        "INSERT INTO note SELECT n, 'note ' || n FROM i;"
    )
    progress = Progress(2, 30_000, "full")
    comparing = asyncio.create_task(Verifier(scene.pipeline, progress).run())
    await scene.running.until(lambda: progress.rows_done > 0)
    await asyncio.to_thread(on_source, scene.path, "ALTER TABLE note ADD COLUMN more TEXT DEFAULT 'x';")
    assert [report.equal for report in await comparing] == [True, True]


async def test_a_target_that_is_away_for_a_moment_ends_no_comparison(scene: Scene, target_url: str) -> None:
    """The table in hand is begun anew when it is back; those that are done are done."""
    await scene.write(
        "WITH RECURSIVE i(n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM i WHERE n < 30000)"
        "INSERT INTO note SELECT n, 'note ' || n FROM i;"
    )
    progress = Progress(2, 30_000, "full")
    comparing = asyncio.create_task(Verifier(scene.pipeline, progress).run())
    await scene.running.until(lambda: progress.rows_done > 0)
    ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'liteferry'"
    await asyncio.to_thread(on_target, target_url, f"{ours} AND datname = current_database()")
    assert [report.equal for report in await comparing] == [True, True]
    assert scene.pipeline.facts.retries > 0 or progress.tables_done == 2


async def test_more_keys_than_can_be_remembered_mean_the_whole_table(scene: Scene) -> None:
    """Only the table with the most of them; the others keep theirs."""
    scene.pipeline.facts.touched._budget = 20_000
    await scene.write("UPDATE note SET body = body || '!'; UPDATE tag SET n = n + 1;")
    assert await scene.modes() == {"note": Mode.ROWS, "tag": Mode.TOUCHED}


async def test_the_background_compares_what_was_written_now_and_then(
    make_source: MakeSource, target_url: str
) -> None:
    """And mends it; the age of the verification starts anew."""
    path = make_source(script=SCRIPT)
    target = await asyncpg.connect(target_url)
    try:
        async with streaming(path, target_url, compare_interval=0, recheck_interval=0.05) as running:
            scene = Scene(path, running, target)
            await scene.write("UPDATE note SET body = 'first' WHERE id = 1;")
            facts = running.pipeline.facts
            running.pipeline.healer.suspect("to have all compared once")
            await running.until(lambda: facts.verified is not None)
            while not facts.repaired_rows:
                # again, where it was compared just between the two
                await scene.write("REPLACE INTO tag VALUES ('d', 4);")
                await scene.tamper("UPDATE tag SET n = 7 WHERE name = 'd'")
                before = facts.verified
                await running.until(lambda: facts.verified is not before)  # noqa: B023  # awaited here
            assert (await scene.verify(incremental=False))["tag"].equal
    finally:
        await target.close()
