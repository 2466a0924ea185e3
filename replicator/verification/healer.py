"""Healing: tables that may have missed something are read again beside the stream."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

import structlog

from config.errors import CaptureBroken, SourceBusy
from replicator import failpoint
from replicator.drift.changes import stamped
from replicator.drift.widening import Widening
from replicator.faults import source_error
from replicator.loading import loader
from replicator.postgres import ledger
from replicator.streaming.applier import Collision
from triggers import capture, refit
from triggers.changelog import Place
from triggers.identifier import fold

from .comparison import Comparison
from .repair import Repair

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

log = structlog.get_logger("liteferry.healer")


class Healer:
    """Knows which tables of a source are stale, and mends them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._facts = pipeline.facts
        self._wanted = asyncio.Event()
        self.comparison = Comparison(pipeline)
        self._widening = Widening(pipeline)

    async def run(self) -> None:
        """Repair stale tables one after the other, and wait for more; until cancelled.

        Raises what `Repair.run` raises but for a target that is away.
        """
        while True:
            self._wanted.clear()
            for number, reason in list(self._facts.stale.items()):
                if number in self._pipeline.plans:
                    await self._pipeline.retrying(partial(self._mend, number, reason))
            if self._pipeline.settings.on_type_drift == "widen":
                await self._pipeline.retrying(self._widening.run)
            due = self.comparison.due_in(time.monotonic())
            if due == 0:
                await self._pipeline.retrying(self.comparison.run)
            elif not self._facts.stale:
                # not wait_for, which may swallow a cancellation that comes with the event (Python 3.11)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(due):
                        await self._wanted.wait()

    def look(self) -> None:
        """Have the rows in quarantine looked at."""
        self._wanted.set()

    def suspect(self, reason: str, *, pressing: bool = False) -> None:
        """Have all tables compared, for something may have changed rows without firing a trigger."""
        suspicion = self._facts.suspicion
        told = suspicion.blocks
        suspicion.raised(time.monotonic(), pressing=pressing)
        if suspicion.blocks and not told:
            log.warning("tables are compared", source=self._facts.path, reason=reason)
        self._wanted.set()

    async def _mend(self, number: int, reason: str) -> None:
        self._facts.touched.forget(number)
        repair = Repair(self._pipeline, number, reason)
        await repair.run()
        self._facts.differing.discard(number)
        self._facts.repairs += 1
        self._facts.repaired_rows += repair.written + repair.deleted
        if self._facts.stale.get(number) == reason:
            del self._facts.stale[number]

    async def mark(self, numbers: Collection[int], reason: str) -> None:
        """Note tables as stale, on the target first. Raises TargetAway."""
        told = stamped(reason)
        async with self._pipeline.target.transaction() as connection:
            await ledger.set_stale(connection, self._pipeline.source_id, numbers, told)
        self._facts.stale.update(dict.fromkeys(numbers, told))
        self._wanted.set()
        log.warning("stale", source=self._facts.path, tables=len(numbers), reason=reason)

    async def relax(self, error: Collision) -> None:
        """Let a row in whose unique value a stale row still has: take the index away, and repair the table.

        Raises the error when it is not about such an index.
        """
        for number, plan in self._pipeline.plans.items():
            if (plan.schema, plan.target) == (error.schema, error.table):
                async with self._pipeline.target.transaction() as connection:
                    place = connection, self._pipeline.source_id, number
                    if not await loader.relax(*place, plan, error.constraint):
                        raise error
                await self.mark([number], "two of its rows have one unique value on the target")
                return
        raise error

    async def recapture(self, error: CaptureBroken) -> None:
        """Begin a new log where the old one is gone, rewound or another's, and read everything again.

        Raises the error when the file is another installation's, or no longer has our id nor all the tables.
        """
        pipeline = self._pipeline
        there = await pipeline.reader.run(capture.source_id)
        names = await pipeline.reader.run(refit.table_names)
        missing = [plan.name for plan in pipeline.plans.values() if fold(plan.name) not in names]
        if there != pipeline.source_id and (there is not None or missing):
            # another database, or an emptied one: following it would empty the target as well
            raise error
        log.error("capture broken, all tables are read again", source=self._facts.path, reason=str(error))
        await self.mark(list(pipeline.plans), "the change log was lost")
        failpoint.reach("recapture.after_mark")
        async with pipeline.tailer.applying:
            place = await self._install()
            failpoint.reach("recapture.after_install")
            await pipeline.tailer.begin(place)

    async def _install(self) -> Place:
        writer = self._pipeline.writer
        width = max((len(one.key.columns) for one in self._pipeline.captured), default=0)
        while True:
            try:
                return await writer.run(refit.recapture, self._pipeline.source_id, width, 0.05)
            except SourceBusy:
                await asyncio.sleep(0.05)
            except sqlite3.Error as error:
                raise source_error(writer, error) from error
