"""When a change of the file is a mystery."""

from __future__ import annotations

import pytest

from replicator.streaming.witness import Sight

BEFORE = Sight(data_version=1, entries=10, schema=3)


@pytest.mark.parametrize(
    ("now", "explained"),
    [
        (BEFORE, True),
        (Sight(2, 11, 3), True),
        (Sight(2, 10, 4), True),
        (Sight(2, 10, 3), False),
        (Sight(1, 11, 3), True),
    ],
)
def test_a_change_is_explained_by_the_log_or_the_schema(now: Sight, explained: bool) -> None:
    """And by nothing else."""
    assert now.explains(BEFORE) is explained
