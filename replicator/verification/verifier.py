"""Proof that both sides are equal while the application writes: table by table, rows and structure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import asyncpg

from config.errors import SchemaChanged, SourceBusy, TargetAway
from replicator.backoff import Backoff
from replicator.fallback.examination import HomeExamination
from replicator.planning.plan import TablePlan
from replicator.postgres.connections import CONTROL
from replicator.state import State
from replicator.status import Checked, Verified
from triggers.session import Session

from . import structure
from .examination import Examination
from .findings import Finding, Mode, TableReport
from .progress import Progress

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

R = TypeVar("R")

#: How long a table is begun anew when its schema is changed under the comparison, or the target goes away.
PATIENCE_SECONDS = 300.0
MOMENT_SECONDS = 0.1


@dataclass(frozen=True)
class Wish:
    """What is to be compared, and how."""

    counts_only: bool = False
    #: One table by its name in the source; all where it is None.
    table: str | None = None
    #: Keep the first differences with their keys and values.
    samples: bool = False
    #: Make equal what differs.
    repair: bool = False
    #: Compare only rows that were touched since all were last found equal, where that is known.
    incremental: bool = False
    #: Leave out tables of which that is not known.
    known_only: bool = False
    #: Under which name to keep how far it is, so that it can be gone on with; None for not at all.
    bookmark: str | None = None
    #: Go on where one of that name was interrupted, where that is right.
    resume: bool = False
    #: How long to rest after each chunk, in multiples of the time that it took.
    rest: float = 0.0

    @property
    def kind(self) -> str:
        """Return a word for it."""
        return "counts" if self.counts_only else "incremental" if self.incremental else "full"

    @property
    def whole(self) -> bool:
        """Tell whether it says something about all rows of the source."""
        return not self.counts_only and self.table is None


class Verifier:
    """Compares one source with the target."""

    def __init__(self, pipeline: Pipeline, progress: Progress | None = None) -> None:
        self._pipeline = pipeline
        self._progress = progress or Progress(0, 0, "full")

    async def run(self, wish: Wish | None = None) -> list[TableReport]:
        """Compare all tables, or one, with the side that has the application's writes.

        Raises TargetAway when the target is away, SourceError for trouble with the source.
        """
        wish = wish or Wish()
        found: dict[int, TableReport] = {}
        complete = wish.whole
        async with self._pipeline.access.session() as session:
            for number, plan in list(self._pipeline.plans.items()):
                if wish.known_only and not self._is_known(number, plan):
                    complete = False
                elif wish.table in (None, plan.name):
                    report = await self._rows(session, number, wish)
                    if report is not None:
                        found[number] = report
        await self._structure(found)
        self._check(found)
        if complete and self._pipeline.facts.state in (State.STREAMING, State.CUT_OVER):
            await self._note(list(found.values()))
        return list(found.values())

    def _check(self, reports: dict[int, TableReport]) -> None:
        """Remember of each table that its rows were compared; counting them is no comparison."""
        checked = self._pipeline.facts.checked
        for number, report in reports.items():
            if report.mode is Mode.ROWS:
                checked[number] = Checked(time.time(), report.equal, report.source_rows)
            elif report.mode is Mode.TOUCHED:
                before = checked.get(number)
                checked[number] = Checked(time.time(), report.equal, before.rows if before else None)

    def _is_known(self, number: int, plan: TablePlan) -> bool:
        facts = self._pipeline.facts
        return facts.touched.since(number, plan, facts.suspicion.count) is not None

    async def _note(self, reports: Sequence[TableReport]) -> None:
        """Remember that all was compared, unless something has come up that another must look into."""
        facts = self._pipeline.facts
        if facts.state is State.STREAMING and (facts.suspicion.open or facts.stale):
            return
        facts.verified = Verified(time.monotonic(), all(report.equal for report in reports))
        if not facts.differing and all(report.mode is Mode.ROWS for report in reports):
            async with self._pipeline.target.connection() as connection:
                noted = await connection.fetchval(CONTROL["set_compared"], self._pipeline.source_id)
            facts.compared_at = noted

    async def _rows(self, session: Session, number: int, wish: Wish) -> TableReport | None:
        """Compare a table's rows, anew after a change of its schema or an outage; None when it is gone."""
        repaired = 0

        async def compare() -> TableReport | None:
            nonlocal repaired
            plan = self._pipeline.plans.get(number)
            if plan is None:
                return None
            one = await self._examination(session, number)
            if one is None:
                return TableReport(plan.name, Mode.STRUCTURE)
            try:
                return await one.run(wish)
            except (SchemaChanged, TargetAway):
                # one that is gone on with has them counted
                repaired += 0 if wish.resume else one.report.repaired
                raise
            except asyncpg.PostgresError:
                # the application may have changed its table under our hands
                if self._pipeline.facts.state is State.CUT_OVER and await self._is_unlike():
                    return TableReport(plan.name, Mode.STRUCTURE)
                raise

        report = await _patiently(compare)
        if repaired and report is not None:
            report.note(f"{repaired} more rows were repaired before the comparison was begun anew")
        return report

    async def _examination(self, session: Session, number: int) -> Examination | None:
        """Return what compares a table's rows in the direction that they go; None where nothing can."""
        place = self._pipeline, session, number, self._progress
        if self._pipeline.facts.state is not State.CUT_OVER:
            return Examination(*place)
        return None if await self._is_unlike() else HomeExamination(*place)

    async def _is_unlike(self) -> bool:
        """Tell whether nothing comes back from the target, whose tables are no longer those of the plan."""
        await self._pipeline.homeward.look(closely=True)
        back = self._pipeline.facts.fallback
        return not back.armed or bool(back.objections)

    async def _structure(self, reports: dict[int, TableReport]) -> None:
        found = await _patiently(lambda: structure.check(self._pipeline, list(reports)))
        for number, report in reports.items():
            report.structure = found.get(number, [])
            if report.mode is Mode.STRUCTURE:
                report.structure = [*report.structure, *self._not_compared(report.name)]

    def _not_compared(self, table: str) -> list[Finding]:
        """Return why the rows of a table were not looked at: no verdict says more than it knows."""
        back = self._pipeline.facts.fallback
        hint = "see `rollback_reasons` in `liteferry status`: undo the change, or give the way back up"
        if not back.armed:
            hint = "the cutover has armed no way back: the source stands still, and need not be equal"
        why = "; ".join(back.objections[:1]) or "nothing comes back from PostgreSQL"
        return [Finding(table, "rows", f"were not compared: {why}", hint, harmless=not back.armed)]


async def _patiently(work: Callable[[], Awaitable[R]]) -> R:
    """Do some work, anew while the target is away or the application changes its schema, for a while."""
    deadline, backoff = time.monotonic() + PATIENCE_SECONDS, Backoff()
    while True:
        begun = time.monotonic()
        try:
            return await work()
        except (SchemaChanged, SourceBusy, TargetAway) as error:
            # one that has gone well for long may try for as long again
            deadline += time.monotonic() - begun
            if time.monotonic() > deadline:
                raise
            pause = backoff.failed() if isinstance(error, TargetAway) else MOMENT_SECONDS
        await asyncio.sleep(pause)
