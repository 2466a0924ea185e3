"""What the metrics read of the status: each reader yields the values of one metric by its labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

Status = Mapping[str, Any]
Sample = tuple[tuple[str, ...], float]
Reader = Callable[[Status], Iterator[Sample]]

STATES = (
    "new",
    "preflight",
    "snapshot",
    "catch_up",
    "streaming",
    "cutting_over",
    "cut_over",
    "reversing",
    "rolled_back",
    "finished",
    "paused",
    "failed",
)
OUTCOMES = ("cut_over", "rehearsed", "refused", "failed")
CAUSES = ("operator", "source_wal", "write_latency", "disk")
BACK_OUTCOMES = ("rolled_back", "rehearsed", "refused", "failed")


def number(value: float | None) -> float:
    """Return a status field as a sample value; null is NaN, a boolean 0 or 1."""
    return math.nan if value is None else float(value)


def sources(status: Status) -> list[Status]:
    """Return the sources that the status names."""
    return status.get("sources") or []


def overall(field: str) -> Reader:
    """Return the reader of a field of the run."""

    def read(status: Status) -> Iterator[Sample]:
        yield (), number(status.get(field))

    return read


def of_source(field: str) -> Reader:
    """Return the reader of a field of each source."""

    def read(status: Status) -> Iterator[Sample]:
        for source in sources(status):
            yield (source["path"],), number(source.get(field))

    return read


def of_fallback(field: str) -> Reader:
    """Return the reader of a field of each source's way back."""

    def read(status: Status) -> Iterator[Sample]:
        for source in sources(status):
            yield (source["path"],), number((source.get("fallback") or {}).get(field))

    return read


def of_table(field: str) -> Reader:
    """Return the reader of a field of each table."""

    def read(status: Status) -> Iterator[Sample]:
        for source in sources(status):
            for table in source.get("tables") or []:
                yield (source["path"], table["name"]), number(table.get(field))

    return read


def one_of(known: Iterable[str], current: str | None) -> Iterator[tuple[str, float]]:
    """Yield 1 for the present one of some known values, and 0 for every other."""
    # a value this module has not heard of gets a series of its own: all zeros would hide it
    for value in dict.fromkeys([*known, *([current] if current else [])]):
        yield value, float(value == current)


def state(status: Status) -> Iterator[Sample]:
    """Read the state of the run."""
    for state, value in one_of(STATES, status.get("state")):
        yield (state,), value


def source_state(status: Status) -> Iterator[Sample]:
    """Read the state of each source."""
    for source in sources(status):
        for state, value in one_of(STATES, source.get("state")):
            yield (source["path"], state), value


def source_info(status: Status) -> Iterator[Sample]:
    """Read schema and journal mode of each source."""
    for source in sources(status):
        yield (source["path"], source.get("schema") or "", source.get("journal_mode") or ""), 1.0


def of_throttle(field: str) -> Reader:
    """Return the reader of a field of what holds each source back."""

    def read(status: Status) -> Iterator[Sample]:
        for source in sources(status):
            yield (source["path"],), number((source.get("throttle") or {}).get(field))

    return read


def throttle_cause(status: Status) -> Iterator[Sample]:
    """Read what holds each source back."""
    for source in sources(status):
        for cause, value in one_of(CAUSES, (source.get("throttle") or {}).get("by")):
            yield (source["path"], cause), value


def paused(status: Status) -> Iterator[Sample]:
    """Read whether each source is paused."""
    for source in sources(status):
        yield (source["path"],), float(bool(source["paused"])) if "paused" in source else math.nan


def cutover_pause(status: Status) -> Iterator[Sample]:
    """Read how long the last cutover kept writers waiting, in seconds."""
    yield (), number((status.get("cutover") or {}).get("pause_seconds"))


def cutover_outcome(status: Status) -> Iterator[Sample]:
    """Read what became of the last cutover."""
    for outcome, value in one_of(OUTCOMES, (status.get("cutover") or {}).get("outcome")):
        yield (outcome,), value


def rollback_pause(status: Status) -> Iterator[Sample]:
    """Read how long the last rollback kept writers waiting, in seconds."""
    yield (), number((status.get("rollback") or {}).get("pause_seconds"))


def rollback_outcome(status: Status) -> Iterator[Sample]:
    """Read what became of the last rollback."""
    for outcome, value in one_of(BACK_OUTCOMES, (status.get("rollback") or {}).get("outcome")):
        yield (outcome,), value


def verification_progress(status: Status) -> Iterator[Sample]:
    """Read the share of rows that the verification under way has compared."""
    running = (status.get("verification") or {}).get("running")
    yield (), math.nan if running is None else running["rows_done"] / max(1, running["rows"])


def build_info(status: Status) -> Iterator[Sample]:
    """Read the version."""
    yield (status.get("version") or "",), 1.0


def start_time(status: Status) -> Iterator[Sample]:
    """Read when the daemon started, in Unix time."""
    started = status.get("started_at")
    yield (), datetime.fromisoformat(started).timestamp() if started else math.nan
