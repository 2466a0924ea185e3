"""Looking at both sides for tables that are on the target already: what is there, and what values become."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from replicator.postgres import catalogue
from replicator.postgres.catalogue import TargetTable
from replicator.postgres.connections import Target
from replicator.sources.paging import Cursor, Pace
from replicator.streaming.reader import read_page
from triggers.key import choose
from triggers.schema import Table
from triggers.session import Session

from . import adoption
from .adoption import Adoption
from .naming import Names
from .plan import ColumnPlan, TablePlan
from .prediction import predict
from .types import Evidence
from .ways import Way

PAGE_BYTES = 8 << 20


async def present(target: Target | None, schema: str, names: Sequence[str]) -> dict[str, TargetTable]:
    """Return what stands on the target under some names of a schema; nothing without a target."""
    if target is None:
        return {}
    async with target.connection() as connection, connection.transaction(readonly=True):
        return await catalogue.read(connection, schema, names)


@dataclass(frozen=True)
class Looking:
    """How a source is looked at."""

    session: Session
    overrides: Mapping[str, str]
    leave_out: Collection[str]
    #: How long one read may be; 0: values are not looked at.
    seconds: float
    #: After how many rows of a table to stop, 0 for none.
    most: int = 0

    async def adopt(
        self,
        table: Table,
        schema: str,
        evidence: Sequence[Evidence],
        rows: int | None,
        found: TargetTable,
        names: Names,
    ) -> tuple[TablePlan, Adoption]:
        """Plan one table for one that is there; the adoption tells the problems, and nothing is raised."""
        made = adoption.match(table, names, evidence, found, self.overrides, self.leave_out)
        if self.seconds and made.pairs:
            await self._try(made, table, schema)
        adoption.judge(made, table)
        counted = evidence[0].rows if evidence else 0
        return adoption.plan(made, table, schema, evidence, counted if rows is None else rows), made

    async def foretell(self, target: Target, plan: TablePlan, made: Adoption) -> list[str]:
        """Return what the CHECKs of an adopted table will say to the rows. Raises TargetAway."""
        return await predict(self.session, target, plan, made.found.checks, self.seconds, self.most)

    async def _try(self, made: Adoption, table: Table, schema: str) -> None:
        """Put every value through the very converters that the copy would use."""
        columns = tuple(ColumnPlan(p.column.name, p.target.name, "text", p.evidence) for p in made.pairs)
        plan = TablePlan(table, choose(table), schema, columns)
        if not plan.has(*plan.key.columns):
            return  # told already: a key cannot be left out
        first = len(plan.record) - len(columns)
        ways = {first + n: [*pair.ways, *pair.asked] for n, pair in enumerate(made.pairs)}
        pace = Pace(self.seconds)
        pace.bound(plan.row_bytes, PAGE_BYTES)
        after: Cursor | None = None
        last, seen = False, 0
        while not last and not (self.most and seen >= self.most):
            after, last, count = await self.session.run(_step, plan, after, pace, ways)
            seen += count


def _step(
    connection: sqlite3.Connection,
    plan: TablePlan,
    after: Cursor | None,
    pace: Pace,
    ways: Mapping[int, Sequence[Way]],
) -> tuple[Cursor | None, bool, int]:
    begun = time.monotonic()
    page = read_page(connection, plan, after, pace.rows)
    pace.took(len(page.rows), time.monotonic() - begun)
    for place, some in ways.items():
        for row in page.rows:
            if (value := row[place]) is not None:
                for way in some:
                    way.take(value, lambda row=row: plan.converter.key_text(row))  # type: ignore[misc]
    return page.cursor, page.last, len(page.rows)
