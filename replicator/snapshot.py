"""The snapshot: every table copied in chunks by binary COPY, several at once, resumable at the last chunk."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from uuid import UUID

import asyncpg
import structlog

from config.errors import LiteferryError, TargetAway
from triggers.session import Session

from . import failpoint, ledger
from .applier import VALUE_ERRORS, refused
from .backoff import Backoff
from .faults import source_error
from .ledger import TableRecord
from .paging import Cursor, Pace, decode, encode
from .plan import TablePlan
from .reader import read_page
from .target import Connection, Target
from .values import Row

log = structlog.get_logger("liteferry.snapshot")

#: A chunk ends at this many bytes even when it has fewer rows than asked for.
CHUNK_BYTES = 8 << 20

#: Rows that can be larger than this have their sizes added up; others cannot make a chunk too big.
LARGE_ROW = 4096


@dataclass
class Chunk:
    """Some consecutive rows of a table, from several short reads, to be stored in one transaction."""

    #: As they were read, to name what the target refuses.
    rows: list[Row]
    cursor: Cursor | None
    last: bool
    #: As the driver takes them.
    ready: Sequence[Row] = ()
    #: Set when they are on their way: from then on PostgreSQL works alone, and the next may be read.
    encoded: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Slots:
    """What all snapshots of a daemon share."""

    #: How many tables may be copied at once.
    tables: asyncio.Semaphore
    #: Held by whoever makes or encodes rows. Both need Python's lock: together they take three times as
    #: long as one after the other (measured), while PostgreSQL's own work overlaps with either.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class CopyProgress:
    """How far one table's snapshot has got."""

    number: int
    plan: TablePlan
    cursor: str | None
    rows: int
    copied: bool
    active: bool = False

    @classmethod
    def of(cls, record: TableRecord, plan: TablePlan) -> CopyProgress:
        """Take up what the target remembers."""
        return cls(record.table_id, plan, record.cursor, record.rows_copied, record.copied)


@dataclass
class Snapshot:
    """Copies the tables of one source that are not copied yet."""

    path: Path
    target: Target
    source_id: UUID
    tables: Sequence[CopyProgress]
    chunk_rows: int
    slots: Slots
    parallel: int
    read_seconds: float
    on_retry: Callable[[LiteferryError], None] = field(default=lambda error: None)
    on_recovery: Callable[[], None] = field(default=lambda: None)

    async def run(self) -> None:
        """Copy all tables; returns when the last chunk of the last one is stored.

        Raises ValueRefused for a value that cannot be stored; a target that is away is waited for.
        """
        waiting = sorted((t for t in self.tables if not t.copied), key=lambda t: t.plan.rows)
        async with asyncio.TaskGroup() as group:
            for number in range(min(self.parallel, len(waiting))):
                group.create_task(self._worker(waiting), name=f"copy-{self.path.name}-{number}")

    async def _worker(self, waiting: list[CopyProgress]) -> None:
        async with Session(self.path) as session:
            while waiting:
                table = waiting.pop()
                async with self.slots.tables:
                    table.active = True
                    await self._copy(session, table)
                    table.active = False
                log.info("table copied", table=table.plan.name, rows=table.rows)

    async def _copy(self, session: Session, table: CopyProgress) -> None:
        pace = Pace(self.read_seconds)
        pace.bound(table.plan.row_bytes, CHUNK_BYTES)
        after = decode(table.cursor) if table.cursor is not None else None
        reading = asyncio.create_task(self._read(session, table.plan, after, pace))
        try:
            while not table.copied:
                chunk = await reading
                if not chunk.last:
                    reading = asyncio.create_task(self._read_behind(chunk, session, table.plan, pace))
                await self._store(table, chunk)
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            if not reading.cancelled():
                reading.exception()  # seen, so that asyncio does not report it a second time

    async def _read_behind(self, chunk: Chunk, session: Session, plan: TablePlan, pace: Pace) -> Chunk:
        """Read the next chunk while PostgreSQL stores this one."""
        await chunk.encoded.wait()
        return await self._read(session, plan, chunk.cursor, pace)

    async def _read(self, session: Session, plan: TablePlan, after: Cursor | None, pace: Pace) -> Chunk:
        backoff = Backoff()
        while True:
            try:
                async with self.slots.turn:
                    return await session.run(read_chunk, plan, after, self.chunk_rows, pace)
            except sqlite3.Error as raised:
                error = source_error(session, raised)
                if not error.retryable:
                    raise error from raised
                self.on_retry(error)
                await asyncio.sleep(backoff.failed())

    async def _store(self, table: CopyProgress, chunk: Chunk) -> None:
        cursor = encode(chunk.cursor) if chunk.cursor is not None else None
        backoff = Backoff()
        while True:
            try:
                if backoff.failures and await self._stored_already(table, cursor, chunk.last):
                    break
                await self._store_once(table, cursor, chunk)
            except TargetAway as error:
                self.on_retry(error)
                await asyncio.sleep(backoff.failed())
            else:
                break
        if backoff.failures:
            self.on_recovery()
        table.cursor, table.rows, table.copied = cursor, table.rows + len(chunk.rows), chunk.last

    async def _store_once(self, table: CopyProgress, cursor: str | None, chunk: Chunk) -> None:
        async with self.target.transaction() as connection:
            # First, so that a second daemon waits here for our commit and then finds the cursor moved.
            await ledger.advance(
                connection, self.source_id, table.number, table.cursor, cursor, len(chunk.rows), chunk.last
            )
            if chunk.rows:
                try:
                    await self._send(connection, table.plan, chunk)
                except (*VALUE_ERRORS, asyncpg.IntegrityConstraintViolationError) as error:
                    raise refused(table.plan, chunk.rows, error) from None
            failpoint.reach("snapshot.before_commit")
        failpoint.reach("snapshot.after_commit")

    async def _send(self, connection: Connection, plan: TablePlan, chunk: Chunk) -> None:
        """COPY the rows; the turn is given on as soon as the last is encoded."""
        copying = connection.copy_records_to_table(
            plan.name,
            schema_name=plan.schema,
            columns=[c.target for c in plan.record],
            records=chain(chunk.ready, _told(chunk.encoded)),
        )
        async with self.slots.turn:
            task = asyncio.ensure_future(copying)
            task.add_done_callback(lambda _: chunk.encoded.set())
            try:
                await chunk.encoded.wait()
            except asyncio.CancelledError:
                task.cancel()
                await asyncio.wait([task])
                raise
        await task

    async def _stored_already(self, table: CopyProgress, cursor: str | None, last: bool) -> bool:
        """Tell whether the commit was done though the connection died before saying so.

        The last chunk of a table may move no cursor, any other one does. Raises TargetAway.
        """
        async with self.target.connection() as connection:
            found = await ledger.progress(connection, self.source_id, table.number)
        return found == (cursor, last) != (table.cursor, table.copied)


def read_chunk(
    connection: sqlite3.Connection, plan: TablePlan, after: Cursor | None, rows: int, pace: Pace
) -> Chunk:
    """Read the next chunk of a table in reads so short that no writer minds."""
    chunk = Chunk([], after, last=False)
    size = 0
    while not chunk.last and len(chunk.rows) < rows and size < CHUNK_BYTES:
        begun = time.monotonic()
        limit = min(pace.rows, rows - len(chunk.rows))
        page = read_page(connection, plan, chunk.cursor, limit)
        pace.took(len(page.rows), time.monotonic() - begun)
        chunk.rows += page.rows
        chunk.cursor, chunk.last = page.cursor, page.last
        if plan.row_bytes > LARGE_ROW:
            size += sum(sum(map(sys.getsizeof, row)) for row in page.rows)
    chunk.ready = plan.converter.rows(chunk.rows)
    return chunk


def _told(event: asyncio.Event) -> Iterator[Row]:
    """Yield nothing, but tell when whoever reads an iterator has come to its end."""
    event.set()
    yield from ()
