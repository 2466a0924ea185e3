"""Every peer has a pace of its own, and not every peer that ever asked is remembered."""

from __future__ import annotations

from daemon.bucket import Buckets


def test_a_burst_is_let_through_and_then_one_at_a_time() -> None:
    """What is refused is told how long to wait, and after so long it is let through."""
    buckets = Buckets(rate=2, burst=3)
    assert [buckets.take("a", 10.0) for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a", 10.0) == 0.5
    assert buckets.wait("a", 10.0) == 0.5 and buckets.wait("a", 10.5) == 0
    assert buckets.take("a", 10.5) == 0
    assert buckets.take("b", 10.0) == 0
    # a long rest fills it, and no more than that
    assert [buckets.take("a", 1000.0) > 0 for _ in range(4)] == [False, False, False, True]


def test_only_so_many_peers_are_remembered() -> None:
    """The one that has not asked for longest is forgotten, which gives it a full bucket."""
    buckets = Buckets(rate=1, burst=1, most=2)
    for peer in ("a", "b", "c"):
        assert buckets.take(peer, 0.0) == 0
    assert buckets.take("c", 0.0) > 0
    assert buckets.take("a", 0.0) == 0


def test_a_clock_that_steps_back_gives_nothing() -> None:
    """Neither tokens nor an error."""
    buckets = Buckets(rate=1, burst=1)
    assert buckets.take("a", 100.0) == 0
    assert buckets.take("a", 50.0) == 1
