"""Proof that both sides are equal while the application writes: chunk by chunk, aligned by position."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from config.errors import ValueRefused
from triggers.identifier import quote
from triggers.session import Session

from . import dml
from .paging import Cursor, Pace
from .plan import TablePlan
from .quarantine import VALUE_ERRORS, Pair, hash_of
from .reader import key_terms, read_page
from .target import CONTROL, Connection, Target
from .values import Refusal, Row, same_row

if TYPE_CHECKING:
    from .pipeline import Pipeline

#: Rows compared at once; the stream rests for as long as one chunk takes.
CHUNK_ROWS = 5_000

#: Differences named per table in the detailed report.
NAMED = 20


@dataclass
class TableReport:
    """What the comparison of one table found."""

    name: str
    source_rows: int = 0
    target_rows: int = 0
    compared: int = 0
    missing: int = 0
    different: int = 0
    extra: int = 0
    #: Rows that are kept aside because the target cannot hold them.
    quarantined: int = 0
    details: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Tell whether nothing was found."""
        counted = self.source_rows == self.target_rows + self.quarantined
        return counted and not (self.missing or self.different or self.extra)

    def note(self, text: str) -> None:
        """Keep one difference, as long as there are few."""
        if len(self.details) < NAMED:
            self.details.append(text)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON knows it."""
        return {
            "name": self.name,
            "equal": self.equal,
            "source_rows": self.source_rows,
            "target_rows": self.target_rows,
            "compared": self.compared,
            "missing": self.missing,
            "different": self.different,
            "extra": self.extra,
            "quarantined": self.quarantined,
            "details": self.details,
        }


class Verifier:
    """Compares one source with the target, both at the same position, a chunk at a time."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._pace = Pace(0.02, rows=500, most=CHUNK_ROWS)

    async def run(self, *, counts_only: bool, table: str | None = None) -> list[TableReport]:
        """Compare all tables, or one; with `counts_only` only how many rows they have.

        Raises LiteferryError when a table is not known, TargetAway when the target is.
        """
        plans = [p for p in self._pipeline.plans.values() if table is None or p.name == table]
        reports = []
        async with self._pipeline.access.session() as session:
            for plan in plans:
                report = TableReport(plan.name)
                await self._count(session, plan, report)
                if not counts_only:
                    await self._compare(session, plan, report)
                reports.append(report)
        return reports

    async def _count(self, session: Session, plan: TablePlan, report: TableReport) -> None:
        async with self._frozen() as (target, freeze):
            async with self._pipeline.tailer.aligned(session, partial(_count_rows, plan=plan)) as rows:
                await freeze()
            report.source_rows = rows
            report.target_rows = await target.fetchval(dml.count(plan), timeout=3600)
            report.quarantined = await target.fetchval(CONTROL["quarantined_in"], *self._place(plan))

    async def _compare(self, session: Session, plan: TablePlan, report: TableReport) -> None:
        after: Cursor | None = None
        last = False
        while not last:
            look = partial(read_page, plan=plan, after=after, limit=self._pace.rows)
            async with self._pipeline.tailer.aligned(session, look) as page:
                # not before: waiting for the batch in hand says nothing about the size of a chunk
                begun = time.monotonic()
                await self._compare_rows(plan, page.rows, report)
                self._pace.took(len(page.rows), time.monotonic() - begun)
            after, last = page.cursor, page.last
        if report.source_rows != report.target_rows + report.quarantined or report.missing:
            await self._find_extra(session, plan, report)

    def _place(self, plan: TablePlan) -> tuple[UUID, int]:
        number = next((n for n, one in self._pipeline.plans.items() if one.name == plan.name), 0)
        return self._pipeline.source_id, number

    @asynccontextmanager
    async def _frozen(self) -> AsyncIterator[tuple[Connection, Callable[[], Awaitable[object]]]]:
        """Lend a connection that sees, once it is frozen, the target as it was then; the stream goes on."""
        async with (
            self._pipeline.target.connection() as target,
            target.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield target, lambda: target.fetchval("SELECT 1")

    async def _compare_rows(self, plan: TablePlan, rows: list[Row], report: TableReport) -> None:
        good, refusals = _converted(plan, rows)
        async with self._pipeline.target.connection() as target:
            try:
                found = await differences(target, plan, [ready for _, ready in good])
            except VALUE_ERRORS:
                # a key that the fast way lets through unseen
                good, refusals = await asyncio.to_thread(plan.converter.sift, rows)
                found = await differences(target, plan, [ready for _, ready in good])
            if found.missing or refusals:
                await self._set_aside(target, plan, good, refusals, found)
        report.compared += len(rows)
        report.missing += len(found.missing)
        report.different += len(found.different)
        for row in found.missing:
            report.note(f"missing on the target: key {plan.converter.key_text(row)}")
        for row, places in found.different:
            names = ", ".join(plan.record[i].source for i in places)
            report.note(f"different: key {plan.converter.key_text(row)}, columns {names}")

    async def _set_aside(
        self,
        target: Connection,
        plan: TablePlan,
        good: Sequence[Pair],
        refusals: Sequence[Refusal],
        found: Differences,
    ) -> None:
        """Take what is in quarantine from what is missing; a row that cannot be stored must be there."""
        source = {id(ready): row for row, ready in good}
        rows = [(ready, source[id(ready)]) for ready in found.missing] + [(r.row, r.row) for r in refusals]
        keys = [hash_of(plan, row) for _, row in rows]
        kept = await target.fetch(CONTROL["quarantined_keys"], *self._place(plan), keys)
        known = {record["key_hash"] for record in kept}
        found.missing = [shown for (shown, _), key in zip(rows, keys, strict=True) if key not in known]

    async def _find_extra(self, session: Session, plan: TablePlan, report: TableReport) -> None:
        """Look for rows of the target that the source does not have."""
        async for keys in target_keys(self._pipeline.target, plan):
            await self._look_up(session, plan, keys, report)

    async def _look_up(self, session: Session, plan: TablePlan, keys: list[Row], report: TableReport) -> None:
        missing = await session.run(absent, plan, keys)
        if not missing:
            return
        # most often a row that was deleted while we were looking: only side by side it can be told
        async with self._pipeline.tailer.aligned(session, partial(absent, plan=plan, keys=missing)) as still:
            columns = [[key[i] for key in still] for i in range(len(plan.key_places))]
            async with self._pipeline.target.connection() as target:
                records = await target.fetch(dml.select_by_key(plan), *columns)
        for record in records:
            report.extra += 1
            report.note(f"extra on the target: key {plan.converter.key_text(tuple(record))}")


@dataclass
class Differences:
    """How rows of the source differ from the target's of the same keys."""

    missing: list[Row] = field(default_factory=list)
    #: With the places of the columns that differ.
    different: list[tuple[Row, list[int]]] = field(default_factory=list)


async def differences(target: Connection, plan: TablePlan, rows: Sequence[Row]) -> Differences:
    """Compare rows of the source, converted already, with what the target has under their keys."""
    found = Differences()
    if not rows:
        return found
    keys = [[row[i] for row in rows] for i in plan.key_places]
    records = await target.fetch(dml.select_by_key(plan), *keys)
    others = {tuple(r[i] for i in plan.key_places): tuple(r) for r in records}
    for row in rows:
        other = others.get(tuple(row[i] for i in plan.key_places))
        if other is None:
            found.missing.append(row)
        elif not same_row(row, other):
            pairs = enumerate(zip(row, other, strict=True))
            found.different.append((row, [i for i, pair in pairs if not same_row(*_singles(pair))]))
    return found


async def target_keys(target: Target, plan: TablePlan) -> AsyncIterator[list[Row]]:
    """Walk the keys of a target's table in their order, some at a time.

    Each in a statement of its own: a long one would keep PostgreSQL from cleaning up behind the stream.
    """
    after: Row = ()
    while True:
        async with target.connection() as connection:
            query = dml.select_keys(plan, first=not after)
            found = [tuple(r) for r in await connection.fetch(query, CHUNK_ROWS, *after)]
        if found:
            yield found
        if len(found) < CHUNK_ROWS:
            return
        after = found[-1]


def _converted(plan: TablePlan, rows: Sequence[Row]) -> tuple[list[Pair], list[Refusal]]:
    """Convert rows, the fast way if all can be."""
    try:
        return list(zip(rows, plan.converter.rows(rows), strict=True)), []
    except ValueRefused:
        return plan.converter.sift(rows)


def _singles(pair: tuple[object, object]) -> tuple[Row, Row]:
    return (pair[0],), (pair[1],)


def _count_rows(connection: sqlite3.Connection, plan: TablePlan) -> int:
    return int(connection.execute(f"SELECT count(*) FROM main.{quote(plan.name)}").fetchone()[0])


def absent(connection: sqlite3.Connection, plan: TablePlan, keys: list[Row]) -> list[Row]:
    """Return those keys of the target that the source does not have, compared exactly."""
    terms = " AND ".join(f"{term} = ?" for term in key_terms(plan))
    columns = ", ".join(f"t.{quote(c)}" for c in plan.key.columns)
    sql = f"SELECT {columns} FROM main.{quote(plan.name)} AS t WHERE {terms}"
    missing = []
    for key in keys:
        wanted = plan.converter.source_key(key)
        if wanted not in connection.execute(sql, wanted).fetchall():
            missing.append(key)
    return missing
