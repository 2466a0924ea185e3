"""The states of a source and of the daemon, and which may follow which."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class State(enum.Enum):
    """Where a source is on its way to PostgreSQL."""

    #: Nothing has been done yet.
    NEW = "new"
    #: Structure and contents are being looked at; nothing is changed on either side.
    PREFLIGHT = "preflight"
    #: Triggers are in; tables are being copied.
    SNAPSHOT = "snapshot"
    #: All rows are copied; what changed meanwhile is being brought over.
    CATCH_UP = "catch_up"
    #: The target is a state that the source had, moments ago.
    STREAMING = "streaming"
    #: The write lock is being taken, or held, or the fence is up and the decision is on its way.
    CUTTING_OVER = "cutting_over"
    #: The target has the application's writes; the source refuses them.
    CUT_OVER = "cut_over"
    #: Writes are being taken back to the source.
    REVERSING = "reversing"
    #: The source has the application's writes again.
    ROLLED_BACK = "rolled_back"
    #: Everything of ours is taken out on both sides.
    FINISHED = "finished"
    #: The operator has stopped the stream for now.
    PAUSED = "paused"
    #: Something needs a person; see the error.
    FAILED = "failed"


_NEXT: dict[State, frozenset[State]] = {
    State.NEW: frozenset({State.PREFLIGHT}),
    State.PREFLIGHT: frozenset(
        {
            State.SNAPSHOT,
            State.CATCH_UP,
            State.CUTTING_OVER,
            State.CUT_OVER,
            State.FINISHED,
            # it was when the daemon ended
            State.PAUSED,
        }
    ),
    State.SNAPSHOT: frozenset({State.CATCH_UP, State.PAUSED}),
    State.CATCH_UP: frozenset({State.STREAMING, State.PAUSED}),
    State.STREAMING: frozenset({State.CATCH_UP, State.CUTTING_OVER, State.PAUSED}),
    State.CUTTING_OVER: frozenset({State.STREAMING, State.CATCH_UP, State.CUT_OVER}),
    State.CUT_OVER: frozenset({State.REVERSING, State.FINISHED}),
    State.REVERSING: frozenset({State.CUT_OVER, State.ROLLED_BACK}),
    State.ROLLED_BACK: frozenset({State.CATCH_UP, State.FINISHED}),
    State.FINISHED: frozenset(),
    # the target may be anything by then: whether it streams is found out on the way
    State.PAUSED: frozenset({State.SNAPSHOT, State.CATCH_UP}),
    State.FAILED: frozenset({State.PREFLIGHT}),
}

#: The least advanced source speaks for all; a failed one above everything.
_ORDER = (
    State.FAILED,
    State.PAUSED,
    State.NEW,
    State.PREFLIGHT,
    State.SNAPSHOT,
    State.CATCH_UP,
    State.CUTTING_OVER,
    State.REVERSING,
    State.STREAMING,
    State.ROLLED_BACK,
    State.CUT_OVER,
    State.FINISHED,
)


@dataclass(frozen=True)
class Paused:
    """That nothing of a source is carried over: since when, in Unix time, and what state it was in."""

    since: float
    before: State


def may_pause(now: State) -> bool:
    """Tell whether an operator may stop the stream, in either direction, in this state."""
    # what comes home rests without leaving the state: which side has the writes must be seen
    return now is State.PAUSED or State.PAUSED in _NEXT[now] or now is State.CUT_OVER


def advance(now: State, to: State) -> State:
    """Return `to` when it may follow `now`, or is the same. Raises ValueError when it may not."""
    if to is now or to is State.FAILED or to in _NEXT[now]:
        return to
    msg = f"state {to.value} cannot follow {now.value}"
    raise ValueError(msg)


def overall(states: Iterable[State]) -> State:
    """Return the state that speaks for several sources; NEW when there are none."""
    present = set(states)
    return next((state for state in _ORDER if state in present), State.NEW)
