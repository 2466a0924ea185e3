"""Repair: the rows of one table compared with the source's beside the stream, and made equal."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar, cast

import asyncpg
import structlog

from config.errors import RowsRefused, ValueRefused
from replicator import failpoint
from replicator.drift import evolution
from replicator.loading import loader
from replicator.planning.plan import TablePlan
from replicator.postgres import ledger
from replicator.postgres.connections import CONTROL, Connection
from replicator.postgres.quarantine import VALUE_ERRORS, store
from replicator.schema import dml
from replicator.sources.paging import Cursor, Pace
from replicator.streaming.applier import Collision, refused
from replicator.streaming.reader import read_page
from replicator.values import sizes
from replicator.values.converter import Row
from triggers.session import Session

from .bookmarks import Bookmark
from .counting import quarantined
from .findings import TableReport
from .matching import CHUNK_ROWS, Differences, absent, differences, rows_of, rows_under, target_keys

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

log = structlog.get_logger("liteferry.repair")

T = TypeVar("T")

#: How long the stream rests for one chunk.
WRITE_SECONDS = 0.05


class Repair:
    """Makes one table equal again, whatever it missed; the stream rests for as long as one chunk takes."""

    def __init__(self, pipeline: Pipeline, number: int, reason: str = "") -> None:
        """Take the table by its number, and why it is stale, if it is."""
        self._pipeline = pipeline
        self._number = number
        self._reason = reason
        self._plan: TablePlan = pipeline.plans[number]
        self._pace = Pace(WRITE_SECONDS, rows=500, most=CHUNK_ROWS)
        self._pace.bound(self._plan.row_bytes, 8 << 20)
        self._rest: Callable[[], float] = lambda: 0.0
        #: Whether rows met others that have their unique values.
        self._collided = False
        #: Rows of the source that were looked at in the last pass.
        self.read = 0
        self.written = 0
        self.deleted = 0
        #: What is told of a comparison; None where nobody asks.
        self._report: TableReport | None = None
        #: Rows that were compared, and what was found, until it is told.
        self._met: list[tuple[Sequence[Row], Differences]] = []

    async def run(self) -> None:
        """Repair the table and note that it is done.

        A kill leaves it noted as stale, and it is repaired from the start. Raises TargetAway, ValueRefused,
        Collision for a row whose unique value another, stale one still has, and SchemaChanged.
        """
        await self.compare()
        await self._finish()

    async def compare(self, rest: Callable[[], float] | None = None, mark: Bookmark | None = None) -> int:
        """Make the rows equal and leave all else alone; return how many were not.

        `rest` tells how long to rest after each chunk, in multiples of the time that it took. With a bookmark
        it goes on there, and tells in its report what is found. Raises as `run` does.
        """
        self._rest = rest or self._rest
        self._report = report = None if mark is None else mark.report
        begun, since = await self._time(), time.monotonic()
        again = mark is not None and mark.is_begun
        async with self._pipeline.access.session() as session:
            if mark is not None and again:
                await self._recheck(session, list(mark.record.keys or ()))
            if mark is None or not mark.done:
                await self._walk(session, mark)
        if not again:
            # else what was met before the interruption would be taken for what was not
            await self._forget(begun)
        if mark is not None and report is not None:
            await self._conclude(report, time.monotonic() - since)
            mark.reach(None, walked=True, done=True)
        changed = self.written + self.deleted
        if changed or self._reason:
            log.warning("repaired", table=self._plan.name, written=self.written, deleted=self.deleted)
        return changed

    async def _walk(self, session: Session, mark: Bookmark | None) -> None:
        await self._fill(session, mark)
        await self._purge(session)
        if self._collided:
            # with what the source has no longer, whoever stood in the way may be gone
            self._report = None
            await self._fill(session)

    async def _recheck(self, session: Session, keys: Sequence[Row]) -> None:
        """Make rows equal again that were touched since they were compared."""
        plan, target, done = self._plan, self._pipeline.target, 0
        while done < len(keys):
            part = keys[done : done + self._pace.rows]
            look = partial(rows_of, plan=plan, keys=part)
            async with self._pipeline.tailer.aligned(session, look) as (rows, gone):
                await self.write(rows)
                async with target.connection() as connection:
                    there = await rows_under(connection, plan, plan.converter.keys(gone))
                await self.delete([self._key(row) for row in there])
            self._tell(0)
            done += len(part)
        if self._report is not None:
            self._report.rechecked += len(keys)

    async def _conclude(self, report: TableReport, seconds: float) -> None:
        """Tell of the whole table, which was walked from end to end on both sides."""
        aside = await quarantined(self._pipeline.target, (self._pipeline.source_id, self._number))
        report.count((report.compared, report.compared - aside, aside))
        report.repaired = report.found
        report.position = self._pipeline.facts.position
        report.seconds += seconds

    def _meet(self, rows: Sequence[Row], found: Differences) -> None:
        if self._report is not None:
            self._met.append((rows, found))

    def _tell(self, rows: int) -> None:
        """Tell of rows of the source that were looked at; not while the stream rests."""
        met, self._met = self._met, []
        if (report := self._report) is None:
            return
        report.compared += rows
        for ready, found in met:
            report.met(self._plan.converter, found)
            report.sum(ready, found)

    async def _time(self) -> int:
        """Return PostgreSQL's time, by which quarantined rows are dated."""
        async with self._pipeline.target.connection() as connection:
            return cast("int", await connection.fetchval("SELECT clock_timestamp()"))

    async def _forget(self, begun: int) -> None:
        """Release what was in quarantine before, and was not met."""
        quarantine = self._pipeline.quarantine
        if quarantine.facts.quarantined.get(self._number):
            async with self._pipeline.target.connection() as connection:
                place = quarantine.source_id, self._number
                await connection.execute(CONTROL["release_unseen"], *place, begun)
            await quarantine.count(self._pipeline.target)

    async def _fill(self, session: Session, mark: Bookmark | None = None) -> None:
        """Write what is missing or different."""
        after: Cursor | None = mark.cursor if mark is not None else None
        last = mark is not None and mark.walked
        self.read = 0
        while not last:
            most = self._pipeline.throttle.most(self._pace.rows)
            look = partial(timed, work=partial(read_page, plan=self._plan, after=after, limit=most))
            async with self._pipeline.tailer.aligned(session, look) as (page, reading):
                begun = time.monotonic()
                await self.write(page.rows)
                writing = time.monotonic() - begun
            # in rollback-journal mode the application's writers wait for our reads, which must be shorter
            slowest = max(writing, reading * WRITE_SECONDS / self._pipeline.read_seconds)
            self._pace.took(len(page.rows), slowest)
            self._tell(len(page.rows))
            after, last = page.cursor, page.last
            if mark is not None and not self._collided:
                mark.reach(after, walked=last)
                await self._pipeline.bookmarks.tell()
            self.read += len(page.rows)
            failpoint.reach("repair.after_chunk")
            await self._pipeline.breathe(len(page.rows), reading + writing)
            await asyncio.sleep((reading + writing) * self._rest())

    async def write(self, rows: Sequence[Row]) -> None:
        """Make the target's rows equal to these of the source, which both sides are held at.

        What cannot be stored goes into quarantine. Raises as `run` does.
        """
        try:
            await self._write_all(rows)
        except (ValueRefused, RowsRefused):
            if self._pipeline.halts_on_refusal:
                raise
            await self._write_carefully(rows)

    async def _write_all(self, rows: Sequence[Row]) -> None:
        wanted = self._plan.converter.rows(rows)
        async with self._pipeline.target.transaction(adopted=self._plan.adopted) as connection:
            await self._release(connection, rows)
            try:
                found = await differences(connection, self._plan, wanted)
                wrong = found.rows
                if any(map(sizes.too_large, wrong)):
                    self._plan.converter.refuse(rows)
                await self._upsert(connection, wrong)
            except asyncpg.UniqueViolationError as error:
                raise self._collision(error) from error
            except (*VALUE_ERRORS, asyncpg.IntegrityConstraintViolationError) as error:
                raise refused(self._plan, rows, error) from None
        self.written += len(wrong)
        self._meet(wanted, found)

    async def _write_carefully(self, rows: Sequence[Row]) -> None:
        """Write what can be stored; the rest goes into quarantine, and is deleted as it was before."""
        quarantine, plan = self._pipeline.quarantine, self._plan
        good, refusals = await asyncio.to_thread(plan.converter.sift, rows)
        source = {id(ready): row for row, ready in good}
        async with self._pipeline.target.transaction(adopted=self._plan.adopted) as connection:
            found = await differences(connection, plan, [ready for _, ready in good])
            pairs = [(source[id(ready)], ready) for ready in found.rows]
            try:
                send = partial(self._upsert, connection)
                late = await store(connection, pairs, send, colliding=plan.adopted)
            except asyncpg.UniqueViolationError as error:
                raise Collision.of(error) from error
            refusals += late
            await quarantine.put(connection, self._number, plan, refusals)
            refused = {self._key(r.row) for r in refusals}
            await self._release(connection, [row for row in rows if self._key(row) not in refused])
            if keys := plan.converter.keys(refused):
                await connection.execute(dml.delete(plan), *map(list, zip(*keys, strict=True)))
        await quarantine.count(self._pipeline.target)
        self.written += len(pairs) - len(late)
        kept = {id(r.row) for r in late}
        found.leave_out({id(ready) for row, ready in good if id(row) in kept})
        self._meet([ready for row, ready in good if id(row) not in kept], found)

    def _collision(self, error: asyncpg.UniqueViolationError) -> Collision | RowsRefused:
        """An index that was there before us stays, and the row goes into quarantine."""
        self._collided = self._collided or self._plan.adopted
        if not self._plan.adopted:
            return Collision.of(error)
        return RowsRefused(
            f"table {self._plan.name!r}: rows collide in {error.constraint_name!r}, an index of its own",
            hint="the source holds values twice that this index takes once",
        )

    async def _upsert(self, connection: Connection, rows: Sequence[Row]) -> None:
        for part in sizes.portions(rows, lambda row: row):
            columns = self._plan.converter.parameters(part)
            timeout = sizes.seconds(sum(map(sizes.row_bytes, part)))
            await connection.execute(dml.upsert(self._plan), *columns, timeout=timeout)

    async def _release(self, connection: Connection, rows: Sequence[Row]) -> None:
        quarantine = self._pipeline.quarantine
        if quarantine.facts.quarantined.get(self._number):
            await quarantine.release(connection, self._number, map(self._key, rows))

    def _key(self, row: Row) -> Row:
        return tuple(row[i] for i in self._plan.key_places)

    async def _purge(self, session: Session) -> None:
        """Delete what the source does not have."""
        async for keys in target_keys(self._pipeline.target, self._plan):
            begun = time.monotonic()
            await self._delete_absent(session, keys)
            await self._pipeline.breathe(len(keys), time.monotonic() - begun)
            await asyncio.sleep((time.monotonic() - begun) * self._rest())

    async def _delete_absent(self, session: Session, keys: list[Row]) -> None:
        try:
            missing = await session.run(absent, self._plan, keys)
        except sqlite3.Error as error:
            raise await self._pipeline.tailer.fault(session, error) from error
        if not missing:
            return
        # it may have come back meanwhile: only side by side it can be told
        look = partial(absent, plan=self._plan, keys=missing)
        async with self._pipeline.tailer.aligned(session, look) as gone:
            await self.delete(gone)

    async def delete(self, gone: Sequence[Row]) -> None:
        """Delete rows by keys of the target that the source, which both sides are held at, does not have."""
        if gone:
            async with self._pipeline.target.transaction(adopted=self._plan.adopted) as connection:
                # the stream may have deleted some since they were met: these were no difference
                there = await rows_under(connection, self._plan, gone)
                await connection.execute(dml.delete(self._plan), *map(list, zip(*gone, strict=True)))
            self.deleted += len(there)
            if self._report is not None:
                self._report.extra += len(there)
                for row in there:
                    key = tuple(row[i] for i in self._plan.key_places)
                    self._report.note(f"extra on the target: key {self._plan.converter.shown(key)}")

    async def _finish(self) -> None:
        """Give the table what it had to do without, and note that it is whole."""
        async with self._pipeline.target.transaction() as connection:
            notes = await loader.tighten(connection, self._plan, evolution.tighten(self._plan))
            notes += await loader.build(connection, self._plan, await loader.missing(connection, self._plan))
            place = self._pipeline.source_id, self._number
            await connection.execute(CONTROL["indexed"], *place, ledger.notes_json(notes))
            # not where another reason has come since: then it must be read once more
            await connection.execute(CONTROL["set_mended"], *place, self._reason)
            failpoint.reach("repair.before_commit")


def timed(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> tuple[T, float]:
    """Do some work and tell how many seconds it took."""
    begun = time.monotonic()
    done = work(connection)
    return done, time.monotonic() - begun
