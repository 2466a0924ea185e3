"""What can be told of the way back at any moment, and what stands in its way."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Fallback:
    """Facts about the way back of one source, kept current by the stream that runs on it."""

    #: Whether the target's tables are watched; None before it was looked.
    armed: bool | None = None
    pending: int = 0
    oldest: float = 0.0
    #: When that was measured, on the monotonic clock.
    measured_at: float = 0.0
    #: Entries of the key log brought home, and rows written or deleted by it, since the daemon started.
    changes: int = 0
    rows: int = 0
    #: Rows that the source cannot hold, by table; and those of them that no operator has accepted.
    quarantined: dict[int, int] = field(default_factory=dict)
    unaccepted: dict[int, int] = field(default_factory=dict)
    #: Why nothing can be brought home, in the shape of the target's tables.
    objections: list[str] = field(default_factory=list)
    #: What of the target only PostgreSQL has, and what a rollback leaves there.
    notices: list[str] = field(default_factory=list)
    #: Why nothing could be brought home the last time.
    error: str | None = None

    def oldest_now(self, now: float) -> float:
        """Return the age of the oldest change that waits, at `now` on the monotonic clock."""
        return self.oldest + (now - self.measured_at) if self.pending else 0.0

    def as_dict(self, now: float) -> dict[str, Any] | None:
        """Return it as the status shows it, None while there is no way back."""
        if not self.armed:
            return None
        return {
            "pending_changes": self.pending,
            "oldest_unapplied_seconds": round(self.oldest_now(now), 3),
            "changes_applied": self.changes,
            "rows_written": self.rows,
            "quarantined": sum(self.quarantined.values()),
            "notices": self.notices,
            "error": self.error,
        }


@dataclass(frozen=True)
class BackGates:
    """How much may wait when a rollback begins."""

    max_pending: int
    max_age: float


def differing(numbers: Collection[int], names: Mapping[int, str]) -> list[str]:
    """Return what to say of tables whose rows are known to differ; nothing when there are none. Pure."""
    known = [repr(names[n]) for n in sorted(numbers) if n in names]
    shown = ", ".join(known[:3]) + (" ..." if len(known) > 3 else "")
    return (
        [f"a verification has found other rows in {shown}: see `liteferry verify --repair`"] if known else []
    )


def reasons(facts: Fallback, names: Mapping[int, str], gates: BackGates, now: float) -> list[str]:
    """Return why a rollback of one cut-over source may not begin; nothing when it may. Pure."""
    if facts.armed is None:
        return ["the way back has not been looked at yet"]
    if not facts.armed:
        return ["the cutover has armed no way back"]
    found = list(facts.objections)
    if facts.error is not None:
        found.append(f"nothing can be brought back: {facts.error}")
    found += [
        f"{rows} rows of table {names.get(number, '')!r} cannot be held by SQLite: correct them in "
        "PostgreSQL, or accept that they are left behind with `liteferry quarantine accept`"
        for number, rows in facts.unaccepted.items()
    ]
    if facts.pending > gates.max_pending:
        found.append(f"{facts.pending} changes wait to be brought back, at most {gates.max_pending} may")
    age = facts.oldest_now(now)
    if age > gates.max_age:
        found.append(f"the oldest of them is {age:.1f} s old, at most {gates.max_age:g} s it may be")
    return found
