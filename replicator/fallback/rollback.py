"""The rollback: writers on the target are stalled, the rest is brought home, the fence comes down.

The mirror image of the cutover, and safe at every instant for the same reason. The tables are locked against
writers first, so what is drained then is all there will ever be. Lifting the fence is carried out on the
sources up to its COMMIT before the decision is committed on the target, in one transaction with the guard
that closes it. A crash before that leaves locks that PostgreSQL drops, and the application goes on there;
after it the target is closed, and `resolve` opens the sources at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import structlog
from asyncpg.transaction import Transaction

from config.errors import CutoverRefused, LiteferryError, SourceBusy, SourceError, TargetAway
from replicator import failpoint
from replicator.backoff import Backoff
from replicator.cutover.cutover import DRIVER_ERRORS, uninterrupted
from replicator.cutover.decision import close_target
from replicator.cutover.timeline import Timeline
from replicator.faults import ours, source_error
from replicator.pipeline import Pipeline
from replicator.planning.plan import TablePlan
from replicator.postgres.connections import CONTROL, Connection, Target, describe
from replicator.schema import ddl
from replicator.state import State
from triggers import changelog, fence, homecoming, refit
from triggers.changelog import Place
from triggers.connection import commit, lock
from triggers.session import Session
from triggers.statements import load

log = structlog.get_logger("liteferry.rollback")

SQL = load("replicator", "fallback.sql")

#: The first wait for the tables' locks; each one doubles it, for what we wait for makes writers wait.
FIRST_WAIT_SECONDS = 0.1

#: Longest wait of the lifted fence's commit for readers in rollback-journal mode, for one try.
COMMIT_SECONDS = 2.0

#: A batch home that takes no longer is short enough for the pause; one that takes more than this share of the
#: one before says that there is no catching up further.
SHORT_SECONDS = 0.1
PROGRESS = 0.7

#: How long the last steps on the target wait for a lock before they let others through.
CLOSE_SECONDS = 1.0


class Rollback:
    """One attempt to give the application's writes back to all sources."""

    def __init__(self, target: Target, pipelines: Sequence[Pipeline], max_pause: float) -> None:
        self._target = target
        self._pipelines = sorted(pipelines, key=lambda p: str(p.path))
        self._max_pause = max_pause
        self.id: UUID = uuid4()
        self.timeline = Timeline()
        #: Whether the decision's COMMIT was sent: nothing but going forward is safe then.
        self._decided = False
        self._lifted: dict[Pipeline, Lifted] = {}

    async def run(self, *, rehearse: bool = False) -> dict[str, Any]:
        """Carry it out and return the report; on any doubt before the decision undo it and raise.

        With `rehearse` everything is done but the commits. Raises CutoverRefused when writers would wait for
        longer than allowed; the application goes on with PostgreSQL as if nothing had been.
        """
        self.timeline.begin()
        try:
            await self._journal()
            async with contextlib.AsyncExitStack() as stack:
                for pipeline in self._pipelines:
                    if pipeline.facts.state is not State.CUT_OVER:
                        state = pipeline.facts.state.value
                        raise CutoverRefused(f"{pipeline.path.name} is {state}, not cut over")
                    pipeline.enter(State.REVERSING)
                await self._move(stack, rehearse)
        except BaseException as error:
            await uninterrupted(self._undone(error))
            raise
        if rehearse:
            self._stay()
            await self._abort()
        else:
            await uninterrupted(finish(self._target, self.id, self._pipelines, self._lifted))
            self.timeline.done("tidy")
        report = self.timeline.report("rehearsed" if rehearse else "rolled_back")
        notices = [notice for p in self._pipelines for notice in p.facts.fallback.notices]
        report["notices"] = list(dict.fromkeys(notices))
        await self._keep(report)
        return report

    async def _journal(self) -> None:
        async with self._target.transaction() as connection:
            await connection.execute(SQL["begin"], self.id, [p.source_id for p in self._pipelines])
        self.timeline.done("journal")
        failpoint.reach("rollback.after_journal")

    async def _move(self, stack: contextlib.AsyncExitStack, rehearse: bool) -> None:
        for pipeline in self._pipelines:
            await stack.enter_async_context(pipeline.homeward.applying)
        # what has come until now is brought home while nobody waits
        for pipeline in self._pipelines:
            await pipeline.homeward.look(closely=True)
            if not pipeline.homeward.facts.armed:
                raise CutoverRefused(f"{pipeline.path.name}: the cutover has armed no way back")
        await self._catch_up()
        self.timeline.done("catch up")
        connection = await stack.enter_async_context(self._target.connection())
        transaction = await self._lock(connection)
        stack.push_async_callback(self._forget, transaction)
        sessions = [await stack.enter_async_context(_lifting(p)) for p in self._pipelines]
        try:
            async with asyncio.timeout(self._budget_left()):
                await self._prepare(connection, sessions)
        except TimeoutError:
            raise CutoverRefused(
                f"writers would have waited for more than {self._max_pause:g} s; it was undone",
                hint="allow more with --max-pause, or roll back when fewer changes arrive",
            ) from None
        if not rehearse:
            # It goes forward from here: a cancellation between two sources would leave one closed.
            await uninterrupted(self._commit(sessions, transaction))

    async def _prepare(self, connection: Connection, sessions: Sequence[Session]) -> None:
        """Carry everything out up to the COMMITs, on both sides."""
        await self._guard(connection)
        await self._drain()
        self.timeline.done("drain")
        failpoint.reach("rollback.after_drain")
        for pipeline in self._pipelines:
            await pipeline.homeward.refuse_doubt(connection)
        for pipeline, session in zip(self._pipelines, sessions, strict=True):
            least = await given_out(connection, pipeline)
            self._lifted[pipeline] = await _ask(session, lift, least)
        if await connection.execute(SQL["decide"], self.id) != "UPDATE 1":
            raise CutoverRefused("the rollback was aborted by another liteferry")
        self.timeline.done("unfence")
        failpoint.reach("rollback.before_decision")

    async def _lock(self, connection: Connection) -> Transaction:
        """Wait, longer each time, for all writers of the tables to be done, and keep new ones waiting."""
        tables = ", ".join(plan.qualified for plan in self._plans())
        begun, wait = time.monotonic(), FIRST_WAIT_SECONDS
        while True:
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(CONTROL["identify"])
                await connection.execute(f"SET LOCAL lock_timeout = '{int(wait * 1000)}ms'")
                idle = int((self._max_pause + 30) * 1000)
                await connection.execute(f"SET LOCAL idle_in_transaction_session_timeout = {idle}")
                self.timeline.locked()
                await connection.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")
                self.timeline.done("lock")
                failpoint.reach("rollback.after_lock")
                return transaction
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
                await transaction.rollback()
                if time.monotonic() - begun + wait > self._max_pause:
                    raise CutoverRefused(
                        f"the tables in PostgreSQL were not free of writers within {self._max_pause:g} s",
                        hint="nothing was changed; see pg_stat_activity for a long transaction",
                    ) from error
                # those who came while we waited go first
                await asyncio.sleep(wait)
                wait = min(wait * 2, self._max_pause)
            except BaseException:
                with contextlib.suppress(OSError, TimeoutError, *DRIVER_ERRORS):
                    await transaction.rollback()
                raise

    async def _guard(self, connection: Connection) -> None:
        await connection.execute(CONTROL["create_guard"])
        for plan in self._plans():
            await connection.execute(f"{ddl.drop_guard(plan)};\n{ddl.guard(plan)}")

    async def _catch_up(self) -> None:
        """Bring home what waits until little is left: of an application that writes never all is home."""
        for pipeline in self._pipelines:
            before = float("inf")
            while True:
                begun = time.monotonic()
                if not await pipeline.homeward.bring():
                    break
                took = time.monotonic() - begun
                # what has come meanwhile takes about as long: it may follow while writers wait
                if took < SHORT_SECONDS or took > before * PROGRESS:
                    break
                before = took

    async def _drain(self) -> None:
        for pipeline in self._pipelines:
            while await pipeline.homeward.bring():
                pass

    async def _commit(self, sessions: Sequence[Session], transaction: Transaction) -> None:
        try:
            self._decided = True
            await transaction.commit()
        except (OSError, TimeoutError, *DRIVER_ERRORS) as error:
            log.warning("the decision's commit was not confirmed", reason=describe(error))
            await self._learn()
        failpoint.reach("rollback.after_decision")
        for pipeline, session in zip(self._pipelines, sessions, strict=True):
            await self._open(pipeline, session)
            failpoint.reach("rollback.after_unfence")
        self.timeline.released()
        self.timeline.done("decision")

    async def _open(self, pipeline: Pipeline, session: Session) -> None:
        """Commit the lifting; where that fails, lift the fence again until it is down: nobody can write."""
        backoff = Backoff()
        try:
            return await _open(pipeline, session)
        except SourceError as error:
            log.error("the source stays closed until its fence can be lifted", reason=str(error))
        while True:
            await asyncio.sleep(backoff.failed())
            try:
                await _ask(session, _let_go)
                if await _ask(pipeline.reader, fence.is_fenced):
                    self._lifted[pipeline] = await _lift_now(self._target, pipeline)
                return
            except (SourceError, TargetAway, sqlite3.Error) as error:
                if backoff.to_be_told(time.monotonic()):
                    reason = str(ours(error))
                    log.error("the source stays closed until its fence can be lifted", reason=reason)

    async def _learn(self) -> None:
        """Ask until the target tells whether the decision was made. Raises CutoverRefused when it was not."""
        backoff = Backoff()
        while True:
            try:
                async with self._target.transaction() as connection:
                    await connection.execute(SQL["abort"], self.id)
                    state = await connection.fetchval(SQL["state"], self.id)
                if state == "aborted":
                    self._decided = False
                    raise CutoverRefused("the connection to the target broke at the decision; it was undone")
                return
            except TargetAway as error:
                if backoff.to_be_told(time.monotonic()):
                    log.error("nobody can write until the target answers", reason=str(error))
                await asyncio.sleep(backoff.failed())

    async def _forget(self, transaction: Transaction) -> None:
        if not self._decided:
            with contextlib.suppress(OSError, TimeoutError, *DRIVER_ERRORS):
                await transaction.rollback()
        self.timeline.released()

    async def _undone(self, error: BaseException) -> None:
        """Leave the application where it is after a failure before the decision."""
        self.timeline.released()
        if self._decided:
            return
        log.warning("rollback undone", reason=str(error), pause=self.timeline.pause)
        self._stay()
        with contextlib.suppress(TargetAway):
            await self._abort()
        await self._keep(self.timeline.report("undone", str(error)))

    def _stay(self) -> None:
        for pipeline in self._pipelines:
            if pipeline.facts.state is State.REVERSING:
                pipeline.enter(State.CUT_OVER)

    async def _abort(self) -> None:
        async with self._target.transaction() as connection:
            await connection.execute(SQL["abort"], self.id)

    async def _keep(self, report: dict[str, Any]) -> None:
        with contextlib.suppress(TargetAway):
            async with self._target.connection() as connection:
                await connection.execute(SQL["report"], self.id, json.dumps(report))

    def _budget_left(self) -> float:
        return max(0.0, self._max_pause - (self.timeline.pause or 0.0))

    def _plans(self) -> list[TablePlan]:
        return [plan for p in self._pipelines for plan in p.plans.values()]


class Lifted:
    """What a source was when its fence came down: where its log ends, and the version of its schema."""

    def __init__(self, place: Place, version: int) -> None:
        self.place, self.version = place, version


async def given_out(connection: Connection, pipeline: Pipeline) -> dict[str, int]:
    """Return the greatest number that each AUTOINCREMENT table's identity has given out on the target."""
    found = {}
    for plan in pipeline.plans.values():
        column = ddl.identity(plan) if plan.table.autoincrement else None
        if column is not None:
            last = await connection.fetchval(SQL["last_value"], plan.qualified, column.target)
            found.update({plan.name: int(last)} if last is not None else {})
    return found


def lift(connection: sqlite3.Connection, least: dict[str, int]) -> Lifted:
    """Open a source in a transaction that is left to be committed; nobody is behind the lock but readers."""
    lock(connection, COMMIT_SECONDS)
    for table, number in least.items():
        homecoming.raise_sequence(connection, table, number)
    fence.lift_fence(connection)
    return Lifted(changelog.place(connection, changelog.head(connection)), refit.version(connection))


@asynccontextmanager
async def _lifting(pipeline: Pipeline) -> AsyncIterator[Session]:
    """Open a session for the lifting, and let go of the lock whatever happens."""
    async with pipeline.access.session(writable=True) as session:
        await session.run(homecoming.prepare)
        try:
            yield session
        finally:
            await uninterrupted(session.run(_let_go))


async def _open(pipeline: Pipeline, session: Session) -> None:
    """Commit the lifting; with readers of a rollback journal in the way for as long as they are."""
    while True:
        try:
            return await session.run(commit, COMMIT_SECONDS)
        except sqlite3.Error as error:
            raise source_error(session, error) from error
        except SourceBusy as error:
            log.warning("a reader keeps the source closed", source=str(pipeline.path), reason=str(error))


async def _ask(session: Session, work: Any, *given: Any) -> Any:
    try:
        return await session.run(work, *given)
    except sqlite3.Error as error:
        raise source_error(session, error) from error


def _let_go(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


async def finish(
    target: Target, rollback: UUID, pipelines: Sequence[Pipeline], lifted: dict[Pipeline, Lifted]
) -> None:
    """Make the target a copy to apply changes to once more, and have the sources stream; tries until done."""
    failpoint.reach("rollback.before_close")
    backoff = Backoff()
    while True:
        try:
            async with target.transaction() as connection:
                await connection.execute(f"SET LOCAL lock_timeout = '{int(CLOSE_SECONDS * 1000)}ms'")
                await close_target(connection, pipelines)
                for pipeline in pipelines:
                    await _point_back(connection, pipeline, lifted.get(pipeline))
                await connection.execute(SQL["done"], rollback)
            break
        except TargetAway as error:
            if backoff.to_be_told(time.monotonic()):
                log.warning("streaming waits for the target's tables", reason=str(error))
            await asyncio.sleep(backoff.failed())
    failpoint.reach("rollback.after_close")
    for pipeline in pipelines:
        pipeline.returned()


async def _point_back(connection: Connection, pipeline: Pipeline, lifted: Lifted | None) -> None:
    """Have a source stream from where its fence came down; without that from where it was: no harm."""
    if lifted is not None:
        place = pipeline.facts.position, lifted.place.position, lifted.place.mark
        await connection.execute(SQL["move_home"], pipeline.source_id, *place)
    version = lifted.version if lifted is not None else None
    await connection.execute(SQL["stream_again"], pipeline.source_id, version)


async def resolve(target: Target, pipelines: Sequence[Pipeline]) -> None:
    """Finish or forget a rollback that a crash has interrupted, from what the target has recorded.

    Once it was decided the target is closed, and the key log was empty: nothing is left but to open the
    sources.
    """
    ids = [p.source_id for p in pipelines]
    async with target.transaction() as connection:
        if not await connection.fetchval("SELECT to_regclass('liteferry.rollback') IS NOT NULL"):
            return
        await connection.execute(SQL["abort_stale"], ids)
        found = await connection.fetchrow(SQL["returning"], ids)
    if found is None:
        return
    missing = set(found["sources"]) - set(ids)
    if missing:
        raise LiteferryError(
            f"a rollback was interrupted that is about {len(missing)} more sources than are given",
            hint="start liteferry with all sources that were cut over together",
        )
    log.warning("finishing an interrupted rollback", rollback=str(found["rollback_id"]))
    lifted = {}
    for pipeline in pipelines:
        pipeline.enter(State.REVERSING)
        if await pipeline.reader.run(fence.is_fenced):
            lifted[pipeline] = await _lift_now(target, pipeline)
            failpoint.reach("rollback.after_late_unfence")
    await finish(target, found["rollback_id"], pipelines, lifted)


async def _lift_now(target: Target, pipeline: Pipeline) -> Lifted:
    async with target.connection() as connection:
        least = await given_out(connection, pipeline)
    async with _lifting(pipeline) as session:
        lifted: Lifted = await _ask(session, lift, least)
        await _open(pipeline, session)
    return lifted
