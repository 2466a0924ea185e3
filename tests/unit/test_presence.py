"""What stands under the name of a source is told by its inode, without opening anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import SourceMissing
from replicator.sources.presence import Identity, Presence, look, refuse_absence


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a file that is held open, as a source is: its inode cannot become another file's."""
    found = tmp_path / "app.db"
    found.write_bytes(b"one")
    return found


def test_the_same_file_is_present(path: Path) -> None:
    """Whatever is written into it."""
    known = Identity.of(path.stat())
    path.write_bytes(b"two")

    assert look(path, known) is Presence.PRESENT
    refuse_absence(path, known)


def test_a_file_that_is_gone_is_missing(path: Path) -> None:
    """Renamed away, and with its whole folder; it is present again when it is back."""
    known = Identity.of(path.stat())
    away = path.rename(path.with_name("away.db"))
    assert look(path, known) is Presence.MISSING
    away.rename(path)
    assert look(path, known) is Presence.PRESENT
    assert look(path / "no folder", known) is Presence.MISSING


@pytest.mark.parametrize("kind", ["copy", "link"])
def test_another_file_in_its_place_is_told(path: Path, kind: str) -> None:
    """A link is another one even when it leads to the file itself: SQLite's side files are elsewhere then."""
    known = Identity.of(path.stat())
    away = path.rename(path.with_name("away.db"))
    if kind == "copy":
        path.write_bytes(away.read_bytes())
    else:
        path.symlink_to(away)

    assert look(path, known) is Presence.REPLACED
    with pytest.raises(SourceMissing, match="another file stands in its place"):
        refuse_absence(path, known)
