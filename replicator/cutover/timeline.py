"""How long each phase of a cutover took, told afterwards and kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass
class Timeline:
    """Phases by name with their seconds; the pause counts from the first lock to its end."""

    clock: Callable[[], float] = time.monotonic
    phases: list[tuple[str, float]] = field(default_factory=list)
    _last: float | None = None
    _locked: float | None = None
    _released: float | None = None

    def begin(self) -> None:
        """Start the clock."""
        self._last = self.clock()

    def done(self, phase: str) -> None:
        """Note that a phase has ended now."""
        now = self.clock()
        self.phases.append((phase, now - (self._last if self._last is not None else now)))
        self._last = now

    def locked(self) -> None:
        """Note that writers are waiting from now on; the first lock counts."""
        if self._locked is None:
            self._locked = self.clock()

    def released(self) -> None:
        """Note that nobody waits for us any more."""
        if self._released is None and self._locked is not None:
            self._released = self.clock()

    @property
    def pause(self) -> float | None:
        """Return the seconds for which writers were kept waiting, None when none were."""
        if self._locked is None:
            return None
        return (self._released if self._released is not None else self.clock()) - self._locked

    def report(self, outcome: str, reason: str = "") -> dict[str, Any]:
        """Return the report that status shows and the target keeps."""
        return {
            "outcome": outcome,
            "reason": reason,
            "pause_seconds": None if self.pause is None else round(self.pause, 4),
            "phases": [{"name": name, "seconds": round(seconds, 4)} for name, seconds in self.phases],
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
