"""The passage of one source's rows: copied, caught up with, streamed; then home again, if it is cut over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from config.errors import CaptureBroken, SchemaChanged

from . import failpoint
from .control.pausing import Halted
from .drift.follower import Follower
from .fallback.homeward import AWAY
from .loading import loader
from .loading.copying import Copying
from .loading.keying import Keying
from .postgres.connections import CONTROL
from .state import State
from .streaming.applier import Collision
from .streaming.stream import Stream

if TYPE_CHECKING:
    from .loading.crew import Crew
    from .pipeline import Pipeline
    from .streaming.tailer import Wake
    from .waiting import Waiting

#: Between two looks at a source in which a cutover, or another change of the schema, is just under way.
MOMENT_SECONDS = 0.025


class Passage:
    """Does one piece of work after the other, and goes back to an earlier one where something has come up."""

    def __init__(self, pipeline: Pipeline, crew: Crew, waiting: Waiting) -> None:
        self._pipeline = pipeline
        self._facts = pipeline.facts
        self._waiting = waiting
        self._copying = Copying(pipeline, crew, waiting)
        self._follower = Follower(pipeline)
        self._stream = Stream(pipeline)
        #: Set when the source has been given the writes back: what the target knows is to be learnt anew.
        self._returned = False

    async def warm(self) -> None:
        """Have the copiers started, for they take a moment."""
        await self._copying.warm()

    def alarm(self, error: CaptureBroken) -> None:
        """Have the stream look at what a periodic check has found."""
        self._stream.alarm(error)

    async def run(self, wake: Wake) -> None:
        """Copy what is not copied, catch up, and stream until cancelled; follow and heal on the way.

        After the cutover bring home what the target takes, and after a rollback stream again. Returns when
        the way back was given up.
        """
        if self._facts.state is State.CUTTING_OVER:
            self._pipeline.settled.set()
            return
        while self._facts.state is not State.FINISHED:
            if self._facts.state in AWAY:
                self._pipeline.settled.set()
                await self._pipeline.homeward.run()
                continue
            await self._forward(wake)

    async def _forward(self, wake: Wake) -> None:
        """Bring changes to the target until it has the application's writes."""
        while self._facts.state not in AWAY:
            try:
                if self._returned:
                    await self._halting(self._pipeline.resume)
                    self._returned = False
                await self._carry(wake)
            except Halted:
                await self._pipeline.pausing.rest()
            except SchemaChanged:
                self._interrupted()
                # before a fence of ours, which is a change of the schema too, has become a state
                await asyncio.sleep(MOMENT_SECONDS)
            except (CaptureBroken, Collision) as error:
                self._interrupted()
                if not self._is_cutting_over():
                    # else the cutover meets the same under its lock, and is refused
                    await self._heal(error)

    async def _halting(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do what `retrying` does, but for a pause. Raises Halted."""
        await self._waiting.retrying(work, self._pipeline.pausing.give_way)

    def _interrupted(self) -> None:
        """Close the gates of the cutover at once: what is done now must be over before one begins."""
        if self._facts.state is State.STREAMING:
            self._pipeline.enter(State.CATCH_UP)

    def _is_cutting_over(self) -> bool:
        return self._facts.state is State.CUTTING_OVER

    def returned(self) -> None:
        """Stream again: the source has the application's writes back."""
        self._returned = True
        self._facts.differing.clear()
        self._pipeline.forget_touched()
        self._pipeline.healer.comparison.begin_afresh()
        for state in (State.ROLLED_BACK, State.CATCH_UP):
            self._pipeline.enter(state)

    async def _heal(self, error: CaptureBroken | Collision) -> None:
        if isinstance(error, Collision):
            await self._pipeline.retrying(partial(self._pipeline.healer.relax, error))
        elif self._pipeline.settings.on_schema_change == "follow":
            await self._pipeline.retrying(partial(self._pipeline.healer.recapture, error))
        else:
            raise error

    async def _carry(self, wake: Wake) -> None:
        pipeline, pausing = self._pipeline, self._pipeline.pausing
        if self._facts.state is State.CUTTING_OVER:
            # nothing may be changed now; soon it is over, or streams again
            await asyncio.sleep(MOMENT_SECONDS)
            return
        # what may be cancelled gives way to a pause at once, the rest when it is done
        await self._halting(self._follower.follow)
        if any(not t.copied for t in self._facts.tables.values()):
            pipeline.enter(State.SNAPSHOT)
            await pausing.unless(self._copying.run())
        pipeline.enter(State.CATCH_UP)
        keying = Keying(pipeline.target, pipeline.reader, pipeline.quarantine, halt=pipeline.halts_on_refusal)
        await self._halting(lambda: keying.add(pipeline.plans))
        await pausing.unless(self._stream.catch_up())
        await self._halting(self._add_indexes)
        await pausing.unless(self._stream.catch_up())
        failpoint.reach("pipeline.streaming")
        await pausing.unless(self._stream.run(wake))

    async def _add_indexes(self) -> None:
        pipeline = self._pipeline
        records = await pipeline.registration.tables()
        # the indexes of a stale table may not fit its rows: they come when it is repaired
        missing = {
            r.table_id: pipeline.plans[r.table_id]
            for r in records
            if r.table_id in pipeline.plans and not r.stale
        }
        refused = {
            r.table_id: {note["what"] for note in r.notes if note["reason"].startswith(loader.REFUSED)}
            for r in records
        }
        await loader.add_indexes(pipeline.target, pipeline.source_id, missing, refused)
        self._facts.notes = [dict(note) for r in await pipeline.registration.tables() for note in r.notes]
        async with pipeline.target.connection() as connection:
            await connection.execute(CONTROL["set_state"], pipeline.source_id, State.STREAMING.value)
