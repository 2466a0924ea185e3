"""The course of a migration: which states it has been in since the daemon started, and from when on."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Any

from replicator.state import State

#: States that are kept; a daemon that goes to and fro for ever keeps the last.
KEPT = 60


class Course:
    """Remembers when the state that speaks for all sources has changed."""

    def __init__(self) -> None:
        self._entered: deque[tuple[State, datetime]] = deque(maxlen=KEPT)

    def see(self, state: State) -> None:
        """Note the present state; nothing when it is the last one noted."""
        if not self._entered or self._entered[-1][0] is not state:
            self._entered.append((state, datetime.now(UTC)))

    def as_list(self) -> list[dict[str, Any]]:
        """Return the states as the status has them, the present one last."""
        return [
            {"state": state.value, "entered_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
            for state, at in self._entered
        ]
