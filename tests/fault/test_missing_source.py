"""A source whose file is taken away is told of and left alone, and goes on when the file is back."""

from __future__ import annotations

import asyncio
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from config.errors import CutoverRefused
from tests.compare import differences
from tests.fault.files import SIDES, TABLE, equal, move, ready, told
from tests.fault.scene import (
    ARCHIVE,
    COPIERS,
    HASTY,
    RESTLESS,
    SMALL_CHUNKS,
    TURNS_SECONDS,
    StartWriter,
    copying,
    make_archive,
    one_value,
)
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource
from tests.writer import SCHEMA


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_a_file_that_is_renamed_away_is_missed_until_it_is_back(
    journal: str, make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """The others stream on; what was written to it elsewhere is brought over when it is back."""
    path, other = make_source("app.db", TABLE, journal), make_source("other.db")
    writing = writer(other, rate=100)
    running = daemon([path, other], target_url, env=RESTLESS)
    await ready(running)
    away = path.with_name("away.db")
    move(path, away)
    await asyncio.to_thread(running.wait_until, told(path, "is missing"), 2)
    with pytest.raises(CutoverRefused, match="is missing"):
        await asyncio.to_thread(running.cutover)
    with closing(sqlite3.connect(away)) as application:
        application.executescript("INSERT INTO t(x) VALUES ('elsewhere')")
    await asyncio.sleep(TURNS_SECONDS)
    assert running.returncode is None
    assert writing.stop().errors == []
    await equal(running, other, target_url, "other")
    move(away, path)
    await ready(running)
    await equal(running, path, target_url, "app")


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_another_file_in_its_place_is_told_and_not_touched(
    journal: str, make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str
) -> None:
    """It is looked at and neither locked nor written, and no journal of its application is taken away."""
    path, new = make_source("in/app.db", TABLE, journal), make_source("new.db", TABLE, journal)
    running = daemon(path.parent, target_url, env=RESTLESS)
    await ready(running)
    (away := path.parent.parent / "away").mkdir()
    move(path, away / "app.db")
    move(new, path)
    writing = writer(path, rate=200)
    await asyncio.to_thread(running.wait_until, told(path, "another file stands in its place"), 2)
    await asyncio.sleep(TURNS_SECONDS)
    assert writing.stop().errors == []
    with closing(sqlite3.connect(path)) as application:
        assert application.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = [name for (name,) in application.execute("SELECT name FROM sqlite_schema")]
        assert not [name for name in names if "liteferry" in name]
    assert running.returncode is None
    move(path, new)
    move(away / "app.db", path)
    await ready(running)
    await equal(running, path, target_url, "public")


def test_a_file_that_is_deleted_is_missed_and_counted(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """For good: the daemon waits for a person, and its metrics tell one."""
    path, other = make_source("app.db", TABLE), make_source("other.db", TABLE)
    running = daemon([path, other], target_url, env={**HASTY, "LITEFERRY_HTTP": "127.0.0.1:0"})
    running.wait_ready()
    address = next(line for line in running.log.splitlines() if '"metrics"' in line).split('"')
    [url] = [part for part in address if part.endswith("/metrics")]
    for side in SIDES:
        Path(f"{path}{side}").unlink(missing_ok=True)
    running.wait_until(told(path, "is missing"), 2)
    with urllib.request.urlopen(url) as answer:
        lines = answer.read().decode().splitlines()
    assert f'liteferry_source_missing{{source="{path}"}} 1.0' in lines
    assert f'liteferry_source_missing{{source="{other}"}} 0.0' in lines
    assert running.log.count("the source is out of reach") == 1
    assert running.stop() == 0


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("place", ["empty", "taken"])
async def test_a_file_that_goes_during_its_snapshot_ends_equal(
    place: str, journal: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """With copiers that open it by name: no row of another file in its place gets into the target."""
    path = make_archive(make_source, rows=20_000, journal=journal)
    other = make_source("other.db", SCHEMA + ARCHIVE.format(rows=9_000), journal)
    with closing(sqlite3.connect(other)) as database:
        database.executescript("UPDATE archive SET body = 'of another file'")
    running = daemon(path, target_url, env={**RESTLESS, **COPIERS}, args=SMALL_CHUNKS)
    await asyncio.to_thread(copying, running, 200)
    away = path.with_name("away.db")
    move(path, away)
    if place == "taken":
        move(other, path)
    await asyncio.to_thread(running.wait_until, lambda s: s["sources"][0]["missing"], 2)
    await asyncio.sleep(TURNS_SECONDS)
    assert running.returncode is None
    if place == "taken":
        move(path, other)
    move(away, path)
    await ready(running, 60)
    await equal(running, path, target_url, "public")


async def test_the_file_in_its_place_is_compared_with_nothing(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """Not even a copy with the same triggers, schema and log: none of its rows comes to the target."""
    path = make_archive(make_source, rows=2000)
    held = {"LITEFERRY_ON_SCHEMA_CHANGE": "halt", "LITEFERRY_COMPARE_INTERVAL": "0.01"}
    running = daemon(path, target_url, env={**HASTY, **held})
    await ready(running)
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(copy)) as other:
        (version,) = live.execute("PRAGMA schema_version").fetchone()
        live.backup(other)
        other.execute("UPDATE archive SET body = 'foreign'")
        other.commit()
        other.execute(f"PRAGMA schema_version = {version}")
    move(path, tmp_path / "away.db")
    move(copy, path)
    await asyncio.to_thread(running.wait_until, told(path, "another file"))
    assert await one_value(target_url, "SELECT count(*) FROM archive WHERE body = 'foreign'") == 0
    move(path, copy)
    move(tmp_path / "away.db", path)
    await ready(running)
    assert await differences(path, target_url) == []
