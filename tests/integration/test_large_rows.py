"""Rows that are larger than PostgreSQL takes go into quarantine before they are sent; large ones do arrive.

With limits far below PostgreSQL's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from config.settings import load
from replicator.pipeline import Pipeline
from replicator.postgres import quarantine
from replicator.postgres.connections import Target
from replicator.state import State
from replicator.values import sizes
from replicator.verification.repair import Repair
from replicator.verification.verifier import Verifier
from tests.fixtures.sqlite import MakeSource

LARGEST = 400_000

SCHEMA = """
CREATE TABLE doc(id INTEGER PRIMARY KEY, body TEXT, raw BLOB);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 300)
    INSERT INTO doc SELECT n, 'body ' || n, x'00' FROM i;
"""
#: Texts of 300,000 characters that have twice as many bytes, two values that are too large together only, and
#: rows of which a few make a long statement.
GROW = """
UPDATE doc SET body = replace(hex(zeroblob(150000)), '0', 'é') WHERE id = 7;
UPDATE doc SET body = hex(zeroblob(125000)), raw = zeroblob(250000) WHERE id = 8;
UPDATE doc SET body = hex(zeroblob(15000)) WHERE id > 280;
UPDATE doc SET raw = zeroblob(390000) WHERE id = 9;
"""


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have rows count as large that are small enough for a test."""
    monkeypatch.setattr(sizes, "LARGEST_ROW", LARGEST)
    monkeypatch.setattr(sizes, "LARGEST_STATEMENT", 100_000)
    monkeypatch.setattr(quarantine, "LONGEST", 100_000)


@contextlib.asynccontextmanager
async def streaming(path: Path, url: str, **settings: Any) -> AsyncIterator[Pipeline]:
    """Run the pipeline of a source until the test is done with it."""

    async def wake(seconds: float) -> bool:
        await asyncio.sleep(min(seconds, 0.02))
        return False

    made = load(sources=[path], target=url, **settings)
    async with Target(url, size=8) as target, Pipeline(path, "public", made, target) as pipeline:
        await pipeline.prepare()
        running = asyncio.create_task(pipeline.run(wake))
        try:
            await settled(pipeline, running)
            yield pipeline
        finally:
            running.cancel()
            await asyncio.wait([running])


async def settled(pipeline: Pipeline, running: asyncio.Task[None]) -> None:
    """Wait until the pipeline streams, or has ended."""
    waiting = asyncio.create_task(pipeline.settled.wait())
    await asyncio.wait([waiting, running], return_when=asyncio.FIRST_COMPLETED, timeout=60)
    waiting.cancel()
    assert pipeline.facts.state is State.STREAMING, running


async def arrived(pipeline: Pipeline, path: Path) -> None:
    """Wait until all that is in the log has arrived."""
    with closing(sqlite3.connect(path)) as source:
        (head,) = source.execute("SELECT max(seq) FROM _liteferry_log").fetchone()
    async with asyncio.timeout(30):
        while pipeline.facts.position < head:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.02)


def run(path: Path, statements: str) -> None:
    """Write as the application."""
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as application:
        application.executescript(f"BEGIN; {statements}; COMMIT")


async def kept(url: str) -> dict[int, dict[str, Any]]:
    """Return the rows in quarantine by their id."""
    target = await asyncpg.connect(url)
    try:
        rows = await target.fetch("SELECT key, row, reason FROM liteferry.quarantine ORDER BY key")
    finally:
        await target.close()
    return {int(json.loads(r["key"])[0][1]): {"reason": r["reason"], **json.loads(r["row"])} for r in rows}


async def assert_all_but_two(pipeline: Pipeline, url: str) -> None:
    """Assert that the two rows that are too large are in quarantine, and all others on the target."""
    found = await kept(url)
    assert sorted(found) == [7, 8]
    assert "600,0" in found[7]["reason"] and "PostgreSQL takes 400,000" in found[7]["reason"]
    assert found[8]["raw"] == ["blob", "250000 long; see the source"]
    (report,) = await Verifier(pipeline).run()
    assert (report.equal, report.quarantined, report.target_rows) == (True, 2, 298)


@pytest.mark.parametrize("profile", [True, False], ids=["profiled", "not looked at before"])
async def test_the_copy_sets_rows_aside_that_are_too_large(
    profile: bool, make_source: MakeSource, target_url: str
) -> None:
    """Whether or not the plan knows how long the values are."""
    path = make_source(script=SCHEMA + GROW)
    async with streaming(path, target_url, profile=profile) as pipeline:
        await assert_all_but_two(pipeline, target_url)
        assert pipeline.facts.retries == 0


async def test_the_stream_sets_rows_aside_that_are_too_large(
    make_source: MakeSource, target_url: str
) -> None:
    """And takes them in again when they have become smaller."""
    path = make_source(script=SCHEMA)
    async with streaming(path, target_url) as pipeline:
        run(path, GROW)
        await arrived(pipeline, path)
        await assert_all_but_two(pipeline, target_url)
        repair = Repair(pipeline, next(iter(pipeline.plans)))
        assert await repair.compare() == 0
        run(path, "UPDATE doc SET body = 'short' WHERE id IN (7, 8)")
        await arrived(pipeline, path)
        assert await kept(target_url) == {}
        assert pipeline.facts.retries == 0


async def test_a_repair_sets_rows_aside_that_are_too_large(make_source: MakeSource, target_url: str) -> None:
    """Rows that grew without the log's knowing; long ones are sent in parts."""
    path = make_source(script=SCHEMA)
    async with streaming(path, target_url) as pipeline:
        number = next(iter(pipeline.plans))
        async with pipeline.tailer.applying:
            # what is in the log is taken out again before the stream can see it
            run(path, GROW + ";DELETE FROM _liteferry_log WHERE t > 0")
        await Repair(pipeline, number).compare()
        await assert_all_but_two(pipeline, target_url)


def test_the_size_of_a_row_is_that_of_its_bytes() -> None:
    """Not of its characters."""
    assert sizes.row_bytes(("é" * 10, b"x" * 5, None, 1)) >= 25
    assert sizes.row_bytes(("é" * 1000,)) - sizes.row_bytes(("e" * 1000,)) == 1000
    assert sizes.too_large(("é" * (LARGEST // 2),)) and not sizes.too_large(("e" * (LARGEST // 2),))
    assert [len(p) for p in sizes.portions(["x" * 60_000] * 3 + ["y"] * 5, lambda s: (s,))] == [1, 1, 6]
