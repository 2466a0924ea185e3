"""Figures and tables as the command line shows them."""

from __future__ import annotations

import pytest

from daemon.cli.telling import describe
from daemon.cli.text import count, duration, percent, plural, size, table
from tests.statuses import source, status
from tests.statuses import table as one_table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0 s"),
        (0.0004, "< 1 ms"),
        (0.0421, "42 ms"),
        (0.9997, "1.0 s"),
        (2.34, "2.3 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (90_061, "1 d 1 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float | None, text: str) -> None:
    """No more digits than one wants to read."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (10 << 30, "10 GiB")]
)
def test_sizes_are_in_units_of_1024(number: int | None, text: str) -> None:
    """Bytes are told in the largest unit that fits."""
    assert size(number) == text


@pytest.mark.parametrize(
    ("done", "whole", "text"),
    [(0, 0, "-"), (0, 5, "0.0 %"), (1, 3, "33.3 %"), (999_999, 1_000_000, "99.9 %"), (7, 7, "100 %")],
)
def test_a_share_is_never_whole_before_the_end(done: int, whole: int, text: str) -> None:
    """100 % means that nothing is missing."""
    assert percent(done, whole) == text


def test_counts_and_nouns() -> None:
    """Thousands are set apart, and one is one."""
    assert (count(1_234_567), count(None)) == ("1,234,567", "-")
    assert (plural(1, "table"), plural(2_000, "table")) == ("1 table", "2,000 tables")


def test_a_table_lines_its_columns_up() -> None:
    """Numbers stand to the right, names to the left."""
    assert table([("name", "rows"), ("a", "10")], right=(1,)) == ["  name  rows", "  a       10"]


def test_a_status_tells_why_it_is_not_ready() -> None:
    """The reasons stand under the state, one per line."""
    lines = describe(status(source(), can_cutover=False, reasons=["12 changes pending"]))

    assert lines[:2] == ["streaming, not ready for cutover", "  12 changes pending"]


def test_a_status_shows_unknown_figures_as_unknown() -> None:
    """Before the first heartbeat there is no age, and certainly not zero."""
    text = "\n".join(describe(status(source(heartbeat_age_seconds=None, estimated_catch_up_seconds=None))))

    assert "heartbeat age     -" in text
    assert "time to catch up  -" in text


def test_a_copied_table_is_whole_and_another_is_not() -> None:
    """An estimate that was too low does not make 100 % of what is still being copied."""
    tables = [one_table("done", 10, state="copied"), one_table("more", 10, state="copying", copied=12)]
    lines = describe(status(source(state="snapshot", tables=tables)))

    assert [line.split()[1:4] for line in lines[-2:]] == [["copied", "10", "100"], ["copying", "12", "90.0"]]


def test_a_source_that_was_cut_over_has_no_lag() -> None:
    """Figures that nothing moves any more are left out, and so is the question of readiness."""
    lines = describe(status(source(state="cut_over"), state="cut_over", can_cutover=False, reasons=["x"]))

    assert lines[0] == "cut_over"
    assert not any("pending" in line or "heartbeat" in line or line == "  x" for line in lines)


def test_a_failed_source_tells_its_error() -> None:
    """The error stands with its source."""
    assert "  error: disk full" in describe(status(source(state="failed", error="disk full")))
