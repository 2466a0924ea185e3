"""Reading is eased in steps while the application suffers, and comes back slowly."""

from __future__ import annotations

import pytest

from replicator.control.easing import CALM_SECONDS, FLOOR, WORSE_SECONDS, Cause, Easing, Excess, Trouble

TROUBLE = Trouble(Cause.SOURCE_WAL, "the WAL grows")


def run(easing: Easing, troubled: bool, begin: float, seconds: float) -> float:
    """Have it looked at twice a second; return the time at the end."""
    for step in range(int(seconds * 2)):
        easing.look(TROUBLE if troubled else None, begin + step / 2)
    return begin + seconds


def test_it_halves_each_second_of_trouble_down_to_a_floor() -> None:
    """The first step comes at once; a copy never stands still."""
    easing, seen = Easing(), []
    for step in range(12):
        easing.look(TROUBLE, step / 2)
        seen.append(easing.factor)
    assert seen[:5] == [0.5, 0.5, 0.25, 0.25, 0.125]
    assert easing.factor == FLOOR and easing.trouble is TROUBLE
    assert WORSE_SECONDS == 1.0


def test_it_comes_back_step_by_step_when_it_has_been_calm() -> None:
    """The reason stands until it is at full speed again, and then nothing does."""
    easing = Easing()
    now = run(easing, True, 0, 2)
    assert easing.factor == 0.25
    now = run(easing, False, now, CALM_SECONDS - 1)
    assert easing.factor == 0.25
    now = run(easing, False, now, 2)
    assert easing.factor == 0.5 and easing.trouble is TROUBLE
    run(easing, False, now, CALM_SECONDS + 1)
    assert easing.factor == 1 and easing.trouble is None


def test_a_moment_of_trouble_begins_the_calm_anew() -> None:
    """Calm is counted from the last trouble, also from one that was too soon for another step."""
    easing = Easing()
    easing.look(TROUBLE, 0)
    easing.look(TROUBLE, 0.5)
    easing.look(None, CALM_SECONDS + 0.4)
    assert easing.factor == 0.5
    easing.look(None, CALM_SECONDS + 0.5)
    assert easing.factor == 1


def test_trouble_right_after_a_step_up_doubles_the_wait() -> None:
    """So a load that is just too much does not make it swing every few seconds."""
    easing, now, rises = Easing(), 0.0, []
    for _ in range(4):
        easing.look(TROUBLE, now)
        began = now
        while easing.factor < 1:
            now += 0.5
            easing.look(None, now)
        rises.append(now - began)
        now += 1
    assert rises == [CALM_SECONDS, 2 * CALM_SECONDS, 4 * CALM_SECONDS, 8 * CALM_SECONDS]
    # after a long time without trouble all is forgotten
    run(easing, False, now, 120)
    easing.look(TROUBLE, now + 200)
    run(easing, False, now + 200.5, CALM_SECONDS)
    assert easing.factor == 1


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([10, 50, 90], [False, False, False]),
        ([90, 110, 130, 150], [False, True, True, True]),
        # it hardly grows: that may be our own heartbeats
        ([110, 110, 115, 120, 122, 131], [True, False, False, False, True, False]),
        # once too large it is so down to half the limit
        ([110, 60, 61, 71], [True, False, False, True]),
        ([110, 40, 51, 90], [True, False, False, False]),
        ([110, 0, 101], [True, False, True]),
    ],
)
def test_a_quantity_is_too_large_only_while_it_grows(values: list[int], told: list[bool]) -> None:
    """A WAL that was large once is no reason to hold back for ever."""
    excess = Excess()
    assert [excess.look(value, 100) for value in values] == told


def test_without_a_limit_nothing_is_too_large() -> None:
    """0 switches it off."""
    excess = Excess()
    assert not any(excess.look(value, 0) for value in (1, 1 << 40, 1 << 41))
