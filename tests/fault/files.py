"""Files that are taken away, come back and are put in another's place, and how the daemon tells of it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.compare import differences
from tests.fault.scene import caught_up_with, end_equal, head
from tests.fixtures.daemon import RunningDaemon

Status = dict[str, Any]

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t(x) VALUES ('one'), ('two');"

#: The side files of a database; in the order in which a mover takes them.
SIDES = ("", "-wal", "-shm", "-journal")

FOLLOWED = "another file of the source is followed"


def move(path: Path, to: Path) -> None:
    """Rename a database with its side files."""
    for side in SIDES:
        if Path(f"{path}{side}").exists():
            Path(f"{path}{side}").rename(f"{to}{side}")


def told(path: Path, text: str) -> Callable[[Status], bool]:
    """Return the condition that a source is told to be out of reach, in every place where one may look."""

    def reached(status: Status) -> bool:
        one = next(one for one in status["sources"] if one["path"] == str(path))
        gate = any(r.startswith(f"{path}: ") and text in r for r in status["reasons"])
        notice = any(n.startswith(f"{path}: ") and text in n for n in status["notices"])
        figures = one["missing"] and one["pending_changes"] is None and text in one["error"]
        return bool(gate and notice and figures and not status["can_cutover"])

    return reached


async def ready(running: RunningDaemon, seconds: float = 30) -> Status:
    """Wait until the cutover is possible."""
    return await asyncio.to_thread(running.wait_ready, seconds)


async def equal(running: RunningDaemon, path: Path, url: str, schema: str) -> None:
    """Wait until all that a file's log holds now has arrived, and compare both sides row by row."""
    await asyncio.to_thread(running.wait_until, caught_up_with(path), 60, "the end of the log")
    assert await differences(path, url, schema) == []


def backup(path: Path, to: Path, edit: str = "") -> Path:
    """Make a copy of a live source, and change it behind the back of its triggers."""
    with closing(sqlite3.connect(path)) as database, closing(sqlite3.connect(to)) as copy:
        database.backup(copy)
    newest = head(to)
    with closing(sqlite3.connect(to)) as copy:
        # all in the file itself: it is moved without side files
        (mode,) = copy.execute("PRAGMA journal_mode").fetchone()
        copy.execute("PRAGMA journal_mode = delete")
        copy.executescript(f"{edit}; DELETE FROM _liteferry_log WHERE seq > {newest}")
        copy.execute(f"PRAGMA journal_mode = {mode}")
    return to


def replace(path: Path, new: Path) -> None:
    """Rename a file over a source's, and take away what the old one leaves."""
    new.rename(path)
    clear(path)


def clear(path: Path) -> None:
    """Take away the side files of a database."""
    for side in SIDES[1:]:
        Path(f"{path}{side}").unlink(missing_ok=True)


async def followed(running: RunningDaemon) -> None:
    """Wait until a file was gone over to."""
    await asyncio.to_thread(running.wait_until, lambda _: FOLLOWED in running.log, 10)


async def followed_to_the_end(running: RunningDaemon, path: Path, url: str) -> None:
    """Wait until the new file was gone over to, and assert that the target has its rows."""
    await followed(running)
    await ready(running)
    await end_equal(running, path, url)
