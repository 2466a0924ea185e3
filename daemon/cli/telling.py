"""A status as lines to read, one below the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .text import count, duration, percent, printable, size, table

#: States in which the source has no writes to carry over any more, and so no lag.
MOVED = ("cut_over", "finished")

#: States in which how far the copy is matters more than what streams.
COPYING = ("snapshot", "catch_up")

COPY_HEAD = ("table", "state", "rows", "copied", "left", "pending")
MOVED_HEAD = ("table", "rows", "quarantined", "verified")
STREAM_HEAD = ("table", "state", "rows", "pending", "changes", "quarantined", "verified")


def describe(status: dict[str, Any]) -> list[str]:
    """Return a status as lines to read; what no terminal should be sent is written out."""
    sources = (line for source in status["sources"] for line in _source(source))
    return [printable(line) for line in (*_head(status), *sources)]


def _head(status: dict[str, Any]) -> Iterator[str]:
    yield from readiness(status)
    if line := throttle(status):
        yield line
    yield from (f"notice: {notice}" for notice in status.get("notices", ()))
    yield from moves(status)
    yield from verification(status)
    yield f"liteferry {status['version']}, running since {status['started_at']}"


def readiness(status: dict[str, Any]) -> Iterator[str]:
    """Yield the state, whether the writes can be moved, and the reasons why not."""
    if status["state"] in MOVED:
        yield status["state"]
        if status["state"] == "cut_over":
            yield "ready for rollback" if status.get("can_rollback") else "not ready for rollback"
            yield from (f"  {reason}" for reason in status.get("rollback_reasons", ()))
    elif status["can_cutover"]:
        pause = status["predicted_pause_seconds"]
        expected = "" if pause is None else f", expected pause {duration(pause)}"
        yield f"{status['state']}, ready for cutover{expected}"
    else:
        yield f"{status['state']}, not ready for cutover"
        yield from (f"  {reason}" for reason in status["reasons"])


def throttle(status: dict[str, Any]) -> str:
    """Return what holds copying and comparing back, empty when nothing does."""
    told = status.get("throttle") or {}
    if not told.get("active"):
        return ""
    limit, factor = told.get("limit_rows_per_second"), told.get("factor")
    most = [f"{count(limit)} rows/s"] if limit is not None else []
    most += [f"{factor:.0%} of full speed"] if factor is not None and factor < 1 else []
    to = f" to {' and '.join(most)}" if most else ""
    return f"throttled: copying and comparing are held back{to}: {told.get('reason') or told.get('by')}"


def moves(status: dict[str, Any]) -> Iterator[str]:
    """Yield what became of the last cutover and of the last rollback."""
    last, back = status["cutover"], status.get("rollback")
    if last:
        paused = last["pause_seconds"]
        waited = "" if paused is None else f", writers waited {duration(paused)}"
        why = f": {last['reason']}" if last["reason"] else ""
        yield f"last cutover: {last['outcome'].replace('_', ' ')} at {last['finished_at']}{waited}{why}"
    if back:
        why = f": {back['reason']}" if back["reason"] else ""
        yield f"last rollback: {back['outcome'].replace('_', ' ')} at {back['finished_at']}{why}"


def verification(status: dict[str, Any]) -> Iterator[str]:
    """Yield how far the verification under way is, and what the last one found."""
    told = status.get("verification") or {}
    running, last = told.get("running"), told.get("last")
    if running:
        share = percent(running["rows_done"], running["rows"])
        left = duration(running["remaining_seconds"])
        yield f"verification under way: {running['table']}, {share} of all rows, {left} left"
    if last:
        yield f"last verification: {last['verdict']} ({last['kind']}), {duration(last['age_seconds'])} ago"


def _source(source: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield f"{source['path']} -> schema {source['schema']}: {source['state']}"
    if source["error"]:
        yield f"  error: {source['error']}"
    yield from table(list(_figures(source)))
    if source["tables"]:
        yield ""
        yield from _tables(source)


def _figures(source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if source["state"] not in MOVED:
        yield "pending changes", count(source["pending_changes"])
        yield "oldest unapplied", duration(source["oldest_unapplied_seconds"])
        yield "heartbeat age", duration(source["heartbeat_age_seconds"])
        yield "time to catch up", duration(source["estimated_catch_up_seconds"])
        yield "captured", f"{count(source['changes_captured'])} changes, {count(source['capture_rate'])}/s"
    if back := source.get("fallback"):
        yield "to bring back", f"{count(back['pending_changes'])} changes"
        yield "oldest of them", duration(back["oldest_unapplied_seconds"])
        yield "brought back", f"{count(back['changes_applied'])} changes"
    yield "applied", f"{count(source['changes_applied'])} changes, {count(source['apply_rate'])}/s"
    if source["state"] in COPYING:
        left = duration(source["copy_remaining_seconds"])
        yield "copied", f"{count(source['rows_copied'])} rows, {count(source['copy_rate'])}/s, {left} left"
    yield "target", "connected" if source["target_connected"] else "away"
    yield "source file", f"{size(source['source_bytes'])}, WAL {size(source['wal_bytes'])}"


def _tables(source: dict[str, Any]) -> list[str]:
    tables = source["tables"]
    if source["state"] in COPYING:
        return table([COPY_HEAD, *map(_copying, tables)], right=(2, 3, 4, 5))
    if source["state"] in MOVED:
        return table([MOVED_HEAD, *map(_moved, tables)], right=(1, 2, 3))
    return table([STREAM_HEAD, *map(_streaming, tables)], right=(2, 3, 4, 5, 6))


def _moved(entry: dict[str, Any]) -> tuple[str, ...]:
    return entry["name"], count(entry["rows"]), count(entry["quarantined"]), verified(entry)


def _copying(entry: dict[str, Any]) -> tuple[str, ...]:
    left = "" if is_copied(entry) else duration(entry["copy_remaining_seconds"])
    return (
        entry["name"], entry["state"], count(entry["rows_copied"]), share(entry), left,
        count(entry["pending_changes"]),
    )  # fmt: skip


def _streaming(entry: dict[str, Any]) -> tuple[str, ...]:
    return (
        entry["name"], entry["state"], count(entry["rows"]), count(entry["pending_changes"]),
        count(entry["changes_applied"]), count(entry["quarantined"]), verified(entry),
    )  # fmt: skip


def is_copied(entry: dict[str, Any]) -> bool:
    """Tell whether a table's rows are all there."""
    return entry["state"] in ("copied", "streaming", "repairing")


def share(entry: dict[str, Any]) -> str:
    """Return how much of a table is copied; the estimate may be too low."""
    done, whole = entry["rows_copied"], entry["rows_estimate"]
    return "100 %" if is_copied(entry) else percent(min(done, whole - 1), whole)


def verified(entry: dict[str, Any]) -> str:
    """Return when a table was last compared, and whether it was other than the source's."""
    age = entry["verification_age_seconds"]
    if age is None:
        return "-"
    return duration(age) + (", different" if entry["verification_equal"] is False else "")
