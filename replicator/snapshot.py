"""The snapshot: every table copied in chunks by binary COPY, several at once, resumable at the last chunk."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import structlog

from config.errors import TargetAway
from triggers.session import Session

from . import failpoint, ledger
from .applier import VALUE_ERRORS, refused
from .backoff import Backoff
from .ledger import TableRecord
from .paging import Cursor, Pace, decode, encode
from .plan import TablePlan
from .reader import read_page
from .target import Target
from .values import Row

log = structlog.get_logger("liteferry.snapshot")

#: A chunk ends at this many bytes even when it has fewer rows than asked for.
CHUNK_BYTES = 8 << 20

#: Rows that can be larger than this have their sizes added up; others cannot make a chunk too big.
LARGE_ROW = 4096


@dataclass
class Chunk:
    """Some consecutive rows of a table, from several short reads, to be stored in one transaction."""

    rows: list[Row]
    cursor: Cursor | None
    last: bool


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
    #: How many tables may be copied at once, over all sources of the daemon.
    slots: asyncio.Semaphore
    parallel: int
    read_seconds: float
    on_retry: Callable[[Exception], None] = field(default=lambda error: None)

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
                async with self.slots:
                    table.active = True
                    await self._copy(session, table)
                    table.active = False
                log.info("table copied", table=table.plan.name, rows=table.rows)

    async def _copy(self, session: Session, table: CopyProgress) -> None:
        pace = Pace(self.read_seconds)
        pace.bound(table.plan.row_bytes, CHUNK_BYTES)
        after = decode(table.cursor) if table.cursor is not None else None
        reading = self._read_ahead(session, table, after, pace)
        try:
            while not table.copied:
                chunk = await reading
                if not chunk.last:
                    reading = self._read_ahead(session, table, chunk.cursor, pace)
                await self._store(table, chunk)
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            if not reading.cancelled():
                reading.exception()  # seen, so that asyncio does not report it a second time

    def _read_ahead(
        self, session: Session, table: CopyProgress, after: Cursor | None, pace: Pace
    ) -> asyncio.Task[Chunk]:
        work = session.run(read_chunk, table.plan, after, self.chunk_rows, pace)
        return asyncio.create_task(work, name=f"read-{table.plan.name}")

    async def _store(self, table: CopyProgress, chunk: Chunk) -> None:
        rows = table.plan.converter.rows(chunk.rows)
        cursor = encode(chunk.cursor) if chunk.cursor is not None else None
        backoff = Backoff()
        while True:
            try:
                await self._store_once(table, rows, cursor, chunk)
            except TargetAway as error:
                self.on_retry(error)
                await asyncio.sleep(backoff.failed())
                if await self._stored_already(table, cursor, chunk.last):
                    break
            else:
                break
        table.cursor, table.rows, table.copied = cursor, table.rows + len(rows), chunk.last

    async def _store_once(
        self, table: CopyProgress, rows: Sequence[Row], cursor: str | None, chunk: Chunk
    ) -> None:
        plan = table.plan
        async with self.target.transaction() as connection:
            # First, so that a second daemon waits here for our commit and then finds the cursor moved.
            await ledger.advance(
                connection, self.source_id, table.number, table.cursor, cursor, len(rows), chunk.last
            )
            try:
                await connection.copy_records_to_table(
                    plan.name,
                    schema_name=plan.schema,
                    columns=[c.target for c in plan.record],
                    records=rows,
                )
            except VALUE_ERRORS as error:
                raise refused(plan, chunk.rows, error) from None
            failpoint.reach("snapshot.before_commit")
        failpoint.reach("snapshot.after_commit")

    async def _stored_already(self, table: CopyProgress, cursor: str | None, last: bool) -> bool:
        """Tell whether the commit was done though the connection died before saying so."""
        try:
            async with self.target.connection() as connection:
                records = await ledger.tables(connection, self.source_id)
        except TargetAway:
            return False
        record = next(r for r in records if r.table_id == table.number)
        return (record.cursor, record.copied) == (cursor, last) and record.rows_copied > table.rows


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
    return chunk
