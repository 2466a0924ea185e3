"""Waiting longer after each failure."""

from __future__ import annotations

import random

from replicator.backoff import Backoff


class Middle(random.Random):
    """Chance that always hits the middle."""

    def uniform(self, a: float, b: float) -> float:
        """Return the mean."""
        return (a + b) / 2


def test_waits_double_up_to_the_longest() -> None:
    """A target that stays away is asked at longer and longer intervals, but never given up."""
    backoff = Backoff(first=0.1, most=1.0, rng=Middle())
    assert [round(backoff.failed(), 3) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_waits_stay_bounded_after_many_failures() -> None:
    """A weekend without a target neither overflows nor waits beyond the tenth on top."""
    backoff = Backoff(first=0.1, most=5.0, failures=100_000, rng=random.Random(1))
    assert all(4.5 <= backoff.failed() <= 5.5 for _ in range(100))


def test_waits_differ_by_chance() -> None:
    """Many daemons that lost the same server do not come back in step."""
    waits = {Backoff(rng=random.Random(seed)).failed() for seed in range(20)}
    assert len(waits) > 10
    assert all(0.09 <= wait <= 0.11 for wait in waits)


def test_the_first_failure_is_told_and_then_one_in_a_while() -> None:
    """The log tells of an outage without drowning in it."""
    backoff = Backoff()
    told = [at for at in range(0, 100, 10) if backoff.to_be_told(float(at), every=30)]
    assert told == [0, 30, 60, 90]


def test_recovery_begins_anew() -> None:
    """The next outage starts with short waits and is told at once."""
    backoff = Backoff(first=0.1, rng=Middle())
    backoff.to_be_told(0.0)
    for _ in range(4):
        backoff.failed()

    assert backoff.recovered() == 4
    assert backoff.recovered() == 0
    assert backoff.to_be_told(1.0)
    assert round(backoff.failed(), 3) == 0.1
