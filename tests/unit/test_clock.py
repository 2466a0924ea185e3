"""Jumps of the wall clock, told by the monotonic one."""

from __future__ import annotations

from daemon.clock import Clock


def test_only_what_the_monotonic_clock_does_not_show_is_a_jump() -> None:
    """Forth, back, and not for what NTP slews."""
    clock = Clock(1000.0, 10.0)
    assert clock.look(1005.0, 15.0) == 0.0
    assert clock.look(1010.4, 20.0) == 0.0
    assert clock.look(4620.0, 30.0) == 3599.6
    assert clock.look(4630.0, 40.0) == 0.0
    assert clock.look(1040.0, 50.0) == -3600.0
    assert clock.jumps == 2
