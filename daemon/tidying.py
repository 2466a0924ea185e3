"""What is done at leisure once the target has the writes: validated, indexed, analyzed, told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from config.settings import Settings
from replicator.backoff import Backoff
from replicator.cutover.afterwards import build_indexes
from replicator.cutover.decision import validate
from replicator.faults import ours
from replicator.postgres.connections import Target
from replicator.state import State

from .roster import Roster
from .turns import Turns
from .work import answered

log = structlog.get_logger("liteferry")

#: Between two looks at the state.
LOOK_SECONDS = 0.2


class Tidying:
    """Tidies up behind cutovers, and leaves off before a rollback."""

    def __init__(
        self, settings: Settings, target: Target, roster: Roster, turns: Turns, moving: asyncio.Lock
    ) -> None:
        """Take both sides, who is told, and the lock that is held while writes are moved."""
        self._settings = settings
        self._target = target
        self._roster = roster
        self._turns = turns
        self._moving = moving
        self._task: asyncio.Task[None] | None = None
        #: What the operator should know.
        self.notices: list[str] = []

    async def run(self) -> None:
        """Tidy up each time that all sources have been cut over."""
        while True:
            await self._until(lambda: self._roster.state is State.CUT_OVER)
            async with self._moving:
                if self._roster.state is not State.CUT_OVER:
                    continue
                await answered(self._turns.make_up)
                self._task = asyncio.create_task(self._tidy(), name="tidying")
            try:
                await asyncio.wait([self._task])
            finally:
                self._task.cancel()
            if not self._task.cancelled():
                self._task.result()
                await self._until(lambda: self._roster.state is not State.CUT_OVER)

    async def stop(self) -> None:
        """Leave the target's tables alone: what is built there late is not wanted after a rollback."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _until(self, condition: Callable[[], bool]) -> None:
        while True:
            if self._roster.pipelines and condition():
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _tidy(self) -> None:
        """Validate the foreign keys behind the application's back and gather statistics.

        Done at each start after the cutover too: a kill may have come between. Never ends the daemon, for
        the tables are the application's now.
        """
        backoff = Backoff()
        while True:
            try:
                notes = await validate(self._target, self._roster.pipelines)
                notes += await build_indexes(self._target, self._settings.indexes_after_cutover)
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
            self.notices.append(f"{note.table}: {note.what}: {note.reason}")
            log.warning("after the cutover", table=note.table, what=note.what, reason=note.reason)
