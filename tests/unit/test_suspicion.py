"""When tables are compared because something may have changed them, and when a cutover waits for it."""

from __future__ import annotations

from replicator.verification.suspicion import LONGEST_REST, SHORTEST_REST, Routine, Suspicion


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


def test_a_pressing_matter_is_looked_into_at_once_and_always_blocks() -> None:
    """Also after harmless changes have been looked into, and while it is looked into."""
    doubt = Suspicion()
    doubt.raised(0.0)
    doubt.begin(0.0)
    doubt.ended(1.0, found=0)
    doubt.raised(2.0)
    assert not doubt.blocks
    doubt.raised(3.0, pressing=True)
    assert (doubt.due_in(3.0), doubt.blocks) == (0.0, True)
    doubt.begin(3.0)
    assert (doubt.open, doubt.examined, doubt.blocks) == (False, True, True)
    doubt.raised(3.5, pressing=True)
    doubt.ended(4.0, found=0)
    assert (doubt.due_in(4.0), doubt.blocks) == (0.0, True)
    doubt.begin(4.0)
    doubt.ended(5.0, found=0)
    assert (doubt.due_in(5.0), doubt.blocks) == (None, False)


def test_a_routine_comparison_says_nothing_about_what_comes_later() -> None:
    """One that finds nothing clears no suspicion that comes later; one that finds something is news."""
    doubt = Suspicion()
    doubt.begin(0.0)
    assert (doubt.examined, doubt.blocks) == (False, False)
    doubt.ended(1.0, found=0)
    doubt.raised(2.0)
    assert (doubt.due_in(2.0), doubt.blocks) == (0.0, True)
    doubt.begin(2.0)
    doubt.ended(3.0, found=0)
    assert doubt.cleared
    doubt.begin(4.0)
    doubt.ended(5.0, found=1)
    assert not doubt.cleared


def test_the_routine_comes_round() -> None:
    """After each interval, at once when pressed, and never with an interval of 0."""
    routine = Routine(lambda: 100.0)
    assert routine.due_in(0.0) is None
    routine.begin(10.0)
    assert (routine.due_in(10.0), routine.due_in(60.0), routine.due_in(200.0)) == (100.0, 50.0, 0.0)
    routine.press(20.0)
    assert routine.due_in(20.0) == 0.0
    never = Routine(lambda: 0.0)
    never.begin(10.0)
    never.press(10.0)
    assert never.due_in(1e9) is None
