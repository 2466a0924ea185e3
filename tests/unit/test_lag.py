"""Rates, capacity and the pause that is predicted from them, all given the time."""

from __future__ import annotations

import pytest

from replicator.streaming.lag import Capacity, Rate, predicted_pause


def test_a_rate_is_what_was_added_per_second() -> None:
    """Ten a second for some seconds is ten."""
    rate = Rate(window=10)
    for second in range(5):
        rate.add(float(second), second * 10)
    assert rate.per_second(4.0) == pytest.approx(10)


def test_a_rate_of_one_point_or_none_is_zero() -> None:
    """Nothing is invented from a single look."""
    rate = Rate()
    assert rate.per_second(0.0) == 0
    rate.add(1.0, 500)
    assert rate.per_second(1.0) == 0


def test_a_rate_falls_when_nothing_comes_any_more() -> None:
    """An idle source does not keep the rate of its last burst."""
    rate = Rate(window=10)
    rate.add(0.0, 0)
    rate.add(1.0, 1000)
    falling = [rate.per_second(float(now)) for now in (1, 2, 5, 100)]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] <= 10


def test_a_rate_forgets_what_is_behind_its_window() -> None:
    """A burst an hour ago says nothing of now."""
    rate = Rate(window=10)
    rate.add(0.0, 0)
    rate.add(1.0, 1_000_000)
    for second in range(60, 80):
        rate.add(float(second), 1_000_000)
    assert rate.per_second(79.0) == 0


def test_a_rate_does_not_grow_in_memory() -> None:
    """A point a tick for a day keeps the window's points only."""
    rate = Rate(window=10)
    for tick in range(10_000):
        rate.add(tick / 10, tick)
    assert len(rate._points) < 120


def test_nothing_pending_takes_no_time() -> None:
    """Whatever is known or not, an empty backlog is worked off."""
    assert Capacity().catch_up(0, coming=1e9) == 0


def test_a_backlog_takes_its_size_by_what_is_left_of_the_capacity() -> None:
    """10,000 changes at 1,000 a second, of which 500 a second are eaten by new ones, take 20 seconds."""
    assert Capacity(changes_per_second=1000.0, batch_seconds=0.1).catch_up(10_000, coming=500) == 20


@pytest.mark.parametrize("coming", [1000.0, 2000.0])
def test_a_backlog_that_grows_as_fast_is_not_given_an_end(coming: float) -> None:
    """An estimate that cannot be made is None, not a large number."""
    assert Capacity(changes_per_second=1000.0, batch_seconds=0.1).catch_up(10, coming) is None


def test_only_large_batches_tell_of_the_capacity() -> None:
    """A batch of one row is a round trip, not a rate."""
    capacity = Capacity()
    capacity.applied(1, 0.02)
    assert capacity.changes_per_second is None
    assert capacity.catch_up(3, coming=0) == pytest.approx(0.02)
    capacity.applied(Capacity.TELLING, 0.5)
    assert capacity.changes_per_second == pytest.approx(1000)


def test_the_capacity_follows_slowly() -> None:
    """One slow batch does not turn the estimate over."""
    capacity = Capacity(changes_per_second=1000.0, batch_seconds=0.1)
    capacity.applied(1000, 10.0)
    assert capacity.changes_per_second == pytest.approx(820)


def test_a_batch_in_no_time_is_no_division_by_zero() -> None:
    """Clocks have steps."""
    capacity = Capacity()
    capacity.applied(1000, 0.0)
    assert capacity.changes_per_second is not None


def test_the_pause_is_predicted_from_what_was_measured() -> None:
    """A few batches and round trips; nothing is predicted from nothing."""
    assert predicted_pause(None, 0.01) is None
    assert predicted_pause(0.0, None) is None
    assert predicted_pause(0.0, 0.01) == pytest.approx(0.06)
    assert predicted_pause(0.0, 0.01, 0.1) == pytest.approx(0.16)
