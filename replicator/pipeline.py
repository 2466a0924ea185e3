"""One source on its way: preflight, install, snapshot, catch-up, streaming."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog

from config.errors import CaptureBroken, SchemaChanged
from config.settings import Settings
from triggers import fence
from triggers.capture import Captured
from triggers.connection import journal_mode
from triggers.schema import Table

from . import failpoint, loader, orders
from .access import Access
from .applier import Collision
from .bookmarks import Bookmarks
from .checks import Placed
from .copying import Copying
from .counting import expected_seconds
from .crew import Crew, Slots
from .fallback.homeward import AWAY, Homeward
from .faults import source_error
from .follower import Follower
from .healer import Healer
from .keying import Keying
from .lanes import CopyProgress
from .ledger import SourceRecord, TableRecord
from .naming import Naming, named
from .pausing import Halted, Pausing
from .plan import SourcePlan, TablePlan
from .policy import Policy
from .preflight import make_plan, structure
from .presence import Identity
from .quarantine import Quarantine
from .registration import Registration
from .state import State, advance
from .status import Facts
from .stream import Stream
from .succession import Succession
from .tailer import Tailer, Wake
from .target import CONTROL, Target
from .throttle import Throttle
from .waiting import Waiting
from .witness import Witness

log = structlog.get_logger("liteferry.pipeline")

#: Between two looks at a source in which a cutover, or another change of the schema, is just under way.
MOMENT_SECONDS = 0.025


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
        self._copying = Copying(self, self._crew, self._waiting)
        self.registration = Registration(self)
        #: Tables of the plan that fit none of the source's after a restart.
        self.drifted: set[int] = set()
        #: What was last seen of the file, on the writing connection.
        self.witness = Witness()
        self.healer = Healer(self)
        self._follower = Follower(self)
        self._stream = Stream(self)
        self.homeward = Homeward(self)
        self.bookmarks = Bookmarks(self)
        #: Set when the source has been given the writes back: what the target knows is to be learnt anew.
        self._returned = False
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
            self._forget_touched()
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
            await self._copying.warm()
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
        """Copy what is not copied, catch up, and stream until cancelled; follow and heal on the way.

        After the cutover bring home what the target takes, and after a rollback stream again. Returns when
        the way back was given up.
        """
        if self.facts.state is State.CUTTING_OVER:
            self.settled.set()
            return
        while self.facts.state is not State.FINISHED:
            if self.facts.state in AWAY:
                self.settled.set()
                await self.homeward.run()
                continue
            await self._forward(wake)

    async def _forward(self, wake: Wake) -> None:
        """Bring changes to the target until it has the application's writes."""
        while self.facts.state not in AWAY:
            try:
                if self._returned:
                    await self._halting(self.resume)
                    self._returned = False
                await self._carry(wake)
            except Halted:
                await self.pausing.rest()
            except SchemaChanged:
                self._interrupted()
                # before a fence of ours, which is a change of the schema too, has become a state
                await asyncio.sleep(MOMENT_SECONDS)
            except (CaptureBroken, Collision) as error:
                self._interrupted()
                if not self._is_cutting_over():
                    # else the cutover meets the same under its lock, and is refused
                    await self._heal(error)

    async def _halting(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do what `retrying` does, but for a pause. Raises Halted."""
        await self._waiting.retrying(work, self.pausing.give_way)

    def _interrupted(self) -> None:
        """Close the gates of the cutover at once: what is done now must be over before one begins."""
        if self.facts.state is State.STREAMING:
            self.enter(State.CATCH_UP)

    def _is_cutting_over(self) -> bool:
        return self.facts.state is State.CUTTING_OVER

    def returned(self) -> None:
        """Stream again: the source has the application's writes back."""
        self._returned = True
        self.facts.differing.clear()
        self._forget_touched()
        for state in (State.ROLLED_BACK, State.CATCH_UP):
            self.enter(state)

    def _forget_touched(self) -> None:
        for number in self.plans:
            self.facts.touched.forget(number)

    async def _heal(self, error: CaptureBroken | Collision) -> None:
        if isinstance(error, Collision):
            await self.retrying(partial(self.healer.relax, error))
        elif self.settings.on_schema_change == "follow":
            await self.retrying(partial(self.healer.recapture, error))
        else:
            raise error

    async def _carry(self, wake: Wake) -> None:
        pausing = self.pausing
        if self.facts.state is State.CUTTING_OVER:
            # nothing may be changed now; soon it is over, or streams again
            await asyncio.sleep(MOMENT_SECONDS)
            return
        # what may be cancelled gives way to a pause at once, the rest when it is done
        await self._halting(self._follower.follow)
        if any(not t.copied for t in self.facts.tables.values()):
            self.enter(State.SNAPSHOT)
            await pausing.unless(self._copying.run())
        self.enter(State.CATCH_UP)
        keying = Keying(self.target, self.reader, self.quarantine, halt=self.halts_on_refusal)
        await self._halting(lambda: keying.add(self.plans))
        await pausing.unless(self._stream.catch_up())
        await self._halting(self._add_indexes)
        await pausing.unless(self._stream.catch_up())
        failpoint.reach("pipeline.streaming")
        await pausing.unless(self._stream.run(wake))

    def alarm(self, error: CaptureBroken) -> None:
        """Have the stream look at what a periodic check has found."""
        self._stream.alarm(error)

    def look_again(self) -> None:
        """Have the source's schema looked at before anything more is read."""
        if self._tailer is not None:
            self._tailer.schema = -1

    async def _add_indexes(self) -> None:
        records = await self.registration.tables()
        # the indexes of a stale table may not fit its rows: they come when it is repaired
        missing = {
            r.table_id: self.plans[r.table_id] for r in records if r.table_id in self.plans and not r.stale
        }
        refused = {
            r.table_id: {note["what"] for note in r.notes if note["reason"].startswith(loader.REFUSED)}
            for r in records
        }
        await loader.add_indexes(self.target, self.source_id, missing, refused)
        self.facts.notes = [dict(note) for r in await self.registration.tables() for note in r.notes]
        async with self.target.connection() as connection:
            await connection.execute(CONTROL["set_state"], self.source_id, State.STREAMING.value)

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
