"""No room for what waits on its way: it is told, tried again, and goes on when there is room."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.fault.scene import HASTY, end_equal, settle, source_of
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of two megabytes for the test."""
    folder = tmp_path / "small"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted: not root, or not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_folder_for_temporary_files_is_waited_for(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, small_disk: Path
) -> None:
    """A batch that does not fit is tried again until somebody makes room; nothing is lost."""
    path = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY, body BLOB)")
    ballast = small_disk / "ballast"
    # SQLite sorts in memory here: what is to run out of room is our spool
    env = {**HASTY, "TMPDIR": str(small_disk), "LITEFERRY_BATCH_MEMORY_MB": "1"}
    running = daemon(path, target_url, env=env)
    await asyncio.to_thread(settle, running, path)
    ballast.write_bytes(bytes(1_800_000))
    with closing(sqlite3.connect(path, timeout=10)) as database:
        database.executemany("INSERT INTO t(body) VALUES (?)", [(os.urandom(3_000),) for _ in range(600)])
        database.commit()
    full = await asyncio.to_thread(running.wait_until, lambda s: source_of(s)["retries"] > 1)
    assert "full" in source_of(full)["error"]
    ballast.unlink()
    await end_equal(running, path, target_url)
    assert source_of(running.status())["error"] is None
