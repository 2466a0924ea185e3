"""The change log: positions, pruning, heartbeats and the lag that is read from it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from config.errors import SourceBusy
from tests.fixtures.sqlite import MakeSource
from triggers import capture, changelog
from triggers.changelog import Lag
from triggers.connection import connect
from triggers.key import choose
from triggers.schema import tables


@pytest.fixture
def source(make_source: MakeSource) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """Give an application's connection and ours to a file under capture."""
    path = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY)")
    with (
        closing(connect(path, writable=True)) as ours,
        closing(sqlite3.connect(path, isolation_level=None)) as application,
    ):
        capture.install(ours, [(t, choose(t)) for t in tables(ours)[0]], 5.0)
        yield application, ours


def test_positions_have_no_gaps(source: tuple[sqlite3.Connection, sqlite3.Connection]) -> None:
    """A difference of positions is a count of entries; what is rolled back gives its positions back."""
    application, ours = source
    application.execute("INSERT INTO t VALUES(1), (2)")
    application.executescript("BEGIN; INSERT INTO t VALUES(3), (4); ROLLBACK")
    application.executescript("BEGIN; SAVEPOINT s; INSERT INTO t VALUES(5); ROLLBACK TO s; COMMIT")
    application.execute("INSERT OR IGNORE INTO t VALUES(1), (6)")
    seqs = [row[0] for row in ours.execute("SELECT seq FROM _liteferry_log ORDER BY seq")]
    assert seqs == list(range(1, len(seqs) + 1))
    assert changelog.head(ours) == changelog.entries(ours) == len(seqs)


def test_pruning_never_gives_a_position_out_again(
    source: tuple[sqlite3.Connection, sqlite3.Connection],
) -> None:
    """Without AUTOINCREMENT an empty log would begin at 1 again: the newest entry stays whatever is asked."""
    application, ours = source
    application.execute("INSERT INTO t VALUES(1), (2), (3)")
    newest = changelog.head(ours)
    for position in (newest, newest + 100, newest):
        changelog.prune(ours, position, 1000, 1.0)
        assert changelog.head(ours) == newest
    application.execute("DELETE FROM t WHERE id = 3")
    assert changelog.head(ours) == newest + 1
    assert [r[0] for r in ours.execute("SELECT seq FROM _liteferry_log ORDER BY seq")][-2:] == [
        newest,
        newest + 1,
    ]


def test_pruning_keeps_what_the_target_has_not_got(
    source: tuple[sqlite3.Connection, sqlite3.Connection],
) -> None:
    """Only entries before the position go, the oldest first, as many at once as allowed."""
    application, ours = source
    application.executemany("INSERT INTO t VALUES(?)", [(n,) for n in range(50)])
    assert changelog.prune(ours, 30, 10, 1.0).entries == 10
    assert ours.execute("SELECT min(seq) FROM _liteferry_log").fetchone() == (11,)
    assert changelog.prune(ours, 30, 1000, 1.0).entries == 19
    assert changelog.prune(ours, 30, 1000, 1.0).entries == 0
    assert ours.execute("SELECT min(seq), max(seq) FROM _liteferry_log").fetchone() == (30, 50)
    assert changelog.prune(ours, 0, 1000, 1.0).entries == 0


def test_pruning_beside_a_long_transaction_gives_up_in_time(
    source: tuple[sqlite3.Connection, sqlite3.Connection],
) -> None:
    """Housekeeping waits for nobody, and holds nothing when it gives up."""
    application, ours = source
    application.execute("INSERT INTO t VALUES(1), (2)")
    application.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    with pytest.raises(SourceBusy):
        changelog.prune(ours, 2, 1000, 0.05)
    assert time.monotonic() - begun < 2
    assert not ours.in_transaction
    application.execute("COMMIT")
    assert changelog.prune(ours, 2, 1000, 1.0).entries == 1


def test_the_lag_is_what_is_pending_and_how_old(
    source: tuple[sqlite3.Connection, sqlite3.Connection],
) -> None:
    """The age is that of the oldest entry behind the position, by the clock it was written with."""
    application, ours = source
    application.execute("INSERT INTO t VALUES(1), (2), (3), (4)")
    application.execute("UPDATE _liteferry_log SET at = at - (10 - seq) / 86400.0")
    for position, pending, age in ((0, 4, 9), (1, 3, 8), (3, 1, 6)):
        found = changelog.lag(ours, position)
        assert found.entries == found.positions == pending
        assert found.oldest == pytest.approx(age, abs=1.5)
    assert changelog.lag(ours, 4) == Lag(0)
    assert not ours.in_transaction


def test_an_entry_of_the_future_is_not_older_than_now(
    source: tuple[sqlite3.Connection, sqlite3.Connection],
) -> None:
    """A clock that was put back makes no negative lag."""
    application, ours = source
    application.execute("INSERT INTO t VALUES(1)")
    application.execute("UPDATE _liteferry_log SET at = at + 1")
    assert changelog.lag(ours, 0) == Lag(1, 0.0, 1)


def test_a_heartbeat_travels_as_an_entry_with_its_time(
    source: tuple[sqlite3.Connection, sqlite3.Connection],
) -> None:
    """The newest of a range counts, to the millisecond; entries of tables are none."""
    application, ours = source
    application.execute("INSERT INTO t VALUES(1)")
    assert changelog.last_beat(ours, 0, 1) is None
    changelog.beat(ours, 1.0)
    changelog.beat(ours, 1.0)
    assert changelog.last_beat(ours, 0, 3) == pytest.approx(time.time(), abs=5)
    assert changelog.last_beat(ours, 3, 3) is None
    assert changelog.touched(ours, 0, 3) == {1: 1, changelog.HEARTBEAT: 2}
    assert changelog.touched(ours, 1, 2) == {changelog.HEARTBEAT: 1}


def test_an_empty_log_has_no_lag(source: tuple[sqlite3.Connection, sqlite3.Connection]) -> None:
    """Nothing was ever written."""
    _, ours = source
    assert changelog.head(ours) == changelog.entries(ours) == 0
    assert changelog.lag(ours, 0) == Lag(0)
