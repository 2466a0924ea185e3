"""The last comparison before a cutover's decision: what has changed since both sides were found equal.

What the stream has touched since then is compared while nobody waits. In the pause, with all writers locked
out, follow what has come since, and how many rows each table has, as far as the time for it goes; and it is
asked whether the file was changed by anything that fired no trigger.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

from config.errors import CutoverRefused, SourceBusy
from replicator.faults import source_error
from replicator.pipeline import Pipeline
from replicator.planning.plan import TablePlan
from replicator.schema import dml
from replicator.values.converter import Row
from triggers import refit
from triggers.identifier import PREFIX, fold
from triggers.session import Session

from .counting import count_rows, expected_seconds
from .examination import Examination
from .progress import Progress
from .touched import Record
from .verifier import Verifier, Wish

#: How long the comparison may take for which nobody waits.
BEFOREHAND_SECONDS = 60.0

#: Tables counted at once, and the share of the time that they may take together: each has its own answers to
#: wait for otherwise.
TOGETHER = 100
TOGETHER_SHARE = 0.4

#: How long, and how often, a look at the file is tried that a committing writer keeps out.
BUSY_SECONDS = 2.0
SPIN_SECONDS = 0.002

#: Keys looked up at once in the pause; between two parts the clock is looked at.
PART = 500


#: A table by the number that it has in the log.
Numbered: TypeAlias = tuple[int, TablePlan]


@dataclass
class Audited:
    """What was compared in the pause, and what there was no time for."""

    rows: int = 0
    rows_left: int = 0
    counted: int = 0
    not_counted: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as the cutover's report shows it."""
        return {
            "rows_compared": self.rows,
            "rows_not_compared": self.rows_left,
            "tables_counted": self.counted,
            "tables_not_counted": self.not_counted,
        }


class Audit:
    """Compares one source with the target on behalf of a cutover; whatever it finds is healed afterwards."""

    def __init__(self, pipeline: Pipeline, audited: Audited) -> None:
        """Take the source, and where to note what was compared."""
        self._pipeline = pipeline
        self._facts = pipeline.facts
        self._audited = audited
        self._records: list[Record] = []
        #: Whether the file has tables that are not replicated: writes to these fire no trigger of ours.
        self._left_out = False

    async def beforehand(self) -> None:
        """Compare, and repair, what was written since its table was last found equal; nobody waits.

        Raises CutoverRefused for rows that were not equal, and when it takes too long; TargetAway.
        """
        wish = Wish(repair=True, incremental=True, known_only=True)
        try:
            async with asyncio.timeout(BEFOREHAND_SECONDS):
                reports = await Verifier(self._pipeline).run(wish)
        except TimeoutError:
            raise CutoverRefused(
                f"{self._pipeline.path.name}: comparing what was written since the last verification took "
                f"longer than {BEFOREHAND_SECONDS:g} s",
                hint="run `liteferry verify --incremental` first, or try again in a quieter hour",
            ) from None
        for report in reports:
            if report.found:
                self._refuse(f"{report.found} rows of table {report.name!r} were not equal")

    async def begin(self) -> None:
        """Remember what is touched from now on, and what the file is now; the writers go on.

        Raises CutoverRefused for a change that fired no trigger, SourceError.
        """
        pipeline, touched = self._pipeline, self._facts.touched
        async with pipeline.tailer.applying:
            for number, plan in pipeline.plans.items():
                self._records.append(touched.begin(number, plan, self._facts.suspicion.count))
        names = await self._ask(pipeline.reader, refit.table_names)
        ours = {fold(plan.name) for plan in pipeline.plans.values()}
        self._left_out = any(not name.startswith((PREFIX, "sqlite_")) for name in names - ours)
        await self.refuse_unexplained()

    def end(self) -> None:
        """Forget what was touched."""
        for record in self._records:
            self._facts.touched.end(record, equal=False)
        self._records.clear()

    async def refuse_unexplained(self) -> None:
        """Raise CutoverRefused when the file has changed since the last look and the log does not tell why.

        It is asked on the connection of the last look, which does nothing else once a cutover has begun.
        Where tables are not replicated, and all were found equal behind such a change before, it goes on.
        """
        pipeline = self._pipeline
        if await self._is_explained():
            return
        pipeline.healer.suspect("a change of the file fired no trigger", pressing=not self._left_out)
        if self._facts.suspicion.blocks:
            raise CutoverRefused(
                f"{pipeline.path.name}: the file was changed by something that fired no trigger",
                hint="nothing was moved; its tables are compared now, try again when it is done",
            )

    async def _is_explained(self) -> bool:
        """Ask, again where a writer without a WAL is just committing: the connection waits for nobody."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return bool(await self._ask(self._pipeline.writer, self._pipeline.witness.is_explained))
            except SourceBusy as error:
                if time.monotonic() > deadline:
                    raise CutoverRefused(str(error), hint="nothing was changed; try again") from error
                await asyncio.sleep(SPIN_SECONDS)

    async def compare(self, session: Session, deadline: float) -> None:
        """Compare what was touched, then the numbers of rows, until a time on the monotonic clock.

        The caller holds the source's write lock, through `session`, and the stream. Raises CutoverRefused for
        whatever is not equal, TargetAway, SourceError.
        """
        for record in self._records:
            await self._rows(session, record, deadline)
        await self._numbers(deadline)

    async def _rows(self, session: Session, record: Record, deadline: float) -> None:
        keys = self._keys(record)
        one = Examination(self._pipeline, session, record.number, Progress(1, len(keys), "cutover"))
        for start in range(0, len(keys), PART):
            if time.monotonic() >= deadline:
                self._audited.rows_left += len(keys) - start
                break
            part = keys[start : start + PART]
            try:
                await one.held(part)
            except sqlite3.Error as error:
                raise source_error(session, error) from error
            self._audited.rows += len(part)
        if one.report.found:
            self._refuse(f"{one.report.found} rows of table {record.plan.name!r} are not equal")

    def _keys(self, record: Record) -> Sequence[Row]:
        """Return what was touched since the table was found equal, or where nobody knows since `begin`."""
        facts = self._facts
        known = facts.touched.since(record.number, record.plan, facts.suspicion.count)
        return known if known is not None else list(record.keys or ())

    async def _numbers(self, deadline: float) -> None:
        """Count the smallest tables first: so most of them have their turn."""
        plans = sorted(self._pipeline.plans.items(), key=lambda pair: expected_seconds(pair[1]))
        for part in _parts(plans, deadline - time.monotonic()):
            expected = sum(expected_seconds(plan) for _, plan in part)
            left = deadline - time.monotonic()
            counted = left > expected and await self._count(part, left)
            self._audited.counted += len(part) if counted else 0
            self._audited.not_counted += [] if counted else [plan.name for _, plan in part]

    async def _count(self, part: Sequence[Numbered], seconds: float) -> bool:
        """Count some tables on both sides; return whether the time has sufficed."""
        plans = [plan for _, plan in part]
        try:
            async with asyncio.timeout(seconds):
                ours = await self._ask(self._pipeline.reader, _counts, plans)
        except TimeoutError:
            return False
        query = "SELECT " + ", ".join(f"({dml.count(plan)})" for plan in plans)
        async with self._pipeline.target.connection() as connection:
            try:
                theirs = await connection.fetchrow(query, timeout=seconds)
            except TimeoutError:
                return False
        assert theirs is not None
        for (number, plan), one, other in zip(part, ours, theirs, strict=True):
            aside = self._facts.quarantined.get(number, 0)
            if one != other + aside:
                kept = f" and {aside} in quarantine" if aside else ""
                self._refuse(f"table {plan.name!r} has {one} rows, and {other} on the target{kept}")
        return True

    def _refuse(self, what: str) -> NoReturn:
        self._pipeline.healer.suspect(f"found at a cutover: {what}", pressing=True)
        raise CutoverRefused(
            f"{self._pipeline.path.name}: {what}",
            hint="nothing was moved; all tables are compared and repaired now, try again when it is done",
        )

    async def _ask(self, session: Session, work: Any, *given: Any) -> Any:
        try:
            return await session.run(work, *given)
        except sqlite3.Error as error:
            raise source_error(session, error) from error


def _parts(plans: Sequence[Numbered], seconds: float) -> Iterator[Sequence[Numbered]]:
    """Put those together that take no more than a part of the time, up to a number; the others come alone."""
    together: list[Numbered] = []
    spent = 0.0
    for numbered in plans:
        spent += expected_seconds(numbered[1])
        if spent > seconds * TOGETHER_SHARE:
            if together:
                yield together
            together = []
            yield [numbered]
            continue
        together.append(numbered)
        if len(together) == TOGETHER:
            yield together
            together = []
    if together:
        yield together


def _counts(connection: sqlite3.Connection, plans: Sequence[TablePlan]) -> list[int]:
    return [count_rows(connection, plan) for plan in plans]
