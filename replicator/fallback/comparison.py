"""The background verification behind the cutover: what the source has beside what it was brought.

Nothing is repaired there by itself. Whatever differs was written to the old file behind its fence, and may be
all that is left of a write that went astray: a person looks first, and a rollback waits for that.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from replicator.backoff import Backoff
from replicator.control.pausing import Halted
from replicator.faults import ours
from replicator.verification import report
from replicator.verification.findings import Mode
from replicator.verification.suspicion import Routine
from replicator.verification.verifier import Verifier, Wish

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

log = structlog.get_logger("liteferry.fallback")

#: The rest after each chunk, in multiples of the time that it took.
REST = 9.0


class HomeComparison:
    """Compares all tables of one source now and then, and at once after a start."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._routine = Routine(lambda: pipeline.settings.compare_interval)
        self._between = Routine(lambda: pipeline.settings.recheck_interval)
        self._backoff = Backoff()

    async def run(self, *, known: bool) -> None:
        """Compare when it is due, until cancelled; of a source that was `known` before this start at once."""
        now = time.monotonic()
        self._routine.begin(now)
        self._between.begin(now)
        if known:
            self._routine.press(now)
        while True:
            await self._wait()
            try:
                # each holds several connections
                async with self._pipeline.target.leisure:
                    await self._compare()
            except Halted:
                await self._pipeline.pausing.lifted()
            except Exception as raised:
                if (error := ours(raised)) is None:
                    raise
                log.debug("comparison put off", source=str(self._pipeline.path), reason=str(error))
                await asyncio.sleep(self._backoff.failed())
            else:
                self._backoff.recovered()

    async def _wait(self) -> None:
        now = time.monotonic()
        due = [d for d in (self._routine.due_in(now), self._between.due_in(now)) if d is not None]
        if not due:
            await asyncio.Event().wait()
        await asyncio.sleep(min(due))

    async def _compare(self) -> None:
        whole = self._routine.due_in(time.monotonic()) == 0
        wish = Wish(rest=REST) if whole else Wish(incremental=True, known_only=True)
        begun, before = datetime.now(UTC), self._pipeline.facts.position
        found = await Verifier(self._pipeline).run(wish)
        for one in found:
            if not one.rows_equal:
                log.warning("rows of the source differ", table=one.name, rows=one.found)
        if whole or any(not one.rows_equal for one in found):
            order = report.Order(report.BACKGROUND if whole else report.RECHECK, report.NOBODY)
            await report.leave(self._pipeline, order, begun, before, found)
        now = time.monotonic()
        if whole:
            self._routine.begin(now)
            compared = sum(one.mode is Mode.ROWS for one in found)
            log.info("all tables compared", source=str(self._pipeline.path), tables=compared)
        self._between.begin(now)
