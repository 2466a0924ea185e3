"""What the cutover finds in its pause undoes it: rows that differ, and writes that fired no trigger."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from config.errors import CutoverRefused
from replicator.cutover.cutover import Cutover
from replicator.verification.audit import Audit, Audited
from replicator.verification.verifier import Verifier, Wish
from tests.compare import differences
from tests.databases import on_source, on_target
from tests.fault.scene import HASTY, source_open, target_open
from tests.fidelity.engine import Running, streaming
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource
from triggers.connection import lock
from triggers.session import Session

SCHEMA = """
CREATE TABLE picture(id INTEGER PRIMARY KEY, name TEXT, body BLOB);
CREATE TABLE tags(doc TEXT, tag TEXT, n INT, PRIMARY KEY(doc, tag));
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 500)
    INSERT INTO picture SELECT n, 'picture ' || n, randomblob(20) FROM i;
"""


def write_in_place(path: Path, row: int) -> None:
    """Change a row as incremental blob I/O does, without any trigger."""
    with closing(sqlite3.connect(path, timeout=10)) as application:
        with application.blobopen("picture", "body", row) as blob:
            blob.write(b"another picture")
        application.commit()


def spoil(url: str, statement: str) -> None:
    """Write to the target in spite of the guard."""
    on_target(
        url,
        f"BEGIN; ALTER TABLE picture DISABLE TRIGGER liteferry_guard; {statement}; "
        "ALTER TABLE picture ENABLE ALWAYS TRIGGER liteferry_guard; COMMIT",
    )


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_a_write_around_the_triggers_right_before_the_lock_undoes_the_cutover(
    journal: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """It is seen under the lock, healed, and the next attempt succeeds; so is a row missing on the target."""
    path = make_source(script=SCHEMA, journal=journal)
    # the process stands still there for a while, so that the write comes just then
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "cutover.before_lock=1.5", "LITEFERRY_CUTOVER_CHECK": "2s"}
    running = daemon(path, target_url, env=env)
    await asyncio.to_thread(running.wait_ready)
    trial = asyncio.create_task(asyncio.to_thread(running.cutover))
    await asyncio.to_thread(running.wait_log, "cutting_over")
    await asyncio.to_thread(write_in_place, path, 77)
    with pytest.raises(CutoverRefused, match="fired no trigger"):
        await trial
    assert (source_open(path), await target_open(target_url)) == (True, False)
    await asyncio.to_thread(running.wait_ready)
    assert await differences(path, target_url) == []

    spoil(target_url, "DELETE FROM picture WHERE id = 5")
    with pytest.raises(CutoverRefused, match="'picture' has 500 rows, and 499 on the target"):
        await asyncio.to_thread(running.cutover)
    await asyncio.to_thread(running.wait_ready)
    report = await asyncio.to_thread(running.cutover)
    assert report["check"]["tables_counted"] == 2 and report["check"]["tables_not_counted"] == []
    assert (source_open(path), await target_open(target_url)) == (False, True)
    assert await differences(path, target_url) == []


@asynccontextmanager
async def clean(path: Path, url: str) -> AsyncIterator[Running]:
    """Run the engine on a file of which all tables have been found equal."""
    async with streaming(path, url) as running:
        running.pipeline.healer.suspect("the test asks for it", pressing=True)
        await running.settled(path)
        yield running


async def caught_up(running: Running, path: Path) -> None:
    """Wait until the target has all that is committed in the source."""
    with closing(sqlite3.connect(path)) as database:
        await running.caught_up(int(database.execute("SELECT max(seq) FROM _liteferry_log").fetchone()[0]))


async def test_rows_written_since_they_were_found_equal_are_compared_before_anybody_waits(
    make_source: MakeSource, target_url: str
) -> None:
    """One that differs refuses the cutover before the lock, and is made equal."""
    path = make_source(script=SCHEMA)
    async with clean(path, target_url) as running:
        on_source(path, "UPDATE picture SET name = 'x' WHERE id IN (7, 8)")
        await caught_up(running, path)
        spoil(target_url, "UPDATE picture SET name = 'y' WHERE id = 7")
        attempt = Cutover(running.pipeline.target, [running.pipeline], 5)
        with pytest.raises(CutoverRefused, match="1 rows of table 'picture' were not equal"):
            await attempt.run()
        assert attempt.timeline.pause is None
        await running.settled(path)
        assert await differences(path, target_url) == []
        assert (await Cutover(running.pipeline.target, [running.pipeline], 5).run())["outcome"] == "cut_over"


async def test_what_a_verification_finds_behind_the_gates_undoes_the_cutover(
    make_source: MakeSource, target_url: str
) -> None:
    """The rows that differ are none that were written since, so nothing else would look at them."""
    path = make_source(script=SCHEMA)
    async with clean(path, target_url) as running:
        spoil(target_url, "UPDATE picture SET name = 'y' WHERE id = 7")
        attempt = Cutover(running.pipeline.target, [running.pipeline], 5)
        [picture, _] = await Verifier(running.pipeline).run(Wish())
        assert picture.different == 1
        with pytest.raises(CutoverRefused, match="something has just come up"):
            await attempt.run()
    assert source_open(path)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE picture SET name = 'y' WHERE id = 7", "1 rows of table 'picture' are not equal"),
        ("INSERT INTO picture(id) VALUES (8)", "1 rows of table 'picture' are not equal"),
        ("DELETE FROM picture WHERE id = 7", "1 rows of table 'picture' are not equal"),
        ("INSERT INTO picture(id) VALUES (1000)", "'picture' has 499 rows, and 500 on the target"),
    ],
)
async def test_what_was_touched_last_is_compared_under_the_lock(
    statement: str, told: str, make_source: MakeSource, target_url: str
) -> None:
    """A row that is other, one too many, one missing; without time nothing but the file is looked at."""
    path = make_source(script=SCHEMA)
    async with streaming(path, target_url) as running:
        await running.settled(path)
        pipeline, audited = running.pipeline, Audited()
        audit = Audit(pipeline, audited)
        await audit.begin()
        on_source(path, "UPDATE picture SET name = 'x' WHERE id = 7; DELETE FROM picture WHERE id = 8")
        await caught_up(running, path)
        spoil(target_url, statement)
        async with Session(path, writable=True) as session, pipeline.tailer.applying:
            await session.run(lock, 5)
            await audit.refuse_unexplained()
            await audit.compare(session, time.monotonic() - 1)
            assert (audited.rows, audited.rows_left, audited.counted) == (0, 2, 0)
            assert sorted(audited.not_counted) == ["picture", "tags"]
            with pytest.raises(CutoverRefused, match=told):
                await audit.compare(session, time.monotonic() + 10)
        audit.end()
        assert pipeline.facts.suspicion.blocks


async def test_an_application_that_writes_to_a_table_left_out_is_cut_over_after_one_comparison(
    make_source: MakeSource, target_url: str
) -> None:
    """Its writes look like those that went around the triggers: refused once, compared, then let pass."""
    path = make_source(script=SCHEMA + "CREATE TABLE cache(k TEXT)")
    async with streaming(path, target_url, exclude=["cache"]) as running:
        await running.settled(path)
        pipeline = running.pipeline
        audit = Audit(pipeline, Audited())
        await audit.begin()
        on_source(path, "INSERT INTO cache VALUES ('one')")
        with pytest.raises(CutoverRefused, match="fired no trigger"):
            await audit.refuse_unexplained()
        audit.end()
        await running.until(lambda: not pipeline.facts.suspicion.blocks)
        await audit.begin()
        on_source(path, "INSERT INTO cache VALUES ('two')")
        await audit.refuse_unexplained()
        audit.end()
