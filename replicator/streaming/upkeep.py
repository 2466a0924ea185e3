"""What a source needs now and then: lag measured, heartbeats, a look for drift."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from config.errors import CaptureBroken, SourceBusy
from replicator.fallback.homeward import AWAY
from replicator.faults import source_error
from replicator.pipeline import Pipeline
from replicator.state import State
from triggers import capture, changelog
from triggers.session import Session

P = ParamSpec("P")
R = TypeVar("R")

#: How long a heartbeat asks for the write lock; asking stalls nobody.
BEAT_SECONDS = 0.5

#: More entries are not counted by table: it would take longer than a glance may.
COUNTED = 20_000

#: States in which the change log is written and read.
LIVE = (State.SNAPSHOT, State.CATCH_UP, State.STREAMING, State.PAUSED)


class Upkeep:
    """The periodic work on one source."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._facts = pipeline.facts
        self._witness = pipeline.witness

    async def check_drift(self) -> None:
        """Look for a lost log, and for an edit of the schema that SQLite's own count does not show."""
        if self._facts.state not in LIVE or not self._pipeline.tailing:
            return
        try:
            await self._ask(self._pipeline.watcher, capture.check_log, self._facts.position)
        except CaptureBroken as error:
            self._pipeline.alarm(error)
            return
        mark = await self._ask(self._pipeline.watcher, capture.schema_mark)
        if mark != self._facts.schema_mark:
            self._pipeline.look_again()

    @property
    def _captured(self) -> bool:
        """Tell whether the triggers are in: from the set-up on, before the first row is copied."""
        begun = self._facts.state is State.PREFLIGHT and self._pipeline.tailing
        return begun or self._facts.state in LIVE

    async def watch_bypass(self) -> None:
        """Look for a change of the file that fired no trigger."""
        if not self._captured:
            # what was seen before a cutover that is undone is remembered: a change may come in between
            return
        if not await self._ask(self._pipeline.writer, self._witness.is_explained):
            self._pipeline.healer.suspect("a change of the file fired no trigger")

    async def measure(self) -> None:
        """Measure the lag now."""
        facts = self._facts
        if not self._pipeline.tailing or facts.state in AWAY:
            return
        position, changes = facts.position, facts.changes
        lag = await self._ask(self._pipeline.watcher, changelog.lag, position)
        waiting = await self._waiting(position) if lag.entries else {}
        now = time.monotonic()
        facts.captured = max(facts.captured, changes + lag.positions)
        facts.incoming.add(now, facts.captured)
        facts.copied.add(now, facts.rows_copied)
        facts.applied.add(now, facts.changes)
        facts.note_copying(now)
        if position == facts.position or lag.entries == 0:
            facts.pending, facts.oldest, facts.measured_at = lag.entries, lag.oldest, now
            facts.table_pending = waiting

    async def _waiting(self, position: int) -> dict[int, int] | None:
        """Count what waits by table, where that is cheap."""
        return await self._ask(self._pipeline.watcher, changelog.waiting, position, COUNTED)

    async def count_log(self) -> int:
        """Return how many entries the change log holds, 0 before it is installed."""
        return await self._ask(self._pipeline.watcher, changelog.entries) if self._pipeline.tailing else 0

    async def beat(self) -> None:
        """Write a heartbeat into the source; left out when the application holds the lock just now.

        And while the disk is nearly full: what space there is belongs to the application.
        """
        if self._captured and not self._facts.disk_trouble:
            with contextlib.suppress(SourceBusy):
                await self._ask(self._pipeline.writer, self._witness.beat, BEAT_SECONDS)

    async def _ask(
        self,
        session: Session,
        work: Callable[Concatenate[sqlite3.Connection, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run work on a session; SQLite's errors come out as ours. Raises SourceBusy, SourceError."""
        try:
            return await session.run(work, *args, **kwargs)
        except sqlite3.Error as error:
            raise source_error(session, error) from error
