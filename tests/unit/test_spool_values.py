"""Every value that SQLite has goes through the spool unchanged."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.streaming.spool import Block, Spool

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
)
ROWS = st.lists(st.lists(VALUES, min_size=1, max_size=4).map(tuple), max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.builds(Block, st.integers(0, 10**6), ROWS, ROWS), max_size=6),
    st.sampled_from([1, 64, 1 << 20]),
)
def test_blocks_come_back_as_they_were(blocks: list[Block], memory: int) -> None:
    """Value, class and sign of zero, in memory or from the file; read twice."""
    with Spool(memory) as spool:
        for block in blocks:
            spool.append(block)
        assert list(map(repr, spool)) == list(map(repr, blocks))
        assert list(map(repr, spool)) == list(map(repr, blocks))
