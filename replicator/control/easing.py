"""How far reading is eased when the application suffers from it: in steps down, and slowly up again. Pure.

A step down follows each second that the trouble lasts, a step up some seconds without any. Where the trouble
comes back right after a step up, the next one is waited for twice as long, so that it does not swing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

#: The least share of full speed: a copy that stood still would never end, whoever causes the trouble.
FLOOR = 1 / 16

#: Between two steps down, in seconds.
WORSE_SECONDS = 1.0

#: Without trouble before a step up, at first and at most.
CALM_SECONDS = 3.0
LONGEST_CALM_SECONDS = 60.0

#: The share of a limit by which a quantity beyond it grows before that counts once more.
GROWTH = 0.1


class Cause(enum.Enum):
    """Why rows are read more slowly than they could be."""

    OPERATOR = "operator"
    SOURCE_WAL = "source_wal"
    WRITE_LATENCY = "write_latency"
    DISK = "disk"


@dataclass(frozen=True)
class Trouble:
    """What the application suffers from."""

    cause: Cause
    reason: str


class Easing:
    """The share of full speed that one source's reading may take."""

    def __init__(self) -> None:
        self.factor = 1.0
        #: What it was eased for last; None at full speed.
        self.trouble: Trouble | None = None
        self._calm = CALM_SECONDS
        self._stepped_at = float("-inf")
        self._rose_at = float("-inf")
        self._troubled_at = float("-inf")

    def look(self, trouble: Trouble | None, now: float) -> bool:
        """Take what is wrong now, None for nothing; return whether the factor has changed."""
        before = self.factor
        if trouble is not None:
            self._worse(trouble, now)
        elif self.factor < 1 and now - max(self._troubled_at, self._stepped_at) >= self._calm:
            self._better(now)
        elif self.factor == 1 and now - self._stepped_at > LONGEST_CALM_SECONDS:
            self._calm = CALM_SECONDS
        return self.factor != before

    def _worse(self, trouble: Trouble, now: float) -> None:
        self._troubled_at = now
        self.trouble = trouble
        if now - self._stepped_at < WORSE_SECONDS or self.factor <= FLOOR:
            return
        if now - self._rose_at < self._calm:
            self._calm = min(self._calm * 2, LONGEST_CALM_SECONDS)
        self.factor = max(FLOOR, self.factor / 2)
        self._stepped_at = now

    def _better(self, now: float) -> None:
        self.factor = min(1.0, self.factor * 2)
        self._stepped_at = self._rose_at = now
        if self.factor == 1:
            self.trouble = None


class Excess:
    """Whether a quantity that only matters while it grows is too large, with the memory to tell.

    Once it is beyond the limit, each further growth by a share of the limit counts anew: our own heartbeats
    make a WAL grow too when nobody else writes, and a file that was large once is no reason to hold back.
    """

    def __init__(self) -> None:
        #: How large it was when it last counted; None while it is not too large.
        self._mark: int | None = None

    def look(self, value: int, limit: int) -> bool:
        """Take the value now; tell whether it has grown beyond the limit. A limit of 0 is none."""
        if not limit or value <= limit / 2:
            self._mark = None
            return False
        if self._mark is None:
            counts = value > limit
        else:
            # it has begun anew since, and grown again
            self._mark = min(self._mark, value)
            counts = value > self._mark + limit * GROWTH
        if counts:
            self._mark = value
        return counts
