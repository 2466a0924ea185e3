"""The pages that lead through a migration work as they are written."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from daemon.embedded import EmbeddedPostgres
from daemon.pgbinaries import find_binaries
from tests.compare import differences
from tests.docs.pages import ROOT, blocks
from tests.docs.playbook import Playbook
from tests.fault.scene import StartWriter, fetch
from tests.fixtures.sqlite import MakeSource
from tests.writer import SCHEMA

#: What the hooks of the page's application do: they note that they were called.
SWITCH = "#!/bin/sh\necho \"$LITEFERRY_EVENT\" >> '{folder}/switched'\n"


def free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Give the folder in which the page's own folders are."""
    for name in ("app", "etc", "backups"):
        (tmp_path / name).mkdir()
    for name in ("use-postgresql", "use-sqlite"):
        (tmp_path / "app" / name).write_text(SWITCH.format(folder=tmp_path))
        (tmp_path / "app" / name).chmod(0o755)
    yield tmp_path


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_the_migration_works_as_it_is_written(
    place: Path, make_source: MakeSource, writer: StartWriter, own_postgres: EmbeddedPostgres
) -> None:
    """Every block, in order, beside an application that writes: there, back, there again, finished."""
    source = make_source("app/app.db", SCHEMA)
    writing = writer(source, rate=20)
    server = urlsplit(own_postgres.url)
    playbook = Playbook(
        place,
        {
            "/srv/app": str(place / "app"),
            "/etc/liteferry": str(place / "etc"),
            "/var/backups/app": str(place / "backups"),
            "db.example.org": f"127.0.0.1:{server.port}",
            "deploy/postgresql": str(ROOT / "deploy/postgresql"),
            "8321": str(free_port()),
        },
        path=(find_binaries(),),
    )
    url = own_postgres.url.rsplit("/", 1)[0] + "/app"
    try:
        await asyncio.to_thread(follow, playbook, ROOT / "docs/howto/migration.md")
        playbook.stop()
    finally:
        playbook.kill()

    assert playbook.ran > 20
    assert writing.wait().errors == []
    moved = place / "backups" / "app.db"
    assert await differences(moved, url) == []
    assert (place / "switched").read_text().split() == ["after_cutover", "after_rollback", "after_cutover"]
    assert fetch(moved, "SELECT count(*) FROM sqlite_schema WHERE name GLOB '_liteferry*'") == [(0,)]
    assert (place / "backups" / "app.dump").stat().st_size > 1000
    assert await taken(url.replace("postgres@", "app@")), "the application's role may write"


async def taken(url: str) -> str:
    """Write a row as the application and return what the server says of it."""
    application = await asyncpg.connect(url)
    try:
        return str(await application.execute("INSERT INTO tags VALUES ('probe', 'app', 1)"))
    finally:
        await application.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_quickstart_works_as_it_is_written(place: Path, target_url: str) -> None:
    """Ten minutes, without the time to read."""
    with closing(sqlite3.connect(place / "app.db")) as database:
        database.executescript(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a');"
        )
    instead = {"postgresql://app:secret@db.example.org/app": target_url, "8321": str(free_port())}
    playbook = Playbook(place, instead)
    try:
        follow(playbook, ROOT / "docs/quickstart.md")
        playbook.stop()
    finally:
        playbook.kill()

    assert playbook.ran >= 6
    with (
        closing(sqlite3.connect(place / "app.db")) as database,
        pytest.raises(sqlite3.IntegrityError, match="moved"),
    ):
        database.execute("INSERT INTO t VALUES (2, 'b')")


def follow(playbook: Playbook, page: Path) -> None:
    """Do what a page says."""
    for block in blocks(page):
        if block.language == "sh":
            playbook.run(block)
