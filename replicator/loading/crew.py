"""What the snapshots of a daemon share, and the copiers that one of them has."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass, field

from replicator.control.throttle import Allowance

from .copier import Copier


@dataclass
class Slots:
    """What all snapshots of a daemon share."""

    #: How many tables may be copied at once.
    tables: asyncio.Semaphore
    #: How many copiers may work at once: more than there are cores only get in each other's way.
    cores: int = field(default_factory=lambda: _cores())
    #: Held by whoever makes or encodes rows. Both need Python's lock: together they take three times as
    #: long as one after the other (measured), while PostgreSQL's own work overlaps with either.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    processes: asyncio.Semaphore = field(init=False)
    #: The operator's limit.
    allowance: Allowance = field(default_factory=Allowance)

    #: How many copiers may still be started ahead of their work.
    spare: int = field(init=False)

    def __post_init__(self) -> None:
        self.processes = asyncio.Semaphore(self.cores)
        self.spare = self.cores


class Crew:
    """The copiers of one source, some of them started ahead of their work."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self._ready: list[Copier] = []
        self._warmed = 0

    async def warm(self, most: int) -> None:
        """Start up to `most` copiers, as far as other sources have not started theirs."""
        count = min(self.slots.spare, most)
        self.slots.spare -= count
        self._warmed += count
        for _ in range(count):
            copier = Copier()
            self._ready.append(copier)
            # one that cannot be started is no copier, and the daemon copies itself
            with contextlib.suppress(OSError):
                await copier.start()

    def take(self) -> Copier:
        """Return a copier, a running one where there is one left."""
        return self._ready.pop() if self._ready else Copier()

    async def release(self) -> None:
        """End those that were not taken, and make room for other sources'."""
        ready, self._ready = self._ready, []
        self.slots.spare += self._warmed
        self._warmed = 0
        for copier in ready:
            await copier.close()


def _cores() -> int:
    # what a container or a service is given may be less than the machine has
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
