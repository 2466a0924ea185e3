"""The first copy of one source: copiers warmed, rows carried over, the schema watched meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from config.errors import SchemaChanged
from replicator.planning.preflight import structure
from replicator.planning.profile import estimate
from replicator.waiting import Waiting
from triggers import refit
from triggers.key import choose

from .copier import Work
from .crew import Crew
from .snapshot import Snapshot

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

#: Between two looks at the source's schema while it is copied.
SCHEMA_SECONDS = 0.25


class Copying:
    """Copies what is not copied yet."""

    def __init__(self, pipeline: Pipeline, crew: Crew, waiting: Waiting) -> None:
        self._pipeline = pipeline
        self._facts = pipeline.facts
        self._settings = pipeline.settings
        self._crew = crew
        self._waiting = waiting

    async def warm(self) -> None:
        """Start copiers while the source is still being profiled, when it looks as if they will be needed."""
        reader, settings = self._pipeline.reader, self._settings
        found, _ = await reader.run(structure, settings.exclude)
        rows = [await reader.run(estimate, table, choose(table)) for table in found]
        if self._facts.journal_mode == "wal" and max(rows, default=0) >= settings.lane_rows:
            await self._crew.warm(settings.parallel)

    async def run(self) -> None:
        """Copy all tables that are not copied.

        Raises SchemaChanged when the application changes its schema meanwhile, and what `Snapshot.run` does.
        """
        try:
            await self._watched(self._snapshot().run())
        finally:
            await self._crew.release()

    def _snapshot(self) -> Snapshot:
        pipeline, settings = self._pipeline, self._settings
        work = Work(
            settings.target_url(),
            settings.pooler if not pipeline.target.pooled else "transaction",
            pipeline.path,
            pipeline.identity,
            pipeline.source_id,
            settings.batch_size,
            pipeline.read_seconds,
        )
        return Snapshot(
            pipeline.target,
            work,
            list(self._facts.tables.values()),
            self._crew,
            settings.parallel,
            # in a rollback journal every reader more makes the application's writers wait longer
            settings.lane_rows if self._facts.journal_mode == "wal" else None,
            pipeline.quarantine,
            pipeline.halts_on_refusal,
            pipeline.throttle,
            self._waiting.failed,
            self._waiting.recovered,
        )

    async def _watched(self, copying: Coroutine[None, None, None]) -> None:
        tasks = [asyncio.create_task(copying), asyncio.create_task(self._schema_moved())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # a plan that fits no more fails in many ways: what counts is whether it still does
            if tasks[0] in done and (tasks[0].exception() is None or not await self._has_moved()):
                return tasks[0].result()
            raise SchemaChanged("the application has changed its schema while it was copied")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _schema_moved(self) -> None:
        while not await self._has_moved():  # noqa: ASYNC110  # nobody but SQLite knows
            await asyncio.sleep(SCHEMA_SECONDS)

    async def _has_moved(self) -> bool:
        try:
            return await self._pipeline.watcher.run(refit.version) != self._pipeline.tailer.schema
        except sqlite3.Error:
            return False
