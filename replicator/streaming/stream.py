"""The stream of one source: step after step, the healer beside it, until cancelled or cut over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from config.errors import CaptureBroken
from replicator.state import State

from .tailer import Wake

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline


class Stream:
    """Drives the tail, and tells streaming from catching up."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._facts = pipeline.facts
        self._alarm: CaptureBroken | None = None

    async def catch_up(self) -> None:
        """Step until a batch has reached the end of the log, at least once."""
        while True:
            await self._pipeline.tailer.step()
            if self._facts.consistent:
                return

    async def run(self, wake: Wake) -> None:
        """Step whenever there is something to do.

        Raises SchemaChanged, CaptureBroken, Collision, ValueRefused.
        """
        healer, settings = self._pipeline.healer, self._pipeline.settings
        mending = asyncio.create_task(healer.run(), name=f"mend-{self._pipeline.path.name}")
        try:
            while self._facts.state is not State.CUT_OVER:
                if mending.done():
                    mending.result()
                moved = await self._pipeline.tailer.step()
                self._tell()
                if not moved:
                    await self._pipeline.tailer.wait(self._nudged(wake, mending), settings.poll_interval)
                self._raise_alarm()
        finally:
            mending.cancel()
            await asyncio.wait([mending])
            if not mending.cancelled():
                mending.exception()  # seen; the stream meets the same

    def alarm(self, error: CaptureBroken) -> None:
        """Have `run` raise what a periodic check has found."""
        self._alarm = error

    def _raise_alarm(self) -> None:
        error, self._alarm = self._alarm, None
        if error is not None:
            raise error

    def _nudged(self, wake: Wake, mending: asyncio.Task[None]) -> Wake:
        async def either(seconds: float) -> bool:
            # a healer that has met an error must not wait for the next write of an idle application
            return await wake(seconds) or mending.done() or self._alarm is not None or self._has_mended()

        return either

    def _has_mended(self) -> bool:
        return self._facts.state is State.CATCH_UP and self._is_whole()

    def _is_whole(self) -> bool:
        """Tell whether the target is a state that the source had."""
        return self._facts.consistent and not self._facts.stale

    def _tell(self) -> None:
        if self._facts.state in (State.STREAMING, State.CATCH_UP):
            self._pipeline.enter(State.STREAMING if self._is_whole() else State.CATCH_UP)
            if self._is_whole():
                self._pipeline.settled.set()
