"""The background verification: all tables compared with the target, and repaired, while they stream."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from config.errors import TargetAway
from replicator.postgres.connections import CONTROL
from replicator.status import Checked, Verified

from . import report, structure
from .bookmarks import BACKGROUND
from .findings import TableReport
from .repair import Repair
from .suspicion import Routine
from .verifier import Verifier, Wish

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline
    from replicator.postgres.ledger import SourceRecord

log = structlog.get_logger("liteferry.comparison")

#: The rest after each chunk, in multiples of the time that it took, when nothing presses.
REST = 9.0


class Comparison:
    """Compares all tables of one source: soon when something is suspected, else now and then, at leisure."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._facts = pipeline.facts
        self._routine = Routine(lambda: pipeline.settings.compare_interval)
        self._between = Routine(lambda: pipeline.settings.recheck_interval)
        #: Tables that the comparison under way has still to look at.
        self._left: list[int] = []
        self._found = 0
        #: Whether it goes on where another daemon was interrupted.
        self._resumes = False
        #: What it has found so far, by table; when it was begun, and at which position.
        self._reports: dict[int, TableReport] = {}
        self._begun, self._from = datetime.now(UTC), 0

    def taken_up(self, record: SourceRecord, *, known: bool) -> None:
        """Learn from the target when the last comparison was.

        Of a source that was `known` before this start nobody has seen what fired no trigger since the last
        daemon ended, so a comparison is due at once; a cutover waits for it where that daemon had something
        to look into.
        """
        now = time.monotonic()
        self._facts.compared_at = record.compared_at
        self._routine.begin(now)
        if known:
            self._routine.press(now)
        self._resumes = self._pipeline.bookmarks.has(BACKGROUND)
        if known and record.compared_at is None:
            self._facts.suspicion.raised(now, pressing=True)

    def begin_afresh(self) -> None:
        """Have all tables compared soon, also those that were done before the rows went there and back."""
        self._left, self._resumes = [], False
        self._routine.press(time.monotonic())

    def due_in(self, now: float) -> float | None:
        """Return the seconds until something is to be compared, None when nothing is."""
        due = [self._due(now), self._between.due_in(now)]
        return min((d for d in due if d is not None), default=None)

    def _due(self, now: float) -> float | None:
        """Return the seconds until all rows are to be compared, None when they need not."""
        if self._left:
            return 0.0
        due = [d for d in (self._facts.suspicion.due_in(now), self._routine.due_in(now)) if d is not None]
        return min(due, default=None)

    async def run(self) -> None:
        """Compare all tables, or only what was written since, as is due; repair what differs.

        After an error the next call goes on with the table that it hit. Raises as `Repair.run` does.
        """
        if self._due(time.monotonic()) == 0:
            await self._all()
        else:
            await self._written()
        self._between.begin(time.monotonic())

    async def _written(self) -> None:
        """Compare the rows written since their table was last found equal, where these are known."""
        wish = Wish(repair=True, incremental=True, known_only=True)
        begun, before = datetime.now(UTC), self._facts.position
        found = await Verifier(self._pipeline).run(wish)
        for one in found:
            if one.found:
                log.warning("rows written and not equal", table=one.name, rows=one.found)
        if any(one.found for one in found):
            order = report.Order(report.RECHECK, report.NOBODY, repair=True)
            await report.leave(self._pipeline, order, begun, before, found)

    async def _all(self) -> None:
        plans, suspicion = self._pipeline.plans, self._facts.suspicion
        if not self._left:
            if not self._resumes:
                await self._pipeline.bookmarks.close(BACKGROUND)
            self._left, self._found = sorted(plans, reverse=True), 0
            self._reports, self._begun, self._from = {}, datetime.now(UTC), self._facts.position
            suspicion.begin(time.monotonic())
        while self._left:
            if self._left[-1] in plans:
                await self._compare(self._left[-1])
            self._left.pop()
        await self._note()
        now = time.monotonic()
        await self._verified(now)
        order = report.Order(report.BACKGROUND, report.NOBODY, repair=True)
        told = [one for number, one in sorted(self._reports.items()) if number in plans]
        await report.leave(self._pipeline, order, self._begun, self._from, told)
        suspicion.ended(now, self._found)
        self._routine.begin(now)
        await self._closed(now)
        log.info("all tables compared", source=self._facts.path, repaired_rows=self._found)

    async def _closed(self, now: float) -> None:
        with contextlib.suppress(TargetAway):
            await self._pipeline.bookmarks.close(BACKGROUND)
        if self._resumes:
            # nobody has watched before this start: what was compared earlier is looked at once more
            self._resumes = False
            self._routine.press(now)

    async def _compare(self, number: int) -> None:
        pipeline, touched, equal = self._pipeline, self._facts.touched, False
        async with pipeline.tailer.applying:
            plan = pipeline.plans[number]
            record = touched.begin(number, plan, self._facts.suspicion.count)
            marks = pipeline.bookmarks
            mark = marks.find(BACKGROUND, number)
            mark = mark or marks.begin(BACKGROUND, number, plan, TableReport(plan.name))
        try:
            changed = await Repair(pipeline, number).compare(self._rest, mark)
            equal = True
        finally:
            touched.end(record, equal=equal)
        self._facts.differing.discard(number)
        self._reports[number] = mark.report
        self._facts.checked[number] = Checked(time.time(), True, mark.report.compared)
        self._found += changed
        self._facts.repairs += bool(changed)
        self._facts.repaired_rows += changed

    def _rest(self) -> float:
        suspicion = self._facts.suspicion
        return 0.0 if suspicion.open or suspicion.examined else REST

    async def _verified(self, now: float) -> None:
        """Count it as a verification, unless something has come up meanwhile."""
        facts = self._facts
        found = await structure.check(self._pipeline, list(self._pipeline.plans))
        for number, told in self._reports.items():
            told.structure = found.get(number, [])
        if not facts.suspicion.open and not facts.stale:
            wrong = [one for told in found.values() for one in told if not one.harmless]
            for one in wrong:
                log.warning("structure differs", table=one.table, object=one.what, problem=one.problem)
            facts.verified = Verified(now, not wrong)

    async def _note(self) -> None:
        """Keep the time, unless something has come up meanwhile."""
        if self._facts.suspicion.open:
            return
        async with self._pipeline.target.connection() as connection:
            noted = await connection.fetchval(CONTROL["set_compared"], self._pipeline.source_id)
        self._facts.compared_at = noted
