"""Writes that fire no trigger are noticed by the file's own change counter, found and mended."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.compare import differences
from tests.fault.scene import HASTY, end_equal, source_of, started
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

SCHEMA = """
CREATE TABLE picture(id INTEGER PRIMARY KEY, name TEXT, body BLOB);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 2000)
    INSERT INTO picture SELECT n, 'picture ' || n, randomblob(200) FROM i;
CREATE TABLE cache(k TEXT PRIMARY KEY, v TEXT);
"""


def compared(status: dict[str, Any]) -> bool:
    """Tell whether an unexplained change has been seen and looked into."""
    one = source_of(status)
    return bool(one["unexplained_changes"] and status["can_cutover"])


def alarmed(times: int) -> Callable[[dict[str, Any]], bool]:
    """Return the condition that so many unexplained changes have been seen."""
    return lambda status: bool(source_of(status)["unexplained_changes"] >= times)


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_a_blob_written_in_place_is_found(
    journal: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Incremental blob I/O changes a row without any trigger, of anyone's."""
    path = make_source(script=SCHEMA, journal=journal)
    running = await started(daemon, path, target_url)
    await asyncio.to_thread(running.wait_ready)
    with closing(sqlite3.connect(path, timeout=10)) as application:
        with application.blobopen("picture", "body", 777) as blob:
            blob.write(b"another picture")
        application.commit()
    await asyncio.to_thread(running.wait_until, compared, 60, "a comparison")
    assert await differences(path, target_url) == []
    one = source_of(running.status())
    assert (one["repaired_rows"], one["state"]) == (1, "streaming")
    assert "fired no trigger" in running.log


async def test_writes_to_a_table_that_is_left_out_stand_in_nobodys_way(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """They look the same from outside: compared once, found harmless, and ready again."""
    path = make_source(script=SCHEMA)
    config = tmp_path / "liteferry.toml"
    config.write_text('exclude = ["cache"]\n')
    running = daemon(path, target_url, env=HASTY, args=("--config", config))
    await asyncio.to_thread(running.wait_ready)
    for number in range(3):
        with closing(sqlite3.connect(path, timeout=10)) as application:
            application.execute("INSERT INTO cache VALUES(?, 'x')", (number,))
            application.commit()
        await asyncio.to_thread(running.wait_until, alarmed(number + 1), 30, "an alarm")
    await asyncio.to_thread(running.wait_until, compared, 60, "a comparison")
    assert source_of(running.status())["repaired_rows"] == 0


async def test_what_the_daemon_writes_itself_is_no_mystery(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Heartbeats, pruning and the application's own logged writes, for some seconds."""
    path = make_source(script=SCHEMA)
    running = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(running.wait_ready)
    for number in range(200):
        with closing(sqlite3.connect(path, timeout=10)) as application:
            application.execute("UPDATE picture SET name = ? WHERE id = ?", (f"n{number}", number))
            application.commit()
    await end_equal(running, path, target_url)
    beats = source_of(running.status())["position"] + 6
    await asyncio.to_thread(
        running.wait_until, lambda s: source_of(s)["position"] >= beats, 30, "some heartbeats"
    )
    assert source_of(running.status())["unexplained_changes"] == 0
