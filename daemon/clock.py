"""The wall clock watched: it may be set, by hand, by NTP, or because the machine has slept."""

from __future__ import annotations

#: Less is what NTP slews and what a busy machine makes of two readings.
TOLERANCE_SECONDS = 1.0


class Clock:
    """Tells jumps of the wall clock by the monotonic one, given the readings of both."""

    def __init__(self, wall: float, monotonic: float) -> None:
        self._offset = wall - monotonic
        #: Jumps so far.
        self.jumps = 0

    def look(self, wall: float, monotonic: float) -> float:
        """Return by how many seconds the wall clock has jumped since the last look, 0 when it has not."""
        before, self._offset = self._offset, wall - monotonic
        jump = self._offset - before
        if abs(jump) < TOLERANCE_SECONDS:
            return 0.0
        self.jumps += 1
        return jump
