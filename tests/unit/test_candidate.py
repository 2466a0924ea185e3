"""A file in a source's place is opened only when it is whole and at rest, or in use already."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from replicator.sources.candidate import Sight


def database(path: Path, journal: str = "delete") -> Path:
    """Make a database of some pages."""
    with closing(sqlite3.connect(path)) as made:
        made.execute(f"PRAGMA journal_mode = {journal}")
        made.executescript("CREATE TABLE t(x); INSERT INTO t VALUES (zeroblob(50000))")
    return path


def seen(path: Path) -> Sight:
    """Look at a file that is there."""
    found = Sight.of(path)
    assert found is not None
    return found


def test_a_database_at_rest_has_settled(tmp_path: Path) -> None:
    """Two looks that see the same are enough."""
    path = database(tmp_path / "app.db")
    assert seen(path).has_settled_since(seen(path))


def test_half_a_copy_has_not_settled(tmp_path: Path) -> None:
    """Its header tells how long it is to be, even when nothing comes for a while."""
    path = database(tmp_path / "app.db")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert not seen(path).has_settled_since(seen(path))
    path.write_bytes(b"")
    assert not seen(path).has_settled_since(seen(path))


def test_a_file_that_an_application_commits_to_has_settled(tmp_path: Path) -> None:
    """By its count of changes where there is no WAL, by the locks of the shared memory where there is one."""
    path = database(tmp_path / "app.db")
    before = seen(path)
    with closing(sqlite3.connect(path)) as application:
        application.executescript("INSERT INTO t VALUES (1)")
    assert seen(path) != before
    assert seen(path).has_settled_since(before)


def test_a_file_that_is_written_without_a_commit_has_not_settled(tmp_path: Path) -> None:
    """A copy that was given its length beforehand looks like that."""
    path = database(tmp_path / "app.db")
    before = seen(path)
    with path.open("r+b") as copying:
        copying.seek(30_000)
        copying.write(b"x")
    path.touch()
    assert not seen(path).has_settled_since(before)


def test_another_file_begins_anew(tmp_path: Path) -> None:
    """Each must stay for a while by itself."""
    one, two = database(tmp_path / "one.db"), database(tmp_path / "two.db")
    assert not seen(two).has_settled_since(seen(one))


def test_a_link_is_no_file(tmp_path: Path) -> None:
    """It would lead SQLite to other side files."""
    (tmp_path / "link.db").symlink_to(database(tmp_path / "app.db"))
    assert Sight.of(tmp_path / "link.db") is None


def test_only_a_journal_that_can_be_played_back_counts(tmp_path: Path) -> None:
    """One that is kept between transactions begins with zeros."""
    path, journal = database(tmp_path / "app.db"), tmp_path / "app.db-journal"
    journal.write_bytes(bytes(600))
    assert not seen(path).has_left_journal(seen(path))
    journal.write_bytes(bytes.fromhex("d9d505f920a163d7") + bytes(600))
    assert seen(path).has_left_journal(seen(path))
