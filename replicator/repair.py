"""Repair: the rows of one table compared with the source's beside the stream, and made equal."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import asyncpg
import structlog

from triggers.session import Session

from . import dml, evolution, failpoint, ledger, loader
from .applier import VALUE_ERRORS, Collision, refused
from .paging import Cursor, Pace
from .plan import TablePlan
from .reader import read_page
from .target import CONTROL
from .values import Row
from .verifier import CHUNK_ROWS, absent, differences, target_keys

if TYPE_CHECKING:
    from .pipeline import Pipeline

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
        self.written = 0
        self.deleted = 0

    async def run(self) -> None:
        """Repair the table and note that it is done.

        A kill leaves it noted as stale, and it is repaired from the start. Raises TargetAway, ValueRefused,
        Collision for a row whose unique value another, stale one still has, and SchemaChanged.
        """
        await self.compare()
        await self._finish()

    async def compare(self, rest: Callable[[], float] | None = None) -> int:
        """Make the rows equal and leave all else alone; return how many were not.

        `rest` tells how long to rest after each chunk, in multiples of the time that it took. Raises as `run`
        does.
        """
        self._rest = rest or self._rest
        async with Session(self._pipeline.path) as session:
            await self._fill(session)
            await self._purge(session)
        changed = self.written + self.deleted
        if changed or self._reason:
            log.warning("repaired", table=self._plan.name, written=self.written, deleted=self.deleted)
        return changed

    async def _fill(self, session: Session) -> None:
        """Write what is missing or different."""
        after: Cursor | None = None
        last = False
        while not last:
            look = partial(
                _timed, work=partial(read_page, plan=self._plan, after=after, limit=self._pace.rows)
            )
            async with self._pipeline.tailer.aligned(session, look) as (page, reading):
                begun = time.monotonic()
                await self._write(self._plan.converter.rows(page.rows), page.rows)
                writing = time.monotonic() - begun
            # in rollback-journal mode the application's writers wait for our reads, which must be shorter
            slowest = max(writing, reading * WRITE_SECONDS / self._pipeline.read_seconds)
            self._pace.took(len(page.rows), slowest)
            after, last = page.cursor, page.last
            failpoint.reach("repair.after_chunk")
            await asyncio.sleep((reading + writing) * self._rest())

    async def _write(self, wanted: Sequence[Row], rows: Sequence[Row]) -> None:
        async with self._pipeline.target.transaction() as connection:
            found = await differences(connection, self._plan, wanted)
            wrong = [*found.missing, *(row for row, _ in found.different)]
            if not wrong:
                return
            try:
                columns = self._plan.converter.parameters(wrong)
                await connection.execute(dml.upsert(self._plan), *columns)
            except asyncpg.UniqueViolationError as error:
                raise Collision.of(error) from error
            except (*VALUE_ERRORS, asyncpg.IntegrityConstraintViolationError) as error:
                raise refused(self._plan, rows, error) from None
        self.written += len(wrong)

    async def _purge(self, session: Session) -> None:
        """Delete what the source does not have."""
        async for keys in target_keys(self._pipeline.target, self._plan):
            begun = time.monotonic()
            await self._delete_absent(session, keys)
            await asyncio.sleep((time.monotonic() - begun) * self._rest())

    async def _delete_absent(self, session: Session, keys: list[Row]) -> None:
        missing = await session.run(absent, self._plan, keys)
        if not missing:
            return
        # it may have come back meanwhile: only side by side it can be told
        look = partial(absent, plan=self._plan, keys=missing)
        async with self._pipeline.tailer.aligned(session, look) as gone:
            if gone:
                async with self._pipeline.target.transaction() as connection:
                    await connection.execute(dml.delete(self._plan), *map(list, zip(*gone, strict=True)))
                self.deleted += len(gone)

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


def _timed(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> tuple[T, float]:
    """Do some work and tell how many seconds it took."""
    begun = time.monotonic()
    done = work(connection)
    return done, time.monotonic() - begun
