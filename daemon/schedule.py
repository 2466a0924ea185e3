"""The periodic work: heartbeats, lag, the change log, drift, and watching disk and WAL."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from config.errors import LiteferryError
from config.settings import Settings
from replicator.compacting import Compacting
from replicator.disk import DiskGuard
from replicator.pipeline import Pipeline
from replicator.pruning import Pruning
from replicator.upkeep import Upkeep

log = structlog.get_logger("liteferry.schedule")

#: Lag is measured twice a second: a dashboard that lags itself tells nothing.
MEASURE_SECONDS = 0.5
HISTORY_SECONDS = 1.0

MIB = 1 << 20


class Schedule:
    """Runs each job of each source at its interval, never twice at once."""

    def __init__(
        self,
        settings: Settings,
        pipelines: Sequence[Pipeline],
        fail: Callable[[LiteferryError], None],
        remember: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._pipelines = pipelines
        self._fail = fail
        self._remember = remember

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the jobs while inside."""
        scheduler = AsyncIOScheduler(
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        for pipeline in self._pipelines:
            upkeep = Upkeep(pipeline)
            self._add(scheduler, upkeep.measure, MEASURE_SECONDS, pipeline)
            self._add(scheduler, upkeep.beat, self._settings.heartbeat_interval, pipeline)
            self._add(scheduler, Pruning(pipeline).run, self._settings.prune_interval, pipeline)
            self._add(scheduler, Compacting(pipeline).run, self._settings.prune_interval, pipeline)
            self._add(scheduler, upkeep.check_drift, self._settings.drift_interval, pipeline)
            watch = partial(self._watch, pipeline, upkeep, DiskGuard(pipeline))
            self._add(scheduler, watch, self._settings.watch_interval, pipeline)
        scheduler.add_job(self._remember, "interval", seconds=HISTORY_SECONDS)
        scheduler.start()
        try:
            yield
        finally:
            scheduler.shutdown(wait=False)

    def _add(
        self,
        scheduler: AsyncIOScheduler,
        work: Callable[[], Awaitable[None]],
        seconds: float,
        pipeline: Pipeline,
    ) -> None:
        async def job() -> None:
            try:
                await work()
            except LiteferryError as error:
                if error.retryable:
                    log.debug("job put off", source=str(pipeline.path), reason=str(error))
                else:
                    self._fail(error)

        # the first time at once: nobody should wait an interval for the first heartbeat
        scheduler.add_job(job, "interval", seconds=seconds, next_run_time=datetime.now(UTC))

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
