"""A log that does not join on to the target's position is noticed before anything is applied."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from config.errors import CaptureBroken
from tests.fixtures.sqlite import MakeSource
from triggers import changelog
from triggers.connection import connect
from triggers.trigger_sql import log_sql


def logged(path: Path, *positions: int) -> sqlite3.Connection:
    """Open the file for reading with exactly these positions in its log."""
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO _liteferry_log(seq, t) VALUES (?, 1)", [(p,) for p in positions])
    connection.close()
    return connect(path)


@pytest.mark.parametrize(
    ("positions", "position", "head"),
    [((), 0, 0), ((1, 2), 0, 2), ((1, 2), 2, 2), ((2,), 2, 2), ((3, 4), 2, 4)],
)
def test_a_log_that_joins_on_gives_its_head(
    make_source: MakeSource, positions: tuple[int, ...], position: int, head: int
) -> None:
    """Nothing is missing when the log begins at most one behind the position."""
    connection = logged(make_source("a.db", log_sql(4)), *positions)

    assert changelog.checked_head(connection, position) == head
    connection.close()


@pytest.mark.parametrize(("positions", "position"), [((), 3), ((1, 2), 3), ((5, 6), 3), ((5,), 3)])
def test_a_log_that_was_rewound_or_cut_is_refused(
    make_source: MakeSource, positions: tuple[int, ...], position: int
) -> None:
    """An emptied log, an older copy of the file, a target restored from a backup: rows may be missing."""
    connection = logged(make_source("a.db", log_sql(4)), *positions)

    with pytest.raises(CaptureBroken):
        changelog.checked_head(connection, position)
    connection.close()
