"""What the CHECKs of a table that is there already will say to the rows of the source, before any is copied.

PostgreSQL itself is asked, in read-only transactions, about rows that are sent as parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from replicator.postgres.catalogue import CheckConstraint
from replicator.postgres.connections import Target, describe
from replicator.schema import dml
from replicator.sources.paging import Cursor, Pace
from replicator.streaming.reader import read_page
from replicator.values.converter import Row
from triggers.session import Session

from .plan import TablePlan

#: Rows per question.
BLOCK = 2_000
BLOCK_BYTES = 4 << 20


@dataclass
class _Answer:
    """What one CHECK has said so far."""

    check: CheckConstraint
    refused: int = 0
    first: str = ""
    #: Why it cannot be asked, if it cannot.
    silent: str = ""

    def told(self, table: str, rows: int) -> str:
        what = f"{table}: CHECK {self.check.name}"
        if self.silent:
            return f"{what}: cannot be foretold: {self.silent}"
        return f"{what}: would be quarantined: {self.refused:,} of {rows:,} rows, first key {self.first}"


async def predict(
    session: Session,
    target: Target,
    plan: TablePlan,
    checks: Sequence[CheckConstraint],
    seconds: float,
    most: int = 0,
) -> list[str]:
    """Return a sentence for each CHECK that rows of the source break, from reads of about `seconds`.

    Looks at `most` rows, 0: at all of them. Raises TargetAway.
    """
    answers = [_Answer(check) for check in checks]
    pace = Pace(seconds, most=BLOCK)
    pace.bound(plan.row_bytes, BLOCK_BYTES)
    after: Cursor | None = None
    last, seen = not answers, 0
    while not last and not (most and seen >= most):
        page = await session.run(read_page, plan, after, pace.rows)
        good, _ = plan.converter.sift(page.rows)
        if good:
            await _ask(target, plan, answers, good)
        after, last = page.cursor, page.last
        seen += len(page.rows)
    return [one.told(plan.name, seen) for one in answers if one.refused or one.silent]


async def _ask(
    target: Target, plan: TablePlan, answers: Sequence[_Answer], good: Sequence[tuple[Row, Row]]
) -> None:
    columns = plan.converter.parameters([ready for _, ready in good])
    async with target.connection() as connection:
        for one in answers:
            if one.silent:
                continue
            try:
                async with connection.transaction(readonly=True):
                    found = await connection.fetchrow(dml.violating(plan, one.check.expression), *columns)
            except asyncpg.PostgresError as error:
                if isinstance(error, asyncpg.PostgresConnectionError | asyncpg.OperatorInterventionError):
                    raise
                # a column that only the target has, or a function that does not like a row
                one.silent = describe(error)
                continue
            if found is not None and found["count"]:
                one.first = one.first or plan.converter.key_text(good[found["first"] - 1][0])
                one.refused += found["count"]
