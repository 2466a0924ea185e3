"""When a change of the file is a mystery, and how often tables are compared because of it."""

from __future__ import annotations

import pytest

from replicator.witness import LONGEST_REST, SHORTEST_REST, Sight, Suspicion

BEFORE = Sight(data_version=1, entries=10, schema=3)


@pytest.mark.parametrize(
    ("now", "explained"),
    [
        (BEFORE, True),
        (Sight(2, 11, 3), True),
        (Sight(2, 10, 4), True),
        (Sight(2, 10, 3), False),
        (Sight(1, 11, 3), True),
    ],
)
def test_a_change_is_explained_by_the_log_or_the_schema(now: Sight, explained: bool) -> None:
    """And by nothing else."""
    assert now.explains(BEFORE) is explained


def test_a_comparison_that_finds_something_is_followed_by_another() -> None:
    """Until one finds nothing; the cutover waits as long."""
    doubt = Suspicion()
    assert (doubt.due_in(0.0), doubt.blocks) == (None, False)
    doubt.raised(10.0)
    assert (doubt.due_in(10.0), doubt.blocks) == (0.0, True)
    doubt.begin(10.0)
    doubt.raised(11.0)
    doubt.ended(12.0, found=3)
    assert (doubt.due_in(12.0), doubt.blocks) == (0.0, True)
    doubt.begin(12.0)
    assert doubt.blocks
    doubt.ended(13.0, found=0)
    assert (doubt.due_in(13.0), doubt.blocks, doubt.count) == (None, False, 2)


def test_harmless_changes_are_looked_into_less_and_less() -> None:
    """They block nothing, and cost a twentieth of the time at most."""
    doubt, clock, rests = Suspicion(), 0.0, []
    for _ in range(12):
        doubt.raised(clock)
        due = doubt.due_in(clock)
        assert due is not None
        rests.append(due)
        clock += due
        doubt.begin(clock)
        clock += 1.0
        doubt.ended(clock, found=0)
        doubt.raised(clock)
        assert not doubt.blocks
    assert rests[0] == 0.0
    assert rests[1] >= max(SHORTEST_REST, 20.0)
    assert rests == sorted(rests)
    assert rests[-1] == LONGEST_REST
