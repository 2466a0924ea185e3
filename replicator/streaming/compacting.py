"""The change log compacted while the target is away or far behind: when it pays, in steps of milliseconds."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from config.errors import SourceBusy
from replicator import failpoint
from replicator.faults import source_error
from replicator.pipeline import Pipeline
from replicator.sources.paging import Pace
from replicator.state import State
from triggers.changelog import Deleted
from triggers.compaction import Compaction, Keep

from .pruning import ASK_SECONDS, TURN, rest

log = structlog.get_logger("liteferry.compaction")

R = TypeVar("R")

#: States in which changes wait in the log.
WAITING = (State.SNAPSHOT, State.CATCH_UP, State.STREAMING, State.PAUSED)

#: A burst that is on its way is none of our business; what has been waiting for as long is.
WAITING_SECONDS = 3.0

#: Times that a lock may be refused in a row before we try again only at the next turn.
PATIENCE = 20

#: Longest read with a WAL, where it stalls nobody.
READ_SECONDS = 0.02

#: After so many entries it must be clear that one in twenty is superfluous; else only the temporary
#: tables would grow, with every key that is ever logged.
SAMPLE_ENTRIES = 500_000
WORTH = 0.05


class Compacting:
    """Keeps the log of one source short beyond the position."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._facts = pipeline.facts
        self._begin()

    def _begin(self) -> None:
        """Take the file that is followed now: what was worked out of another went with its connection."""
        pipeline = self._pipeline
        self._compaction = Compaction()
        self._access = pipeline.access
        seconds = pipeline.settings.lock_hold_ms / 1000
        self._wal = pipeline.facts.journal_mode == "wal"
        self._looking = Pace(READ_SECONDS if self._wal else seconds, rows=500, most=20_000)
        self._dropping = Pace(seconds, rows=200, most=20_000)
        #: Entries waiting from which on it may pay.
        self._from = pipeline.settings.compact_entries
        self._sweeping = False

    async def run(self) -> None:
        """Look at what waits, and delete what is superfluous, until there is nothing more to do for now."""
        if self._access is not self._pipeline.access:
            self._begin()
        refused, end = 0, time.monotonic() + self._pipeline.settings.prune_interval * TURN
        while self._pays() and refused < PATIENCE and time.monotonic() < end:
            try:
                pause = await self._step()
            except SourceBusy:
                refused, pause = refused + 1, rest(0)
            else:
                refused = 0
            if pause is None:
                return
            await asyncio.sleep(pause)
        if self._compaction.active and not self._behind(self._pipeline.settings.compact_entries // 2):
            # caught up, or nearly: what was worked out is of no use any more
            await self._run(self._compaction.forget)
            self._from, self._sweeping = self._pipeline.settings.compact_entries, False

    def _pays(self) -> bool:
        return self._compaction.active and self._behind(self._from // 2) or self._behind(self._from)

    def _behind(self, entries: int) -> bool:
        facts = self._facts
        if facts.state not in WAITING or not self._pipeline.tailing:
            return False
        return facts.pending > entries and facts.oldest_now(time.monotonic()) > WAITING_SECONDS

    async def _step(self) -> float | None:
        """Do one short step; return for how long to rest after it, None when all is done for now."""
        compaction = self._compaction
        if not compaction.active or compaction.anchor < self._facts.position:
            await self._run(lambda c: compaction.begin(c, self._facts.position))
            self._sweeping = False
        if not self._sweeping:
            found, seconds = await self._run(self._look)
            if found:
                return None if await self._is_vain() else (seconds if self._wal else rest(seconds))
            if not self._worth_a_sweep():
                return None
            self._sweeping = True
        return await self._sweep()

    def _look(self, connection: sqlite3.Connection) -> tuple[int, float]:
        begun = time.monotonic()
        found = self._compaction.look(connection, self._looking.rows)
        seconds = time.monotonic() - begun
        self._looking.took(found, seconds)
        # not to the very end of a log that grows and grows: a sweep must have its turn
        return (0 if self._worth_a_sweep() else found), seconds

    def _worth_a_sweep(self) -> bool:
        """Tell whether a page of the log has, on average, as much to lose as to keep."""
        compaction = self._compaction
        return compaction.superfluous > max(compaction.keys, self._pipeline.settings.compact_entries // 2)

    async def _is_vain(self) -> bool:
        """Give up for now when hardly a key comes twice."""
        compaction = self._compaction
        older = compaction.looked_at - compaction.keys
        if compaction.looked_at < SAMPLE_ENTRIES or older > compaction.looked_at * WORTH:
            return False
        log.info("not compacting: hardly a key is logged twice", source=self._facts.path)
        self._from = 2 * max(self._facts.pending, self._from)
        await self._run(compaction.forget)
        return True

    async def _sweep(self) -> float:
        # a batch that is being read must find the entry that it is going to end with, see Tailer
        async with self._pipeline.tailer.looking:
            if not self._pays():
                return rest(0)
            gone = await self._run(self._drop)
        self._facts.log_compacted += gone.entries
        self._sweeping = bool(gone.entries)
        return rest(gone.seconds)

    def _drop(self, connection: sqlite3.Connection) -> Deleted:
        keep = Keep(self._facts.position, self._pipeline.tailer.reach)
        budget = ASK_SECONDS[self._wal]
        gone = self._compaction.drop(
            connection, keep, self._dropping.rows, budget, lambda: failpoint.reach("compaction.before_commit")
        )
        failpoint.reach("compaction.after_commit")
        self._dropping.took(gone.entries, gone.seconds)
        return gone

    async def _run(self, work: Callable[[sqlite3.Connection], R]) -> R:
        writer = self._pipeline.writer
        try:
            return await writer.run(work)
        except sqlite3.Error as error:
            raise source_error(writer, error) from error
