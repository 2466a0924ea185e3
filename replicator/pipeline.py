"""One source on its way: preflight, install, snapshot, catch-up, streaming."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog

from config.errors import CaptureBroken, SourceBusy, TargetAway
from config.settings import Settings
from triggers import capture, changelog, fence
from triggers.capture import Captured
from triggers.connection import journal_mode
from triggers.key import Key
from triggers.schema import Table
from triggers.session import Session

from . import failpoint, ledger, loader
from .backoff import Backoff
from .ledger import SourceRecord, TableRecord
from .plan import SourcePlan, TablePlan
from .preflight import drift, make_plan, structure, take_up
from .snapshot import CopyProgress, Snapshot
from .state import State, advance
from .status import Facts
from .tailer import Tailer, Wake, source_error
from .target import CONTROL, Target

log = structlog.get_logger("liteferry.pipeline")


class Pipeline:
    """Moves one source; owns its reading and writing sessions."""

    def __init__(self, path: Path, schema: str, settings: Settings, target: Target) -> None:
        self.path = path
        self.schema = schema
        self.settings = settings
        self.target = target
        self.facts = Facts(str(path), schema)
        self.reader = Session(path)
        self.writer = Session(path, writable=True)
        #: Lag is measured on a session of its own, so that it is never late behind a batch.
        self.watcher = Session(path)
        self.plans: dict[int, TablePlan] = {}
        self.captured: list[Captured] = []
        self.source_id: UUID | None = None
        self._tailer: Tailer | None = None
        #: Set once the source is streaming, cut over, or has been found to be.
        self.settled = asyncio.Event()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            for session in (self.reader, self.writer, self.watcher):
                await stack.enter_async_context(session)
            self._sessions = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sessions.aclose()

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

    async def prepare(self) -> None:
        """Look at both sides, and set up or take up the migration; returns when copying may begin.

        Whatever must be refused is refused here, before anything is changed.
        """
        self.enter(State.PREFLIGHT)
        self.facts.journal_mode = await self.watcher.run(journal_mode)
        self.source_id = await self.reader.run(capture.source_id)
        record = await self._record()
        if record is None:
            await self._set_up(await self.plan())
        else:
            await self._take_up(record)

    async def run(self, wake: Wake) -> None:
        """Copy what is not copied, catch up, and stream until cancelled."""
        if self.facts.state in (State.CUT_OVER, State.CUTTING_OVER):
            self.settled.set()
            return
        if any(not t.copied for t in self.facts.tables.values()):
            self.enter(State.SNAPSHOT)
            await self._snapshot()
        self.enter(State.CATCH_UP)
        await self._retrying(lambda: loader.add_keys(self.target, list(self.plans.values())))
        await self._catch_up()
        await self._retrying(self._add_indexes)
        await self._catch_up()
        failpoint.reach("pipeline.streaming")
        await self._stream(wake)

    async def _stream(self, wake: Wake) -> None:
        while self.facts.state is not State.CUT_OVER:
            moved = await self.tailer.step()
            self._tell_streaming()
            if not moved:
                await self.tailer.wait(wake, self.settings.poll_interval)

    def _tell_streaming(self) -> None:
        """Streaming or catching up, by whether the target is a state that the source had."""
        if self.facts.state in (State.STREAMING, State.CATCH_UP):
            self.enter(State.STREAMING if self.facts.consistent else State.CATCH_UP)
            if self.facts.consistent:
                self.settled.set()

    async def _catch_up(self) -> None:
        """Step until a batch has reached the end of the log, at least once."""
        while True:
            await self.tailer.step()
            if self.facts.consistent:
                return

    async def _snapshot(self) -> None:
        assert self.source_id is not None
        copying = Snapshot(
            self.path,
            self.target,
            self.source_id,
            list(self.facts.tables.values()),
            self.settings.batch_size,
            self.settings.parallel,
            self._read_seconds,
            self._note_retry,
        )
        await copying.run()

    async def _add_indexes(self) -> None:
        assert self.source_id is not None
        records = await self._tables()
        missing = {r.table_id: self.plans[r.table_id] for r in records if not r.indexed}
        await loader.add_indexes(self.target, self.source_id, missing)
        self.facts.notes = [dict(note) for r in await self._tables() for note in r.notes]
        async with self.target.connection() as connection:
            await connection.execute(CONTROL["set_state"], self.source_id, State.STREAMING.value)

    async def _set_up(self, plan: SourcePlan) -> None:
        """Install the capture, then register with the target: a crash between leaves nothing to undo."""
        async with self.target.connection() as connection:
            await ledger.refuse_existing(connection, plan.schema, [p.name for p in plan.tables])
        self.captured = await self._install([(p.table, p.key) for p in plan.tables])
        failpoint.reach("install.after")
        self.source_id = await self.reader.run(capture.source_id)
        assert self.source_id is not None
        by_name = {p.name: p for p in plan.tables}
        self.plans = {c.id: by_name[c.table.name] for c in self.captured}
        position = await self.reader.run(changelog.head)
        create = loader.create(self.target, self.source_id, str(self.path), plan.schema, self.plans, position)
        await create
        failpoint.reach("register.after")
        record = await self._record()
        assert record is not None
        self._adopt(record, await self._tables())

    async def _take_up(self, record: SourceRecord) -> None:
        """Go on with a migration that the target remembers. Raises CaptureBroken, SchemaDrift."""
        found, _ = await self.reader.run(structure, self.settings.exclude)
        records = await self._tables()
        self.plans, new = take_up(found, record.schema, records)
        self.captured = [Captured(n, p.table, p.key) for n, p in self.plans.items()]
        await self.reader.run(capture.check_log, record.position)
        fenced = await self.reader.run(fence.fenced_by)
        if record.state is not State.CUT_OVER and fenced is None:
            self._refuse_lost_triggers(await self.reader.run(capture.installed_triggers))
        self._object_to_new(new)
        self._adopt(record, records)
        if record.state is State.CUT_OVER:
            self.enter(State.CUT_OVER)
        elif fenced is not None:
            self.enter(State.CUTTING_OVER)

    def _adopt(self, record: SourceRecord, records: list[TableRecord]) -> None:
        facts = self.facts
        facts.schema, facts.position, facts.beat = record.schema, record.position, record.beat
        facts.consistent, facts.changes, facts.batches = record.consistent, record.changes, record.batches
        facts.connected = True
        facts.tables = {r.table_id: CopyProgress.of(r, self.plans[r.table_id]) for r in records}
        facts.table_changes = {r.table_id: r.changes for r in records}
        facts.notes = [dict(note) for r in records for note in r.notes]
        memory = self.settings.batch_memory_mb << 20
        self._tailer = Tailer(self.reader, self.target, record.source_id, self.plans, facts, memory)

    async def _install(self, wanted: list[tuple[Table, Key]]) -> list[Captured]:
        deadline = time.monotonic() + self.settings.install_timeout
        while True:
            try:
                return await self.writer.run(capture.install, wanted, self.settings.install_timeout / 10)
            except SourceBusy:
                if time.monotonic() > deadline:
                    raise
                # gives a rollback-journal writer, who waits while we wait, its turn
                await asyncio.sleep(0.05)
            except sqlite3.Error as error:
                raise source_error(self.writer, error) from error

    def _refuse_lost_triggers(self, present: Mapping[str, str]) -> None:
        for one in self.captured:
            state = capture.compare(one, dict(present))
            if state is not capture.Installed.INSTALLED:
                raise CaptureBroken(
                    f"the triggers of table {one.table.name!r} are {state.value}: writes since may be lost",
                    hint="run `liteferry uninstall` for this source, drop the target's tables, start afresh",
                )

    def _object_to_new(self, names: list[str]) -> None:
        self.facts.objections = [f"table {name!r} appeared after the plan" for name in names]

    async def check_drift(self) -> None:
        """Compare tables and triggers with the plan. Raises SchemaDrift, CaptureBroken."""
        if self.facts.state not in (State.SNAPSHOT, State.CATCH_UP, State.STREAMING):
            return
        found, _ = await self.watcher.run(structure, self.settings.exclude)
        new = drift(found, self.plans.values())
        await self.watcher.run(capture.check_log, self.facts.position)
        present = await self.watcher.run(capture.installed_triggers)
        if self.facts.state in (State.SNAPSHOT, State.CATCH_UP, State.STREAMING):
            self._refuse_lost_triggers(present)
        self._object_to_new(new)

    async def measure(self) -> None:
        """Measure the lag now."""
        facts = self.facts
        if self._tailer is None or facts.state is State.CUT_OVER:
            return
        position = facts.position
        pending, oldest = await self.watcher.run(changelog.lag, position)
        now = time.monotonic()
        facts.incoming.add(now, facts.changes + pending)
        facts.copied.add(now, facts.rows_copied)
        facts.applied.add(now, facts.changes)
        if position == facts.position or pending == 0:
            facts.pending, facts.oldest, facts.measured_at = pending, oldest, now

    async def count_log(self) -> int:
        """Return how many entries the change log holds, 0 before it is installed."""
        return await self.watcher.run(changelog.entries) if self._tailer is not None else 0

    async def table_names(self) -> list[str]:
        """Return the names of the tables that this source would bring."""
        found, _ = await self.reader.run(structure, self.settings.exclude)
        return [table.name for table in found]

    async def beat(self) -> None:
        """Write a heartbeat into the source; left out when the application holds the lock just now."""
        if self.facts.state in (State.SNAPSHOT, State.CATCH_UP, State.STREAMING):
            with contextlib.suppress(SourceBusy):
                await self.writer.run(changelog.beat, 0.05)

    async def prune(self) -> None:
        """Delete entries that the target has, in short transactions with room for others between."""
        while self.facts.state is State.STREAMING:
            position, entries = self.facts.position, self.settings.prune_batch
            try:
                gone = await self.writer.run(changelog.prune, position, entries, 0.02)
            except SourceBusy:
                return
            if gone < entries:
                return
            await asyncio.sleep(0.01)

    async def _record(self) -> SourceRecord | None:
        if self.source_id is None:
            return None
        async with self.target.connection() as connection:
            return await ledger.source(connection, self.source_id)

    async def _tables(self) -> list[TableRecord]:
        assert self.source_id is not None
        async with self.target.connection() as connection:
            return await ledger.tables(connection, self.source_id)

    async def _retrying(self, work: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff()
        while True:
            try:
                return await work()
            except TargetAway as error:
                self._note_retry(error)
                await asyncio.sleep(backoff.failed())

    def _note_retry(self, error: Exception) -> None:
        self.facts.retries += 1
        self.facts.connected = False
        self.facts.error = str(error)

    @property
    def _read_seconds(self) -> float:
        wal = self.facts.journal_mode == "wal"
        return (self.settings.read_slice_ms if wal else self.settings.read_slice_ms_rollback) / 1000
