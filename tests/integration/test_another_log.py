"""A log that is begun anew moves the target's position, or the daemon ends: never neither."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from config.errors import CaptureBroken, PositionConflict
from config.settings import load
from replicator.pipeline import Pipeline
from replicator.postgres.connections import Target
from tests.fixtures.sqlite import MakeSource

LOST = CaptureBroken("the change log is gone")


@pytest.fixture
def path(make_source: MakeSource) -> Path:
    """Give a source with one table."""
    return make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES(1)")


@pytest_asyncio.fixture
async def pipeline(path: Path, target_url: str) -> AsyncIterator[Pipeline]:
    """Give the engine on it, ready to copy, with an empty log in the source."""
    async with (
        Target(target_url, size=4) as target,
        Pipeline(path, "public", load(sources=[path], target=target_url), target) as pipeline,
    ):
        await pipeline.prepare()
        yield pipeline


async def moved(pipeline: Pipeline, position: int) -> None:
    """Move the position on the target behind the engine's back."""
    async with pipeline.target.connection() as connection:
        await connection.execute("UPDATE liteferry.source SET position = $1", position)


async def position(pipeline: Pipeline) -> int:
    """Return the position on the target."""
    async with pipeline.target.connection() as connection:
        return int(await connection.fetchval("SELECT position FROM liteferry.source"))


def logged(path: Path) -> int:
    """Write a row, and return the position of its entry."""
    with closing(sqlite3.connect(path)) as application:
        application.execute("INSERT INTO t DEFAULT VALUES")
        application.commit()
        return int(application.execute("SELECT max(seq) FROM _liteferry_log").fetchone()[0])


async def test_a_position_that_another_has_moved_is_not_passed_over(pipeline: Pipeline, path: Path) -> None:
    """Going on as if it had been moved would apply from one place and count from another."""
    logged(path)
    await moved(pipeline, 7)
    with pytest.raises(PositionConflict, match="no longer 0"):
        await pipeline.healer.recapture(LOST)
    assert (await position(pipeline), pipeline.facts.position) == (7, 0)


async def test_both_sides_go_on_where_the_other_log_begins(pipeline: Pipeline, path: Path) -> None:
    """Once more after that, too."""
    for _ in range(2):
        newest = logged(path)
        await pipeline.healer.recapture(LOST)
        assert await position(pipeline) == pipeline.facts.position == newest


async def test_a_commit_that_was_not_confirmed_is_asked_for_first(
    pipeline: Pipeline, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The position was moved by ourselves then, and its answer got lost."""
    logged(path)
    await pipeline.healer.recapture(LOST)
    pipeline.facts.position = 0
    monkeypatch.setattr(pipeline.tailer, "_unsure", True)
    newest = logged(path)
    await pipeline.healer.recapture(LOST)
    assert await position(pipeline) == pipeline.facts.position == newest
