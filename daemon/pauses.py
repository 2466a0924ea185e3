"""The operator's orders to rest and to go on, for all sources or one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog

from config.errors import CommandRefused, ConfigError
from replicator import failpoint
from replicator.control import orders
from replicator.pipeline import Pipeline
from replicator.postgres.connections import Target
from replicator.state import State, may_pause

from .noting import noting
from .roster import Roster
from .verification import Verification

log = structlog.get_logger("liteferry")

#: How long the answer waits for the work in hand; what cannot be cancelled, an index, may take longer.
REST_SECONDS = 15.0
LOOK_SECONDS = 0.05


class Pauses:
    """Carries the orders out; the target keeps them, so that a restart does not lift one."""

    def __init__(
        self, target: Target, roster: Roster, verification: Verification, moving: asyncio.Lock
    ) -> None:
        """Take what is to rest, and the lock that is held while writes are moved."""
        self._target = target
        self._roster = roster
        self._verification = verification
        self._moving = moving

    async def pause(self, *, source: str | None = None) -> dict[str, Any]:
        """Have sources rest; return them, and whether all of them do by now.

        Raises CommandRefused while writes are moved and for a source that nothing is carried over from,
        ConfigError for one that is not followed, TargetAway when the order cannot be kept.
        """
        async with self._alone():
            chosen = self._chosen(source)
            for pipeline in chosen:
                self._refuse(pipeline)
            await self._note_pause(chosen)
            failpoint.reach("pause.noted")
        # outside: from here on the order itself keeps a cutover from beginning, and a stop need not wait
        resting = await self._at_rest(chosen)
        return {"paused": True, "at_rest": resting, "sources": _told(chosen)}

    async def resume(self, *, source: str | None = None) -> dict[str, Any]:
        """Have sources go on; harmless for those that do. Raises as `pause` does."""
        async with self._alone():
            chosen = [p for p in self._chosen(source) if p.facts.paused is not None]
            if chosen:
                async with noting(self._target) as connection:
                    await orders.resume(connection, [p.source_id for p in chosen])
            for pipeline in chosen:
                pipeline.pausing.lift()
                log.info("resumed", source=str(pipeline.path))
        return {"paused": False, "resumed": len(chosen), "sources": _told(self._chosen(source))}

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        if self._moving.locked():
            raise CommandRefused(
                "the application's writes are being moved just now: nothing rests in the middle of that",
                hint="see `liteferry status`; ask again when it is over",
            )
        async with self._moving:
            yield

    def _chosen(self, source: str | None) -> list[Pipeline]:
        pipelines = self._roster.pipelines
        chosen = [p for p in pipelines if source is None or source in (str(p.path), p.path.name)]
        if not chosen:
            known = ", ".join(str(p.path) for p in pipelines) or "none yet"
            raise ConfigError(
                f"no source {source!r} is followed" if source else "no source is known yet",
                hint=f"sources are: {known}",
            )
        return chosen

    def _refuse(self, pipeline: Pipeline) -> None:
        state = pipeline.facts.state
        if not may_pause(state) or not pipeline.tailing:
            raise CommandRefused(
                f"{pipeline.path} is {state.value}: there is nothing to pause",
                hint="a pause is possible while rows are carried over, in either direction",
            )

    async def _note_pause(self, chosen: Sequence[Pipeline]) -> None:
        async with noting(self._target) as connection:
            await orders.prepare(connection)
            noted = {p: await orders.pause(connection, p.source_id, _before(p)) for p in chosen}
        for pipeline, paused in noted.items():
            if pipeline.facts.paused is None:
                log.info("paused", source=str(pipeline.path), before=paused.before.value)
            pipeline.pausing.order(paused)

    async def _at_rest(self, chosen: Sequence[Pipeline]) -> bool:
        """Wait for some seconds until nothing is in hand; tell whether that was reached."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REST_SECONDS):
                for pipeline in chosen:
                    await _rested(pipeline)
                while self._verification.is_running:  # noqa: ASYNC110  # it gives way at its next chunk
                    await asyncio.sleep(LOOK_SECONDS)
                return True
        return False


async def _rested(pipeline: Pipeline) -> None:
    if pipeline.facts.state is State.CUT_OVER:
        # a batch on its way home is brought to its end
        async with pipeline.homeward.applying:
            return
    await pipeline.pausing.resting.wait()


def _before(pipeline: Pipeline) -> State:
    paused = pipeline.facts.paused
    return paused.before if paused is not None else pipeline.facts.state


def _told(pipelines: Sequence[Pipeline]) -> list[dict[str, Any]]:
    facts = [p.facts.as_dict() for p in pipelines]
    return [{name: one[name] for name in ("path", "state", "paused")} for one in facts]
