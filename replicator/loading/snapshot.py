"""The snapshot: every table copied in chunks by binary COPY, several at once, resumable at the last chunk."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TypeAlias

import asyncpg
import structlog

from config.errors import LiteferryError, RowsRefused, TargetAway, ValueRefused
from replicator import failpoint
from replicator.backoff import Backoff
from replicator.control.throttle import Throttle
from replicator.faults import source_error
from replicator.planning.plan import TablePlan
from replicator.postgres import ledger
from replicator.postgres.connections import Connection, Target, describe
from replicator.postgres.quarantine import VALUE_ERRORS, Quarantine, store
from replicator.sources.paging import Cursor, Pace, decode, encode
from replicator.streaming.applier import refused
from replicator.streaming.reader import read_page
from replicator.values import sizes
from replicator.values.converter import Row
from triggers.session import Session

from .copier import Copier, CopierFailed, Work
from .crew import Crew, Slots
from .lanes import CopyProgress, Lane

log = structlog.get_logger("liteferry.snapshot")

#: A chunk ends at this many bytes even when it has fewer rows than asked for.
CHUNK_BYTES = 8 << 20

#: Rows that can be larger than this have their sizes added up; others cannot make a chunk too big.
LARGE_ROW = 4096

Item: TypeAlias = tuple[CopyProgress, Lane]


class Collided(RowsRefused):
    """Rows of a table that was there before us met its unique indexes; while it is copied that may pass."""


@dataclass
class Chunk:
    """Some consecutive rows of a table, from several short reads, to be stored in one transaction."""

    #: As they were read, to name what the target refuses.
    rows: list[Row]
    cursor: Cursor | None
    last: bool
    #: As the driver takes them.
    ready: Sequence[Row] = ()
    #: Whether some of them cannot be stored, so that each must be looked at.
    careful: bool = False
    #: Bytes of them in memory, where they are counted.
    size: int = 0
    #: That reading them took.
    seconds: float = 0.0
    #: Set when they are on their way: from then on PostgreSQL works alone, and the next may be read.
    encoded: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Snapshot:
    """Copies the lanes of one source that are not copied yet."""

    target: Target
    work: Work
    tables: Sequence[CopyProgress]
    crew: Crew
    parallel: int
    #: A table of so many rows is copied by processes of their own; None where none may be.
    large: int | None
    #: Where refused rows go, unless they are to halt the copy.
    quarantine: Quarantine
    halt: bool
    #: What it is held back by.
    throttle: Throttle
    on_retry: Callable[[LiteferryError], None] = field(default=lambda error: None)
    on_recovery: Callable[[], None] = field(default=lambda: None)

    @property
    def slots(self) -> Slots:
        """Return what all snapshots share."""
        return self.crew.slots

    async def run(self) -> None:
        """Copy all lanes; returns when the last chunk of the last one is stored.

        Raises ValueRefused for a value that cannot be stored; a target that is away is waited for.
        """
        small: list[Item] = []
        large: list[Item] = []
        for table in sorted((t for t in self.tables if not t.copied), key=lambda t: t.plan.rows):
            fits = self.large is not None and table.plan.rows >= self.large
            (large if fits else small).extend((table, one) for one in table.lanes if not one.at.copied)
        async with asyncio.TaskGroup() as group:
            for number in range(min(self.parallel, len(small))):
                group.create_task(self._worker(small), name=f"copy-{self.work.path.name}-{number}")
            for number in range(min(self.slots.cores, self.parallel, len(large))):
                group.create_task(self._overseer(large), name=f"copier-{self.work.path.name}-{number}")

    async def _worker(self, waiting: list[Item]) -> None:
        async with self._session() as session:
            while waiting:
                table, lane = waiting.pop()
                async with self.slots.tables, _active(table, lane):
                    await self._copy(session, lane)

    async def _overseer(self, waiting: list[Item]) -> None:
        """Have lanes copied by another process, and do what that one could not."""
        async with self.slots.processes, self.crew.take() as copier, self._session() as session:
            while waiting:
                table, lane = waiting.pop()
                async with self.slots.tables, _active(table, lane):
                    await self._copied_elsewhere(copier, lane)
                    if not lane.at.copied:
                        await self._copy(session, lane)

    def _session(self) -> Session:
        return Session(self.work.path, guard=self.work.refuse_absence)

    async def _copied_elsewhere(self, copier: Copier, lane: Lane) -> None:
        await self._refresh(lane)
        try:
            await copier.copy(self.work, lane, self.throttle)
            log.info("lane copied", table=lane.plan.name, lane=lane.at.lane, rows=lane.at.rows_copied)
        except CopierFailed as error:
            log.warning(
                "a copier gave up; the daemon goes on itself", table=lane.plan.name, reason=str(error)
            )
            await self._refresh(lane)

    async def _refresh(self, lane: Lane) -> None:
        """Ask the target how far a lane is: a commit may have been on its way when its sender died."""
        place = self.work.source_id, lane.at.table_id, lane.at.lane
        backoff = Backoff()
        while True:
            try:
                async with self.target.connection() as connection:
                    lane.at = await ledger.lane(connection, *place)
                break
            except TargetAway as error:
                self.on_retry(error)
                await asyncio.sleep(backoff.failed())
        if backoff.failures:
            self.on_recovery()

    async def _copy(self, session: Session, lane: Lane) -> None:
        pace = Pace(self.work.read_seconds)
        pace.bound(lane.plan.row_bytes, CHUNK_BYTES)
        after = decode(lane.at.cursor) if lane.at.cursor is not None else None
        reading = asyncio.create_task(self._read(session, lane, after, pace))
        try:
            while not lane.at.copied:
                chunk = await reading
                if not chunk.last:
                    reading = asyncio.create_task(self._read_behind(chunk, session, lane, pace))
                await self._store(lane, chunk)
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            if not reading.cancelled():
                reading.exception()  # seen, so that asyncio does not report it a second time

    async def _read_behind(self, chunk: Chunk, session: Session, lane: Lane, pace: Pace) -> Chunk:
        """Read the next chunk while PostgreSQL stores this one."""
        await chunk.encoded.wait()
        await self.throttle.rest(len(chunk.rows), chunk.seconds)
        return await self._read(session, lane, chunk.cursor, pace)

    async def _read(self, session: Session, lane: Lane, after: Cursor | None, pace: Pace) -> Chunk:
        backoff = Backoff()
        while True:
            try:
                async with self.slots.turn:
                    return await session.run(
                        partial(read_chunk, halt=self.halt),
                        self.work,
                        lane,
                        after,
                        pace,
                        self.throttle.most(self.work.chunk_rows),
                    )
            except sqlite3.Error as raised:
                error = source_error(session, raised)
                if not error.retryable:
                    raise error from raised
                self.on_retry(error)
                await asyncio.sleep(backoff.failed())

    async def _store(self, lane: Lane, chunk: Chunk) -> None:
        cursor = encode(chunk.cursor) if chunk.cursor is not None else None
        backoff = Backoff()
        while True:
            try:
                if backoff.failures and await self._stored_already(lane, cursor, chunk.last):
                    break
                await self._store_once(lane, cursor, chunk)
            except TargetAway as error:
                # a row that is too large breaks each connection anew
                chunk.careful = chunk.careful or any(map(sizes.too_large, chunk.ready))
                self.on_retry(error)
                await asyncio.sleep(backoff.failed())
            except (ValueRefused, RowsRefused) as error:
                if chunk.careful or (self.halt and not isinstance(error, Collided)):
                    raise
                chunk.careful = True
            else:
                break
        if backoff.failures:
            self.on_recovery()
        lane.moved(cursor, len(chunk.rows), chunk.last)
        if chunk.careful:
            await self._count()

    async def _count(self) -> None:
        """Learn how many rows are in quarantine; what stores them later, and a cutover, go by it."""
        backoff = Backoff()
        while True:
            try:
                return await self.quarantine.count(self.target)
            except TargetAway as error:
                self.on_retry(error)
                await asyncio.sleep(backoff.failed())

    async def _store_once(self, lane: Lane, cursor: str | None, chunk: Chunk) -> None:
        async with self.target.transaction(adopted=lane.plan.adopted) as connection:
            # First, so that a second daemon waits here for our commit and then finds the cursor moved.
            await ledger.advance(
                connection, self.work.source_id, lane.at, cursor, len(chunk.rows), chunk.last
            )
            if chunk.careful:
                await self._store_carefully(connection, lane, chunk)
            elif chunk.rows:
                try:
                    await self._send(connection, lane.plan, chunk)
                except asyncpg.UniqueViolationError as error:
                    raise Collided(f"rows of table {lane.plan.name!r} collide: {describe(error)}") from None
                except (*VALUE_ERRORS, asyncpg.IntegrityConstraintViolationError) as error:
                    raise refused(lane.plan, chunk.rows, error) from None
            failpoint.reach("snapshot.before_commit")
        failpoint.reach("snapshot.after_commit")

    async def _store_carefully(self, connection: Connection, lane: Lane, chunk: Chunk) -> None:
        """COPY what can be stored, and put the rest in quarantine."""
        chunk.encoded.set()
        plan, number = lane.plan, lane.at.table_id
        good, refusals = await asyncio.to_thread(plan.converter.sift, chunk.rows)

        async def send(rows: list[Row]) -> None:
            await _copy_to(connection, plan, rows, sum(map(sizes.row_bytes, rows)))

        # where a unique index was there before us, a row that moved while it was copied meets itself, and one
        # that took another's value meets that: both are in the log, and right when that is caught up with
        refusals += await store(connection, good, send, colliding=plan.adopted)
        await self.quarantine.put(connection, number, plan, refusals)
        log.warning("rows put in quarantine", table=plan.name, rows=len(refusals))

    async def _send(self, connection: Connection, plan: TablePlan, chunk: Chunk) -> None:
        """COPY the rows; the turn is given on as soon as the last is encoded."""
        rows = chain(chunk.ready, _told(chunk.encoded))
        async with self.slots.turn:
            task = asyncio.ensure_future(_copy_to(connection, plan, rows, chunk.size))
            task.add_done_callback(lambda _: chunk.encoded.set())
            try:
                await chunk.encoded.wait()
            except asyncio.CancelledError:
                task.cancel()
                await asyncio.wait([task])
                raise
        await task

    async def _stored_already(self, lane: Lane, cursor: str | None, last: bool) -> bool:
        """Tell whether the commit was done though the connection died before saying so.

        The last chunk of a lane may move no cursor, any other one does. Raises TargetAway.
        """
        async with self.target.connection() as connection:
            found = await ledger.lane(connection, self.work.source_id, lane.at.table_id, lane.at.lane)
        return (found.cursor, found.copied) == (cursor, last) != (lane.at.cursor, lane.at.copied)


def read_chunk(
    connection: sqlite3.Connection,
    work: Work,
    lane: Lane,
    after: Cursor | None,
    pace: Pace,
    rows: int,
    *,
    halt: bool,
) -> Chunk:
    """Read the next rows of a lane in reads so short that no writer minds; ValueRefused with `halt`."""
    started = time.monotonic()
    plan, upto = lane.plan, decode(lane.at.upto) if lane.at.upto is not None else None
    chunk = Chunk([], after, last=False)
    measured = plan.row_bytes > LARGE_ROW or not plan.is_measured
    while not chunk.last and len(chunk.rows) < rows and chunk.size < CHUNK_BYTES:
        work.refuse_absence()
        begun = time.monotonic()
        limit = min(pace.rows, rows - len(chunk.rows))
        page = read_page(connection, plan, chunk.cursor, limit, upto)
        pace.took(len(page.rows), time.monotonic() - begun)
        chunk.rows += page.rows
        chunk.cursor, chunk.last = page.cursor, page.last
        if measured:
            chunk.size += sum(sum(map(sys.getsizeof, row)) for row in page.rows)
    try:
        chunk.ready = plan.converter.rows(chunk.rows)
        if chunk.size > sizes.LARGEST_STATEMENT:
            plan.converter.refuse(chunk.rows)
    except ValueRefused:
        if halt:
            raise
        chunk.careful = True
    chunk.seconds = time.monotonic() - started
    return chunk


async def _copy_to(connection: Connection, plan: TablePlan, rows: Iterable[Row], size: int) -> None:
    columns = [c.target for c in plan.record]
    await connection.copy_records_to_table(
        plan.target, schema_name=plan.schema, columns=columns, records=rows, timeout=sizes.seconds(size)
    )


@contextlib.asynccontextmanager
async def _active(table: CopyProgress, lane: Lane) -> AsyncIterator[None]:
    lane.active = True
    yield
    lane.active = False
    if table.copied:
        log.info("table copied", table=table.plan.name, rows=table.rows)


def _told(event: asyncio.Event) -> Iterator[Row]:
    """Yield nothing, but tell when whoever reads an iterator has come to its end."""
    event.set()
    yield from ()
