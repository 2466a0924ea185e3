"""One source on its way: preflight, install, snapshot, catch-up, streaming."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog

from config.errors import CaptureBroken
from config.settings import Settings
from triggers import fence
from triggers.capture import Captured
from triggers.connection import journal_mode
from triggers.schema import Table

from .checking.checks import Placed
from .control import orders
from .control.pausing import Pausing
from .control.throttle import Throttle
from .fallback.homeward import Homeward
from .faults import source_error
from .loading.crew import Crew, Slots
from .loading.lanes import CopyProgress
from .passage import Passage
from .planning.naming import Naming, named
from .planning.plan import SourcePlan, TablePlan
from .planning.policy import Policy
from .planning.preflight import make_plan, structure
from .postgres.connections import Target
from .postgres.ledger import SourceRecord, TableRecord
from .postgres.quarantine import Quarantine
from .sources.access import Access
from .sources.presence import Identity
from .sources.registration import Registration
from .sources.succession import Succession
from .state import State, advance
from .status import Facts
from .streaming.tailer import Tailer, Wake
from .streaming.witness import Witness
from .verification.bookmarks import Bookmarks
from .verification.counting import expected_seconds
from .verification.healer import Healer
from .waiting import Waiting

log = structlog.get_logger("liteferry.pipeline")


class Pipeline:
    """Moves one source; owns its reading and writing sessions."""

    def __init__(
        self,
        path: Path,
        schema: str,
        settings: Settings,
        target: Target,
        slots: Slots | None = None,
        prefix: str = "",
    ) -> None:
        """Take the source, where it goes, the slots of all sources' table copies, and its tables' prefix."""
        self.path = path
        self.schema = schema
        self.settings = settings
        self.target = target
        #: How what is new gets its name on the target.
        self.naming = Naming.of(settings, prefix)
        self.facts = Facts(str(path), schema)
        #: The file that is followed now.
        self.go_over(Access(path))
        self.succession = Succession(self)
        self.plans: dict[int, TablePlan] = {}
        self.captured: list[Captured] = []
        self._tailer: Tailer | None = None
        self.pausing = Pausing(self)
        self._waiting = Waiting(self.facts)
        #: Does some work until it is done, waiting out whatever a retry may mend.
        self.retrying = self._waiting.retrying
        slots = slots or Slots(asyncio.Semaphore(settings.parallel))
        self._crew = Crew(slots)
        #: Holds back what is copied and compared.
        self.throttle = self.facts.throttle = Throttle(slots.allowance)
        self.registration = Registration(self)
        #: Tables of the plan that fit none of the source's after a restart.
        self.drifted: set[int] = set()
        #: What was last seen of the file, on the writing connection.
        self.witness = Witness()
        self.healer = Healer(self)
        self.homeward = Homeward(self)
        self.bookmarks = Bookmarks(self)
        self._passage = Passage(self, self._crew, self._waiting)
        #: Set once the source is streaming, cut over, or has been found to be.
        self.settled = asyncio.Event()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await self.access.__aenter__()
            # not that one's: by then another file may have taken its place
            stack.push_async_callback(lambda: self.access.close())
            stack.push_async_callback(self._crew.release)
            self._sessions = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sessions.aclose()

    @property
    def identity(self) -> Identity:
        """Return what tells the file that is followed from all others."""
        return self.access.identity

    def go_over(self, access: Access) -> None:
        """Work with the sessions on another file from now on."""
        self.access = access
        self.reader, self.writer, self.watcher = access.reader, access.writer, access.watcher

    @property
    def source_id(self) -> UUID:
        """Return the id of the installation in the source. Raises CaptureBroken before there is one."""
        return self.registration.required()

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
        if state is State.CUT_OVER and before is not State.REVERSING:
            # what is touched from now on is told by the keys of the other side
            self.forget_touched()
        if before is not state:
            log.info("state", source=str(self.path), state=state.value, before=before.value)

    async def plan(self) -> SourcePlan:
        """Plan the source afresh; changes nothing."""
        return await make_plan(
            self.reader,
            self.schema,
            naming=self.naming,
            exclude=self.settings.exclude,
            overrides=self.settings.columns,
            profile=self.settings.profile,
            profile_rows=self.settings.profile_rows,
            read_seconds=self.read_seconds,
            target=self.target if self.adopts else None,
            leave_out=self.settings.leave_out,
            policy=self.policy,
        )

    @property
    def adopts(self) -> bool:
        """Tell whether tables that the target has already are filled as they are."""
        return self.settings.existing_tables == "adopt"

    async def tables(self) -> list[Table]:
        """Return the tables that this source would bring."""
        found, _ = await self.reader.run(structure, self.settings.exclude)
        return found

    async def places(self) -> list[Placed]:
        """Return where its tables go: those that the target has keep their names, and no other has any yet.

        Raises ConfigError for two tables that would be one, TargetAway.
        """
        if self.registration.known_state is not None:
            known = await self.registration.tables()
            return [Placed(self.schema, r.target, r.name, str(self.path)) for r in known]
        names = named(self.naming, await self.tables())
        return [Placed(self.schema, n.table, table, str(self.path)) for table, n in names.items()]

    async def recognise(self) -> bool:
        """Tell whether the target follows this source; then it keeps the schema that it has got there.

        A copy of a followed file, which carries its id, is not recognised. Raises TargetAway.
        """
        record = await self.registration.look()
        if record is None or self.registration.is_copy(record):
            return False
        self.schema = self.facts.schema = record.schema
        return True

    async def take_over(self) -> None:
        """Go on with a file that was opened anew, as `resume` does. Raises SourceBusy, SourceMissing."""
        try:
            await self._note_journal_mode()
        except sqlite3.Error as error:
            raise source_error(self.watcher, error) from error
        await self.resume()

    async def resume(self) -> None:
        """Learn from the target how far it is, to `run` again after an error. Raises TargetAway."""
        record = await self.registration.record()
        if self.tailing and record is not None:
            await self._adopt(record, await self.registration.tables())

    async def _note_journal_mode(self) -> None:
        self.facts.journal_mode = await self.watcher.run(journal_mode)

    async def foresee(self) -> None:
        """Look at both sides and refuse whatever must be refused; changes nothing.

        Apart from `prepare`, so that of several sources none is touched when another must be refused.
        """
        self.enter(State.PREFLIGHT)
        await self._note_journal_mode()
        if await self.registration.look() is None:
            await self.registration.refuse_foreign_fence()
            await self._passage.warm()
            await self.registration.foresee()

    async def prepare(self) -> None:
        """Set up or take up the migration; returns when copying may begin. Foresees what nobody has."""
        if self.facts.state is not State.PREFLIGHT:
            await self.foresee()
        record = await self.registration.look()
        if record is None:
            await self.registration.refuse_foreign_fence()
            record, plans = await self.registration.set_up()
            known = False
        else:
            plans, self.drifted = await self.registration.take_up(record)
            known = True
        self._hold(plans)
        fenced = await self.reader.run(fence.fenced_by)
        await self._adopt(record, await self.registration.tables())
        await self._recall()
        if known:
            trusted = record.compared_at is not None and record.state not in (State.CUT_OVER, State.FINISHED)
            await self.bookmarks.take_up(record, trusted=trusted)
        self.healer.comparison.taken_up(record, known=known)
        if record.state in (State.CUT_OVER, State.FINISHED):
            self.enter(record.state)
        elif fenced is not None:
            self.enter(State.CUTTING_OVER)

    async def recount(self) -> None:
        """Learn from the target what of each table has been done. Raises TargetAway."""
        self._adopt_tables(await self.registration.tables())

    async def _recall(self) -> None:
        """Learn what was ordered before a restart. Raises TargetAway."""
        async with self.target.connection() as connection:
            ordered = await orders.recall(connection, self.source_id)
        if ordered.paused is not None:
            self.pausing.order(ordered.paused)
        if ordered.rows_per_second is not None:
            self.throttle.allowance.order(ordered.rows_per_second, ordered.limited_at)

    async def breathe(self, rows: int, seconds: float) -> None:
        """Give way between two chunks that are compared: to a pause, and as the throttle asks. Raises Halted.

        To be told how many rows were looked at, and in how many seconds.
        """
        self.pausing.give_way()
        await self.throttle.rest(rows, seconds)
        self.pausing.give_way()

    async def run(self, wake: Wake) -> None:
        """Carry over what there is, in either direction; returns when the way back was given up."""
        await self._passage.run(wake)

    def returned(self) -> None:
        """Stream again: the source has the application's writes back."""
        self._passage.returned()

    def forget_touched(self) -> None:
        """Have all rows compared that are compared next, and not those alone that were written since."""
        for number in self.plans:
            self.facts.touched.forget(number)

    def alarm(self, error: CaptureBroken) -> None:
        """Have the stream look at what a periodic check has found."""
        self._passage.alarm(error)

    def look_again(self) -> None:
        """Have the source's schema looked at before anything more is read."""
        if self._tailer is not None:
            self._tailer.schema = -1

    async def _adopt(self, record: SourceRecord, records: list[TableRecord]) -> None:
        facts = self.facts
        facts.schema, facts.beat = record.schema, record.beat
        facts.position, facts.mark = record.position, record.mark
        facts.schema_version = record.schema_version
        facts.consistent, facts.changes, facts.batches = record.consistent, record.changes, record.batches
        facts.connected = True
        self._adopt_tables(records)
        memory = self.settings.batch_memory_mb << 20
        self.quarantine = Quarantine(record.source_id, facts, self.healer.look)
        await self.quarantine.count(self.target)
        self._tailer = Tailer(
            self.reader, self.target, self.quarantine, self.plans, memory, halt=self.halts_on_refusal
        )

    def _adopt_tables(self, records: list[TableRecord]) -> None:
        facts = self.facts
        # one that was adopted and is not followed any more is still remembered
        records = [r for r in records if r.table_id in self.plans]
        facts.tables = {r.table_id: CopyProgress.of(r, self.plans[r.table_id]) for r in records}
        facts.table_changes = {r.table_id: r.changes for r in records}
        facts.notes = [dict(note) for r in records for note in r.notes]
        expected = sum(expected_seconds(plan) for plan in self.plans.values())
        facts.check_seconds = min(self.settings.cutover_check, expected)
        facts.stale = {r.table_id: r.stale for r in records if r.stale}

    async def take_up_again(self) -> bool:
        """Take up what the target keeps when its plans are newer than ours; tell whether they are.

        The answer of the commit that made them may have got lost. Raises TargetAway.
        """
        record = await self.registration.record()
        if record is None or record.schema_version == self.facts.schema_version:
            return False
        plans, self.drifted = await self.registration.take_up(record)
        self._hold(plans)
        self._adopt_tables(await self.registration.tables())
        self.facts.schema_version = record.schema_version
        return True

    async def replan(self, plans: Mapping[int, TablePlan]) -> None:
        """Go on by other plans, which the target has got already."""
        self._hold(plans)
        self.drifted.clear()
        self._adopt_tables(await self.registration.tables())

    def _hold(self, plans: Mapping[int, TablePlan]) -> None:
        # in place: the tail has the same dictionary
        self.plans.clear()
        self.plans.update(plans)
        self.captured = [Captured(n, p.table, p.key) for n, p in plans.items()]

    @property
    def policy(self) -> Policy:
        """Return what becomes of values that their columns cannot hold."""
        return Policy(self.halts_on_refusal, self.settings.bad_values)

    @property
    def halts_on_refusal(self) -> bool:
        """Tell whether a value that the target cannot hold ends the daemon."""
        return self.settings.on_bad_value == "halt"

    @property
    def read_seconds(self) -> float:
        """Return how long a read transaction of the first copy may take."""
        wal = self.facts.journal_mode == "wal"
        return (self.settings.read_slice_ms if wal else self.settings.read_slice_ms_rollback) / 1000
