"""The writing application keeps its own promises, so that what breaks them is ours."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.fixtures.sqlite import MakeSource
from tests.fixtures.writer import Writer

StartWriter = Callable[..., Writer]


def fetch(path: Path, query: str) -> list[tuple[object, ...]]:
    """Run one query on a connection of its own."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_balances_keep_their_sum(writer: StartWriter, tmp_path: Path) -> None:
    """No transaction makes or destroys money, and none fails."""
    summary = writer(tmp_path / "app.db", seconds=1).wait()

    assert summary.errors == []
    assert summary.transactions > 50
    assert fetch(tmp_path / "app.db", "SELECT sum(balance) FROM accounts") == [(50_000,)]


def test_every_acknowledged_transaction_is_counted_in_the_file(writer: StartWriter, tmp_path: Path) -> None:
    """After a kill the file holds what the journal acknowledges, and one more at most."""
    started = writer(tmp_path / "app.db", seed=7, journal=tmp_path / "out.jsonl")
    started.kill()

    acknowledged = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    [(counted,)] = fetch(tmp_path / "app.db", "SELECT n FROM tags WHERE doc = 'writer:7' AND tag = 'last'")
    assert [line["number"] for line in acknowledged] == list(range(1, len(acknowledged) + 1))
    assert counted in (len(acknowledged), len(acknowledged) + 1)


def test_several_writers_share_a_file(writer: StartWriter, tmp_path: Path) -> None:
    """Each waits for the other's lock and fails no transaction."""
    started = [writer(tmp_path / "app.db", seed=seed, rate=100) for seed in (1, 2)]
    summaries = [one.stop() for one in started]

    assert [summary.errors for summary in summaries] == [[], []]


def test_a_fence_ends_it_without_an_error(
    writer: StartWriter, make_source: MakeSource, tmp_path: Path
) -> None:
    """The application stops cleanly where it is told that its data has moved."""
    started = writer(tmp_path / "app.db", rate=200)
    with closing(sqlite3.connect(tmp_path / "app.db", timeout=5)) as database:
        for event in ("INSERT ON tags", "UPDATE ON tags"):
            name = event.split()[0].lower()
            database.execute(
                f"CREATE TRIGGER fence_{name} BEFORE {event} "
                "BEGIN SELECT RAISE(ABORT, 'this database has moved to PostgreSQL'); END"
            )
    summary = started.wait()

    assert summary.fenced
    assert summary.errors == []


def test_a_lock_held_too_long_is_an_error_and_a_stall(writer: StartWriter, tmp_path: Path) -> None:
    """What a lock does to the application shows in its summary."""
    started = writer(tmp_path / "app.db", busy_timeout_ms=50, rate=100, seconds=1)
    with closing(sqlite3.connect(tmp_path / "app.db", timeout=5)) as database:
        database.execute("BEGIN IMMEDIATE")
        summary = started.wait()
        database.execute("ROLLBACK")

    assert summary.max_stall_ms >= 50
    assert summary.errors
    assert all("database is locked" in error for error in summary.errors)


def test_a_writer_that_cannot_start_says_why(writer: StartWriter, tmp_path: Path) -> None:
    """A file that is no database is named in the failure."""
    (tmp_path / "text.db").write_text("no database, but long enough to be read as the header of one" * 20)

    with pytest.raises(RuntimeError, match="not a database"):
        writer(tmp_path / "text.db")
