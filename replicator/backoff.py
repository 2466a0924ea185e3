"""Waiting longer after each failure; given the time, so that it can be tested without a clock."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """The waits between tries: doubling from `first` to `most` seconds, each up to a tenth off."""

    first: float = 0.1
    most: float = 5.0
    failures: int = 0
    rng: random.Random = field(default_factory=random.Random, repr=False)
    _told_at: float | None = None

    def failed(self) -> float:
        """Count a failure and return the seconds to wait."""
        wait: float = min(self.most, self.first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return wait * self.rng.uniform(0.9, 1.1)

    def to_be_told(self, now: float, every: float = 30.0) -> bool:
        """Tell whether this failure is to be logged: the first, then one per `every` seconds."""
        if self._told_at is not None and now - self._told_at < every:
            return False
        self._told_at = now
        return True

    def recovered(self) -> int:
        """Begin anew; return how many failures there were."""
        failures, self.failures, self._told_at = self.failures, 0, None
        return failures
