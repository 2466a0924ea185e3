"""The screenful of `liteferry status --watch`: what it says, and that it fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from daemon.cli.live import frame
from daemon.cli.screen import STYLES, Part, cut, fitted, rendered, width_of
from tests import statuses

Make = Callable[[], dict[str, Any]]

SITUATIONS: list[Make] = [
    statuses.snapshot, statuses.catch_up, statuses.streaming, statuses.ready, statuses.lagging,
    statuses.target_away, statuses.cut_over, statuses.rolled_back, statuses.failed, statuses.throttled,
    statuses.paused, statuses.verifying, statuses.many_sources, statuses.many_tables, statuses.minimal,
]  # fmt: skip

SAID: dict[Make, list[str]] = {
    statuses.snapshot: [
        " SNAPSHOT   23.3 % copied, 12 min 10 s left",
        " not ready for cutover",
        " the copy of 3 tables is not complete",
        "##.............. 12.5 %  160,539 of 1,284,310, 12 min 10 s left",
        "copied 1,825 rows/s",
    ],
    statuses.ready: [
        " STREAMING   0 s behind",
        " ready for cutover, expected pause 40 ms",
        "verified 1 h ago",
    ],
    statuses.lagging: [" STREAMING   42 s behind", "order_items        1,284,310 rows  15,201 pending"],
    statuses.target_away: ["error: connection to 10.0.0.5:5432 was refused", "streaming, target away"],
    statuses.cut_over: [
        " CUT OVER   2 changes to bring back",
        " ready for rollback",
        "brought back 812",
        "last cutover: cut over at",
    ],
    statuses.throttled: [
        "throttled: copying and comparing are held back to 500 rows/s and 25% of full speed"
    ],
    statuses.verifying: [
        "notice: /data/old.db is not replicated",
        "1 in quarantine",
        "different",
        "verification under way: orders, 19.9 % of all rows, 16 s left",
    ],
    statuses.many_tables: ["and 4"],
}


def text(make: Make, size: tuple[int, int] = (110, 40), **options: Any) -> str:
    """Return a frame as plain text."""
    lines = frame(make(), statuses.events(), size, drawn=False, **options)
    return "\n".join(rendered(line, colour=False) for line in lines)


@pytest.mark.parametrize("make", SAID, ids=lambda make: make.__name__)
def test_a_frame_says_what_matters(make: Make) -> None:
    """State, the one number, readiness with its reasons, and what is out of the ordinary."""
    seen = text(make)
    assert [line for line in SAID[make] if line not in seen] == [], seen
    assert "recent events" in seen and "ready for cutover, predicted pause 40 ms" in seen


@pytest.mark.parametrize("size", [(200, 60), (80, 24), (60, 16), (40, 10)])
@pytest.mark.parametrize("make", SITUATIONS, ids=lambda make: make.__name__)
def test_a_frame_fits_whatever_the_terminal(make: Make, size: tuple[int, int]) -> None:
    """State and figures come first, what has no room is left out, every style is known."""
    width, height = size
    lines = frame(make(), statuses.events(), size)
    state = make()["state"].replace("_", " ").upper()
    assert state in rendered(lines[1], colour=False)
    assert {part.style for line in lines for part in line} <= STYLES.keys()
    assert all(width_of(rendered(fitted(line, width), colour=False)) <= width for line in lines)
    assert len(lines) <= height or height < 24


def test_old_figures_are_said_to_be_old() -> None:
    """While nobody answers the last figures stay, with their age."""
    away = "no liteferry answers on the control socket; waiting for it, these figures are 12 s old"
    assert text(statuses.ready, away=away).splitlines()[2] == f" {away}"


def test_a_name_cannot_command_the_terminal() -> None:
    """A table may be called anything, an escape sequence too."""
    evil = statuses.status(statuses.source(tables=[statuses.table("a\x1b[2J\nb", 5)]))
    lines = [rendered(line, colour=False) for line in frame(evil, [], (110, 40))]
    assert not any("\x1b" in line or "\n" in line for line in lines)
    assert any(r"a\x1b[2J\nb" in line for line in lines)


def test_wide_characters_are_counted_as_two() -> None:
    """A line of Chinese names does not wrap either."""
    assert width_of("数据a") == 5
    assert cut("数据a", 3) == "数"
    assert fitted([Part("数据", "bold"), Part("abc")], 5) == [Part("数据", "bold"), Part("a")]
