"""How long a copy takes is told as a span, from what a sample took."""

from __future__ import annotations

import pytest

from replicator.checking.estimate import FAR, NEAR, Sample, duration, spoken

MIB = 1 << 20


def test_the_span_follows_rows_and_speed() -> None:
    """Twice the rows take twice the time."""
    one = Sample(rows=1000, seconds=0.01, bytes=100_000)
    assert duration(1_000_000, 1000 * MIB, one) == (10 * NEAR, 10 * FAR)
    assert duration(2_000_000, 1000 * MIB, one) == (20 * NEAR, 20 * FAR)


def test_rows_that_do_not_fit_in_the_file_are_not_believed() -> None:
    """Rowids may have gaps: ten million of them in a megabyte are none."""
    told = duration(10_000_000, MIB, Sample(rows=1000, seconds=0.01, bytes=100_000))
    assert told is not None
    assert told[0] < 1


def test_an_empty_source_takes_no_time() -> None:
    """There is nothing to go by, and nothing to do."""
    assert duration(0, MIB, Sample(rows=0, seconds=0.0, bytes=0)) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "seconds"), (42, "42 seconds"), (130, "2 minutes"), (3600, "60 minutes"), (9000, "2 hours")],
)
def test_a_duration_is_said_in_one_unit(seconds: float, text: str) -> None:
    """As precisely as it is known."""
    assert spoken(seconds) == text
