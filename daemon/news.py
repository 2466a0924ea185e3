"""Which lines of the log an operator wants to read on the dashboard, and in which words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["info", "warning", "error"]
Values = Mapping[str, Any]

#: Characters of one text; a reason may quote much.
MOST = 400

WORDS = {
    "new": "new",
    "preflight": "preflight",
    "snapshot": "snapshot",
    "catch_up": "catching up",
    "streaming": "streaming",
    "cutting_over": "cutting over",
    "cut_over": "cut over",
    "reversing": "rolling back",
    "rolled_back": "rolled back",
    "finished": "finished",
    "paused": "paused",
    "failed": "failed",
}


@dataclass(frozen=True)
class News:
    """One event: how grave it is, what it is about, a text, and the source it is about if there is one."""

    level: Level
    kind: str
    text: str
    source: str | None = None


def news(level: str, event: str, values: Values) -> News | None:
    """Return what a line of the log means to an operator, None where it is only for the log.

    Every warning and every error means something; of the rest what is told below.
    """
    grave: Level = "error" if level in ("error", "critical", "exception") else "warning"
    known = TOLD.get(event)
    if known is None and level not in ("warning", "error", "critical", "exception"):
        return None
    kind, say = known or ("daemon", _plain)
    text = say(event, values)
    if not text:
        return None
    source = values.get("source")
    return News(
        "info" if level in ("info", "debug") else grave,
        kind,
        text if len(text) <= MOST else text[: MOST - 3] + "...",
        None if source is None else str(source),
    )


def _plain(event: str, values: Values) -> str:
    """Return the line with what it is about and why, and nothing else of it."""
    about = ", ".join(
        f"{name} {values[name]}" if name != "rows" else f"{values[name]} rows"
        for name in ("table", "object", "name", "hook", "outcome", "rows", "tables", "seconds")
        if values.get(name) not in (None, "")
    )
    why = next((values[name] for name in ("reason", "problem", "change") if values.get(name)), "")
    return event + (f": {about}" if about else "") + (f": {why}" if why else "")


def _state(_: str, values: Values) -> str:
    state, before = str(values.get("state")), str(values.get("before"))
    return f"{WORDS.get(state, state)}, before {WORDS.get(before, before)}"


def _waiting(_: str, values: Values) -> str:
    return f"waiting: {values.get('reason', '')}"


def _recovered(_: str, values: Values) -> str:
    failures = values.get("failures")
    return "goes on again" + (f" after {failures} attempts" if failures else "")


def _move(event: str, values: Values) -> str:
    """Return a cutover or rollback with the seconds of its phases."""
    outcome = str(values.get("outcome", ""))
    outcome = "done" if outcome in ("cut_over", "rolled_back") else outcome
    pause = values.get("pause_seconds")
    waited = "" if pause is None else f", writers waited {pause * 1000:.0f} ms"
    phases = ", ".join(f"{p['name']} {p['seconds'] * 1000:.0f} ms" for p in values.get("phases", ()))
    why = values.get("reason")
    return f"{event} {outcome}{waited}" + (f" ({phases})" if phases else "") + (f": {why}" if why else "")


def _ready(event: str, values: Values) -> str:
    pause = values.get("predicted_pause")
    return event + ("" if pause is None else f", predicted pause {pause * 1000:.0f} ms")


def _unready(event: str, values: Values) -> str:
    return event + ": " + "; ".join(map(str, values.get("reasons", ())))


def _verified(_: str, values: Values) -> str:
    return f"verification ({values.get('kind')}): {values.get('verdict')}"


def _compared(event: str, values: Values) -> str:
    repaired = values.get("repaired_rows")
    return event + (f", {repaired} rows repaired" if repaired else ", nothing to repair")


def _copied(_: str, values: Values) -> str:
    return f"table {values.get('table')} copied, {values.get('rows'):,} rows"


def _followed(_: str, values: Values) -> str:
    return f"schema change followed: {values.get('table')}: {values.get('change')}"


def _slower(event: str, values: Values) -> str:
    return f"{event}, at {values.get('share', 0):.0%} of full speed: {values.get('reason')}"


def _limit(_: str, values: Values) -> str:
    rate = values.get("rows_per_second")
    return (
        f"copying and comparing limited to {rate:,} rows/s" if rate else "copying and comparing not limited"
    )


#: What of the log is told, by its event: of what kind it is, and how it is said.
TOLD: dict[str, tuple[str, Callable[[str, Values], str]]] = {
    "state": ("state", _state),
    "waiting": ("target", _waiting),
    "waiting for the target": ("target", _plain),
    "recovered": ("target", _recovered),
    "ready for cutover": ("readiness", _ready),
    "not ready for cutover": ("readiness", _unready),
    "cutover": ("cutover", _move),
    "rollback": ("rollback", _move),
    "cutover undone": ("cutover", _plain),
    "rollback undone": ("rollback", _plain),
    "cutover refused": ("cutover", _plain),
    "finished": ("finish", _plain),
    "hook": ("hook", _plain),
    "verified": ("verification", _verified),
    "all tables compared": ("verification", _compared),
    "structure differs": ("verification", _plain),
    "rows written and not equal": ("verification", _plain),
    "rows put in quarantine": ("quarantine", _plain),
    "rows that SQLite cannot hold": ("quarantine", _plain),
    "table copied": ("copy", _copied),
    "schema followed": ("schema", _followed),
    "the schema has changed, planning again": ("schema", _plain),
    "renamed": ("schema", _plain),
    "column widened": ("schema", _plain),
    "column not widened": ("schema", _plain),
    "not captured": ("healing", _unready),
    "stale": ("healing", _plain),
    "tables are compared": ("healing", _plain),
    "repaired": ("healing", _plain),
    "capture broken, all tables are read again": ("healing", _plain),
    "a new source has joined": ("source", _plain),
    "the source is back": ("source", _plain),
    "the source is out of reach": ("source", _plain),
    "enough space beside the source again": ("disk", _plain),
    "little space beside the source": ("disk", _plain),
    "hardly any space beside the source": ("disk", _plain),
    "the WAL is large": ("disk", _plain),
    "foreign keys and statistics are done": ("cutover", _plain),
    "index built": ("cutover", _plain),
    "paused": ("state", _plain),
    "resumed": ("state", _plain),
    "throttle": ("throttle", _limit),
    "copying and comparing more slowly": ("throttle", _slower),
    "copying and comparing at full speed again": ("throttle", _plain),
    "settings read again": ("daemon", _plain),
    "the clock has jumped": ("daemon", _plain),
    "stopped": ("daemon", _plain),
}
