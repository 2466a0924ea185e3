"""Lanes cover every rowid exactly once, whatever the rowids."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from replicator.loading.lanes import MOST_LANES, Bounds, split
from replicator.sources.paging import decode

ROWIDS = st.integers(-(1 << 63), (1 << 63) - 1)


@given(st.tuples(ROWIDS, ROWIDS).map(sorted), st.integers(0, 1 << 40), st.integers(1_000, 1 << 20))
def test_each_lane_begins_where_the_one_before_ends(ends: list[int], rows: int, lane_rows: int) -> None:
    """The first and the last are open, the edges rise, and all are rowids that SQLite can have."""
    lanes = split(ends[0], ends[1], rows, lane_rows)
    assert 1 <= len(lanes) <= MOST_LANES
    assert lanes[0].after is None
    assert lanes[-1].upto is None
    edges = [lane.upto for lane in lanes[:-1]]
    assert [lane.after for lane in lanes[1:]] == edges
    numbers = [decode(edge)[0] for edge in edges if edge is not None]
    assert all(a < b for a, b in pairwise(numbers))  # type: ignore[operator]
    assert all(ends[0] <= n < ends[1] for n in numbers)  # type: ignore[operator]


def test_a_small_table_has_one_lane_without_bounds() -> None:
    """As has one whose rowids leave no room for more."""
    assert split(1, 1_000_000, 1_999, 1_000) == [Bounds()]
    assert split(7, 7, 1_000_000, 1_000) == [Bounds()]
