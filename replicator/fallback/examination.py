"""The rows of one table compared behind the cutover: the target has the writes, and the source follows.

Each chunk is read in one snapshot of the target, after all that this snapshot has was brought home. The
numbers of the key log are no help there: they are not the order of commits.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from replicator.faults import source_error
from replicator.postgres.connections import Connection
from replicator.schema import dml
from replicator.values.converter import Row
from replicator.verification import counting
from replicator.verification.examination import Examination, Looked
from replicator.verification.findings import Checksum
from replicator.verification.matching import Differences, absent, converted, differences, rows_of, rows_under
from replicator.verification.progress import Progress
from triggers.session import Session
from triggers.statements import load

from . import keylog
from .delivery import Ways
from .inverse import Unspeakable
from .level import aligned, level, requeue

if TYPE_CHECKING:
    from config.errors import SourceError
    from replicator.pipeline import Pipeline
    from replicator.verification.verifier import Wish

SQL = load("replicator", "fallback.sql")

R = TypeVar("R")


class HomeExamination(Examination):
    """Compares the rows of one table; what is missing, or one too many, is so in the source."""

    def __init__(self, pipeline: Pipeline, session: Session, number: int, progress: Progress) -> None:
        super().__init__(pipeline, session, number, progress, pipeline.homeward.applying)
        self._ways = Ways(self._plan)
        #: The snapshot in which the source has the target's rows, while both are held there.
        self._frozen: Connection | None = None
        #: What differs in the chunk in hand: keys of the target, and rows of the source that have none there.
        self._wrong: list[Row] = []
        self._strays: list[Row] = []
        #: Whether all of the table was brought home once more, which is not done twice.
        self._brought_whole = False

    @asynccontextmanager
    async def _aligned(self, look: Callable[[sqlite3.Connection], R]) -> AsyncIterator[R]:
        async with aligned(self._pipeline, self._session, self._planned(look)) as (seen, frozen):
            self._frozen = frozen
            try:
                yield seen
            finally:
                self._frozen = None
        wrong, strays = self._wrong, self._strays
        self._wrong, self._strays = [], []
        if self._mends and (wrong or strays):
            await self._bring_again(wrong, strays)

    @asynccontextmanager
    async def _target(self) -> AsyncIterator[Connection]:
        assert self._frozen is not None
        yield self._frozen

    def _taken_up(self, wish: Wish) -> None:
        # what is brought back is not in the log that a bookmark is read with
        return None

    async def _fault(self, error: sqlite3.Error) -> SourceError:
        return source_error(self._session, error)

    def _are_counted(self) -> bool:
        # a long statement would keep the application from changing its tables
        return counting.is_counted(self._plan, "")

    def _unmatched(self) -> int:
        return self.report.extra

    async def _count(self) -> None:
        async with AsyncExitStack() as stack:
            async with self._moving:
                frozen = await stack.enter_async_context(level(self._pipeline))
                rows = await self._session.run(self._planned(partial(counting.count_rows, plan=self._plan)))
                aside = await self._kept_aside()
            # the stream goes on; the snapshot stays
            others = await frozen.fetchval(dml.count(self._plan), timeout=3600)
        self._take_counts(rows, others, aside)

    async def _infer_counts(self) -> None:
        """Take from the rows that were met how many each side has; both were walked from end to end."""
        report = self.report
        aside = await self._kept_aside()
        others = report.compared - aside[0] + aside[1] + report.missing - report.extra
        # what was missing has been brought back by now, or not
        mended = others + aside[0] - aside[1]
        self._take_counts(mended if report.found == report.repaired else report.compared, others, aside)

    def _take_counts(self, rows: int, others: int, aside: tuple[int, int]) -> None:
        self.report.count((rows, others, aside[0]))
        self.report.unreturned = aside[1]

    async def _kept_aside(self) -> tuple[int, int]:
        """Return how many rows the target never got, and how many of its own found no way back."""
        behind = await counting.quarantined(self._pipeline.target, self._place())
        async with self._pipeline.target.connection() as target:
            return behind, int(await target.fetchval(SQL["kept_in"], *self._place()))

    async def _look_at(self, keys: Sequence[Row]) -> None:
        done = 0
        while done < len(keys):
            part = list(keys[done : done + self._pace.rows])
            async with self._aligned(partial(self._rows, keys=part)) as rows:
                looked = await self._compare(rows)
                met = {self._ways.key_of(row) for row in looked.good}
                await self._refuse_rows_under([key for key in part if key not in met])
            done += len(part)
            self._pipeline.pausing.give_way()

    async def _compare(self, rows: list[Row]) -> Looked:
        looked = await self._look(rows)
        found, report = looked.found, self.report
        report.compared += len(rows)
        self._progress.advance(len(rows))
        for row in found.missing:
            report.extra += 1
            report.note(f"extra in the source: key {self._plan.converter.key_text(row)}")
            self._sample("extra", row)
        for row, other, places in found.different:
            report.different += 1
            names = ", ".join(self._plan.record[i].source for i in places)
            report.note(f"different: key {self._plan.converter.key_text(row)}, columns {names}")
            self._sample("different", row, other, places)
            self._wrong.append(self._ways.key_of(other))
        self._strays += (looked.source[id(row)] for row in found.missing)
        return looked

    async def _look(self, rows: list[Row]) -> Looked:
        looked = await super()._look(rows)
        computed = self._ways.inverse.computed
        if computed:
            # what SQLite computes by itself is not brought back
            parts = [
                (a, b, [i for i in places if i not in computed]) for a, b, places in looked.found.different
            ]
            looked.found.different = [one for one in parts if one[2]]
        return looked

    async def _refuse_rows_under(self, keys: list[Row]) -> None:
        """Count rows of the target that the source does not have, unless it cannot hold them."""
        if not keys:
            return
        async with self._target() as target:
            rows = await rows_under(target, self._plan, keys)
        kept = await self._kept(rows)
        for row in rows:
            if self._ways.key_of(row) in kept:
                continue
            self.report.missing += 1
            self.report.target_sum.add(Checksum.of(row))
            self.report.note(f"missing in the source: key {self._plan.converter.key_text(row)}")
            self._sample("missing", row)
            self._wrong.append(self._ways.key_of(row))

    async def _kept(self, rows: Sequence[Row]) -> set[Row]:
        """Return the keys of those rows that were refused on their way back, as of now."""
        if not rows:
            return set()
        keys = list(map(self._ways.key_of, rows))
        columns = [list(column) for column in zip(*keys, strict=True)]
        async with self._pipeline.target.connection() as target, target.transaction():
            await target.execute(SQL["exact"])
            found = await target.fetch(keylog.kept_sql(self._plan), *self._place(), *columns)
        return {keys[record["place"] - 1] for record in found}

    def _absent(self, connection: sqlite3.Connection, keys: list[Row]) -> list[Row]:
        missing = absent(connection, self._plan, keys)
        # what was brought back may be spelled in another way
        return [key for key in missing if not self._spelled(connection, key)]

    def _rows(self, connection: sqlite3.Connection, keys: Sequence[Row]) -> list[Row]:
        """Return the source's rows under keys of the target."""
        found: list[Row] = []
        for key in keys:
            rows, _ = rows_of(connection, self._plan, [self._plan.converter.source_key(key)])
            found += rows or self._spelled(connection, key)
        return found

    def _spelled(self, connection: sqlite3.Connection, key: Row) -> list[Row]:
        try:
            rows, _ = rows_of(connection, self._plan, [self._ways.inverse.key(key)])
        except Unspeakable:
            return []
        return rows

    async def _bring_again(self, wrong: list[Row], strays: list[Row]) -> None:
        """Bring rows home once more, and delete those that the target has not; count what is equal then."""
        known = [self._ways.key_of(row) for row in strays]
        keys = [*wrong, *self._plan.converter.keys(known)]
        if keys:
            await requeue(self._pipeline, self._number, keys)
        left = await self._count_unequal(keys, known)
        if left and not self._brought_whole:
            # a key that the target cannot have, or that is spelled in another way, goes with the whole table
            self._brought_whole = True
            await requeue(self._pipeline, self._number, [])
            left = await self._count_unequal(keys, known)
        self.report.repaired += len(wrong) + len(strays) - left

    async def _count_unequal(self, keys: list[Row], strays: list[Row]) -> int:
        def look(connection: sqlite3.Connection) -> tuple[list[Row], list[Row]]:
            left, _ = rows_of(connection, self._plan, strays)
            return self._rows(connection, keys), left

        async with aligned(self._pipeline, self._session, self._planned(look)) as (both, frozen):
            rows, left = both
            good, refusals = await asyncio.to_thread(converted, self._plan, rows)
            ready = [one for _, one in good]
            found = await differences(frozen, self._plan, ready)
            met = {self._ways.key_of(row) for row in ready}
            others = await rows_under(frozen, self._plan, [key for key in keys if key not in met])
            kept = await self._kept(others)
        unequal = {self._ways.key_of(row) for row in _differing(found, self._ways)}
        unequal |= {self._ways.key_of(row) for row in others} - kept
        return len(unequal) + len(_unknown(left, rows)) + len(refusals)


def _differing(found: Differences, ways: Ways) -> list[Row]:
    computed = ways.inverse.computed
    return [*found.missing, *(row for row, _, places in found.different if not computed.issuperset(places))]


def _unknown(strays: Sequence[Row], met: Sequence[Row]) -> list[Row]:
    return [row for row in strays if row not in met]
