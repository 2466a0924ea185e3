"""What can be told of a source at any moment; the shape of `status --json` is made here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .control.throttle import Throttle
from .fallback.readiness import Fallback, differing
from .loading.lanes import CopyProgress
from .state import Paused, State
from .streaming.lag import Capacity, Rate, predicted_pause
from .verification.suspicion import Suspicion
from .verification.touched import Touched


@dataclass(frozen=True)
class Verified:
    """That all rows of a source were compared."""

    #: On the monotonic clock.
    at: float
    #: Whether rows and structure were equal, at the latest after a repair.
    equal: bool


@dataclass(frozen=True)
class Checked:
    """That all rows of one table were compared: when as Unix time, the result, and how many there were."""

    at: float
    equal: bool
    rows: int | None = None

    @classmethod
    def of(cls, report: Mapping[str, Any], at: float) -> Checked | None:
        """Take up what a kept report tells of a table; None where its rows were not compared."""
        if report["compared_by"] not in ("rows", "touched"):
            return None
        return cls(at, report["equal"], report["source_rows"] if report["compared_by"] == "rows" else None)


#: Over how many seconds the pace of one table's copy is taken: chunks come unevenly.
COPY_WINDOW = 30.0

#: In which there is a way back to be told of.
FALLBACK_STATES = (State.CUT_OVER, State.REVERSING)


@dataclass
class Facts:
    """Facts about one source, kept current by the tasks that know them."""

    path: str
    schema: str
    state: State = State.NEW
    position: int = 0
    #: The time of the log's entry at the position.
    mark: float | None = None
    pending: int = 0
    oldest: float = 0.0
    #: When `oldest` was measured, on the monotonic clock: what is pending goes on ageing.
    measured_at: float = 0.0
    beat: float | None = None
    consistent: bool = False
    connected: bool = False
    error: str | None = None
    #: Set while the operator wants nothing of it carried over.
    paused: Paused | None = None
    #: Why the file that is followed is out of reach, None while it stands under its name.
    absence: str | None = None
    retries: int = 0
    journal_mode: str = ""
    source_bytes: int = 0
    wal_bytes: int = 0
    #: What of it the present log takes up.
    wal_used: int = 0
    #: Seconds that the write lock was waited for when it was measured last; None while it is not.
    write_wait: float | None = None
    log_entries: int = 0
    #: Entries that compaction has deleted since the daemon started.
    log_compacted: int = 0
    disk_free: int = 0
    #: Why the disk is too full for us to write what can be left out; empty when it is not.
    disk_trouble: str = ""
    changes: int = 0
    #: The same of changes that the triggers have written down.
    captured: int = 0
    batches: int = 0
    #: Reasons of the source's own against a cutover, such as a table that appeared after the plan.
    objections: list[str] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)
    tables: dict[int, CopyProgress] = field(default_factory=dict)
    table_changes: dict[int, int] = field(default_factory=dict)
    #: What waits of each table; None while there is too much to count.
    table_pending: dict[int, int] | None = field(default_factory=dict)
    #: Tables that were compared, each with what came of it.
    checked: dict[int, Checked] = field(default_factory=dict)
    #: The pace of tables that are being copied.
    paces: dict[int, Rate] = field(default_factory=dict)
    #: Tables that must be read again and repaired, and why; with the time, as the target has it.
    stale: dict[int, str] = field(default_factory=dict)
    #: Rows that the target cannot hold, by table; and those of them that no operator has accepted.
    quarantined: dict[int, int] = field(default_factory=dict)
    unaccepted: dict[int, int] = field(default_factory=dict)
    #: When the newest of them was refused, by table, as the target has the time.
    newest_refusals: dict[int, Any] = field(default_factory=dict)
    #: Changes of the file that no trigger of ours has told of.
    suspicion: Suspicion = field(default_factory=Suspicion)
    #: SQLite's count of schema changes when the schema was last followed; None before it was.
    schema_version: int | None = None
    #: The hash of the schema as it was then, for edits that the count does not show.
    schema_mark: str = ""
    #: Unix time of when all tables were last found or made equal; None when something has come up since.
    compared_at: float | None = None
    #: What the stream has touched since a table was last found equal.
    touched: Touched = field(default_factory=Touched)
    #: Tables whose rows are known to differ from the source's.
    differing: set[int] = field(default_factory=set)
    #: When all tables were last compared by this daemon, and with what result; None before that.
    verified: Verified | None = None
    #: The report of the last comparison in the background.
    background: dict[str, Any] | None = None
    #: Repairs done, and rows that they wrote or deleted.
    repairs: int = 0
    repaired_rows: int = 0
    #: The way back, once the target has the application's writes.
    fallback: Fallback = field(default_factory=Fallback)
    #: How long the comparison in the pause of a cutover takes: estimated, then as measured.
    check_seconds: float = 0.0
    throttle: Throttle = field(default_factory=Throttle)
    capacity: Capacity = field(default_factory=Capacity)
    incoming: Rate = field(default_factory=Rate)
    applied: Rate = field(default_factory=Rate)
    copied: Rate = field(default_factory=Rate)

    @property
    def rows_copied(self) -> int:
        """Return the rows of all tables' snapshots."""
        return sum(t.rows for t in self.tables.values())

    def oldest_now(self, now: float) -> float:
        """Return the age of the oldest pending change at `now` on the monotonic clock."""
        return self.oldest + (now - self.measured_at) if self.pending else 0.0

    def note_copying(self, now: float) -> None:
        """Note how far each table's copy is, for its pace."""
        for number, table in self.tables.items():
            if table.active and not table.copied:
                self.paces.setdefault(number, Rate(COPY_WINDOW)).add(now, table.rows)
            else:
                self.paces.pop(number, None)

    def copy_left(self, now: float) -> float | None:
        """Estimate the seconds until all tables are copied; None while nothing tells."""
        left = sum(_rows(t) - t.rows for t in self.tables.values() if not t.copied)
        if all(t.copied for t in self.tables.values()):
            return 0.0
        pace = self.copied.per_second(now)
        return left / pace if left and pace > 0 else None

    def catch_up(self, now: float) -> float | None:
        """Estimate the seconds until nothing is pending; None while nobody can tell what is."""
        return None if self.absence else self.capacity.catch_up(self.pending, self.incoming.per_second(now))

    def as_dict(self) -> dict[str, Any]:
        """Return the source's part of `status --json`."""
        now = time.monotonic()
        catch_up = self.catch_up(now)
        return {
            "path": self.path,
            "schema": self.schema,
            "state": self.state.value,
            "paused": _paused(self.paused),
            # of a file that is not there nobody can tell what is pending
            "pending_changes": None if self.absence else self.pending,
            "oldest_unapplied_seconds": None if self.absence else round(self.oldest_now(now), 3),
            "heartbeat_age_seconds": None if self.beat is None else round(max(0, time.time() - self.beat), 3),
            "estimated_catch_up_seconds": None if catch_up is None else round(catch_up, 3),
            "position": self.position,
            "consistent": self.consistent,
            "target_connected": self.connected,
            "error": self.absence or self.error,
            "missing": self.absence is not None,
            "retries": self.retries,
            "journal_mode": self.journal_mode,
            "source_bytes": self.source_bytes,
            "wal_bytes": self.wal_bytes,
            "wal_used_bytes": self.wal_used,
            "write_wait_seconds": None if self.write_wait is None else round(self.write_wait, 4),
            "throttle": self.throttle.as_dict(),
            "throttled_seconds": round(self.throttle.rested, 3),
            "log_entries": self.log_entries,
            "log_compacted": self.log_compacted,
            "disk_free_bytes": self.disk_free,
            "disk_low": bool(self.disk_trouble),
            "changes_captured": max(self.captured, self.changes),
            "changes_applied": self.changes,
            "batches_applied": self.batches,
            "rows_copied": self.rows_copied,
            "capture_rate": round(self.incoming.per_second(now), 1),
            "apply_rate": round(self.applied.per_second(now), 1),
            "copy_rate": round(self.copied.per_second(now), 1),
            "copy_remaining_seconds": _rounded(self.copy_left(now)),
            "quarantined": sum(self.quarantined.values()),
            "stale_tables": len(self.stale),
            "unexplained_changes": self.suspicion.count,
            "comparison_age_seconds": self._comparison_age(),
            "verification_age_seconds": None if self.verified is None else round(now - self.verified.at, 1),
            "verification_equal": None if self.verified is None else self.verified.equal,
            "repairs": self.repairs,
            "repaired_rows": self.repaired_rows,
            "fallback": self.fallback.as_dict(now) if self.state in FALLBACK_STATES else None,
            "notes": self.notes,
            "tables": [self._table(number, t, now) for number, t in sorted(self.tables.items())],
        }

    def _comparison_age(self) -> float | None:
        if self.compared_at is None:
            return None
        # the time is PostgreSQL's
        return round(max(0.0, time.time() - self.compared_at), 1)

    def _table(self, number: int, table: CopyProgress, now: float) -> dict[str, Any]:
        checked, waiting = self.checked.get(number), None if self.absence else self.table_pending
        return {
            "name": table.plan.name,
            "target": table.plan.qualified,
            "state": "repairing" if number in self.stale else _table_state(table, self.state),
            "stale": self.stale.get(number),
            "quarantined": self.quarantined.get(number, 0),
            "rows_copied": table.rows,
            "rows_estimate": _rows(table),
            "rows": checked.rows if checked and checked.rows is not None else _rows(table),
            "copy_remaining_seconds": _rounded(self._table_left(number, table, now)),
            "pending_changes": None if waiting is None else waiting.get(number, 0),
            "changes_applied": self.table_changes.get(number, 0),
            **_told(self.checked.get(number)),
        }

    def _table_left(self, number: int, table: CopyProgress, now: float) -> float | None:
        """Estimate the seconds until a table is copied; None while it waits or nothing tells."""
        if table.copied:
            return 0.0
        pace = self.paces.get(number)
        speed = 0.0 if pace is None else pace.per_second(now)
        left = _rows(table) - table.rows
        return left / speed if left and speed > 0 else None


def _told(checked: Checked | None) -> dict[str, Any]:
    age = None if checked is None else round(max(0.0, time.time() - checked.at), 1)
    return {
        "verification_age_seconds": age,
        "verification_equal": None if checked is None else checked.equal,
    }


def _rows(table: CopyProgress) -> int:
    """Return how many rows a table has, as far as is known."""
    return max(table.rows, table.plan.rows)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _paused(paused: Paused | None) -> dict[str, Any] | None:
    if paused is None:
        return None
    since = datetime.fromtimestamp(paused.since, UTC).isoformat(timespec="seconds")
    return {"since": since.replace("+00:00", "Z"), "before": paused.before.value}


def _table_state(table: CopyProgress, state: State) -> str:
    if table.copied:
        return "copied" if state in (State.SNAPSHOT, State.CATCH_UP) else "streaming"
    return "copying" if table.active or table.rows else "pending"


@dataclass(frozen=True)
class Gates:
    """How much lag a cutover may begin with."""

    max_pending: int
    max_age: float
    max_pause: float
    max_heartbeat: float
    #: Age in seconds of the last verification that all tables have passed; 0 where none is asked for.
    max_verified: float = 0


def reasons(sources: Iterable[Facts], gates: Gates, now: float) -> list[str]:
    """Return why a cutover may not begin; nothing when it may. Pure."""
    found = []
    for facts in sources:
        found += [f"{facts.path}: {reason}" for reason in _reasons(facts, gates, now)]
    return found


def _reasons(facts: Facts, gates: Gates, now: float) -> list[str]:
    stale = [f"table {facts.tables[n].plan.name!r} is read again: {r}" for n, r in facts.stale.items()]
    if facts.absence is not None:
        return [facts.absence]
    if facts.paused is not None:
        return ["is paused: `liteferry resume` lets it go on", *stale]
    if facts.state is not State.STREAMING:
        return [f"is {facts.state.value}, not streaming", *stale]
    found = [*facts.objections, *stale, *_kept_back(facts)]
    if facts.suspicion.blocks:
        found.append("its tables are compared, for something may have fired no trigger")
    found += _unverified(facts, gates.max_verified, now)
    if facts.disk_trouble:
        found.append(facts.disk_trouble)
    if not facts.connected:
        found.append("the target is away")
    if not facts.consistent:
        found.append("a backlog is being worked off")
    if facts.pending > gates.max_pending:
        found.append(f"{facts.pending} changes are pending, at most {gates.max_pending} may be")
    age = facts.oldest_now(now)
    if age > gates.max_age:
        found.append(f"the oldest pending change is {age:.1f} s old, at most {gates.max_age:g} s it may be")
    if facts.beat is None:
        found.append("no heartbeat has made the whole trip yet")
    elif time.time() - facts.beat > gates.max_heartbeat:
        found.append(f"the last heartbeat arrived {time.time() - facts.beat:.0f} s ago")
    pause = pause_of(facts, now)
    if pause is not None and pause > gates.max_pause:
        found.append(f"the pause is predicted at {pause:.1f} s, at most {gates.max_pause:g} s are allowed")
    return found


def _unverified(facts: Facts, most: float, now: float) -> list[str]:
    """Return why what is known of the rows is not good enough, or not recent enough."""
    if known := differing(facts.differing, {n: table.plan.name for n, table in facts.tables.items()}):
        return known
    if not most:
        return []
    if facts.verified is None:
        return ["its tables have not been verified since the daemon started: see `liteferry verify`"]
    if not facts.verified.equal:
        return ["the last verification has found differences: see `liteferry verify`"]
    age = now - facts.verified.at
    return [f"the last verification is {age:.0f} s old, at most {most:g} s it may be"] if age > most else []


def _kept_back(facts: Facts) -> list[str]:
    return [
        f"{rows} rows of table {facts.tables[number].plan.name!r} are in quarantine: correct them, or accept "
        "that they are left behind with `liteferry quarantine accept`"
        for number, rows in facts.unaccepted.items()
        if number in facts.tables
    ]


def pause_of(facts: Facts, now: float) -> float | None:
    """Predict the cutover pause of one source in seconds, None when unknown."""
    return predicted_pause(facts.catch_up(now), facts.capacity.batch_seconds, facts.check_seconds)
