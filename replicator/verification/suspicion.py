"""When all tables of a source are to be compared with the target, given the time. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

#: Between two comparisons, in multiples of the time that one takes: they cost the machine a twentieth.
REST = 20.0
SHORTEST_REST = 5.0
LONGEST_REST = 3600.0


class Suspicion:
    """What may have changed rows without firing a trigger, and when it is looked into.

    A change of the file that the log does not explain may be a write to a table that is left out, again and
    again. So after a comparison that found nothing such changes are looked into less and less often, and a
    cutover does not wait. For a *pressing* matter, such as a change of the schema, it always does.
    """

    def __init__(self) -> None:
        self._open = False
        self._pressing = False
        #: What the comparison under way is about.
        self.examined = False
        self._examined_pressing = False
        self._begun = 0.0
        self._next = 0.0
        self._rest = SHORTEST_REST
        #: Unexplained changes so far.
        self.count = 0
        #: Whether the last comparison found nothing: what came since was most likely of no concern.
        self.cleared = False

    def raised(self, now: float, *, pressing: bool = False) -> None:
        """Note an unexplained change."""
        self.count += 1
        self._open = True
        if pressing or not self.cleared:
            self._pressing, self._next = True, now

    @property
    def open(self) -> bool:
        """Tell whether there are changes that no comparison has looked into."""
        return self._open

    @property
    def blocks(self) -> bool:
        """Tell whether a cutover should wait for the comparison."""
        return self._pressing or self._examined_pressing

    def due_in(self, now: float) -> float | None:
        """Return the seconds until a comparison is due, None when none is wanted."""
        return max(0.0, self._next - now) if self._open else None

    def begin(self, now: float) -> None:
        """Note that a comparison begins: what is raised from now on wants another."""
        self._begun = now
        self.examined, self._examined_pressing = self._open, self._pressing
        self._open = self._pressing = False

    def ended(self, now: float, found: int) -> None:
        """Note that it has ended with so many rows repaired."""
        if found:
            self.cleared, self._rest, self._next = False, SHORTEST_REST, now
            self._pressing = self._pressing or self._open
        elif self.examined:
            self.cleared = True
            self._rest = min(LONGEST_REST, max(self._rest * 2, (now - self._begun) * REST))
            self._next = now if self._pressing else now + self._rest
        self.examined = self._examined_pressing = False


class Routine:
    """When all tables are compared though nothing speaks for it, given the time."""

    def __init__(self, interval: Callable[[], float]) -> None:
        """Take what says how many seconds lie between two comparisons, which may change; 0 for never."""
        self._interval = interval
        #: When the last one ended; long ago for one that is wanted at once.
        self._ended: float | None = None

    def begin(self, now: float) -> None:
        """Count from a comparison, or a copy, that has just ended."""
        self._ended = now

    def press(self, now: float) -> None:
        """Have one soon, if any are wanted."""
        self._ended = -math.inf

    def due_in(self, now: float) -> float | None:
        """Return the seconds until a comparison is due, None when none is wanted."""
        interval = self._interval()
        return max(0.0, self._ended + interval - now) if interval and self._ended is not None else None
