"""No room for what waits on its way: it is told, tried again, and goes on when there is room."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import LiteferryError
from tests.compare import differences
from tests.fault.scene import HASTY, end_equal, fetch, head, poll, source_of, source_open, started
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """Mount a file system of that size."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted: not root, or not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of two megabytes for the test."""
    with mounted(tmp_path / "small", "2m") as folder:
        yield folder


@pytest.fixture
def source_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 24 megabytes for the source."""
    with mounted(tmp_path / "data", "24m") as folder:
        yield folder


async def test_a_full_folder_for_temporary_files_is_waited_for(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, small_disk: Path
) -> None:
    """A batch that does not fit is tried again until somebody makes room; nothing is lost."""
    path = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY, body BLOB)")
    ballast = small_disk / "ballast"
    # SQLite sorts in memory here: what is to run out of room is our spool
    env = {**HASTY, "TMPDIR": str(small_disk), "LITEFERRY_BATCH_MEMORY_MB": "1"}
    running = await started(daemon, path, target_url, env=env)
    ballast.write_bytes(bytes(1_800_000))
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as database:
        database.executemany("INSERT INTO t(body) VALUES (?)", [(os.urandom(3_000),) for _ in range(600)])
        database.commit()
    full = await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["retries"] > 1)
    assert "full" in source_of(full)["error"]
    ballast.unlink()
    await end_equal(running, path, target_url)
    assert source_of(running.status())["error"] is None


#: What the tests of a full disk beside the source call low and critical.
LIMITS = {**HASTY, "LITEFERRY_DISK_MIN_FREE_MB": "12", "LITEFERRY_DISK_CRITICAL_MB": "4"}


async def test_our_own_growth_stops_before_the_applications(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, source_disk: Path
) -> None:
    """With little space no heartbeats come; with none the daemon lives, and goes on when there is some."""
    path = make_source("data/app.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, body BLOB)")
    running = daemon(path, target_url, env=LIMITS)
    await asyncio.to_thread(running.wait_ready)
    ballast = source_disk / "ballast"
    ballast.write_bytes(bytes(14 << 20))
    low = await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["disk_low"])
    assert any("free beside it" in reason for reason in low["reasons"])
    # one may have been on its way
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["heartbeat_age_seconds"] > 1.5)
    last = head(path)
    fill(path, rows=300)
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    await asyncio.to_thread(running.wait_log, "hardly any space")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        fill(path, rows=3_000)
    await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["heartbeat_age_seconds"] > 4)
    assert head(path) == last + 300
    ballast.unlink()
    await end_equal(running, path, target_url)
    await asyncio.to_thread(running.wait_ready)


async def test_the_capture_is_taken_out_for_the_application_where_that_is_asked_for(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, source_disk: Path
) -> None:
    """The daemon ends with the reason, and the application's writes need no more space than ever."""
    path = make_source("data/app.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, body BLOB)")
    running = daemon(path, target_url, env={**LIMITS, "LITEFERRY_ON_DISK_CRITICAL": "uninstall"})
    await asyncio.to_thread(running.wait_ready)
    (source_disk / "ballast").write_bytes(bytes(21 << 20))
    assert await asyncio.to_thread(running.wait_end) == 3
    assert "taken out" in running.log
    assert fetch(path, "SELECT name FROM sqlite_master WHERE name GLOB '_liteferry*'") == []
    fill(path, rows=10)


def fill(path: Path, rows: int) -> None:
    """Insert that many rows of a kilobyte, in one transaction."""
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as database:
        database.executemany("INSERT INTO t(body) VALUES (?)", [(os.urandom(1_000),) for _ in range(rows)])
        database.commit()


async def held(sign: Path) -> None:
    """Return when the daemon stands at its failpoint."""

    async def stands() -> bool | None:
        return await asyncio.to_thread(sign.exists) or None

    await poll(stands)


def take_all(folder: Path) -> Path:
    """Leave no room in a folder; return the file that takes it."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


@pytest.mark.parametrize("point", ["cutover.after_fence", "rollback.after_decision"])
async def test_a_disk_that_fills_up_in_a_move_leaves_no_side_closed(
    point: str,
    make_source: MakeSource,
    daemon: StartDaemon,
    target_url: str,
    source_disk: Path,
    tmp_path: Path,
) -> None:
    """A fence that went up is lifted, or one that must come down comes down, when there is room again."""
    script = "CREATE TABLE {0}(tag TEXT, name TEXT, n INT)"
    paths = [make_source(f"data/{name}.db", script.format(name)) for name in ("one", "two")]
    sign = tmp_path / "sign"
    env = {**LIMITS, "LITEFERRY_FAILPOINTS": f"{point}={sign}"}
    running = daemon(paths, target_url, env=env, args=("--schema", "public"))
    await asyncio.to_thread(running.wait_ready)
    move = running.cutover
    if point.startswith("rollback"):
        await asyncio.to_thread(running.cutover)
        await asyncio.to_thread(running.wait_until, lambda s: bool(s["can_rollback"]))
        move = running.rollback
    moving = asyncio.create_task(asyncio.to_thread(move))
    await held(sign)
    ballast = take_all(source_disk)
    sign.unlink()
    await asyncio.to_thread(running.wait_log, "until its fence can be lifted")
    ballast.unlink()
    with contextlib.suppress(LiteferryError):
        await moving
    await asyncio.to_thread(running.wait_for, "streaming")
    assert [source_open(path, path.stem) for path in paths] == [True, True]
    for path in paths:
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as database, database:
            database.execute(f"INSERT INTO {path.stem} VALUES ('late', 'source', 2)")

    async def equal() -> bool | None:
        return None if any([await differences(path, target_url) for path in paths]) else True

    await poll(equal)
