"""The cutover: writers are stalled, the rest is drained, the fence goes up, the decision falls.

The order makes it safe at every instant. The write lock of every source is taken first, so what is drained
then is all there will ever be. The decision's transaction is carried out on the target up to its COMMIT
before the fence is committed on the sources: the fence goes up when only that COMMIT is left. A crash before
the fence leaves locks that the operating system drops; a crash after it leaves both sides closed, and
`resolve` opens exactly one of them at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import structlog
from asyncpg.transaction import Transaction

from config.errors import CutoverRefused, SourceBusy, SourceError, SourceMissing, TargetAway
from replicator import failpoint
from replicator.backoff import Backoff
from replicator.faults import ours
from replicator.pipeline import Pipeline
from replicator.postgres.connections import CONTROL, Connection, Target, describe
from replicator.schema.ddl import Note
from replicator.sources.presence import refuse_absence
from replicator.state import State
from replicator.verification.audit import Audit, Audited
from triggers import fence
from triggers.connection import commit, lock, make_durable
from triggers.session import Session

from .decision import decide, open_target, opening, set_sequences, undo
from .timeline import Timeline

R = TypeVar("R")

log = structlog.get_logger("liteferry.cutover")

#: All that asyncpg raises.
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

#: How long to ask for the write locks before giving up; nobody is stalled by the asking.
LOCK_SECONDS = 10.0

#: Longest wait of the fence's commit for readers in rollback-journal mode.
COMMIT_SECONDS = 2.0


class Cutover:
    """One attempt to move the application's writes from all sources to the target."""

    def __init__(
        self,
        target: Target,
        pipelines: Sequence[Pipeline],
        max_pause: float,
        on_fence: Callable[[UUID], None] = lambda _: None,
    ) -> None:
        """Take both sides, the longest pause in seconds, and whom to tell that all sources are closed."""
        self._target = target
        self._on_fence = on_fence
        # always in this order, so that two daemons could never hold one lock each
        self._pipelines = sorted(pipelines, key=lambda p: str(p.path))
        self._max_pause = max_pause
        self.id: UUID = uuid4()
        self.timeline = Timeline()
        #: How many sources are closed by now.
        self._fences = 0
        #: Whether the decision's COMMIT was sent: nothing but going forward is safe then.
        self._decided = False
        self._notes: list[Note] = []
        self._audited = Audited()
        self._audits = [Audit(pipeline, self._audited) for pipeline in self._pipelines]

    async def run(self, *, rehearse: bool = False) -> dict[str, Any]:
        """Carry it out and return the report; on any doubt before the fence undo it and raise.

        With `rehearse` everything is done but the commits. Raises CutoverRefused when the pause would get
        longer than allowed or a lock is not had; streaming goes on as if nothing had been.
        """
        self.timeline.begin()
        await self._journal()
        try:
            for audit in self._audits:
                await audit.beforehand()
            self.timeline.done("compare")
            async with contextlib.AsyncExitStack() as stack:
                for pipeline in self._pipelines:
                    if pipeline.facts.state is not State.STREAMING:
                        state = pipeline.facts.state.value
                        raise CutoverRefused(f"{pipeline.path.name} is {state}, not streaming")
                    pipeline.enter(State.CUTTING_OVER)
                await self._move(stack, rehearse)
        except BaseException as error:
            await uninterrupted(self._undone(error))
            if isinstance(error, sqlite3.Error):
                raise ours(error) or error from error
            raise
        report = self.timeline.report("rehearsed" if rehearse else "cut_over")
        if rehearse:
            await self._back_to_streaming()
        await self._keep(report)
        return report

    async def _journal(self) -> None:
        ids = [p.source_id for p in self._pipelines]
        async with self._target.transaction() as connection:
            await connection.execute(CONTROL["begin_cutover"], self.id, ids)
        self.timeline.done("journal")
        failpoint.reach("cutover.after_journal")

    async def _move(self, stack: contextlib.AsyncExitStack, rehearse: bool) -> None:
        connection = await stack.enter_async_context(self._target.connection())
        transaction = connection.transaction()
        stack.push_async_callback(self._forget_decision, transaction)
        for pipeline in self._pipelines:
            # while nobody waits for it
            opening(pipeline)
        # last in, first out: the writers go on before the target is asked to forget anything
        sessions = [await stack.enter_async_context(_locking(p)) for p in self._pipelines]
        for audit in self._audits:
            stack.callback(audit.end)
            await audit.begin()
        failpoint.reach("cutover.before_lock")
        # The tail goes on while the lock is asked for: what comes meanwhile is not left for the pause.
        await self._lock(sessions)
        await self._in_time(self._prepare(stack, sessions, connection, transaction), sessions)
        if rehearse:
            await self._release(sessions)
        else:
            # It goes forward from here: a cancellation between two fences would leave one up.
            await uninterrupted(self._commit(sessions, transaction))

    async def _prepare(
        self,
        stack: contextlib.AsyncExitStack,
        sessions: Sequence[Session],
        connection: Connection,
        transaction: Transaction,
    ) -> None:
        for pipeline in self._pipelines:
            await stack.enter_async_context(pipeline.tailer.applying)
        self.timeline.done("stop tailing")
        self._refuse_doubt()
        await self._drain(sessions)
        await self._check(sessions)
        await self._set_sequences(sessions)
        await self._prepare_decision(connection, transaction)
        await self._write_fences(sessions)

    def _refuse_doubt(self) -> None:
        """Ask once more what may have come up since the gates were looked at; from here on nothing does."""
        for pipeline in self._pipelines:
            facts = pipeline.facts
            if facts.state is not State.CUTTING_OVER or facts.stale or facts.suspicion.blocks:
                raise CutoverRefused(
                    f"{pipeline.path.name}: something has just come up, its tables are looked at first",
                    hint="nothing was changed; see `liteferry status`, and try again when it is done",
                )

    async def _in_time(self, work: Coroutine[Any, Any, None], sessions: Sequence[Session]) -> None:
        """Await work for as long as the pause may be; let the writers go on at once when it fails.

        A target that does not answer takes a minute to be left in order, and no writer shall wait for that.
        """
        task = asyncio.create_task(work, name="cutover-work")
        try:
            await asyncio.wait([task], timeout=self._budget_left())
            if not task.done():
                raise CutoverRefused(
                    f"the pause reached {self._max_pause:g} s before the fence was up; it was undone",
                    hint="allow more with --max-pause, or cut over when fewer changes arrive",
                )
            task.result()
        except BaseException:
            # what it has asked of a session already is done before the release, and it asks no more
            task.cancel()
            await uninterrupted(self._release(sessions))
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # seen, so that asyncio does not report it a second time
            raise

    async def _release(self, sessions: Sequence[Session]) -> None:
        for session in sessions:
            await session.run(_let_go)
        self.timeline.released()

    async def _lock(self, sessions: Sequence[Session]) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        for session, pipeline in zip(sessions, self._pipelines, strict=True):
            budget = min(deadline - time.monotonic(), self._budget_left())
            try:
                await session.run(lock, max(0.0, budget))
                # the lock of another file than the one that is followed would stop nobody
                refuse_absence(pipeline.path, pipeline.identity)
            except (SourceBusy, SourceMissing) as error:
                raise CutoverRefused(
                    f"{pipeline.path.name}: {error}", hint="nothing was changed; try again"
                ) from error
            self.timeline.locked()
        self.timeline.done("lock")
        failpoint.reach("cutover.after_lock")

    def _budget_left(self) -> float:
        """Return how long the next lock may take: once the first is held, writers are waiting."""
        pause = self.timeline.pause
        return LOCK_SECONDS if pause is None else self._max_pause - pause

    async def _drain(self, sessions: Sequence[Session]) -> None:
        for session, pipeline in zip(sessions, self._pipelines, strict=True):
            while await pipeline.tailer.drain(session):
                pass
        self.timeline.done("drain")
        failpoint.reach("cutover.after_drain")

    async def _check(self, sessions: Sequence[Session]) -> None:
        """Compare what has changed since the last verification, before anything depends on it."""
        begun = time.monotonic()
        # never more than half of what is left: the fence must have its turn
        seconds = min(self._pipelines[0].settings.cutover_check, self._budget_left() / 2)
        for session, audit in zip(sessions, self._audits, strict=True):
            await audit.refuse_unexplained()
            if seconds:
                await audit.compare(session, begun + seconds)
        for pipeline in self._pipelines:
            pipeline.facts.check_seconds = (time.monotonic() - begun) / len(self._pipelines)
        self.timeline.done("check")
        failpoint.reach("cutover.after_check")

    async def _set_sequences(self, sessions: Sequence[Session]) -> None:
        async with self._target.transaction() as connection:
            for session, pipeline in zip(sessions, self._pipelines, strict=True):
                await set_sequences(connection, session, pipeline)
        self.timeline.done("sequences")

    async def _prepare_decision(self, connection: Connection, transaction: Transaction) -> None:
        """Carry the decision out on the target up to its COMMIT."""
        await transaction.start()
        self._notes = await open_target(connection, self.id, self._pipelines, strict=True)
        self.timeline.done("constraints")

    async def _forget_decision(self, transaction: Transaction) -> None:
        if not self._decided:
            # also when it was not begun, or its connection is gone
            with contextlib.suppress(OSError, TimeoutError, *DRIVER_ERRORS):
                await transaction.rollback()

    async def _write_fences(self, sessions: Sequence[Session]) -> None:
        for session, pipeline in zip(sessions, self._pipelines, strict=True):
            numbered = [(c.id, c.table.name) for c in pipeline.captured]
            await session.run(fence.raise_fence, numbered, str(self.id))
        failpoint.reach("cutover.before_fence")

    async def _commit(self, sessions: Sequence[Session], transaction: Transaction) -> None:
        for session in sessions:
            await session.run(commit, COMMIT_SECONDS)
            self._fences += 1
            failpoint.reach("cutover.after_fence")
        self.timeline.done("fence")
        self._on_fence(self.id)
        try:
            self._decided = True
            await transaction.commit()
        except (OSError, TimeoutError, *DRIVER_ERRORS) as error:
            # It may have been done or not. The sources are closed, so go on until the target tells.
            log.warning("the decision's commit was not confirmed", reason=describe(error))
            await decide(self._target, self.id, self._pipelines)
        self.timeline.released()
        self.timeline.done("decision")
        failpoint.reach("cutover.after_decision")
        for pipeline in self._pipelines:
            pipeline.enter(State.CUT_OVER)

    async def _undone(self, error: BaseException) -> None:
        """Return to streaming after a failure before all fences were up."""
        self.timeline.released()
        if self._decided:
            return
        log.warning("cutover undone", reason=str(error), pause=self.timeline.pause)
        if self._fences:
            # One source was closed and the next one's commit failed: open the first again.
            await _until_done(lambda: undo(self._target, self.id, self._pipelines))
        else:
            with contextlib.suppress(TargetAway):
                async with self._target.transaction() as connection:
                    await connection.execute(CONTROL["abort_cutover"], self.id)
        await self._back_to_streaming()
        await self._keep(self.timeline.report("undone", str(error)))

    async def _back_to_streaming(self) -> None:
        for pipeline in self._pipelines:
            if pipeline.facts.state is State.CUTTING_OVER:
                pipeline.enter(State.STREAMING)

    async def _keep(self, report: dict[str, Any]) -> None:
        report["check"] = self._audited.as_dict()
        report["notes"] = [f"{n.table}: {n.what}: {n.reason}" for n in self._notes]
        with contextlib.suppress(TargetAway):
            async with self._target.connection() as connection:
                if report["outcome"] == "rehearsed":
                    await connection.execute(CONTROL["abort_cutover"], self.id)
                await connection.execute(CONTROL["report_cutover"], self.id, json.dumps(report))


async def _until_done(work: Callable[[], Awaitable[None]]) -> None:
    """Lift fences again, whatever keeps it from being done: nobody can write behind them."""
    backoff = Backoff()
    while True:
        try:
            return await work()
        except (TargetAway, SourceError) as error:
            if backoff.to_be_told(time.monotonic()):
                log.error("a source is closed until its fence can be lifted", reason=str(error))
            await asyncio.sleep(backoff.failed())


@asynccontextmanager
async def _locking(pipeline: Pipeline) -> AsyncIterator[Session]:
    """Open a session for the write lock, and let go of the lock whatever happens."""
    async with Session(pipeline.path, writable=True) as session:
        # a fence that a power cut takes back would leave both sides open
        await session.run(make_durable)
        try:
            yield session
        finally:
            await uninterrupted(session.run(_let_go))


async def uninterrupted(work: Coroutine[Any, Any, R]) -> R:
    """Await something that must not be left half done; a cancellation takes effect after it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _let_go(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
