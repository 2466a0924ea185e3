"""The status as a screenful to look at from a distance: state and lag large, the rest as far as it fits.

Pure: made of a status, what has happened lately, and the size of the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from . import telling
from .screen import Line, Part, width_of
from .telling import COPYING, MOVED
from .text import UNKNOWN, count, duration, percent, printable

TONES = {
    "preflight": "busy", "snapshot": "busy", "catch_up": "busy", "streaming": "ok", "cutting_over": "warn",
    "cut_over": "ok", "reversing": "warn", "finished": "ok", "paused": "warn", "failed": "bad",
}  # fmt: skip
LEVELS = {"info": "plain", "warning": "warn", "error": "bad"}

#: Seconds behind from which on a stream is worth a look, and needs one.
LATE, TOO_LATE = 10.0, 60.0

#: Events that are shown, and tables of each source at least.
EVENTS, TABLES = 5, 3
BAR = 16


def frame(
    status: dict[str, Any],
    events: Sequence[dict[str, Any]],
    size: tuple[int, int],
    *,
    away: str = "",
    drawn: bool = True,
) -> list[Line]:
    """Return the lines; `away` says why the figures are old, `drawn` whether bars may be more than ASCII."""
    width, height = size
    remarks = list(_remarks(status))
    head = [*_head(status, width, away), [], *_figures(status, width), *([[], *remarks] if remarks else [])]
    recent = _events(events)
    sources = status["sources"]
    # what is left is shared by the tables
    fixed = len(head) + len(recent) + sum(3 + bool(source["error"]) for source in sources)
    each = max(TABLES, (height - fixed) // max(1, len(sources)))
    body = [line for source in sources for line in _source(source, each, drawn)]
    room = max(0, height - len(head) - len(recent))
    if len(body) > room:
        body = [*body[: max(0, room - 1)], [Part("  ... more, see `liteferry status`", "dim")]]
    return [[Part(printable(p.text), p.style) for p in line] for line in (*head, *body, *recent)]


def _head(status: dict[str, Any], width: int, away: str) -> Iterator[Line]:
    tone = _tone(status)
    word = f" {status['state'].replace('_', ' ').upper()} "
    figure, what = _figure(status)
    told = f"liteferry {status['version']}"
    used = width_of(word) + width_of(figure) + width_of(what) + 5
    gap = max(2, width - used - width_of(told))
    yield []
    yield [
        Part(" "), Part(word, f"{tone} large" if tone != "dim" else "bold"), Part("  "),
        Part(figure, "bold" if tone == "ok" else tone), Part(f" {what}"), Part(" " * gap), Part(told, "dim"),
    ]  # fmt: skip
    if away:
        yield [Part(f" {away}", "bad")]
    first, *reasons = telling.readiness(status)
    ready = reasons[:1] if status["state"] == "cut_over" else [first.partition(", ")[2]]
    if status["state"] == "cut_over":
        reasons = reasons[1:]
    for line in ready:
        good = line.startswith("ready")
        yield [Part(f" {line}", "ok" if good else "bold")]
    yield from ([Part(f" {reason}")] for reason in reasons)


def _tone(status: dict[str, Any]) -> str:
    tone = TONES.get(status["state"], "dim")
    if any(source["target_connected"] is False or source.get("missing") for source in status["sources"]):
        return "bad"
    if tone == "ok" and status["state"] == "streaming":
        oldest = _highest(status, "oldest_unapplied_seconds") or 0.0
        return "bad" if oldest >= TOO_LATE else "warn" if oldest >= LATE else "ok"
    return tone


def _figure(status: dict[str, Any]) -> tuple[str, str]:
    """Return the one number that matters now, and what it is."""
    state = status["state"]
    if state == "snapshot":
        tables = [t for source in status["sources"] for t in source["tables"]]
        done = sum(t["rows_copied"] for t in tables)
        whole = sum(t["rows_copied"] if telling.is_copied(t) else t["rows_estimate"] for t in tables)
        left = _highest(status, "copy_remaining_seconds")
        return percent(done, whole), "copied" + (f", {duration(left)} left" if left else "")
    if state in ("cut_over", "reversing"):
        waiting = [s["fallback"]["pending_changes"] for s in status["sources"] if s.get("fallback")]
        return (count(sum(waiting)) if waiting else UNKNOWN), "changes to bring back"
    if state in ("new", "preflight", "failed", "finished"):
        return "", ""
    return duration(_highest(status, "oldest_unapplied_seconds")), "behind"


def _highest(status: dict[str, Any], field: str) -> float | None:
    return max((s[field] for s in status["sources"] if s[field] is not None), default=None)


def _sum(status: dict[str, Any], field: str) -> float | None:
    known = [s[field] for s in status["sources"] if s[field] is not None]
    return sum(known) if known else None


def _figures(status: dict[str, Any], width: int) -> Iterator[Line]:
    """Yield the figures side by side, as many in a line as fit."""
    pairs = [
        ("pending", count(_sum(status, "pending_changes"))),
        ("oldest", duration(_highest(status, "oldest_unapplied_seconds"))),
        ("heartbeat", duration(_highest(status, "heartbeat_age_seconds"))),
        ("catch-up", duration(_highest(status, "estimated_catch_up_seconds"))),
        ("captured", f"{count(_sum(status, 'capture_rate'))}/s"),
        ("applied", f"{count(_sum(status, 'apply_rate'))}/s"),
        ("quarantined", count(_sum(status, "quarantined"))),
    ]
    if status["state"] in COPYING:
        pairs.append(("copied", f"{count(_sum(status, 'copy_rate'))} rows/s"))
    if status["state"] in MOVED:
        pairs = [("applied", f"{count(_sum(status, 'changes_applied'))} changes"), *_back(status)]
    line: list[Part] = []
    for name, value in pairs:
        taken = sum(width_of(part.text) for part in line)
        cell = [Part(f" {name} ", "dim"), Part(value, "bold"), Part("  ")]
        if line and taken + sum(width_of(part.text) for part in cell) > width:
            yield line
            line = []
        line += cell
    yield line


def _back(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    back = [s["fallback"] for s in status["sources"] if s.get("fallback")]
    if back:
        yield "oldest to bring back", duration(max(b["oldest_unapplied_seconds"] for b in back))
        yield "brought back", count(sum(b["changes_applied"] for b in back))
        yield "quarantined", count(sum(b["quarantined"] for b in back))


def _remarks(status: dict[str, Any]) -> Iterator[Line]:
    if line := telling.throttle(status):
        yield [Part(f" {line}", "busy")]
    notices = status.get("notices", ())
    yield from ([Part(" notice: ", "bold"), Part(notice)] for notice in notices[:EVENTS])
    if len(notices) > EVENTS:
        yield [Part(f" notice: {len(notices) - EVENTS} more, see `liteferry status`", "dim")]
    yield from ([Part(f" {line}", "dim")] for line in telling.moves(status))
    yield from ([Part(f" {line}", "dim")] for line in telling.verification(status))


def _source(source: dict[str, Any], most: int, drawn: bool) -> Iterator[Line]:
    away = source["target_connected"] is False
    yield []
    yield [
        Part(f" {source['path']}", "bold"),
        Part(f" -> schema {source['schema']}: "),
        Part(
            source["state"].replace("_", " ") + (", target away" if away else ""), "bad" if away else "plain"
        ),
    ]
    if source["error"]:
        yield [Part(f"   error: {source['error']}", "bad")]
    tables = sorted(source["tables"], key=_urgency)
    shown = tables if len(tables) <= most else tables[: most - 1]
    longest = max((width_of(table["name"]) for table in shown), default=0)
    yield from (_table(table, min(longest, 40), drawn) for table in shown)
    if len(shown) < len(tables):
        yield [Part(f"   and {len(tables) - len(shown)} more tables", "dim")]


def _urgency(table: dict[str, Any]) -> tuple[int, str]:
    """Return what comes first: what is under way or in trouble, then what waits."""
    order = {"repairing": 0, "copying": 1, "pending": 4, "copied": 5}
    if table["quarantined"] or table["verification_equal"] is False:
        return 0, table["name"]
    if table["state"] == "streaming" and table["pending_changes"]:
        return 2, table["name"]
    return order.get(table["state"], 3), table["name"]


def _table(table: dict[str, Any], wide: int, drawn: bool) -> Line:
    name = "   " + table["name"] + " " * max(0, wide - width_of(table["name"])) + "  "
    if not telling.is_copied(table):
        left = table["copy_remaining_seconds"]
        rows = f" {telling.share(table):>6}  {count(table['rows_copied'])} of {count(table['rows_estimate'])}"
        time = f", {duration(left)} left" if left else ""
        return [Part(name), Part(bar(table, drawn), "busy"), Part(rows + time)]
    parts = [Part(name), Part(f"{count(table['rows']):>13} rows", "plain")]
    if table["state"] != "streaming":
        parts.append(Part(f"  {table['state']}", "busy"))
    if table["pending_changes"]:
        parts.append(Part(f"  {count(table['pending_changes'])} pending", "bold"))
    if table["quarantined"]:
        parts.append(Part(f"  {count(table['quarantined'])} in quarantine", "warn"))
    if table["verification_age_seconds"] is not None:
        equal = table["verification_equal"]
        parts.append(
            Part(f"  verified {telling.verified(table)} ago", "dim") if equal else Part("  different", "bad")
        )
    return parts


def bar(table: dict[str, Any], drawn: bool) -> str:
    """Return how much of a table is copied as a bar."""
    whole = table["rows_estimate"]
    done = min(BAR, table["rows_copied"] * BAR // whole) if whole else 0
    full, empty = ("█", "░") if drawn else ("#", ".")
    return full * done + empty * (BAR - done)


def _events(events: Sequence[dict[str, Any]]) -> list[Line]:
    if not events:
        return []
    lines: list[Line] = [[], [Part(" recent events", "dim")]]
    for event in events[-EVENTS:]:
        at = datetime.fromisoformat(event["at"]).astimezone().strftime("%H:%M:%S")
        lines.append([Part(f"   {at}  ", "dim"), Part(event["text"], LEVELS.get(event["level"], "plain"))])
    return lines
