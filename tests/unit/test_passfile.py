"""Passwords in a .pgpass are found by libpq's rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import settings
from config.passfile import look_up, places

PLACE = ("db.example.org", "5432", "app", "liteferry")


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("db.example.org:5432:app:liteferry:secret", "secret"),
        ("*:*:*:*:secret", "secret"),
        ("*:*:*:liteferry: with spaces ", " with spaces "),
        (r"*:*:*:*:a\:b\\c", r"a:b\c"),
        (r"*:*:*:*:a\\", "a\\"),
        ("*:*:*:*:a:ignored", "a"),
        (r"*:*:a\pp:*:secret", "secret"),
        ("other:*:*:*:secret", None),
        ("*:5433:*:*:secret", None),
        ("#*:*:*:*:secret", None),
        ("*:*:*:secret", None),
        ("*:*:*:*:", None),
        ("", None),
    ],
)
def test_a_line_is_read_as_libpq_does(line: str, password: str | None) -> None:
    """Stars fit everything, and a backslash takes the next sign as it is."""
    assert look_up(line, PLACE) == password


def test_the_first_line_that_fits_counts() -> None:
    """As they stand in the file."""
    assert look_up("other:*:*:*:1\n*:*:app:*:2\n*:*:*:*:3\n", PLACE) == "2"


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://me@h/db", [("h", "5432", "db", "me")]),
        ("postgresql://me%40x@h:5433/d%62", [("h", "5433", "db", "me@x")]),
        ("postgresql://me@a:1,b/db", [("a", "1", "db", "me"), ("b", "5432", "db", "me")]),
        ("postgresql://me@[::1]:7/db", [("::1", "7", "db", "me")]),
        ("postgresql:///db?host=/var/run/postgresql&user=me", [("localhost", "5432", "db", "me")]),
        ("postgresql://me@h", [("h", "5432", "me", "me")]),
    ],
)
def test_where_a_url_leads(url: str, found: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its hosts; the sockets of this machine are called localhost."""
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    assert list(places(url)) == found


def test_a_file_that_others_can_read_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As libpq does it; in the settings the password is found, and goes behind the environment's."""
    file = tmp_path / "pgpass"
    file.write_text("h:*:*:*:from the file\n")
    monkeypatch.setenv("PGPASSFILE", str(file))
    monkeypatch.delenv("PGPASSWORD", raising=False)
    file.chmod(0o640)
    assert settings.load(target="postgresql://me@h/db").target_url() == "postgresql://me@h/db"
    file.chmod(0o600)
    assert (
        settings.load(target="postgresql://me@h/db").target_url() == "postgresql://me:from%20the%20file@h/db"
    )
    assert settings.load(target="postgresql://me@other/db").target_url() == "postgresql://me@other/db"
    assert settings.load(target="postgresql://me:own@h/db").target_url() == "postgresql://me:own@h/db"
    monkeypatch.setenv("PGPASSWORD", "the environment's")
    assert settings.load(target="postgresql://me@h/db").target_url() == "postgresql://me@h/db"
