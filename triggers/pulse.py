"""Whether the work on the sources gets on: what is in hand, and when each of it last moved.

An event loop that turns says nothing about a thread that waits for a disk for ever. So whatever could be
stuck is entered here while it is in hand, and gives a sign whenever it gets on; the daemon pings the service
manager's watchdog only while nothing has been silent for too long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(eq=False)
class Work:
    """Something in hand: what it is, how many seconds it may be silent beyond all others, its last sign.

    `behind` is the work that waits for this one, on another thread: it gets on as this one does.
    """

    what: str
    patience: float
    clock: Callable[[], float] = time.monotonic
    behind: Work | None = None
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.at = self.clock()

    def beat(self) -> None:
        """Give a sign that it gets on."""
        self.at = self.clock()
        if self.behind is not None:
            self.behind.beat()


@dataclass(frozen=True)
class Stall:
    """Work that gives no sign any more, and for how many seconds."""

    what: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.what} has not got on for {self.seconds:.0f} s"


#: All that is in hand in this process. Threads add and discard, each in one step.
_in_hand: set[Work] = set()

#: What the running task, or the turn of a session's thread, is at.
_current: ContextVar[Work | None] = ContextVar("work", default=None)


@contextmanager
def work(
    what: str,
    patience: float = 0,
    *,
    clock: Callable[[], float] = time.monotonic,
    behind: Work | None = None,
) -> Iterator[Work]:
    """Enter some work while inside; waits for others, which have limits of their own, are its patience."""
    one = Work(what, patience, clock, behind)
    token = _current.set(one)
    _in_hand.add(one)
    try:
        yield one
    finally:
        _in_hand.discard(one)
        _current.reset(token)


def current() -> Work | None:
    """Return the work that the caller is a part of, None when it is part of none."""
    return _current.get()


def beat() -> None:
    """Give a sign for the work that the caller is a part of; nothing when it is part of none."""
    one = _current.get()
    if one is not None:
        one.beat()


def stalled(allowed: float, *, clock: Callable[[], float] = time.monotonic) -> Stall | None:
    """Return the work that has been silent longest beyond `allowed` seconds; None when all gets on."""
    now = clock()
    silent = [(now - one.at - one.patience, one) for one in tuple(_in_hand)]
    worst = max(silent, key=lambda pair: pair[0], default=None)
    if worst is None or worst[0] <= allowed:
        return None
    return Stall(worst[1].what, now - worst[1].at)
