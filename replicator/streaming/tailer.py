"""The tail: new entries of the change log read, applied and counted, one batch after the other."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog

from config.errors import LiteferryError, SchemaChanged, SourceError, SourceMissing, TargetAway
from replicator import failpoint
from replicator.backoff import Backoff
from replicator.faults import ours
from replicator.faults import source_error as source_error
from replicator.planning.plan import TablePlan
from replicator.postgres import ledger
from replicator.postgres.connections import CONNECT_SECONDS, Target
from replicator.postgres.quarantine import Quarantine
from replicator.values import sizes
from triggers import changelog, pulse, refit
from triggers.changelog import Place
from triggers.connection import is_busy, reading
from triggers.session import Session

from .applier import Applier, Entangled
from .reader import Batch, read_batch, refuse_changed

log = structlog.get_logger("liteferry.tail")

#: Entries per read of a file without WAL, where our read lock keeps the writer from committing.
ROLLBACK_ENTRIES = 2_000

#: How long a batch may wait for the target without a sign; the driver bounds it, a large row takes long.
BATCH_PATIENCE = CONNECT_SECONDS + sizes.seconds(sizes.LARGEST_ROW)

#: Waits for a sign that the file has changed, up to some seconds; True when one came.
Wake = Callable[[float], Awaitable[bool]]


R = TypeVar("R")
S = TypeVar("S")


class Tailer:
    """Brings one source's changes to the target."""

    def __init__(
        self,
        session: Session,
        target: Target,
        quarantine: Quarantine,
        plans: Mapping[int, TablePlan],
        memory: int,
        *,
        halt: bool,
    ) -> None:
        """Take both sides, where refused rows go unless they `halt` it, and a batch's memory in bytes."""
        self._session = session
        self._target = target
        self._quarantine = quarantine
        self._plans = plans
        self._facts = quarantine.facts
        self._memory = memory
        self._applier = Applier(target, quarantine, plans, halt=halt)
        self._backoff = Backoff()
        self._data_version = -1
        #: The version of the source's schema that the plans are for; None before it has been looked at.
        self.schema: int | None = None
        #: Held while a batch is on its way; whoever else moves the position holds it instead.
        self.applying = asyncio.Lock()
        #: Held while a batch is read; whoever deletes entries that the target has not got holds it instead.
        self.looking = asyncio.Lock()
        #: How far the target may have got without our knowing.
        self.reach = self._facts.position
        #: Set while a batch may have been committed without our knowing: the target is asked before the next.
        self._unsure = False

    async def step(self) -> bool:
        """Read and apply what is new; return whether there was anything.

        Raises SchemaChanged when the source must be looked at before anything more is read, SourceMissing
        when its file is no longer where it was.
        A failure that a retry may mend is counted, waited out and reported as False; any other is raised.
        """
        try:
            async with self.applying:
                with pulse.work(f"a batch of {self._facts.path!r}", BATCH_PATIENCE):
                    done = await self.drain(self._session)
        except (SchemaChanged, SourceMissing):
            raise
        except LiteferryError as error:
            if not error.retryable:
                raise
            await self._failed(error)
            return False
        self._recovered()
        return done

    async def drain(self, session: Session) -> bool:
        """Bring one batch over, read through `session`; the caller holds `applying`."""
        if self._unsure:
            await self._resume()
        most = None if self._facts.journal_mode == "wal" else ROLLBACK_ENTRIES
        begun = time.monotonic()
        batch = await self._ask(session, self._reading(most))
        try:
            return await self._bring(batch, begun)
        except Entangled:
            # the writer waits for one longer read, once: better than a row that waits for ever
            batch = await self._ask(session, self._reading(None))
            return await self._bring(batch, begun)

    async def drain_with(self, session: Session, look: Callable[[sqlite3.Connection], R]) -> R:
        """Look at the source and bring the target to that very state; the caller holds `applying`.

        The source is let go of before the target is asked for anything: without a WAL the application's
        writers wait for our reads, and none of them shall wait for PostgreSQL.
        """
        # the backlog first, in reads as short as ever: little is left for the one that must be whole
        while await self.drain(session) and not self._facts.consistent:
            pass
        read, schema, begun = self._reading(None), self.schema, time.monotonic()
        seen, batch = await self._ask(session, lambda c: _together(c, schema, look, read))
        await self._bring(batch, begun)
        return seen

    async def begin(self, place: Place) -> None:
        """Go on at the place where another log begins; the caller holds `applying`.

        Raises TargetAway, and PositionConflict when another daemon has moved the position.
        """
        if self._unsure:
            await self._resume()
        self._unsure = True
        async with self._target.transaction() as connection:
            await ledger.begin_log(connection, self._quarantine.source_id, self._facts.position, place)
        self._unsure = False
        self._facts.position, self._facts.mark = place.position, place.mark
        self._facts.consistent = False
        self.schema = None

    @asynccontextmanager
    async def aligned(self, session: Session, look: Callable[[sqlite3.Connection], R]) -> AsyncIterator[R]:
        """Look at the source, and hold the target at the state that was seen."""
        async with self.applying:
            yield await self.drain_with(session, look)

    async def _bring(self, batch: Batch | None, begun: float) -> bool:
        if batch is None:
            # nothing behind the position: the target is what the source is
            self._facts.consistent = True
            return False
        self.reach = batch.place.position
        with batch.spool:
            # also when it is cancelled: a cutover that runs out of time may do so at the COMMIT
            self._unsure = True
            await self._applier.apply(batch)
            self._unsure = False
        self._applied(batch, time.monotonic() - begun)
        return True

    def _reading(self, most: int | None) -> Callable[[sqlite3.Connection], Batch | None]:
        place = Place(self._facts.position, self._facts.mark)
        memory, schema = self._memory, self.schema

        def read(connection: sqlite3.Connection) -> Batch | None:
            failpoint.reach("tail.reading")
            return read_batch(connection, self._plans, place, memory, most, schema)

        return read

    async def _ask(self, session: Session, work: Callable[[sqlite3.Connection], R]) -> R:
        try:
            async with self.looking:
                return await session.run(work)
        except sqlite3.Error as error:
            raise source_error(session, error) from error
        except OSError as error:
            raise ours(error) or error from error

    async def fault(self, session: Session, error: sqlite3.Error) -> SourceError:
        """Return what to raise for an error of SQLite's, met by a plan that may fit no more."""
        try:
            await session.run(refuse_changed, self.schema)
        except SchemaChanged as changed:
            return changed
        except sqlite3.Error as other:
            return source_error(session, other)
        return source_error(session, error)

    def _applied(self, batch: Batch, seconds: float) -> None:
        facts, now = self._facts, time.monotonic()
        facts.position, facts.mark = batch.place.position, batch.place.mark
        facts.consistent, facts.connected = batch.complete, True
        facts.beat = batch.beat if batch.beat is not None else facts.beat
        facts.changes += batch.changes
        facts.batches += 1
        for number, entries in batch.touched.items():
            facts.table_changes[number] = facts.table_changes.get(number, 0) + entries
        if batch.complete:
            facts.pending, facts.oldest, facts.measured_at = 0, 0.0, now
            facts.table_pending = {}
        facts.capacity.applied(batch.entries, seconds)
        facts.applied.add(now, facts.changes)
        log.debug("batch applied", entries=batch.entries, rows=batch.spool.rows, seconds=round(seconds, 4))

    async def _failed(self, error: LiteferryError) -> None:
        facts = self._facts
        facts.retries += 1
        facts.error = str(error)
        facts.connected = facts.connected and not isinstance(error, TargetAway)
        if self._backoff.to_be_told(time.monotonic()):
            log.warning("waiting", source=facts.path, reason=str(error), failures=self._backoff.failures + 1)
        await asyncio.sleep(self._backoff.failed())

    async def _resume(self) -> None:
        """Ask the target where it is: the commit whose answer got lost may have been done."""
        async with self._target.connection() as connection:
            record = await ledger.source(connection, self._quarantine.source_id)
        await self._quarantine.count(self._target)
        if record is None:
            raise SourceError(
                "the target has forgotten this source: its bookkeeping is gone, or another database answers",
                hint="point liteferry at the target it began with",
            )
        if record.position != self._facts.position:
            # another log may have begun lower
            self._facts.changes += max(0, record.position - self._facts.position)
            self._facts.position, self._facts.mark = record.position, record.mark
            self._facts.consistent, self._facts.beat = record.consistent, record.beat
        self._facts.connected, self._unsure = True, False

    def _recovered(self) -> None:
        failures = self._backoff.recovered()
        if failures:
            log.info("recovered", source=self._facts.path, failures=failures)
            self._facts.error = None

    async def wait(self, wake: Wake, seconds: float) -> None:
        """Return at a sign of `wake`, or after `seconds` in which the file's data_version tells of news."""
        try:
            with pulse.work(f"watching {self._facts.path!r}", seconds) as watching:
                while not await wake(seconds):
                    if await self._session.run(self._changed):
                        return
                    watching.beat()
        except sqlite3.Error as error:
            raise source_error(self._session, error) from error

    def _changed(self, connection: sqlite3.Connection) -> bool:
        try:
            version = int(connection.execute("PRAGMA data_version").fetchone()[0])
            if version == self._data_version:
                return False
            if self.schema is not None and refit.version(connection) != self.schema:
                return True
            newest = changelog.head(connection)
        except sqlite3.OperationalError as error:
            if is_busy(error):
                return False
            raise
        self._data_version = version
        return newest > self._facts.position


def _together(
    connection: sqlite3.Connection,
    schema: int | None,
    one: Callable[[sqlite3.Connection], R],
    other: Callable[[sqlite3.Connection], S],
) -> tuple[R, S]:
    """Do two things in one read transaction. Raises SchemaChanged before the first."""
    with reading(connection):
        refuse_changed(connection, schema)
        return one(connection), other(connection)
