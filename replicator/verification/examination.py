"""The rows of one table, compared chunk by chunk with both sides at one position; repaired on demand."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from config.errors import SchemaChanged, SourceError
from replicator.postgres.connections import CONTROL, Connection
from replicator.postgres.quarantine import VALUE_ERRORS, hash_of
from replicator.sources.paging import Cursor, Pace
from replicator.streaming.applier import Collision
from replicator.streaming.reader import read_page
from replicator.values.converter import Row
from triggers.session import Session

from .bookmarks import Bookmark
from .counting import counted, is_counted, quarantined
from .findings import Checksum, Mode, TableReport
from .matching import (
    CHUNK_ROWS,
    Differences,
    absent,
    converted,
    differences,
    rows_of,
    rows_under,
    target_keys,
)
from .progress import Progress
from .repair import Repair, timed

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

    from .verifier import Wish

R = TypeVar("R")


@dataclass(frozen=True)
class Looked:
    """What a look at some rows has found."""

    found: Differences
    #: Those that can be stored, as the target's types have them.
    good: list[Row]
    #: Under the identity of each row the source's row that it was made of.
    source: dict[int, Row]


class Examination:
    """Compares the rows of one table; the stream rests for as long as one chunk takes."""

    def __init__(
        self,
        pipeline: Pipeline,
        session: Session,
        number: int,
        progress: Progress,
        gate: asyncio.Lock | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._session = session
        self._number = number
        self._progress = progress
        self._plan = pipeline.plans[number]
        self._facts = pipeline.facts
        self._pace = Pace(0.02, rows=500, most=CHUNK_ROWS)
        self._pace.bound(self._plan.row_bytes, 8 << 20)
        self._repair = Repair(pipeline, number)
        self._mends = self._samples = False
        self._rest = 0.0
        self._bookmark: Bookmark | None = None
        #: Held while the sides are moved on.
        self._moving = pipeline.tailer.applying if gate is None else gate
        #: Keys whose rows collide with another that may yet turn out to be one too many.
        self._late: list[Row] = []
        self.report = TableReport(self._plan.name)

    async def run(self, wish: Wish) -> TableReport:
        """Compare them. Raises SchemaChanged when the table is to be looked at first, TargetAway."""
        begun = time.monotonic()
        self._mends, self._samples, self._rest = wish.repair, wish.samples, wish.rest
        self._progress.next(self._plan.name)
        if wish.counts_only:
            self.report.mode = Mode.COUNTS
            await self._count()
        else:
            await self._recorded(wish)
        self._note()
        report = self.report
        report.position, report.seconds = self._facts.position, report.seconds + time.monotonic() - begun
        self._progress.finish(self._plan.rows, max(report.compared, report.source_rows))
        return report

    def _note(self) -> None:
        """Let a known difference stand in the way of a cutover until it is gone."""
        if not self.report.rows_equal:
            self._facts.differing.add(self._number)
            if self.report.mode is not Mode.TOUCHED:
                # it may be in a row that was not written: the next comparison must look at all
                self._facts.touched.forget(self._number)
        elif self.report.mode is not Mode.COUNTS:
            self._facts.differing.discard(self._number)
        self._facts.repairs += bool(self.report.repaired)
        self._facts.repaired_rows += self.report.repaired

    async def held(self, keys: Sequence[Row]) -> None:
        """Compare the rows under some keys of the source; the caller holds both sides where they are."""
        self.report.mode = Mode.TOUCHED
        rows, gone = await self._session.run(rows_of, self._plan, keys)
        await self._compare(rows)
        await self._refuse_rows_under(self._plan.converter.keys(gone))

    async def _recorded(self, wish: Wish) -> None:
        """Compare all rows, or those touched since they were equal, and note what is touched from now on."""
        touched, place = self._facts.touched, (self._number, self._plan, self._facts.suspicion.count)
        async with self._moving:
            known = wish.incremental and self._number not in self._facts.stale
            keys = touched.since(*place) if known else None
            record = touched.begin(*place)
            self._bookmark = self._taken_up(wish)
        equal = False
        try:
            await (self._all() if keys is None else self._some(keys))
            equal = self.report.rows_equal
        finally:
            touched.end(record, equal=equal)

    def _taken_up(self, wish: Wish) -> Bookmark | None:
        """Return the bookmark to keep; one that is gone on with has what was found before."""
        if wish.bookmark is None:
            return None
        marks = self._pipeline.bookmarks
        found = marks.find(wish.bookmark, self._number) if wish.resume else None
        if found is None or found.plan is not self._plan:
            return marks.begin(wish.bookmark, self._number, self._plan, self.report)
        self.report = found.report
        self._progress.advance(found.report.compared)
        return found

    async def _all(self) -> None:
        mark = self._bookmark
        if mark is not None and mark.is_begun:
            await self._recheck(list(mark.record.keys or ()))
        if mark is None or not mark.done:
            await self._walk(mark)
        if mark is not None:
            mark.reach(None, walked=True, done=True)

    async def _recheck(self, keys: Sequence[Row]) -> None:
        """Compare rows again that were touched since; they are counted already."""
        before = self.report.compared
        await self._look_at(keys)
        await self._mend_late()
        self.report.compared = before
        self.report.rechecked += len(keys)

    async def _walk(self, mark: Bookmark | None) -> None:
        counts = self._are_counted()
        if counts:
            await self._count()
        after: Cursor | None = mark.cursor if mark is not None else None
        last = mark is not None and mark.walked
        while not last:
            look = partial(read_page, plan=self._plan, after=after, limit=self._most())
            async with self._aligned(partial(timed, work=look)) as (page, reading):
                # not before: waiting for the batch in hand says nothing about the size of a chunk
                begun = time.monotonic()
                looked = await self._compare(page.rows)
                comparing = time.monotonic() - begun
            # without a WAL the application's writers wait for our reads, which must be shorter
            slowest = max(comparing, reading * self._pace.seconds / self._pipeline.read_seconds)
            self._pace.took(len(page.rows), slowest)
            # outside of the time in which the stream rests
            self.report.sum(looked.good, looked.found)
            await asyncio.sleep((reading + comparing) * self._rest)
            after, last = page.cursor, page.last
            if mark is not None and not self._late:
                mark.reach(after, walked=last)
                await self._pipeline.bookmarks.tell()
            await self._pipeline.breathe(len(page.rows), reading + comparing)
        report = self.report
        if not counts or not report.is_balanced or self._unmatched():
            await self._find_extra()
        await self._mend_late()
        if not counts:
            await self._infer_counts()
        elif report.repaired:
            await self._count()

    def _are_counted(self) -> bool:
        """Tell whether a count of both sides is quick enough to save a walk over the target."""
        return is_counted(self._plan, self._facts.journal_mode)

    def _unmatched(self) -> int:
        """Return how many rows of the source have none on the target."""
        return self.report.missing

    async def _infer_counts(self) -> None:
        """Take from the rows that were met how many each side has; both were walked from end to end."""
        report = self.report
        aside = await quarantined(self._pipeline.target, self._place())
        # what has been repaired is there, or gone, by now
        wrong = 0 if report.found == report.repaired else report.extra - report.missing
        report.count((report.compared, report.compared - aside + wrong, aside))

    async def _some(self, keys: Sequence[Row]) -> None:
        self.report.mode = Mode.TOUCHED
        await self._look_at(keys)
        await self._mend_late()

    async def _look_at(self, keys: Sequence[Row]) -> None:
        done = 0
        while done < len(keys):
            part = keys[done : done + self._most()]
            async with self._aligned(partial(rows_of, plan=self._plan, keys=part)) as (rows, gone):
                begun = time.monotonic()
                await self._compare(rows)
                await self._refuse_rows_under(self._plan.converter.keys(gone))
                comparing = time.monotonic() - begun
                self._pace.took(len(part), comparing)
            self.report.compared += len(gone)
            done += len(part)
            await self._pipeline.breathe(len(part), comparing)

    @asynccontextmanager
    async def _aligned(self, look: Callable[[sqlite3.Connection], R]) -> AsyncIterator[R]:
        """Look at the source, and hold the target at the state that was seen, for the plan that we have."""

        async with self._pipeline.tailer.aligned(self._session, self._planned(look)) as seen:
            yield seen

    def _planned(self, look: Callable[[sqlite3.Connection], R]) -> Callable[[sqlite3.Connection], R]:
        """Return a look that is refused once the table is read by another plan."""

        def looked(connection: sqlite3.Connection) -> R:
            # the follower has changed it since: another plan reads other columns
            if self._pipeline.plans.get(self._number) is not self._plan:
                raise SchemaChanged(f"table {self._plan.name!r} was changed while it was compared")
            return look(connection)

        return looked

    @asynccontextmanager
    async def _target(self) -> AsyncIterator[Connection]:
        """Lend a connection that sees the target as it is held."""
        async with self._pipeline.target.connection() as target:
            yield target

    async def _fault(self, error: sqlite3.Error) -> SourceError:
        return await self._pipeline.tailer.fault(self._session, error)

    def _most(self) -> int:
        """Return how many rows are looked at together."""
        return self._pipeline.throttle.most(self._pace.rows)

    def _place(self) -> tuple[UUID, int]:
        return self._pipeline.source_id, self._number

    async def _count(self) -> None:
        self.report.count(await counted(self._pipeline.target, self._plan, self._place(), self._aligned))

    async def _compare(self, rows: list[Row]) -> Looked:
        """Compare rows of the source with the target's, and mend what is wrong where that is wanted."""
        looked = await self._look(rows)
        found = looked.found
        self.report.compared += len(rows)
        self.report.met(self._plan.converter, found)
        self._progress.advance(len(rows))
        self._show(found)
        if found.rows and self._mends:
            await self._mend([looked.source[id(row)] for row in found.rows])
        return looked

    async def _look(self, rows: list[Row]) -> Looked:
        plan = self._plan
        good, refusals = converted(plan, rows)
        async with self._target() as target:
            try:
                found = await differences(target, plan, [ready for _, ready in good])
            except VALUE_ERRORS:
                # a key that the fast way lets through unseen
                good, refusals = await asyncio.to_thread(plan.converter.sift, rows)
                found = await differences(target, plan, [ready for _, ready in good])
            source = {id(ready): row for row, ready in good} | {id(r.row): r.row for r in refusals}
            if found.missing or refusals:
                missing = [*found.missing, *(r.row for r in refusals)]
                found.missing = await self._not_in_quarantine(target, missing, source)
        return Looked(found, [ready for _, ready in good], source)

    async def _not_in_quarantine(
        self, target: Connection, missing: list[Row], source: dict[int, Row]
    ) -> list[Row]:
        """Take what is in quarantine from what is missing; a row that cannot be stored must be there."""
        keys = [hash_of(self._plan, source[id(row)]) for row in missing]
        kept = await target.fetch(CONTROL["quarantined_keys"], *self._place(), keys)
        known = {record["key_hash"] for record in kept}
        return [row for row, key in zip(missing, keys, strict=True) if key not in known]

    def _show(self, found: Differences) -> None:
        for row in found.missing:
            self._sample("missing", row)
        for row, other, places in found.different:
            self._sample("different", row, other, places)

    def _sample(self, kind: str, row: Row, other: Row = (), places: Sequence[int] = ()) -> None:
        if self._samples:
            key = tuple(row[i] for i in self._plan.key_places)
            columns = [(self._plan.record[i], row[i], other[i]) for i in places]
            self.report.sample(kind, key, columns)

    async def _mend(self, wrong: list[Row]) -> None:
        if self.report.handed_over:
            return
        try:
            await self._repair.write(wrong)
        except Collision as error:
            self._late += [tuple(row[i] for i in self._plan.key_places) for row in wrong]
            if len(self._late) > CHUNK_ROWS:
                await self._hand_over(error)
            return
        left = (await self._look(wrong)).found
        self.report.repaired += len(wrong) - len(left.rows)

    async def _hand_over(self, error: Collision) -> None:
        """Have all of the table read again, without the index at which its rows collide."""
        await self._pipeline.healer.relax(error)
        self.report.handed_over = True

    async def _mend_late(self) -> None:
        """Try again what collided, now that rows which the source has not are gone."""
        if not self._late or self.report.handed_over:
            return
        async with self._aligned(partial(rows_of, plan=self._plan, keys=self._late)) as (rows, gone):
            try:
                await self._repair.write(rows)
            except Collision as error:
                return await self._hand_over(error)
            left = (await self._look(rows)).found
        self.report.repaired += len(rows) + len(gone) - len(left.rows)

    async def _find_extra(self) -> None:
        """Look for rows of the target that the source does not have."""
        async for keys in target_keys(self._pipeline.target, self._plan):
            try:
                missing = await self._session.run(self._absent, keys)
            except sqlite3.Error as error:
                raise await self._fault(error) from error
            if missing:
                # most often a row that was deleted while we were looking: only side by side it can be told
                async with self._aligned(partial(self._absent, keys=missing)) as still:
                    await self._refuse_rows_under(still)

    def _absent(self, connection: sqlite3.Connection, keys: list[Row]) -> list[Row]:
        return absent(connection, self._plan, keys)

    async def _refuse_rows_under(self, keys: list[Row]) -> None:
        """Count rows that the target has under keys that the source has not, and delete them on demand."""
        if not keys:
            return
        plan, report = self._plan, self.report
        async with self._target() as target:
            rows = await rows_under(target, plan, keys)
        for row in rows:
            report.extra += 1
            report.target_sum.add(Checksum.of(row))
            report.note(f"extra on the target: key {plan.converter.key_text(row)}")
            self._sample("extra", row)
        if rows and self._mends:
            await self._repair.delete([tuple(row[i] for i in plan.key_places) for row in rows])
            report.repaired += len(rows)
