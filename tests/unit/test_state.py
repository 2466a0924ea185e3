"""Which state may follow which, and which one speaks for several sources."""

from __future__ import annotations

import pytest

from replicator.state import State, advance, may_pause, overall

#: Every step that is allowed, besides staying and failing; anything else is a mistake of the engine's.
ALLOWED = {
    (State.NEW, State.PREFLIGHT),
    (State.PREFLIGHT, State.SNAPSHOT),
    (State.PREFLIGHT, State.CATCH_UP),
    (State.PREFLIGHT, State.CUTTING_OVER),
    (State.PREFLIGHT, State.CUT_OVER),
    (State.PREFLIGHT, State.FINISHED),
    (State.PREFLIGHT, State.PAUSED),
    (State.SNAPSHOT, State.CATCH_UP),
    (State.SNAPSHOT, State.PAUSED),
    (State.CATCH_UP, State.STREAMING),
    (State.CATCH_UP, State.PAUSED),
    (State.STREAMING, State.CATCH_UP),
    (State.STREAMING, State.CUTTING_OVER),
    (State.STREAMING, State.PAUSED),
    (State.CUTTING_OVER, State.STREAMING),
    (State.CUTTING_OVER, State.CATCH_UP),
    (State.CUTTING_OVER, State.CUT_OVER),
    (State.CUT_OVER, State.REVERSING),
    (State.CUT_OVER, State.FINISHED),
    (State.REVERSING, State.CUT_OVER),
    (State.REVERSING, State.ROLLED_BACK),
    (State.ROLLED_BACK, State.CATCH_UP),
    (State.ROLLED_BACK, State.FINISHED),
    (State.PAUSED, State.SNAPSHOT),
    (State.PAUSED, State.CATCH_UP),
    (State.FAILED, State.PREFLIGHT),
}


@pytest.mark.parametrize("now", State)
@pytest.mark.parametrize("to", State)
def test_a_state_is_followed_only_by_those_that_may_follow_it(now: State, to: State) -> None:
    """All pairs: what is not allowed raises and names both."""
    if (now, to) in ALLOWED or to in (now, State.FAILED):
        assert advance(now, to) is to
    else:
        with pytest.raises(ValueError, match=f"{to.value} cannot follow {now.value}"):
            advance(now, to)


@pytest.mark.parametrize("state", State)
def test_every_state_but_the_last_can_be_left(state: State) -> None:
    """Nothing ends in a corner: a failed or paused source can go on."""
    ways = {to for to in State if (state, to) in ALLOWED}
    assert bool(ways) is (state is not State.FINISHED)


@pytest.mark.parametrize("state", State)
def test_a_pause_can_be_ordered_while_rows_are_carried_over(state: State) -> None:
    """Not while writes are being moved, nor where nothing is carried over: from every state."""
    carrying = {State.PREFLIGHT, State.SNAPSHOT, State.CATCH_UP, State.STREAMING, State.CUT_OVER}
    assert may_pause(state) is (state in carrying | {State.PAUSED})
    if may_pause(state) and state is not State.CUT_OVER:
        assert advance(state, State.PAUSED) is State.PAUSED


def test_no_sources_are_new() -> None:
    """Before any source is known there is nothing to tell."""
    assert overall([]) is State.NEW


@pytest.mark.parametrize("state", State)
def test_one_source_speaks_for_itself(state: State) -> None:
    """The state of a single source is the daemon's, whatever it is."""
    assert overall([state, state]) is state


@pytest.mark.parametrize(
    ("states", "speaks"),
    [
        ((State.STREAMING, State.FAILED, State.SNAPSHOT), State.FAILED),
        ((State.STREAMING, State.PAUSED), State.PAUSED),
        ((State.STREAMING, State.SNAPSHOT, State.CATCH_UP), State.SNAPSHOT),
        ((State.CUT_OVER, State.CUTTING_OVER), State.CUTTING_OVER),
        ((State.CUT_OVER, State.STREAMING), State.STREAMING),
        ((State.FINISHED, State.CUT_OVER), State.CUT_OVER),
    ],
)
def test_the_least_advanced_source_speaks_for_all(states: tuple[State, ...], speaks: State) -> None:
    """Whoever reads one word sees the source that holds up the others."""
    assert overall(states) is speaks
    assert overall(reversed(states)) is speaks
