"""The operator's pause of one source: the work in hand gives way to it, and waits until it is lifted.

Nothing is read for the target, applied or compared meanwhile. The triggers go on logging, and what looks
after the file goes on too: lag is measured, the log compacted, the disk watched.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from config.errors import TargetAway
from replicator.state import Paused, State

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

T = TypeVar("T")

log = structlog.get_logger("liteferry.pausing")

#: Between two looks whether the target is there: what the status tells of it must not freeze.
LOOK_SECONDS = 2.0


class Halted(Exception):
    """The work gives way to a pause."""


class Pausing:
    """Holds one source's work while a pause is ordered."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._facts = pipeline.facts
        self._ordered = asyncio.Event()
        self._lifted = asyncio.Event()
        #: Set while nothing is in hand.
        self.resting = asyncio.Event()

    @property
    def ordered(self) -> bool:
        """Tell whether a pause is ordered."""
        return self._ordered.is_set()

    def order(self, paused: Paused) -> None:
        """Have the work give way."""
        self._facts.paused = paused
        self._lifted.clear()
        self._ordered.set()

    def lift(self) -> None:
        """Have the work go on."""
        self._facts.paused = None
        self._ordered.clear()
        self._lifted.set()

    async def lifted(self) -> None:
        """Wait until no pause is ordered."""
        while self.ordered:
            await self._lifted.wait()

    def give_way(self) -> None:
        """Raise Halted while a pause is ordered."""
        if self.ordered:
            raise Halted

    async def unless(self, work: Coroutine[Any, Any, T]) -> T:
        """Do some work that may be cancelled; when a pause is ordered it is. Raises Halted then."""
        doing, waiting = asyncio.create_task(work), asyncio.create_task(self._ordered.wait())
        try:
            await asyncio.wait([doing, waiting], return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            raise Halted
        finally:
            for task in (doing, waiting):
                task.cancel()
            await asyncio.wait([doing, waiting])
            if not doing.cancelled():
                doing.exception()  # seen; it is met again when the work is taken up

    async def rest(self) -> None:
        """Be paused until the order is lifted."""
        self._pipeline.enter(State.PAUSED)
        self.resting.set()
        try:
            while self.ordered:
                await self._look()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._lifted.wait()
        finally:
            self.resting.clear()
        copied = all(table.copied for table in self._facts.tables.values())
        self._pipeline.enter(State.CATCH_UP if copied else State.SNAPSHOT)

    async def _look(self) -> None:
        """See whether the target answers, and learn of a commit that was on its way before."""
        try:
            async with asyncio.timeout(LOOK_SECONDS * 2):
                await self._pipeline.recount()
        except (TargetAway, TimeoutError) as error:
            if self._facts.connected:
                log.warning("the target is away", source=self._facts.path, reason=str(error))
            self._facts.connected = False
        else:
            self._facts.connected = True
