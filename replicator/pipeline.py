"""One source on its way: preflight, install, snapshot, catch-up, streaming."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog

from config.errors import (
    CaptureBroken,
    LiteferryError,
    SchemaChanged,
    SourceBusy,
    SourceError,
    TargetAway,
    TargetError,
)
from config.settings import Settings
from triggers import capture, changelog, fence, refit
from triggers.capture import Captured
from triggers.claim import claimed
from triggers.connection import journal_mode
from triggers.key import Key, choose
from triggers.schema import Table
from triggers.session import Session

from . import failpoint, ledger, loader
from .applier import Collision
from .backoff import Backoff
from .copier import Work
from .crew import Crew, Slots
from .faults import source_error
from .follower import Follower
from .healer import Healer
from .lanes import CopyProgress, bounds
from .ledger import SourceRecord, TableRecord
from .plan import SourcePlan, TablePlan
from .preflight import make_plan, structure, take_up
from .presence import Identity, Presence, look, refuse_absence
from .profile import estimate
from .snapshot import Snapshot
from .state import State, advance
from .status import Facts
from .tailer import Tailer, Wake
from .target import CONTROL, Target

log = structlog.get_logger("liteferry.pipeline")


#: Between two looks at the source's schema while it is copied.
SCHEMA_SECONDS = 0.25


class Pipeline:
    """Moves one source; owns its reading and writing sessions."""

    def __init__(
        self,
        path: Path,
        schema: str,
        settings: Settings,
        target: Target,
        slots: Slots | None = None,
    ) -> None:
        """Take the source, where it goes, and the slots that all sources' table copies share."""
        self.path = path
        self.schema = schema
        self.settings = settings
        self.target = target
        self._crew = Crew(slots or Slots(asyncio.Semaphore(settings.parallel)))
        self.facts = Facts(str(path), schema)
        self.reader = Session(path)
        self.writer = Session(path, writable=True)
        #: Lag is measured on a session of its own, so that it is never late behind a batch.
        self.watcher = Session(path)
        self.plans: dict[int, TablePlan] = {}
        self.captured: list[Captured] = []
        self._source_id: UUID | None = None
        self._tailer: Tailer | None = None
        self._waiting = Backoff()
        self._alarm: CaptureBroken | None = None
        #: Tables of the plan that fit none of the source's after a restart.
        self.drifted: set[int] = set()
        self.healer = Healer(self)
        self._follower = Follower(self)
        #: Set once the source is streaming, cut over, or has been found to be.
        self.settled = asyncio.Event()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            self.identity = Identity.of(stack.enter_context(claimed(self.path)))
            for session in (self.reader, self.writer, self.watcher):
                await stack.enter_async_context(session)
            refuse_absence(self.path, self.identity)
            stack.push_async_callback(self._crew.release)
            self._sessions = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sessions.aclose()

    @property
    def presence(self) -> Presence:
        """Tell whether the file that was opened still stands under its name."""
        return look(self.path, self.identity)

    @property
    def source_id(self) -> UUID:
        """Return the id of the installation in the source. Raises CaptureBroken before there is one."""
        if self._source_id is None:
            raise CaptureBroken(f"source {str(self.path)!r} has no capture installed")
        return self._source_id

    @property
    def tailer(self) -> Tailer:
        """Return the tail. Raises RuntimeError before the source is known to the target."""
        if self._tailer is None:
            msg = f"source {self.path.name!r} does not stream yet"
            raise RuntimeError(msg)
        return self._tailer

    @property
    def tailing(self) -> bool:
        """Tell whether the source is known to the target, so that positions mean something."""
        return self._tailer is not None

    def enter(self, state: State) -> None:
        """Go to a state. Raises ValueError when it may not follow the present one."""
        before, self.facts.state = self.facts.state, advance(self.facts.state, state)
        if before is not state:
            log.info("state", source=str(self.path), state=state.value, before=before.value)

    async def plan(self) -> SourcePlan:
        """Plan the source afresh; changes nothing."""
        return await make_plan(
            self.reader,
            self.schema,
            exclude=self.settings.exclude,
            overrides=self.settings.columns,
            profile=self.settings.profile,
            read_seconds=self._read_seconds,
        )

    async def tables(self) -> list[Table]:
        """Return the tables that this source would bring."""
        found, _ = await self.reader.run(structure, self.settings.exclude)
        return found

    async def recognise(self) -> bool:
        """Tell whether the target follows this source; then it keeps the schema that it has got there.

        A copy of a followed file, which carries its id, is not recognised. Raises TargetAway.
        """
        self._source_id = await self.reader.run(capture.source_id)
        record = await self._record()
        if record is None or self._is_copy(record):
            return False
        self.schema = self.facts.schema = record.schema
        return True

    @property
    def fresh(self) -> bool:
        """Tell whether, so far as was looked, no capture is in the source, of this target or of another."""
        return self._source_id is None

    def is_twin(self, other: Pipeline) -> bool:
        """Tell whether the other source carries the same id: one of the two files is a copy."""
        return self._source_id is not None and self._source_id == other._source_id

    async def withdraw(self) -> None:
        """Take the capture out again when the target does not know the source; harmless otherwise."""
        if await self._record() is None and not await self.reader.run(fence.is_fenced):
            await self.writer.run(capture.uninstall, self.settings.install_timeout / 10)

    async def resume(self) -> None:
        """Learn from the target how far it is, to `run` again after an error. Raises TargetAway."""
        record = await self._record()
        if self.tailing and record is not None:
            self._adopt(record, await self._tables())

    async def prepare(self) -> None:
        """Look at both sides, and set up or take up the migration; returns when copying may begin.

        Whatever must be refused is refused here, before anything is changed.
        """
        self.enter(State.PREFLIGHT)
        self.facts.journal_mode = await self.watcher.run(journal_mode)
        self._source_id = await self.reader.run(capture.source_id)
        record = await self._record()
        if record is None:
            await self._refuse_foreign_fence()
            await self._warm_copiers()
            await self._set_up(await self.plan())
        else:
            await self._take_up(record)

    async def run(self, wake: Wake) -> None:
        """Copy what is not copied, catch up, and stream until cancelled; follow and heal on the way."""
        if self.facts.state in (State.CUT_OVER, State.CUTTING_OVER):
            self.settled.set()
            return
        while not self._is_over():
            try:
                await self._carry(wake)
            except SchemaChanged:
                # before a fence of ours, which is a change of the schema too, has become a state
                await asyncio.sleep(SCHEMA_SECONDS / 10)
            except (CaptureBroken, Collision) as error:
                await self._heal(error)

    def _is_over(self) -> bool:
        return self.facts.state is State.CUT_OVER

    async def _heal(self, error: CaptureBroken | Collision) -> None:
        if isinstance(error, Collision):
            await self.retrying(partial(self.healer.relax, error))
        elif self.settings.on_schema_change == "follow":
            await self.retrying(partial(self.healer.recapture, error))
        else:
            raise error

    async def _carry(self, wake: Wake) -> None:
        if self.facts.state is State.CUTTING_OVER:
            # nothing may be changed now; soon it is over, or streams again
            await asyncio.sleep(SCHEMA_SECONDS / 10)
            return
        await self.retrying(self._follower.follow)
        if any(not t.copied for t in self.facts.tables.values()):
            self.enter(State.SNAPSHOT)
            await self._snapshot()
        self.enter(State.CATCH_UP)
        await self.retrying(lambda: loader.add_keys(self.target, list(self.plans.values())))
        await self._catch_up()
        await self.retrying(self._add_indexes)
        await self._catch_up()
        failpoint.reach("pipeline.streaming")
        await self._stream(wake)

    async def _stream(self, wake: Wake) -> None:
        mending = asyncio.create_task(self.healer.run(), name=f"mend-{self.path.name}")
        try:
            while self.facts.state is not State.CUT_OVER:
                if mending.done():
                    mending.result()
                moved = await self.tailer.step()
                self._tell_streaming()
                if not moved:
                    await self.tailer.wait(self._nudged(wake), self.settings.poll_interval)
                self._raise_alarm()
        finally:
            mending.cancel()
            await asyncio.wait([mending])
            if not mending.cancelled():
                mending.exception()  # seen; the stream meets the same

    def alarm(self, error: CaptureBroken) -> None:
        """Have the stream look at what a periodic check has found."""
        self._alarm = error

    def look_again(self) -> None:
        """Have the source's schema looked at before anything more is read."""
        if self._tailer is not None:
            self._tailer.schema = -1

    def _nudged(self, wake: Wake) -> Wake:
        async def either(seconds: float) -> bool:
            return await wake(seconds) or self._alarm is not None or self._has_mended()

        return either

    def _has_mended(self) -> bool:
        return self.facts.state is State.CATCH_UP and self.facts.consistent and not self.facts.stale

    def _raise_alarm(self) -> None:
        error, self._alarm = self._alarm, None
        if error is not None:
            raise error

    def _tell_streaming(self) -> None:
        """Streaming or catching up, by whether the target is a state that the source had."""
        if self.facts.state in (State.STREAMING, State.CATCH_UP):
            whole = self.facts.consistent and not self.facts.stale
            self.enter(State.STREAMING if whole else State.CATCH_UP)
            if whole:
                self.settled.set()

    async def _catch_up(self) -> None:
        """Step until a batch has reached the end of the log, at least once."""
        while True:
            await self.tailer.step()
            if self.facts.consistent:
                return

    async def _snapshot(self) -> None:
        settings = self.settings
        work = Work(
            settings.target_url(),
            self.path,
            self.identity,
            self.source_id,
            settings.batch_size,
            self._read_seconds,
        )
        copying = Snapshot(
            self.target,
            work,
            list(self.facts.tables.values()),
            self._crew,
            settings.parallel,
            # in a rollback journal every reader more makes the application's writers wait longer
            settings.lane_rows if self.facts.journal_mode == "wal" else None,
            self._note_retry,
            self._note_recovery,
        )
        try:
            await self._watched(copying.run())
        finally:
            await self._crew.release()

    async def _watched(self, copying: Coroutine[None, None, None]) -> None:
        """Copy until it is done. Raises SchemaChanged as soon as the application changes its schema."""
        tasks = [asyncio.create_task(copying), asyncio.create_task(self._schema_moved())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # a plan that fits no more fails in many ways: what counts is whether it still does
            if tasks[0] in done and (tasks[0].exception() is None or not await self._has_moved()):
                return tasks[0].result()
            raise SchemaChanged("the application has changed its schema while it was copied")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _schema_moved(self) -> None:
        while not await self._has_moved():  # noqa: ASYNC110  # nobody but SQLite knows
            await asyncio.sleep(SCHEMA_SECONDS)

    async def _has_moved(self) -> bool:
        try:
            return await self.watcher.run(refit.version) != self.tailer.schema
        except sqlite3.Error:
            return False

    async def _warm_copiers(self) -> None:
        """Start copiers while the source is still being profiled, when it looks as if they will be needed."""
        found, _ = await self.reader.run(structure, self.settings.exclude)
        rows = [await self.reader.run(estimate, table, choose(table)) for table in found]
        if self.facts.journal_mode == "wal" and max(rows, default=0) >= self.settings.lane_rows:
            await self._crew.warm(self.settings.parallel)

    async def _add_indexes(self) -> None:
        records = await self._tables()
        # the indexes of a stale table may not fit its rows: they come when it is repaired
        missing = {r.table_id: self.plans[r.table_id] for r in records if not r.stale}
        refused = {r.table_id: {note["what"] for note in r.notes} for r in records}
        await loader.add_indexes(self.target, self.source_id, missing, refused)
        self.facts.notes = [dict(note) for r in await self._tables() for note in r.notes]
        async with self.target.connection() as connection:
            await connection.execute(CONTROL["set_state"], self.source_id, State.STREAMING.value)

    async def _set_up(self, plan: SourcePlan) -> None:
        """Install the capture, then register with the target: a crash between leaves nothing to undo."""
        async with self.target.connection() as connection:
            await ledger.refuse_existing(connection, plan.schema, [p.name for p in plan.tables])
        self.captured = await self._install([(p.table, p.key) for p in plan.tables])
        failpoint.reach("install.after")
        self._source_id = await self.reader.run(capture.source_id)
        by_name = {p.name: p for p in plan.tables}
        self.plans = {c.id: by_name[c.table.name] for c in self.captured}
        place = await self.reader.run(lambda c: changelog.place(c, changelog.head(c)))
        version = await self.reader.run(refit.version)
        lanes = {n: await self.reader.run(bounds, p, self.settings.lane_rows) for n, p in self.plans.items()}
        await loader.create(
            self.target, self.source_id, str(self.path), plan.schema, self.plans, lanes, place, version
        )
        failpoint.reach("register.after")
        for left_out in plan.skipped:
            log.info("left out", source=str(self.path), name=left_out.name, reason=left_out.reason)
        record = await self._record()
        if record is None:
            raise TargetError("the target has forgotten the source that was just registered")
        self._adopt(record, await self._tables())

    async def _take_up(self, record: SourceRecord) -> None:
        """Go on with a migration that the target remembers. Raises CaptureBroken, SchemaDrift."""
        self._refuse_copy(record)
        found, _ = await self.reader.run(structure, self.settings.exclude)
        records = await self._tables()
        self.plans, self.drifted = take_up(found, record.schema, records)
        self.captured = [Captured(n, p.table, p.key) for n, p in self.plans.items()]
        if self.settings.on_schema_change == "halt":
            await self.reader.run(capture.check_log, record.position)
            await self.reader.run(changelog.checked_head, record.position, record.mark)
        fenced = await self.reader.run(fence.fenced_by)
        self._adopt(record, records)
        if record.state is State.CUT_OVER:
            self.enter(State.CUT_OVER)
        elif fenced is not None:
            self.enter(State.CUTTING_OVER)

    def _adopt(self, record: SourceRecord, records: list[TableRecord]) -> None:
        facts = self.facts
        facts.schema, facts.beat = record.schema, record.beat
        facts.position, facts.mark = record.position, record.mark
        facts.schema_version = record.schema_version
        facts.consistent, facts.changes, facts.batches = record.consistent, record.changes, record.batches
        facts.connected = True
        self._adopt_tables(records)
        memory = self.settings.batch_memory_mb << 20
        self._tailer = Tailer(self.reader, self.target, record.source_id, self.plans, facts, memory)

    def _adopt_tables(self, records: list[TableRecord]) -> None:
        facts = self.facts
        facts.tables = {r.table_id: CopyProgress.of(r, self.plans[r.table_id]) for r in records}
        facts.table_changes = {r.table_id: r.changes for r in records}
        facts.notes = [dict(note) for r in records for note in r.notes]
        facts.stale = {r.table_id: r.stale for r in records if r.stale}

    async def replan(self, plans: Mapping[int, TablePlan]) -> None:
        """Go on by other plans, which the target has got already."""
        self.plans.clear()
        self.plans.update(plans)
        self.captured = [Captured(n, p.table, p.key) for n, p in plans.items()]
        self.drifted.clear()
        self._adopt_tables(await self._tables())

    async def _install(self, wanted: list[tuple[Table, Key]]) -> list[Captured]:
        deadline = time.monotonic() + self.settings.install_timeout
        while True:
            try:
                return await self.writer.run(capture.install, wanted, self.settings.install_timeout / 10)
            except SourceBusy:
                if time.monotonic() > deadline:
                    raise
                # gives a rollback-journal application, all of which waits while we wait, its turn
                await asyncio.sleep(0.1)
            except sqlite3.Error as error:
                raise source_error(self.writer, error) from error

    def _is_copy(self, record: SourceRecord) -> bool:
        return record.path != str(self.path) and Path(record.path).exists()

    def _refuse_copy(self, record: SourceRecord) -> None:
        """A copy of a source carries its id: following both would mix two files' rows in one target."""
        if self._is_copy(record):
            raise SourceError(
                f"source {str(self.path)!r} is a copy of {record.path!r}, which this target follows",
                hint="give the original, or run `liteferry uninstall` on the copy and choose another target",
            )

    async def _refuse_foreign_fence(self) -> None:
        if await self.reader.run(fence.is_fenced):
            raise SourceError(
                f"source {str(self.path)!r} was cut over to another target and refuses writes",
                hint="give that target, or lift the fence with `liteferry uninstall --lift-fence`",
            )

    async def _record(self) -> SourceRecord | None:
        if self._source_id is None:
            return None
        async with self.target.connection() as connection:
            return await ledger.source(connection, self.source_id)

    async def _tables(self) -> list[TableRecord]:
        async with self.target.connection() as connection:
            return await ledger.tables(connection, self.source_id)

    async def retrying(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do some work until it is done, waiting out whatever a retry may mend."""
        backoff = Backoff()
        while True:
            try:
                await work()
                break
            except SchemaChanged:
                raise
            except LiteferryError as error:
                if not error.retryable:
                    raise
                self._note_retry(error)
                await asyncio.sleep(backoff.failed())
        if backoff.failures:
            self._note_recovery()

    def _note_retry(self, error: LiteferryError) -> None:
        self.facts.retries += 1
        self.facts.connected = self.facts.connected and not isinstance(error, TargetAway)
        self.facts.error = str(error)
        if self._waiting.to_be_told(time.monotonic()):
            log.warning("waiting", source=self.facts.path, reason=str(error))
        self._waiting.failed()

    def _note_recovery(self) -> None:
        self.facts.connected, self.facts.error = True, None
        failures = self._waiting.recovered()
        if failures:
            log.info("recovered", source=self.facts.path, failures=failures)

    @property
    def _read_seconds(self) -> float:
        wal = self.facts.journal_mode == "wal"
        return (self.settings.read_slice_ms if wal else self.settings.read_slice_ms_rollback) / 1000
