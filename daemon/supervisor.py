"""The daemon: every source's pipeline, the periodic work, and what can be asked of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import structlog

from config.errors import CutoverRefused, LiteferryError, TargetAway
from config.settings import Settings
from config.sources import SourceSpec, folders
from replicator.aftercare import aftercare
from replicator.afterwards import build_indexes
from replicator.backoff import Backoff
from replicator.cutover import Cutover
from replicator.decision import resolve, validate
from replicator.fallback import readiness
from replicator.fallback.finish import Finish, forgotten
from replicator.fallback.rollback import Rollback
from replicator.fallback.rollback import resolve as resolve_rollback
from replicator.faults import ours
from replicator.pipeline import Pipeline
from replicator.state import State, overall
from replicator.status import Gates, pause_of, reasons
from replicator.target import Target

from .notify import Notifier
from .roster import Roster
from .schedule import Schedule
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

#: How long a rollback waits for what is told behind a cutover.
BUSY_SECONDS = 5.0


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

    def __init__(self, settings: Settings, specs: Sequence[SourceSpec], notifier: Notifier) -> None:
        self.settings = settings
        self._notifier = notifier
        self._specs = specs
        self._target = Target(settings.target_url(), size=connections(settings, len(specs)))
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._history: deque[dict[str, Any]] = deque(maxlen=HISTORY)
        self._last_cutover: dict[str, Any] | None = None
        self._last_rollback: dict[str, Any] | None = None
        #: What is done at leisure after a cutover.
        self._tidying: asyncio.Task[None] | None = None
        self._notices: list[str] = []
        self._failure: asyncio.Future[None] | None = None
        self._schedule: Schedule | None = None
        #: Held by whatever must not be cut short by a stop: a cutover.
        self._moving = asyncio.Lock()
        self._roster = Roster(settings, specs, self._target, self._moving)
        self._turns = Turns(settings, self._target, lambda: self._pipelines)
        self._verification = Verification(settings, self._target, lambda: self._pipelines)
        self.ready = asyncio.Event()

    @property
    def _pipelines(self) -> list[Pipeline]:
        """Return the sources: those of the start, and those that have joined since."""
        return self._roster.pipelines

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set. Raises LiteferryError for what a person must mend."""
        self._failure = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._stopped(stop), name="stop")
                group.create_task(self._failed(), name="failure")
                group.create_task(self._migrate(group), name="migrate")
                group.create_task(self._notifier.keep_alive(), name="watchdog")
        except* Stopped:
            log.info("stopped")
        except* LiteferryError as errors:
            await self._turns.failed(str(ours(errors) or errors))
            raise ours(errors) or errors from None

    async def _stopped(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._notifier.stopping("stopping")
        if self._moving.locked():
            log.warning("a cutover is under way; stopping when it is over")
        settings = self.settings
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
            sources = [pipeline.path for pipeline in self._pipelines]
            wakeup = Wakeup(sources, self._roster.folders, on_news=self._roster.news)
            await stack.enter_async_context(wakeup)
            schedule = Schedule(self.settings, self.fail, self._remember)
            stack.enter_context(schedule.running())
            self._schedule = schedule
            group.create_task(schedule.watch_clock(), name="clock")
            self._notifier.ready("copying")
            async with asyncio.TaskGroup() as work:
                work.create_task(self._roster.run(wakeup, schedule), name="sources")
                work.create_task(self._announce(), name="announce")
                work.create_task(self._tidy_after_cutovers(), name="tidy")

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
            found = self._reasons()
            if not found and not self.ready.is_set():
                self.ready.set()
                self._turns.ready()
                log.info("ready for cutover", predicted_pause=self._predicted())
            elif found and self.ready.is_set():
                self.ready.clear()
                log.info("not ready for cutover", reasons=found[:3])
            if self.state is not State.STREAMING:
                self._turns.unsettled()
            self._notifier.status(self._line(found))
            await asyncio.sleep(ANNOUNCE_SECONDS)

    def _line(self, found: Sequence[str]) -> str:
        if self.state is State.CUT_OVER:
            waiting = sum(p.facts.fallback.pending for p in self._pipelines)
            return f"cut over, {waiting} changes to bring back"
        pending = sum(p.facts.pending for p in self._pipelines)
        ready = "ready for cutover" if not found else found[0]
        return f"{self.state.value}, {pending} changes pending, {ready}"

    @property
    def state(self) -> State:
        """Return the state that speaks for all sources."""
        return overall(p.facts.state for p in self._pipelines)

    def _reasons(self) -> list[str]:
        if not self._pipelines:
            return ["no source is known yet"]
        settings = self.settings
        gates = Gates(
            settings.ready_max_pending,
            settings.ready_max_age,
            settings.max_pause,
            settings.heartbeat_interval * 3 + settings.ready_max_age,
            settings.verify_max_age,
        )
        found = reasons((p.facts for p in self._pipelines), gates, time.monotonic())
        found += self._roster.reasons()
        # it reads the target's tables, from which the cutover must take the guard while writers wait
        return [*found, "a verification is running"] if self._verification.is_running else found

    def _back_reasons(self) -> list[str]:
        """Return why the writes cannot be given back now."""
        if not self._pipelines:
            return ["no source is known yet"]
        gates = readiness.BackGates(self.settings.ready_max_pending, self.settings.ready_max_age)
        found = []
        for pipeline in self._pipelines:
            names = {number: plan.name for number, plan in pipeline.plans.items()}
            state, facts = pipeline.facts.state, pipeline.facts.fallback
            why = [f"is {state.value}, not cut over"]
            if state is State.CUT_OVER:
                why = readiness.reasons(facts, names, gates, time.monotonic())
            found += [f"{pipeline.path}: {reason}" for reason in why]
        return found

    def _predicted(self) -> float | None:
        pauses = [pause_of(p.facts, time.monotonic()) for p in self._pipelines]
        known = [p for p in pauses if p is not None]
        return round(sum(known), 3) if len(known) == len(pauses) and known else None

    def status(self) -> dict[str, Any]:
        """Return the status as documented in docs/reference/http.md."""
        found, back = self._reasons(), self._back_reasons()
        return {
            "state": self.state.value,
            "can_cutover": not found,
            "reasons": found,
            "version": version("liteferry"),
            "started_at": self._started_at,
            "predicted_pause_seconds": self._predicted(),
            "cutover": self._last_cutover,
            "can_rollback": not back,
            "rollback_reasons": back,
            "rollback": self._last_rollback,
            "verification": self._verification.as_dict(),
            "clock_jumps": self._schedule.clock_jumps if self._schedule else 0,
            "notices": [*self._roster.notices, *self._notices],
            "sources": [p.facts.as_dict() for p in self._pipelines],
        }

    def history(self) -> list[dict[str, Any]]:
        """Return the lag of the last minutes, newest last."""
        return list(self._history)

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

    async def cutover(
        self,
        *,
        max_pause: float | None = None,
        rehearse: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Cut over, or rehearse it, or tell with `dry_run` what would happen; return the report.

        Raises CutoverRefused with the reasons when a gate is closed. Waiting for them to open is the
        caller's: an order that outlives whoever gave it would be carried out behind everybody's back.
        """
        found = self._reasons()
        if dry_run:
            return {"outcome": "dry_run", "can_cutover": not found, "reasons": found}
        if self._moving.locked():
            raise CutoverRefused("a cutover is under way already")
        if not found:
            await self._roster.decided()
        async with self._moving:
            found = self._reasons() or self._roster.reasons(strict=True)
            if found:
                raise CutoverRefused(
                    "not ready for cutover: " + "; ".join(found),
                    hint="see `liteferry status`, or let it wait with --wait",
                )
            return await self._cut_over(max_pause or self.settings.max_pause, rehearse)

    async def _cut_over(self, max_pause: float, rehearse: bool) -> dict[str, Any]:
        attempt = Cutover(self._target, self._pipelines, max_pause, self._turns.fenced)
        await self._turns.before(attempt.id, rehearse=rehearse)
        try:
            self._last_cutover = await attempt.run(rehearse=rehearse)
        except LiteferryError as error:
            outcome = "refused" if isinstance(error, CutoverRefused) else "failed"
            self._last_cutover = attempt.timeline.report(outcome, str(error))
            await self._turns.failed(str(error))
            raise
        log.info("cutover", **{k: v for k, v in self._last_cutover.items() if k != "notes"})
        if not rehearse:
            self._notifier.status("cut over")
            hook = await answered(partial(self._turns.after, attempt.id, self._last_cutover))
            if hook is not None:
                self._last_cutover["hook"] = hook.as_dict()
        return self._last_cutover

    async def rollback(
        self, *, max_pause: float | None = None, rehearse: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        """Give the writes back to the sources, or rehearse it, or tell with `dry_run` what would happen.

        Raises CutoverRefused with the reasons when something stands in the way.
        """
        found = self._back_reasons()
        if dry_run:
            return {"outcome": "dry_run", "can_rollback": not found, "reasons": found}
        async with self._alone():
            found = self._back_reasons()
            if found:
                raise CutoverRefused(
                    "not ready for rollback: " + "; ".join(found), hint="see `liteferry status`"
                )
            await self._stop_tidying()
            return await self._roll_back(max_pause or self.settings.max_pause, rehearse)

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Move writes while nobody else does; a hook may just be told of the last time."""
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                await self._moving.acquire()
        except TimeoutError:
            raise CutoverRefused("a cutover or rollback is under way already") from None
        try:
            yield
        finally:
            self._moving.release()

    async def _roll_back(self, max_pause: float, rehearse: bool) -> dict[str, Any]:
        attempt = Rollback(self._target, self._pipelines, max_pause)
        try:
            self._last_rollback = await attempt.run(rehearse=rehearse)
        except LiteferryError as error:
            outcome = "refused" if isinstance(error, CutoverRefused) else "failed"
            self._last_rollback = attempt.timeline.report(outcome, str(error))
            raise
        log.info("rollback", **self._last_rollback)
        if not rehearse:
            hook = await self._turns.rolled_back(attempt.id)
            if hook is not None:
                self._last_rollback["hook"] = hook.as_dict()
        return self._last_rollback

    async def finish(self) -> dict[str, Any]:
        """Give the way back up and take everything of ours off both sides; return the report.

        Raises CutoverRefused where the sources are not cut over.
        """
        async with self._alone():
            await self._stop_tidying()
            return await Finish(self._target, self._pipelines).run()

    async def _tidy_after_cutovers(self) -> None:
        """Tidy up each time that all sources have been cut over."""
        while True:
            await self._until(lambda: self.state is State.CUT_OVER)
            async with self._moving:
                if self.state is not State.CUT_OVER:
                    continue
                await answered(self._turns.make_up)
                self._tidying = asyncio.create_task(self._tidy(), name="tidying")
            try:
                await asyncio.wait([self._tidying])
            finally:
                self._tidying.cancel()
            if not self._tidying.cancelled():
                self._tidying.result()
                await self._until(lambda: self.state is not State.CUT_OVER)

    async def _stop_tidying(self) -> None:
        """Leave the target's tables alone: what is built there late is not wanted after a rollback."""
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.wait([self._tidying])

    async def _until(self, condition: Callable[[], bool]) -> None:
        while True:
            if self._pipelines and condition():
                return
            await asyncio.sleep(ANNOUNCE_SECONDS)

    async def _tidy(self) -> None:
        """Validate the foreign keys behind the application's back and gather statistics.

        Done at each start after the cutover too: a kill may have come between. Never ends the daemon, for
        the tables are the application's now.
        """
        backoff = Backoff()
        while True:
            try:
                notes = await validate(self._target, self._pipelines)
                notes += await build_indexes(self._target, self.settings.indexes_after_cutover)
                break
            except Exception as raised:
                error = ours(raised)
                if error is None:
                    raise
                log.warning("foreign keys are not validated yet", reason=str(error))
                if not error.retryable:
                    return
                await asyncio.sleep(backoff.failed())
        log.info("foreign keys and statistics are done", notes=len(notes))
        for note in notes:
            self._notices.append(f"{note.table}: {note.what}: {note.reason}")
            log.warning("after the cutover", table=note.table, what=note.what, reason=note.reason)
