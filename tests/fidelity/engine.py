"""The whole engine on one file, as the supervisor runs it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from config.settings import load
from replicator.pipeline import Pipeline
from replicator.postgres.connections import Target
from replicator.state import State
from triggers import changelog

WAIT_SECONDS = 30.0


class Running:
    """The engine on one file, and a way to wait for it."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Take what was prepared."""
        self.pipeline = pipeline
        self._idle = asyncio.Event()

    async def wake(self, seconds: float) -> bool:
        """Let the engine look for itself after a moment; it asks when it has nothing to do."""
        self._idle.set()
        await asyncio.sleep(min(seconds, 0.005))
        return False

    async def caught_up(self, head: int) -> None:
        """Wait until everything up to a position is on the target."""
        facts = self.pipeline.facts
        async with asyncio.timeout(WAIT_SECONDS):
            while facts.position < head or facts.state is not State.STREAMING:
                self._idle.clear()
                await self._idle.wait()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something holds of the engine."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not reached():
                self._idle.clear()
                await self._idle.wait()

    async def settled(self, path: Path) -> None:
        """Wait until the last change of the schema is followed and whatever it put in doubt is compared."""
        facts = self.pipeline.facts
        async with asyncio.timeout(WAIT_SECONDS):
            while not self._is_settled(path):
                # a comparison that found nothing makes the next one less of an obstacle to a cutover
                facts.suspicion.cleared = False
                self._idle.clear()
                await self._idle.wait()

    def _is_settled(self, path: Path) -> bool:
        facts = self.pipeline.facts
        with closing(sqlite3.connect(path, timeout=20)) as database:
            (version,) = database.execute("PRAGMA schema_version").fetchone()
            followed = facts.schema_version == version and facts.position >= changelog.head(database)
        whole = facts.state is State.STREAMING and not facts.stale
        return followed and whole and not facts.suspicion.blocks


@asynccontextmanager
async def streaming(path: Path, url: str, **given: Any) -> AsyncIterator[Running]:
    """Run the engine on a file, as the supervisor does, with some settings."""
    settings = load(sources=[path], target=url, **given)
    async with Target(url, size=6) as target, Pipeline(path, "public", settings, target) as pipeline:
        await pipeline.prepare()
        running = Running(pipeline)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(pipeline.run(running.wake))
            yield running
            task.cancel()


async def emptied(url: str) -> str:
    """Empty the target for the next run."""
    async with Target(url, size=1) as target, target.connection() as connection:
        await connection.execute("DROP SCHEMA IF EXISTS liteferry CASCADE; DROP SCHEMA public CASCADE")
        await connection.execute("CREATE SCHEMA public")
    return url
