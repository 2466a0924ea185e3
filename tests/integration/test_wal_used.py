"""What a WAL holds is told from its file, also when the file is larger than that."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from triggers.wal import FRAME_BYTES, HEADER_BYTES, used_bytes


@pytest.fixture(params=[512, 4096, 65536])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database in WAL mode, with pages of that size, that checkpoints nothing by itself."""
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as opened:
        opened.execute(f"PRAGMA page_size = {request.param}")
        opened.execute("PRAGMA journal_mode = WAL")
        opened.execute("PRAGMA wal_autocheckpoint = 0")
        opened.execute("CREATE TABLE t(a)")
        yield opened


def test_it_is_what_sqlite_itself_says(database: sqlite3.Connection, tmp_path: Path) -> None:
    """Commit after commit, and again when the log begins anew in a file that is larger."""
    wal = tmp_path / "a.db-wal"
    (page,) = database.execute("PRAGMA page_size").fetchone()

    def frames() -> int:
        return int((used_bytes(wal) - HEADER_BYTES) // (FRAME_BYTES + page))

    before = 0
    for _ in range(40):
        database.execute("INSERT INTO t VALUES (randomblob(3000))")
        assert frames() > before
        before = frames()
    _, held, _ = database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert held == frames() == before
    size = wal.stat().st_size
    database.execute("INSERT INTO t VALUES (1)")
    assert wal.stat().st_size == size
    assert 0 < frames() < 10
    _, held, _ = database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert held == frames()


def test_a_file_that_is_none_has_nothing_in_use(tmp_path: Path) -> None:
    """None at all, an empty one, and one that is no WAL."""
    wal = tmp_path / "b.db-wal"
    assert used_bytes(wal) == 0
    for content in (b"", b"x" * 20, b"x" * 5000):
        wal.write_bytes(content)
        assert used_bytes(wal) == 0
