"""How far a verification is, and how long it will take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """What is done of a verification, kept current by it."""

    tables: int
    #: Rows that it is about, as far as is known.
    rows: int
    kind: str
    tables_done: int = 0
    rows_done: int = 0
    #: The table in hand.
    table: str = ""
    _begun: float = field(default_factory=time.monotonic)

    def advance(self, rows: int) -> None:
        """Count rows that have been looked at."""
        self.rows_done += rows
        self.rows = max(self.rows, self.rows_done)

    def next(self, table: str) -> None:
        """Go on with a table."""
        self.table = table

    def finish(self, estimated: int, looked: int) -> None:
        """Count a table as done; it was estimated at some rows and had others."""
        self.tables_done += 1
        self.rows = max(self.rows + looked - estimated, self.rows_done)

    @property
    def remaining(self) -> float | None:
        """Estimate the seconds that are left; None while nothing tells."""
        took = time.monotonic() - self._begun
        if not self.rows_done or took < 0.2:
            return None
        return took / self.rows_done * (self.rows - self.rows_done)

    def as_dict(self) -> dict[str, Any]:
        """Return the progress as the status has it."""
        left = self.remaining
        return {
            "kind": self.kind,
            "table": self.table,
            "tables_done": self.tables_done,
            "tables": self.tables,
            "rows_done": self.rows_done,
            "rows": self.rows,
            "seconds": round(time.monotonic() - self._begun, 1),
            "remaining_seconds": None if left is None else round(left, 1),
        }
