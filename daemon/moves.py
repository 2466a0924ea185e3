"""The operator's orders to move the application's writes: there, back, and for good."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import structlog

from config.errors import ConfigError, CutoverRefused, LiteferryError, TargetAway
from config.settings import Settings
from replicator.cutover.afterwards import last_moves
from replicator.cutover.cutover import Cutover
from replicator.fallback.finish import Finish
from replicator.fallback.rollback import Rollback
from replicator.postgres.connections import Target

from .readiness import Readiness
from .roster import Roster
from .tidying import Tidying
from .turns import Turns

log = structlog.get_logger("liteferry")

#: How long a rollback waits for what is told behind a cutover.
BUSY_SECONDS = 5.0

#: Limits of a pause in seconds, those of the setting.
SHORTEST, LONGEST = 0.01, 3600.0


class Moves:
    """Carries the orders out, one at a time."""

    def __init__(
        self,
        settings: Settings,
        target: Target,
        roster: Roster,
        readiness: Readiness,
        turns: Turns,
        tidying: Tidying,
        moving: asyncio.Lock,
    ) -> None:
        """Take both sides, what speaks against a move, who is told, and the lock that is held meanwhile."""
        self._settings = settings
        self._target = target
        self._roster = roster
        self._readiness = readiness
        self._turns = turns
        self._tidying = tidying
        self._moving = moving
        #: The reports of the last ones.
        self.last_cutover: dict[str, Any] | None = None
        self.last_rollback: dict[str, Any] | None = None

    async def recall(self) -> None:
        """Learn of the last ones that another daemon has made; what the target does not tell now is left."""
        ids = [p.registration.source_id for p in self._roster.pipelines]
        with contextlib.suppress(TargetAway):
            known = [one for one in ids if one is not None]
            self.last_cutover, self.last_rollback = await last_moves(self._target, known)

    async def cutover(
        self,
        *,
        max_pause: float | None = None,
        rehearse: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Cut over, or rehearse it, or tell with `dry_run` what would happen; return the report.

        Raises ConfigError for a pause that is none, CutoverRefused with the reasons when a gate is closed.
        Waiting for them to open is the caller's: an order that outlives whoever gave it would be carried out
        behind everybody's back.
        """
        pause = self._pause(max_pause)
        found = self._readiness.reasons()
        if dry_run:
            return {"outcome": "dry_run", "can_cutover": not found, "reasons": found}
        if self._moving.locked():
            raise CutoverRefused("a cutover is under way already")
        if not found:
            await self._roster.decided()
        async with self._moving:
            found = self._readiness.reasons() or self._roster.reasons(strict=True)
            if found:
                raise CutoverRefused(
                    "not ready for cutover: " + "; ".join(found),
                    hint="see `liteferry status`, or let it wait with --wait",
                )
            return await self._cut_over(pause, rehearse)

    def _pause(self, asked: float | None) -> float:
        """Return how long writers may wait. Raises ConfigError for what the setting would not take either."""
        seconds = self._settings.max_pause if asked is None else asked
        # written so that it is not true of NaN, which JSON knows here
        if not SHORTEST <= seconds <= LONGEST:
            raise ConfigError(f"a pause of {seconds:g} s is no limit", hint="give from 10ms to 1h")
        return seconds

    async def _cut_over(self, max_pause: float, rehearse: bool) -> dict[str, Any]:
        attempt = Cutover(self._target, self._roster.pipelines, max_pause, self._turns.fenced)
        await self._turns.before(attempt.id, rehearse=rehearse)
        try:
            self.last_cutover = await attempt.run(rehearse=rehearse)
        except LiteferryError as error:
            outcome = "refused" if isinstance(error, CutoverRefused) else "failed"
            self.last_cutover = attempt.timeline.report(outcome, error.public)
            await self._turns.failed(str(error))
            raise
        log.info("cutover", **{k: v for k, v in self.last_cutover.items() if k != "notes"})
        if not rehearse:
            hook = await self._turns.after(attempt.id, self.last_cutover)
            if hook is not None:
                self.last_cutover["hook"] = hook.as_dict()
        return self.last_cutover

    async def rollback(
        self, *, max_pause: float | None = None, rehearse: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        """Give the writes back to the sources, or rehearse it, or tell with `dry_run` what would happen.

        Raises CutoverRefused with the reasons when something stands in the way.
        """
        pause = self._pause(max_pause)
        found = self._readiness.back_reasons()
        if dry_run:
            notices = self._readiness.left_there()
            return {"outcome": "dry_run", "can_rollback": not found, "reasons": found, "notices": notices}
        async with self._alone():
            found = self._readiness.back_reasons()
            if found:
                raise CutoverRefused(
                    "not ready for rollback: " + "; ".join(found), hint="see `liteferry status`"
                )
            await self._tidying.stop()
            return await self._roll_back(pause, rehearse)

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
        attempt = Rollback(self._target, self._roster.pipelines, max_pause)
        try:
            self.last_rollback = await attempt.run(rehearse=rehearse)
        except LiteferryError as error:
            outcome = "refused" if isinstance(error, CutoverRefused) else "failed"
            self.last_rollback = attempt.timeline.report(outcome, error.public)
            await self._turns.failed(str(error))
            raise
        log.info("rollback", **self.last_rollback)
        if not rehearse:
            hook = await self._turns.rolled_back(attempt.id)
            if hook is not None:
                self.last_rollback["hook"] = hook.as_dict()
        return self.last_rollback

    async def finish(self) -> dict[str, Any]:
        """Give the way back up and take everything of ours off both sides; return the report.

        Raises CutoverRefused where the sources are not cut over.
        """
        async with self._alone():
            await self._tidying.stop()
            report = await Finish(self._target, self._roster.pipelines).run()
        # what the target remembered is gone: where nobody has kept the answer, the log has it
        log.info("finish", **report)
        return report
