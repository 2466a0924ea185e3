"""A backup is one state of the source, checked, and made beside an application that goes on writing."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.errors import LiteferryError, SourceError
from replicator.checking import backup
from tests.databases import from_source
from tests.fixtures.cli import Liteferry
from tests.fixtures.sqlite import MakeSource
from tests.fixtures.writer import Writer
from triggers.connection import connect

ROWS = """
CREATE TABLE item(id INTEGER PRIMARY KEY, body TEXT); CREATE INDEX item_body ON item(body);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    INSERT INTO item SELECT i, hex(randomblob(50)) FROM n;
"""


def make(path: Path, folder: Path, **limits: int) -> backup.Backup:
    """Make one as `check` does."""
    limits = {"most_wal_mb": 256, "keep_free_mb": 0, **limits}
    with closing(connect(path)) as connection:
        return backup.make(connection, path, folder, threading.Event(), **limits)


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(entry.name for entry in folder.iterdir())


def test_a_backup_beside_a_writer_is_one_state(
    make_source: MakeSource, writer: Callable[..., Writer], tmp_path: Path
) -> None:
    """Its digest is right, its mode the source's, and no write of the application failed or waited long."""
    from tests.writer import SCHEMA

    path = make_source(script=SCHEMA + ROWS)
    path.chmod(0o640)
    folder = tmp_path / "new" / "backups"
    writing = writer(path, rate=300)
    made = make(path, folder)
    summary = writing.stop()

    assert summary.errors == []
    assert summary.transactions > 0
    assert names(folder) == [made.path.name, f"{made.path.name}.sha256"]
    digest = hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert Path(f"{made.path}.sha256").read_text() == f"{digest}  {made.path.name}\n"
    assert made.path.stat().st_mode & 0o777 == 0o640
    assert made.path.stat().st_uid == path.stat().st_uid
    assert folder.stat().st_mode & 0o777 == 0o700
    assert from_source(made.path, "PRAGMA integrity_check") == [("ok",)]
    assert from_source(made.path, "SELECT count(*) FROM item") == [(made.rows["item"],)] == [(20000,)]


def test_without_wal_writers_get_their_turn(make_source: MakeSource, tmp_path: Path) -> None:
    """A write between two steps begins it anew; the copy is of the state after it."""
    path = make_source(script=ROWS, journal="delete")
    done = threading.Event()

    def write_once() -> None:
        with closing(sqlite3.connect(path, timeout=10)) as application, application:
            application.execute("UPDATE item SET body = 'changed' WHERE id = 1")
        done.set()

    timer = threading.Timer(0.05, write_once)
    timer.start()
    made = make(path, tmp_path / "b")
    timer.join()
    assert done.is_set()
    assert from_source(made.path, "PRAGMA integrity_check") == [("ok",)]
    assert made.rows["item"] == 20000


def test_nothing_is_overwritten_and_nothing_left_behind(
    make_source: MakeSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even by a second one of the same second."""
    path, folder = make_source(script=ROWS), tmp_path / "b"
    monkeypatch.setattr(backup, "name_of", lambda source, now: "app-now.db")
    made = make(path, folder)
    before = made.path.read_bytes()
    with pytest.raises(LiteferryError, match="File exists"):
        make(path, folder)
    assert made.path.read_bytes() == before
    assert names(folder) == ["app-now.db", "app-now.db.sha256"]


def test_a_digest_that_cannot_be_written_is_not_left_behind(
    make_source: MakeSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the backup it would speak of a file that is not there."""
    path, folder = make_source(script=ROWS), tmp_path / "b"

    def full(descriptor: int, *_: str) -> None:
        os.close(descriptor)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(LiteferryError, match="No space left"):
        make(path, folder)
    assert names(folder) == []


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"keep_free_mb": 1 << 30}, "no backup was made: it needs"),
        ({"most_wal_mb": -1}, "was given up: the WAL has grown"),
    ],
)
def test_a_backup_that_would_do_harm_is_given_up(
    make_source: MakeSource, tmp_path: Path, limits: dict[str, int], reason: str
) -> None:
    """For want of room, or because the WAL grows meanwhile; no file is left."""
    path, folder = make_source(script=ROWS), tmp_path / "b"
    with pytest.raises(LiteferryError, match=reason):
        make(path, folder, **limits)
    assert names(folder) == []


def test_a_damaged_source_makes_no_backup(make_source: MakeSource, tmp_path: Path) -> None:
    """What looks like a backup is one."""
    path, folder = make_source(script=ROWS), tmp_path / "b"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_schema SET sql = replace(sql, 'body TEXT', 'body TEXT NOT NULL')")
        database.execute("UPDATE item SET body = NULL WHERE id = 3")
        database.commit()
    with pytest.raises(SourceError, match="the copy is damaged"):
        make(path, folder)
    assert names(folder) == []


@pytest.mark.parametrize("patience", [1, 1 << 30], ids=["in a statement", "in a step"])
def test_whoever_asked_can_end_it(
    make_source: MakeSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patience: int
) -> None:
    """While rows are counted, or at the next step, with no file left."""
    monkeypatch.setattr(backup, "PATIENCE", patience)
    path, folder, stop = make_source(script=ROWS), tmp_path / "b", threading.Event()
    stop.set()
    begun = time.monotonic()
    with closing(connect(path)) as connection, pytest.raises(backup.Stopped):
        backup.make(connection, path, folder, stop, most_wal_mb=256, keep_free_mb=0)
    assert time.monotonic() - begun < 5
    assert names(folder) == []


def test_check_makes_one_when_asked(liteferry: Liteferry, make_source: MakeSource, tmp_path: Path) -> None:
    """Without, that is a warning with the option to use."""
    path = make_source(script=ROWS)
    without = liteferry("check", path, "--json").json["checks"]
    (told,) = [check for check in without if check["name"] == "backup"]
    assert (told["level"], "--backup DIR" in told["hint"]) == ("warn", True)

    given = liteferry("check", path, "--backup", tmp_path / "b", "--json").json["checks"]
    (told,) = [check for check in given if check["name"] == "backup"]
    assert told["level"] == "pass"
    assert "20,000 rows in 1 table, checked" in told["text"]
    assert len(names(tmp_path / "b")) == 2


def test_the_name_tells_the_time() -> None:
    """In the order of time, and with the ending that the source has."""
    now = datetime(2026, 12, 1, 9, 5, 7, tzinfo=UTC)
    assert backup.name_of(Path("/srv/app.sqlite3"), now) == "app-20261201T090507Z.sqlite3"
