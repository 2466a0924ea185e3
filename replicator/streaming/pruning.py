"""Deleting entries of the change log that the target has: little by little, rather in quiet moments."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from config.errors import SourceBusy
from replicator.faults import source_error
from replicator.pipeline import Pipeline
from replicator.sources.paging import Pace
from replicator.state import State
from triggers import changelog
from triggers.changelog import Deleted
from triggers.session import Session

R = TypeVar("R")

#: How long a deletion asks for the write lock, by whether there is a WAL. In a rollback journal our COMMIT
#: keeps new readers out for as long.
ASK_SECONDS = {True: 0.05, False: 0.005}

#: Rest between two deletions, in the time that the lock was held, and at least.
REST_SHARE = 2
REST_SECONDS = 0.005

#: The same while the application is writing: it loses nothing if we come later.
BUSY_REST_SECONDS = 0.1

#: Entries from which on we no longer wait for a quiet moment: an application may never have one.
PATIENCE_ENTRIES = 100_000

#: Share of its interval that a turn may take: the scheduler complains about one that is still running.
TURN = 0.9

#: States in which the position moves, or has moved.
MOVING = (State.CATCH_UP, State.STREAMING, State.PAUSED)


def rest(held: float, least: float = 0) -> float:
    """Return the seconds that others have the lock to themselves after we held it."""
    return max(least, REST_SECONDS, held * REST_SHARE)


class Pruning:
    """Keeps the log of one source short behind the position."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        most = pipeline.settings.prune_batch
        self._pace = Pace(pipeline.settings.lock_hold_ms / 1000, rows=most, most=most)
        self._newest = 0

    async def run(self) -> None:
        """Delete what the target has until nothing is left, or the lock cannot be had in passing."""
        end = time.monotonic() + self._pipeline.settings.prune_interval * TURN
        if self._pipeline.facts.state in MOVING:
            # what was touched must be known elsewhere before it goes from the log
            await self._pipeline.bookmarks.save()
        while self._pipeline.facts.state in MOVING and time.monotonic() < end:
            try:
                gone, waiting = await self._ask(self._pipeline.writer, self._prune)
            except SourceBusy:
                return
            if not (gone.entries and waiting):
                return
            quiet = waiting > PATIENCE_ENTRIES or await self._is_quiet()
            await asyncio.sleep(rest(gone.seconds, 0 if quiet else BUSY_REST_SECONDS))

    def _prune(self, connection: sqlite3.Connection) -> tuple[Deleted, int]:
        """Delete once; return what went and how much still could."""
        facts, kept = self._pipeline.facts, self._pipeline.bookmarks.position
        position = facts.position if kept is None else min(kept, facts.position)
        budget = ASK_SECONDS[facts.journal_mode == "wal"]
        if not changelog.passed(connection, position):
            # no lock is asked for in vain
            return Deleted(), 0
        gone = changelog.prune(connection, position, self._pace.rows, budget)
        self._pace.took(gone.entries, gone.seconds)
        return gone, changelog.passed(connection, position)

    async def _is_quiet(self) -> bool:
        """Tell whether nothing was written since the last look."""
        newest = await self._ask(self._pipeline.watcher, changelog.head)
        before, self._newest = self._newest, newest
        return newest == before

    async def _ask(self, session: Session, work: Callable[[sqlite3.Connection], R]) -> R:
        try:
            return await session.run(work)
        except sqlite3.Error as error:
            raise source_error(session, error) from error
