"""The line that `systemctl status` shows: state, lag, readiness."""

from __future__ import annotations

import pytest

from daemon.line import line
from replicator.state import State
from replicator.status import Facts


def facts(state: State, *, pending: int = 0, oldest: float = 0.0, connected: bool = True) -> Facts:
    """Return facts measured at 100 on the monotonic clock."""
    one = Facts("/srv/app.db", "public")
    one.state, one.pending, one.oldest, one.measured_at = state, pending, oldest, 100.0
    one.connected = connected
    return one


@pytest.mark.parametrize(
    ("one", "reasons", "shown"),
    [
        (facts(State.STREAMING), [], "streaming, 0 changes pending, ready for cutover"),
        (
            facts(State.STREAMING, pending=3, oldest=0.5),
            ["/srv/app.db: a backlog is being worked off"],
            "streaming, 3 changes pending for 1.5 s, /srv/app.db: a backlog is being worked off",
        ),
        (
            facts(State.STREAMING, pending=7, oldest=60, connected=False),
            ["/srv/app.db: the target is away"],
            "streaming, 7 changes pending for 61.0 s, the target is away, /srv/app.db: the target is away",
        ),
        (
            facts(State.SNAPSHOT, pending=2, oldest=1),
            ["/srv/app.db: is snapshot, not streaming"],
            "snapshot, 0 of 0 tables copied, 2 changes pending for 2.0 s",
        ),
        (facts(State.CATCH_UP), ["is catch_up"], "catch up, 0 changes pending"),
        (facts(State.CUT_OVER), ["is cut_over"], "cut over, 0 changes to bring back"),
    ],
)
def test_the_line_tells_state_lag_and_readiness(one: Facts, reasons: list[str], shown: str) -> None:
    """The lag grows with the clock although nobody has measured again."""
    assert line(one.state, [one], reasons, 101.0) == shown
