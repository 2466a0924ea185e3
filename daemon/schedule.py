"""The periodic work: heartbeats, lag, the change log, drift, and watching disk and WAL."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog
from apscheduler.job import Job
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from config.errors import CaptureBroken, LiteferryError
from config.settings import Settings
from replicator.control.restraint import Restraint
from replicator.pipeline import Pipeline
from replicator.sources.disk import DiskGuard
from replicator.streaming.compacting import Compacting
from replicator.streaming.pruning import Pruning
from replicator.streaming.upkeep import Upkeep

from .attendance import present
from .clock import Clock

log = structlog.get_logger("liteferry.schedule")

#: Lag is measured twice a second: a dashboard that lags itself tells nothing.
MEASURE_SECONDS = 0.5
HISTORY_SECONDS = 1.0
CLOCK_SECONDS = 1.0

MIB = 1 << 20


class Schedule:
    """Runs each job of each source at its interval, never twice at once."""

    def __init__(
        self,
        settings: Settings,
        fail: Callable[[LiteferryError], None],
        remember: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._fail = fail
        self._remember = remember
        self._jobs: dict[Pipeline, list[Job]] = {}
        #: What says how many seconds lie between two runs of a job.
        self._intervals: dict[str, Callable[[], float]] = {}
        self._scheduler = AsyncIOScheduler(
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._clock = Clock(time.time(), time.monotonic())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the jobs while inside."""
        self._scheduler.add_job(self._remember, "interval", seconds=HISTORY_SECONDS)
        self._scheduler.start()
        try:
            yield
        finally:
            self._scheduler.shutdown(wait=False)

    @property
    def jobs(self) -> list[Job]:
        """Return the jobs of all sources."""
        return list(self._scheduler.get_jobs())

    @property
    def clock_jumps(self) -> int:
        """Return how often the wall clock has jumped."""
        return self._clock.jumps

    async def watch_clock(self) -> None:
        """Look for jumps of the wall clock until cancelled."""
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            jump = self._clock.look(time.time(), time.monotonic())
            if jump:
                log.warning("the clock has jumped", seconds=round(jump, 1))
                self.jumped(jump)

    def jumped(self, seconds: float) -> None:
        """Go on by a clock that has jumped by so much.

        The scheduler goes by the wall clock: set back an hour, it would run nothing for an hour.
        """
        for pipeline in self._jobs:
            if pipeline.facts.beat is not None:
                pipeline.facts.beat += seconds
        now = datetime.now(UTC)
        for job in self.jobs:
            job.modify(next_run_time=now)

    def remove(self, pipeline: Pipeline) -> None:
        """Run a source's jobs no more; one that is just running finds its file closed."""
        for job in self._jobs.pop(pipeline, []):
            del self._intervals[job.id]
            job.remove()

    def retime(self) -> None:
        """Run each job at the interval that the settings have now."""
        for job in (job for jobs in self._jobs.values() for job in jobs):
            seconds = self._intervals[job.id]()
            if job.trigger.interval.total_seconds() != seconds:
                job.reschedule("interval", seconds=seconds)

    def add(self, pipeline: Pipeline) -> None:
        """Run the jobs of one more source."""
        upkeep, settings = Upkeep(pipeline), self._settings
        watch = partial(self._watch, pipeline, upkeep, DiskGuard(pipeline))
        self._add(upkeep.measure, lambda: MEASURE_SECONDS, pipeline)
        self._add(Restraint(pipeline).look, lambda: MEASURE_SECONDS, pipeline)
        self._add(upkeep.watch_bypass, lambda: MEASURE_SECONDS, pipeline)
        self._add(upkeep.beat, lambda: settings.heartbeat_interval, pipeline)
        self._add(Pruning(pipeline).run, lambda: settings.prune_interval, pipeline)
        self._add(Compacting(pipeline).run, lambda: settings.prune_interval, pipeline)
        self._add(upkeep.check_drift, lambda: settings.drift_interval, pipeline)
        self._add(watch, lambda: settings.watch_interval, pipeline)

    def _add(
        self,
        work: Callable[[], Awaitable[None]],
        interval: Callable[[], float],
        pipeline: Pipeline,
    ) -> None:
        async def job() -> None:
            if not present(pipeline):
                return
            try:
                await work()
            except CaptureBroken as error:
                # the stream knows what to do about it
                pipeline.alarm(error)
            except LiteferryError as error:
                # of a file that was taken away under the job's hands that is the news, not the error
                if error.retryable or not present(pipeline):
                    log.debug("job put off", source=str(pipeline.path), reason=str(error))
                else:
                    self._fail(error)

        # the first time at once: nobody should wait an interval for the first heartbeat
        begin = datetime.now(UTC)
        added = self._scheduler.add_job(job, "interval", seconds=interval(), next_run_time=begin)
        self._intervals[added.id] = interval
        self._jobs.setdefault(pipeline, []).append(added)

    async def _watch(self, pipeline: Pipeline, upkeep: Upkeep, guard: DiskGuard) -> None:
        facts = pipeline.facts
        facts.source_bytes = _size(pipeline.path)
        facts.wal_bytes = _size(Path(f"{pipeline.path}-wal"))
        await guard.look()
        facts.log_entries = await upkeep.count_log()
        if facts.wal_bytes > self._settings.wal_warn_mb * MIB:
            log.warning("the WAL is large", source=facts.path, bytes=facts.wal_bytes)


def _size(path: Path) -> int:
    # by stat only: opening and closing the file would drop SQLite's locks of this whole process
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
