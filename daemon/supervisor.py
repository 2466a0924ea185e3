"""The daemon: every source's pipeline, the periodic work, and what can be asked of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import structlog

from config.errors import CutoverRefused, LiteferryError, TargetAway
from config.settings import Settings
from config.sources import SourceSpec, folders
from replicator.backoff import Backoff
from replicator.control.throttle import summed
from replicator.cutover.aftercare import aftercare
from replicator.cutover.decision import resolve
from replicator.fallback.finish import Finish, forgotten
from replicator.fallback.readiness import Fallback
from replicator.fallback.rollback import resolve as resolve_rollback
from replicator.faults import ours
from replicator.pipeline import Pipeline
from replicator.postgres.connections import Target
from replicator.state import State
from replicator.status import FALLBACK_STATES

from .course import Course
from .journal import Journal
from .line import line
from .liveness import Liveness
from .log import listening
from .moves import Moves
from .notify import Notifier
from .pauses import Pauses
from .readiness import Readiness
from .reload import Read, Reload
from .roster import Roster
from .schedule import Schedule
from .throttling import Throttling
from .tidying import Tidying
from .turns import Turns
from .verification import Verification
from .wakeup import Wakeup
from .wards import Wards
from .work import answered

log = structlog.get_logger("liteferry")

#: Points of the lag history, one a second.
HISTORY = 900

#: Connections beside the parallel copies: tail, cutover, verification, bookkeeping.
SPARE_CONNECTIONS = 5

ANNOUNCE_SECONDS = 0.2


#: More where a folder is watched: sources that join take turns at these.
NEWCOMERS_CONNECTIONS = 5


def connections(settings: Settings, sources: int) -> int:
    """Return how many connections to the target a daemon holds at most."""
    joining = NEWCOMERS_CONNECTIONS if folders(settings) else 0
    return settings.parallel + sources + SPARE_CONNECTIONS + joining


class Stopped(Exception):
    """The daemon was asked to stop; ends the task group."""


class Supervisor:
    """Runs the migration of some sources into one target."""

    def __init__(
        self,
        settings: Settings,
        specs: Sequence[SourceSpec],
        notifier: Notifier,
        read_again: Read | None = None,
    ) -> None:
        self.settings = settings
        self._notifier = notifier
        self._liveness = Liveness(notifier.watchdog_seconds)
        self._reload = Reload(settings, read_again or (lambda: settings), self._retime)
        self._specs = specs
        self._target = Target(
            settings.target_url(), size=connections(settings, len(specs)), pooler=settings.pooler
        )
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._history: deque[dict[str, Any]] = deque(maxlen=HISTORY)
        self._failure: asyncio.Future[None] | None = None
        self._schedule: Schedule | None = None
        #: Held by whatever must not be cut short by a stop: a cutover.
        self._moving = asyncio.Lock()
        self._roster = Roster(settings, specs, self._target, self._moving)
        self._turns = Turns(settings, self._target, lambda: self._pipelines)
        self._verification = Verification(settings, self._target, lambda: self._pipelines)
        self._readiness = Readiness(settings, self._roster, self._verification)
        both = self._target, self._roster
        self._tidying = Tidying(settings, *both, self._turns, self._moving)
        self.moves = Moves(settings, *both, self._readiness, self._turns, self._tidying, self._moving)
        self.pauses = Pauses(*both, self._verification, self._moving)
        self.throttling = Throttling(*both)
        self.ready = asyncio.Event()
        self._journal, self._course = Journal(), Course()

    @property
    def _pipelines(self) -> list[Pipeline]:
        """Return the sources: those of the start, and those that have joined since."""
        return self._roster.pipelines

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set. Raises LiteferryError for what a person must mend."""
        self._failure = asyncio.get_running_loop().create_future()
        error: BaseException | None = None
        try:
            with listening(self._hear):
                await self._run(stop)
        except* Stopped:
            log.info("stopped")
        except* LiteferryError as errors:
            error = ours(errors) or errors
            await self._turns.failed(str(error))
        if error is not None:
            # not in there: before Python 3.11.4 whatever is raised in an `except*` comes out in a group
            raise error

    async def _run(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stopped(stop), name="stop")
            group.create_task(self._failed(), name="failure")
            group.create_task(self._migrate(group), name="migrate")
            group.create_task(self._notifier.keep_alive(self._liveness.healthy), name="watchdog")

    def _hear(self, level: str, event: str, values: Mapping[str, Any]) -> None:
        """Keep what the log tells; a state may be over before anybody looks."""
        if event == "state":
            self._course.see(self.state)
        self._journal.hear(level, event, values)

    async def _stopped(self, stop: asyncio.Event) -> None:
        await stop.wait()
        settings = self.settings
        self._notifier.stopping("stopping", settings.max_pause + 2 * settings.shutdown_timeout)
        if self._moving.locked():
            log.warning("a cutover is under way; stopping when it is over")
        with contextlib.suppress(TimeoutError):
            # one that waits for a target which never answers is resolved at the next start
            async with asyncio.timeout(settings.max_pause + settings.shutdown_timeout):
                await self._moving.acquire()
        asyncio.get_running_loop().call_later(settings.shutdown_timeout, self._target.terminate)
        raise Stopped

    async def _failed(self) -> None:
        assert self._failure is not None
        await self._failure

    def fail(self, error: LiteferryError) -> None:
        """End the daemon with an error that a periodic job has found."""
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)

    async def _migrate(self, group: asyncio.TaskGroup) -> None:
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._target.close)
            await self._connect()
            await answered(partial(forgotten, self._target, [str(spec.path) for spec in self._specs]))
            await self._roster.open(stack)
            await self._roster.prepare()
            await self._resolve()
            await self._verification.recall()
            await self.moves.recall()
            sources = [pipeline.path for pipeline in self._pipelines]
            wakeup = Wakeup(sources, self._roster.folders, on_news=self._roster.news)
            await stack.enter_async_context(wakeup)
            schedule = Schedule(self.settings, self.fail, self._remember)
            stack.enter_context(schedule.running())
            self._schedule = schedule
            group.create_task(schedule.watch_clock(), name="clock")
            self._notifier.ready(self._line())
            async with asyncio.TaskGroup() as work:
                work.create_task(self._roster.run(wakeup, schedule), name="sources")
                work.create_task(self._announce(), name="announce")
                work.create_task(self._tidying.run(), name="tidy")

    async def _connect(self) -> None:
        backoff = Backoff()
        while True:
            try:
                return await self._target.connect()
            except TargetAway as error:
                if backoff.to_be_told(time.monotonic()):
                    log.warning("waiting for the target", reason=str(error))
                self._notifier.status("waiting for the target")
                await asyncio.sleep(backoff.failed())

    async def _resolve(self) -> None:
        backoff = Backoff()
        if self._pipelines and all(p.facts.state is State.FINISHED for p in self._pipelines):
            return await Finish(self._target, self._pipelines).complete()
        while True:
            try:
                await resolve_rollback(self._target, self._pipelines)
                return await resolve(self._target, self._pipelines)
            except LiteferryError as error:
                if not error.retryable:
                    raise
                log.warning("an interrupted cutover or rollback waits to be resolved", reason=str(error))
                await asyncio.sleep(backoff.failed())

    async def _announce(self) -> None:
        """Tell once whenever the cutover becomes possible, or is no longer."""
        while True:
            found = self._readiness.reasons()
            if not found and not self.ready.is_set():
                self.ready.set()
                self._turns.ready()
                log.info("ready for cutover", predicted_pause=self._readiness.predicted())
            elif found and self.ready.is_set():
                self.ready.clear()
                log.info("not ready for cutover", reasons=found[:3])
            if self.state is not State.STREAMING:
                self._turns.unsettled()
            self._liveness.healthy()
            self._notifier.status(self._line())
            await asyncio.sleep(ANNOUNCE_SECONDS)

    def _line(self) -> str:
        facts = [p.facts for p in self._pipelines]
        shown = line(self.state, facts, self._readiness.reasons(), time.monotonic())
        return f"{self._liveness.trouble}; {shown}" if self._liveness.trouble else shown

    def reload(self) -> None:
        """Read the settings again, and take over those that may change while we run."""
        # before the start is complete READY=1 would say that it is
        begun = self._schedule is not None
        if begun:
            self._notifier.reloading()
        self._reload.run()
        if begun:
            self._notifier.ready(self._line())

    def _retime(self) -> None:
        if self._schedule is not None:
            self._schedule.retime()
        for pipeline in self._pipelines:
            pipeline.healer.look()

    @property
    def state(self) -> State:
        """Return the state that speaks for all sources."""
        return self._roster.state

    def status(self) -> dict[str, Any]:
        """Return the status as documented in docs/reference/http.md."""
        self._course.see(self.state)
        found, back = self._readiness.reasons(), self._readiness.back_reasons()
        return {
            "state": self.state.value,
            "can_cutover": not found,
            "reasons": found,
            "version": version("liteferry"),
            "started_at": self._started_at,
            "predicted_pause_seconds": self._readiness.predicted(),
            "cutover": self.moves.last_cutover,
            "can_rollback": not back,
            "rollback_reasons": back,
            "rollback": self.moves.last_rollback,
            "verification": self._verification.as_dict(),
            "timeline": self._course.as_list(),
            "last_event": self._journal.last,
            "clock_jumps": self._schedule.clock_jumps if self._schedule else 0,
            "stalled": self._liveness.trouble,
            "notices": self._notices(),
            "throttle": summed(p.facts.throttle.as_dict() for p in self._pipelines),
            "sources": [p.facts.as_dict() for p in self._pipelines],
        }

    def _notices(self) -> list[str]:
        own = [*self._reload.notices, *self._roster.notices, *self._tidying.notices]
        return own + self._readiness.left_there()

    def history(self) -> list[dict[str, Any]]:
        """Return the lag of the last minutes, newest last."""
        return list(self._history)

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Return what has happened lately, behind the event of a number, oldest first."""
        return self._journal.since(after)

    def _remember(self) -> None:
        now, facts = time.time(), [p.facts for p in self._pipelines]
        beats = [now - f.beat for f in facts if f.beat is not None]
        self._history.append(
            {
                "at": round(now, 3),
                "pending": sum(f.pending for f in facts),
                "oldest": round(max((f.oldest_now(time.monotonic()) for f in facts), default=0.0), 3),
                "heartbeat": round(max(beats), 3) if beats else None,
                "applied": sum(f.changes for f in facts),
                "captured": sum(max(f.captured, f.changes) for f in facts),
                "copied": sum(f.rows_copied for f in facts),
                **_back([f.fallback for f in facts if f.state in FALLBACK_STATES and f.fallback.armed]),
            }
        )

    def wards(self) -> Wards:
        """Return the rows that the target cannot hold."""
        return Wards(self._target, self._pipelines)

    async def aftercare(self) -> dict[str, Any]:
        """Look at how the target fares. Raises CutoverRefused before it has the writes."""
        if not self._pipelines or any(p.facts.state is not State.CUT_OVER for p in self._pipelines):
            raise CutoverRefused(
                f"the state is {self.state.value}: there is nothing to report before the cutover",
                hint="see `liteferry status`",
            )
        return await aftercare(self._target, self._pipelines)

    @property
    def verification(self) -> Verification:
        """Return what compares both sides when asked."""
        return self._verification


def _back(facts: Sequence[Fallback]) -> dict[str, Any]:
    """Return the lag of the way back; nulls while there is none."""
    now = time.monotonic()
    return {
        "back_pending": sum(f.pending for f in facts) if facts else None,
        "back_oldest": round(max(f.oldest_now(now) for f in facts), 3) if facts else None,
        "back_applied": sum(f.changes for f in facts) if facts else None,
    }
