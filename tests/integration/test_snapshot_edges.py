"""Snapshots of tables whose size is awkward for the chunks."""

from __future__ import annotations

import asyncio

import pytest

from config.settings import load
from replicator.pipeline import Pipeline
from replicator.postgres.connections import Target
from tests.compare import differences
from tests.fixtures.sqlite import MakeSource

CHUNK = 100


async def never(seconds: float) -> bool:
    """Report no file event: what comes is found by the poll."""
    await asyncio.sleep(seconds)
    return False


@pytest.mark.parametrize("rows", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
async def test_a_table_of_any_size_arrives_whole(make_source: MakeSource, target_url: str, rows: int) -> None:
    """A last chunk that is empty, or exactly full, ends the copy like any other."""
    script = f"""
        CREATE TABLE keyed(id INTEGER PRIMARY KEY, flag BOOLEAN, price DECIMAL(10, 2), n INT);
        CREATE TABLE keyless(word TEXT, n INT);
        WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < {rows})
            INSERT INTO keyed SELECT n, n % 2, n / 4.0, n FROM i WHERE {rows} > 0;
        INSERT INTO keyless SELECT 'word', n FROM keyed;
    """
    path = make_source("sized.db", script)
    settings = load(None, sources=[path], target=target_url, batch_size=CHUNK)
    async with (
        Target(settings.target_url(), size=8) as target,
        Pipeline(path, "public", settings, target) as pipeline,
    ):
        await pipeline.prepare()
        running = asyncio.create_task(pipeline.run(never))
        await pipeline.settled.wait()
        running.cancel()
        await asyncio.wait([running])

    assert await differences(path, target_url) == []
