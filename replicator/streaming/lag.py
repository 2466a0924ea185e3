"""Lag, honestly: what is pending, how old it is, how long a heartbeat takes, how long a cutover would."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

#: Sequences, constraints, fence and decision, where PostgreSQL is near.
ROUND_TRIPS_SECONDS = 0.02


@dataclass
class Rate:
    """Events per second over the last `window` seconds; given the time."""

    window: float = 10.0
    _points: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, now: float, total: int) -> None:
        """Note the running total at a time."""
        self._points.append((now, total))
        while len(self._points) > 2 and self._points[1][0] < now - self.window:
            self._points.popleft()

    def per_second(self, now: float) -> float:
        """Return the rate up to `now`; it falls to 0 when nothing comes any more."""
        if len(self._points) < 2:
            return 0.0
        (begun, first), (ended, last) = self._points[0], self._points[-1]
        span = max(now, ended) - begun
        return (last - first) / span if span > 0 else 0.0


@dataclass
class Capacity:
    """How many changes per second can be applied, learnt from the batches that were large enough to tell."""

    changes_per_second: float | None = None
    batch_seconds: float | None = None

    #: A smaller batch says what a round trip costs, not what a change costs.
    TELLING = 500

    def applied(self, entries: int, seconds: float) -> None:
        """Learn from a batch."""
        self.batch_seconds = _smoothed(self.batch_seconds, seconds)
        if entries >= self.TELLING:
            self.changes_per_second = _smoothed(self.changes_per_second, entries / max(seconds, 1e-6))

    def catch_up(self, pending: int, coming: float) -> float | None:
        """Estimate the seconds until nothing is pending while `coming` changes per second arrive.

        None when it cannot be told, or when changes come as fast as they go.
        """
        if pending == 0:
            return 0.0
        if self.changes_per_second is None:
            return self.batch_seconds
        net = self.changes_per_second - coming
        return pending / net if net > 0 else None


def predicted_pause(catch_up: float | None, batch: float | None, check: float = 0.0) -> float | None:
    """Predict the seconds that a cutover now would stall the writers: drain, `check`, some round trips.

    The drain under the lock is one or two batches whatever is pending now, for the tail goes on until the
    lock is had. How long that takes is left out: asking for a lock stalls nobody.
    """
    if catch_up is None or batch is None:
        return None
    return 4 * batch + check + ROUND_TRIPS_SECONDS


def _smoothed(old: float | None, new: float) -> float:
    return new if old is None else 0.8 * old + 0.2 * new
