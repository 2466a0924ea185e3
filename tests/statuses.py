"""Canned statuses, one for each situation that the metrics, the HTTP side and the dashboard must show."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Status = dict[str, Any]

TABLES = (("orders", 412_808), ("order_items", 1_284_310), ("customers", 38_114), ("Order Details", 2_155))


#: One moment for all of a run, so that the same status twice is the same.
NOW = datetime.now(UTC)

LAST_VERIFICATION = {
    "id": "0d4b1c0e-5a33-4d0c-9b53-0a5a3f1f6a77",
    "kind": "full",
    "equal": True,
    "verdict": "equal: 4 tables",
    "finished_at": "2026-11-22T11:04:00Z",
    "digest": "sha256:5f1d",
    "age_seconds": 3_600.0,
}


@dataclass
class CannedView:
    """Serve a status that the test may exchange, and a history that suits it."""

    current: Status
    points: list[dict[str, Any]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)

    def status(self) -> Status:
        """Return the status the test has set."""
        return self.current

    def history(self) -> list[dict[str, Any]]:
        """Return the points the test has set."""
        return self.points

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the events that the test has set, behind a number."""
        return [event for event in self.told if event["number"] > after]


def ago(seconds: float) -> str:
    """Return a time so long before now, as the status has times."""
    at = NOW - timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def timeline(**states: float) -> list[Status]:
    """Return the states with how many seconds ago each was entered."""
    return [{"state": state, "entered_at": ago(seconds)} for state, seconds in states.items()]


def event(number: int, seconds: float, text: str, *, level: str = "info", kind: str = "state") -> Status:
    """Return one event of the journal, so long before now."""
    at = ago(seconds)
    return {"number": number, "at": at, "level": level, "kind": kind, "source": "/data/app.db", "text": text}


def table(
    name: str, rows: int, *, state: str = "streaming", copied: int | None = None, **changes: Any
) -> Status:
    """Return one table's part of a source, with these fields changed."""
    streams = state == "streaming"
    return {
        "name": name,
        "target": f'public."{name}"',
        "state": state,
        "rows_copied": rows if copied is None else copied,
        "rows_estimate": rows,
        "rows": rows,
        "copy_remaining_seconds": 0.0 if streams or state == "copied" else None,
        "pending_changes": 0,
        "quarantined": 0,
        "changes_applied": rows // 100 if streams else 0,
        "verification_age_seconds": 3_600.0 if streams else None,
        "verification_equal": True if streams else None,
        "stale": None,
        **changes,
    }


#: A throttle that holds nothing back.
FREE = {
    "active": False,
    "limit_rows_per_second": None,
    "factor": 1.0,
    "reason": None,
    "by": None,
    "since": None,
}


def source(path: str = "/data/app.db", **changes: Any) -> Status:
    """Return one source that streams without lag, with these fields changed."""
    return {
        "path": path,
        "schema": "public",
        "state": "streaming",
        "paused": None,
        "pending_changes": 0,
        "oldest_unapplied_seconds": 0.0,
        "heartbeat_age_seconds": 1.2,
        "estimated_catch_up_seconds": 0.0,
        "position": 1_204_411,
        "consistent": True,
        "target_connected": True,
        "error": None,
        "missing": False,
        "retries": 2,
        "journal_mode": "wal",
        "source_bytes": 734_003_200,
        "wal_bytes": 4_152_360,
        "wal_used_bytes": 1_310_720,
        "write_wait_seconds": None,
        "throttle": FREE,
        "throttled_seconds": 0.0,
        "log_entries": 37,
        "log_compacted": 0,
        "disk_free_bytes": 53_687_091_200,
        "disk_low": False,
        "quarantined": 0,
        "stale_tables": 0,
        "unexplained_changes": 0,
        "comparison_age_seconds": 3_600.0,
        "verification_age_seconds": 3_600.0,
        "verification_equal": True,
        "repairs": 0,
        "repaired_rows": 0,
        "changes_captured": 1_204_380,
        "changes_applied": 1_204_380,
        "batches_applied": 41_022,
        "rows_copied": 1_737_387,
        "capture_rate": 121.0,
        "apply_rate": 120.5,
        "copy_rate": 0.0,
        "copy_remaining_seconds": 0.0,
        "fallback": None,
        "notes": [],
        "tables": [table(name, rows) for name, rows in TABLES],
        **changes,
    }


def status(*sources: Status, **changes: Any) -> Status:
    """Return a status that is ready for cutover, with these sources and fields changed."""
    return {
        "state": "streaming",
        "can_cutover": True,
        "reasons": [],
        "version": "0.1.0",
        "started_at": "2026-11-22T11:40:00Z",
        "predicted_pause_seconds": 0.04,
        "cutover": None,
        "can_rollback": False,
        "rollback_reasons": ["/data/app.db: is streaming, not cut over"],
        "rollback": None,
        "verification": {"running": None, "last": LAST_VERIFICATION, "background": None},
        "timeline": timeline(preflight=1_500, snapshot=1_490, catch_up=1_340, streaming=1_320),
        "last_event": 0,
        "clock_jumps": 0,
        "throttle": FREE,
        "notices": [],
        "sources": list(sources) or [source()],
        **changes,
    }


def snapshot() -> Status:
    """Return a copy in its middle: one table done, two under way, one waiting."""
    tables = [
        table("customers", 38_114, state="copied"),
        table("orders", 412_808, state="copying", copied=206_404, copy_remaining_seconds=230.0),
        table("order_items", 1_284_310, state="copying", copied=160_539, copy_remaining_seconds=730.0),
        table("Order Details", 2_155, state="pending", copied=0),
    ]
    copying = source(
        state="snapshot",
        pending_changes=5_120,
        oldest_unapplied_seconds=95.0,
        heartbeat_age_seconds=None,
        estimated_catch_up_seconds=None,
        consistent=False,
        log_entries=5_120,
        changes_captured=5_120,
        changes_applied=0,
        batches_applied=0,
        rows_copied=405_057,
        apply_rate=0.0,
        copy_rate=1_825.0,
        copy_remaining_seconds=730.0,
        verification_age_seconds=None,
        verification_equal=None,
        tables=tables,
    )
    return status(
        copying,
        state="snapshot",
        can_cutover=False,
        reasons=["the copy of 3 tables is not complete", "no heartbeat has arrived yet"],
        predicted_pause_seconds=None,
        timeline=timeline(preflight=234, snapshot=222),
        verification={"running": None, "last": None, "background": None},
    )


def catch_up() -> Status:
    """Return the copy complete, and the changes made meanwhile under way."""
    tables = [table(name, rows, state="copied") for name, rows in TABLES]
    behind = source(
        state="catch_up", pending_changes=8_412, oldest_unapplied_seconds=140.0,
        estimated_catch_up_seconds=6.0, consistent=False, tables=tables,
    )  # fmt: skip
    reasons = ["the target has not caught up since the copy"]
    entered = timeline(preflight=150, snapshot=148, catch_up=6)
    return status(behind, state="catch_up", can_cutover=False, reasons=reasons, timeline=entered)


def streaming() -> Status:
    """Return a stream that keeps up, not ready because of one gate."""
    return status(
        source(pending_changes=3, oldest_unapplied_seconds=0.05),
        can_cutover=False,
        reasons=["the last verification is older than one hour"],
    )


def ready() -> Status:
    """Return a stream with no lag and every gate open."""
    return status()


def lagging() -> Status:
    """Return a stream that is 42 seconds behind."""
    behind = source(
        pending_changes=18_344, oldest_unapplied_seconds=42.0, heartbeat_age_seconds=44.5,
        estimated_catch_up_seconds=153.0, log_entries=18_400, changes_captured=1_222_724,
        capture_rate=910.0, apply_rate=790.0,
        tables=[
            table("order_items", 1_284_310, pending_changes=15_201),
            table("orders", 412_808, pending_changes=3_143),
            table("customers", 38_114),
            table("Order Details", 2_155),
        ],
    )  # fmt: skip
    reasons = [
        "/data/app.db: 18344 changes are pending, 1000 are allowed",
        "/data/app.db: the oldest change is 42 s old, 5 s are allowed",
    ]
    return status(behind, can_cutover=False, reasons=reasons)


def target_away() -> Status:
    """Return a stream whose target cannot be reached."""
    cut_off = source(
        pending_changes=2_931, oldest_unapplied_seconds=75.0, heartbeat_age_seconds=76.0,
        estimated_catch_up_seconds=None, target_connected=False, retries=9, apply_rate=0.0,
        error="connection to 10.0.0.5:5432 was refused",
    )  # fmt: skip
    reasons = ["PostgreSQL cannot be reached"]
    return status(cut_off, can_cutover=False, reasons=reasons, predicted_pause_seconds=None)


def cut_over() -> Status:
    """Return a migration whose application writes to PostgreSQL."""
    phases = [
        {"name": "lock", "seconds": 0.004},
        {"name": "drain", "seconds": 0.011},
        {"name": "verify", "seconds": 0.009},
        {"name": "sequences", "seconds": 0.003},
        {"name": "fence", "seconds": 0.004},
    ]
    cutover = {
        "outcome": "cut_over",
        "pause_seconds": 0.031,
        "phases": phases,
        "finished_at": "2026-11-22T12:04:11Z",
        "reason": "",
    }
    fallback = {
        "pending_changes": 2, "oldest_unapplied_seconds": 0.1, "changes_applied": 812, "rows_written": 640,
        "quarantined": 0, "error": None,
    }  # fmt: skip
    done = source(state="cut_over", fallback=fallback, apply_rate=0.0, capture_rate=0.0)
    return status(
        done,
        state="cut_over",
        can_cutover=False,
        reasons=["already cut over"],
        cutover=cutover,
        can_rollback=True,
        rollback_reasons=[],
        timeline=timeline(streaming=9_000, cutting_over=420.04, cut_over=420),
    )


def rolled_back() -> Status:
    """Return a migration that went back to SQLite."""
    back = source(state="rolled_back")
    rollback = {
        "outcome": "rolled_back",
        "pause_seconds": 0.062,
        "phases": [
            {"name": "guard", "seconds": 0.006},
            {"name": "drain", "seconds": 0.021},
            {"name": "verify", "seconds": 0.014},
            {"name": "decision", "seconds": 0.019},
        ],
        "finished_at": "2026-11-22T13:30:40Z",
        "reason": "",
    }
    entered = timeline(streaming=9_000, cutting_over=5_200.04, cut_over=5_200, reversing=30.1, rolled_back=30)
    return status(
        back,
        state="rolled_back",
        can_cutover=False,
        reasons=["rolled back, not streaming"],
        cutover=cut_over()["cutover"],
        rollback=rollback,
        timeline=entered,
    )


def throttled() -> Status:
    """Return a copy that is held back for the application's sake."""
    copying = snapshot()
    throttle = {
        "active": True, "limit_rows_per_second": 500, "factor": 0.25, "by": "source_wal",
        "reason": "the WAL of the source has 288 MiB", "since": ago(75),
    }  # fmt: skip
    return {**copying, "throttle": throttle}


def paused() -> Status:
    """Return a stream that the operator has stopped for now."""
    still = source(state="paused", pending_changes=412, oldest_unapplied_seconds=61.0, apply_rate=0.0)
    throttle = {
        "active": False, "limit_rows_per_second": None, "factor": 1.0, "by": None,
        "reason": None, "since": None,
    }  # fmt: skip
    entered = timeline(streaming=1_320, paused=62)
    reasons = ["/data/app.db: is paused, not streaming"]
    return status(
        still, state="paused", can_cutover=False, reasons=reasons, throttle=throttle, timeline=entered
    )


def verifying() -> Status:
    """Return a stream whose tables are being compared, with a notice and a row in quarantine."""
    kept = source(
        quarantined=1,
        verification_equal=False,
        tables=[
            table("orders", 412_808, quarantined=1),
            table("customers", 38_114, verification_equal=False),
            table("Order Details", 2_155, verification_age_seconds=None, verification_equal=None),
        ],
    )
    running = {
        "kind": "full", "table": "orders", "tables_done": 1, "tables": 2, "rows_done": 90_000,
        "rows": 453_077, "seconds": 4.0, "remaining_seconds": 16.0,
    }  # fmt: skip
    return status(
        kept,
        can_cutover=False,
        reasons=["a verification is running"],
        verification={"running": running, "last": LAST_VERIFICATION},
        notices=["/data/old.db is not replicated: it is no SQLite file"],
    )


def many_tables(number: int = 500) -> Status:
    """Return one source with very many tables, some of which wait or have rows put aside."""
    tables = [
        table(
            f"table_{n:03}",
            n * 1_000,
            pending_changes=n % 7 if n % 50 == 0 else 0,
            quarantined=int(n in (40, 450)),
        )
        for n in range(number)
    ]
    return status(source(tables=tables))


def failed() -> Status:
    """Return a migration that stopped with an error."""
    stopped = source(
        state="failed", target_connected=True, consistent=True,
        error="table 'orders', key 17, column 'total': a value of type text cannot be stored",
    )  # fmt: skip
    reasons = ["the migration has failed"]
    return status(stopped, state="failed", can_cutover=False, reasons=reasons, predicted_pause_seconds=None)


def many_sources() -> Status:
    """Return three sources in different states, one of them with many tables."""
    wide = source(
        "/data/.nomic/knowledge.db",
        schema="knowledge",
        tables=[table(f"table_{n:02}", n * 1_000) for n in range(34)],
    )
    slow = source(
        "/data/.nomic/events.db", schema="events", pending_changes=812, oldest_unapplied_seconds=12.5
    )
    new = source(
        "/data/.nomic/users.db", schema="users", state="catch_up", pending_changes=90,
        estimated_catch_up_seconds=2.0, heartbeat_age_seconds=None, consistent=False,
    )  # fmt: skip
    return status(wide, slow, new, can_cutover=False, reasons=["users.db has not caught up since the copy"])


def minimal() -> Status:
    """Return the least a daemon says: it has just started, and everything that can be null is null."""
    nothing = source(
        heartbeat_age_seconds=None, estimated_catch_up_seconds=None, tables=[], state="new",
        journal_mode=None, consistent=None, target_connected=None, wal_bytes=None, disk_free_bytes=None,
        pending_changes=None, oldest_unapplied_seconds=None, apply_rate=None, copy_rate=None,
    )  # fmt: skip
    return status(nothing, state="new", can_cutover=False, predicted_pause_seconds=None)


def history(pending: int = 0, oldest: float = 0.0, applied: int = 1_204_380) -> list[dict[str, Any]]:
    """Return fifteen minutes of lag, a point every two seconds, that end with these figures."""
    now = time.time()
    points = []
    for age in range(900, 0, -2):
        burst = max(0.0, 1 - abs(age - 500) / 60)
        climb = max(0.0, 1 - age / 120)
        points.append(
            {
                "at": now - age,
                "pending": int(4 + age % 7 + 900 * burst + pending * climb),
                "oldest": 0.1 + (age % 5) / 20 + 6 * burst + oldest * climb,
                "heartbeat": 0.4 + age % 5 + 5 * burst,
                "applied": int(applied - age * 120 - 700 * burst),
                "captured": int(applied - age * 120),
                "copied": int(405_057 - age * 400),
                "back_pending": int(2 + age % 5),
                "back_oldest": 0.1 + (age % 5) / 20,
                "back_applied": int(812 - age // 2),
            }
        )
    return points


def events() -> list[Status]:
    """Return a journal of some twenty minutes."""
    return [
        event(1, 1_490, "snapshot, before preflight"),
        event(2, 1_402, "table customers copied, 38,114 rows", kind="copy"),
        event(3, 1_341, "table order_items copied, 1,284,310 rows", kind="copy"),
        event(4, 1_340, "catching up, before snapshot"),
        event(5, 1_320, "streaming, before catching up"),
        event(6, 700, "waiting: connection to 10.0.0.5:5432 was refused", level="warning", kind="target"),
        event(7, 668, "goes on again after 9 attempts", kind="target"),
        event(8, 300, "schema change followed: orders: column note added", level="warning", kind="schema"),
        event(9, 120, "verification (full): equal: 4 tables", kind="verification"),
        event(10, 60, "ready for cutover, predicted pause 40 ms", kind="readiness"),
    ]
