"""The reasons why a cutover may not begin."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from replicator.state import State
from replicator.status import Facts, Gates, Verified, pause_of, reasons
from replicator.streaming.lag import Capacity

GATES = Gates(max_pending=100, max_age=1.0, max_pause=5.0, max_heartbeat=10.0)
NOW = 1000.0


def ready() -> Facts:
    """Return the facts of a source that is ready for the cutover."""
    return Facts(
        "app.db",
        "public",
        state=State.STREAMING,
        beat=time.time(),
        consistent=True,
        connected=True,
        measured_at=NOW,
        capacity=Capacity(changes_per_second=1000.0, batch_seconds=0.01),
    )


def test_a_source_without_lag_is_ready() -> None:
    """Nothing pending, both sides there, a heartbeat just in."""
    assert reasons([ready()], GATES, NOW) == []


@pytest.mark.parametrize("state", [s for s in State if s is not State.STREAMING])
def test_a_source_that_does_not_stream_is_not_ready(state: State) -> None:
    """The one reason is the state; lag figures would only confuse."""
    found = reasons([replace(ready(), state=state, connected=False)], GATES, NOW)
    assert found == [f"app.db: is {state.value}, not streaming"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"connected": False}, "the target is away"),
        ({"consistent": False}, "a backlog is being worked off"),
        ({"pending": 101}, "101 changes are pending"),
        ({"pending": 1, "oldest": 1.5}, "the oldest pending change is 1.5 s old"),
        ({"disk_trouble": "3 MiB are free beside it"}, "3 MiB are free"),
        ({"beat": None}, "no heartbeat has made the whole trip"),
        ({"beat": 1.0}, "the last heartbeat arrived"),
        ({"objections": ["table 'new' appeared after the plan"]}, "table 'new' appeared"),
        ({"capacity": Capacity(batch_seconds=1.495)}, "the pause is predicted at 6.0 s"),
    ],
)
def test_each_gate_closes_by_itself(change: dict[str, object], reason: str) -> None:
    """One fact out of order gives one reason that names the source and the fact."""
    (found,) = reasons([replace(ready(), **change)], GATES, NOW)  # type: ignore[arg-type]  # a table of fields
    assert found.startswith("app.db: ")
    assert reason in found


@pytest.mark.parametrize(
    ("verified", "reason"),
    [
        (None, "have not been verified since the daemon started"),
        (Verified(NOW, equal=False), "has found differences"),
        (Verified(NOW - 61, equal=True), "the last verification is 61 s old, at most 60 s it may be"),
        (Verified(NOW - 60, equal=True), ""),
    ],
)
def test_a_verification_is_asked_for_where_its_age_is_limited(verified: Verified | None, reason: str) -> None:
    """Clean and recent; without a limit none is asked for."""
    facts = replace(ready(), verified=verified)
    found = reasons([facts], replace(GATES, max_verified=60.0), NOW)
    assert [reason in text for text in found] == ([True] if reason else [])
    assert reasons([facts], GATES, NOW) == []


@pytest.mark.parametrize(
    "change",
    [
        {"pending": 100},
        {"pending": 1, "oldest": 1.0},
        {"capacity": Capacity(batch_seconds=1.22)},
        {"oldest": 99.0},
    ],
)
def test_a_gate_is_open_up_to_its_limit(change: dict[str, object]) -> None:
    """The limit itself is allowed, and an age without anything pending is none."""
    assert reasons([replace(ready(), **change)], GATES, NOW) == []  # type: ignore[arg-type]  # a table of fields


def test_what_is_pending_goes_on_ageing_after_it_was_measured() -> None:
    """A measurement that stands still must not keep the gate open."""
    facts = replace(ready(), pending=1, oldest=0.5)
    assert reasons([facts], GATES, NOW) == []
    assert "is 2.5 s old" in reasons([facts], GATES, NOW + 2)[0]


def test_every_source_gives_its_reasons() -> None:
    """All of them are told at once, each with its file."""
    second = replace(ready(), path="other.db", connected=False, consistent=False)
    found = reasons([ready(), second, replace(ready(), beat=None)], GATES, NOW)
    assert [reason.split(":")[0] for reason in found] == ["other.db", "other.db", "app.db"]


def test_the_pause_is_unknown_before_anything_was_measured() -> None:
    """No batch yet, so there is nothing to predict from, and that alone closes no gate."""
    fresh = replace(ready(), capacity=Capacity())
    assert pause_of(fresh, NOW) is None
    assert reasons([fresh], GATES, NOW) == []
