"""What the fault tests share: a source large enough to be caught half-way, and the final comparison."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from tests.compare import differences, ordinary_tables, quote
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource
from tests.fixtures.writer import Writer
from tests.writer import SCHEMA

T = TypeVar("T")
StartWriter = Callable[..., Writer]

#: Rows of the table that makes the snapshot long enough to be hit.
ARCHIVE_ROWS = 12_000

#: Small chunks, so that there are many moments between two of them.
SMALL_CHUNKS = ("--batch-size", "100", "--parallel", "2")

#: What a daemon of these tests does more often than one in earnest: everything periodic.
HASTY = {
    "LITEFERRY_HEARTBEAT_INTERVAL": "0.5",
    "LITEFERRY_PRUNE_INTERVAL": "0.3",
    "LITEFERRY_DRIFT_INTERVAL": "0.5",
    "LITEFERRY_WATCH_INTERVAL": "0.5",
}

#: Everything periodic many times a second, and the time in which each of it has had several turns.
RESTLESS = dict.fromkeys(HASTY, "0.1")
TURNS_SECONDS = 1.0

#: The large tables of these tests are large enough for copiers, and for several lanes each.
COPIERS = {"LITEFERRY_LANE_ROWS": "1000"}

#: Every transfer of the writer changes, moves or deletes rows of the archive while it is being copied. A row
#: that moves goes to the end of the table, where it may be read twice, or not at all.
ARCHIVE = """
CREATE TABLE archive(id INTEGER PRIMARY KEY, code TEXT UNIQUE, body TEXT, n INTEGER NOT NULL);
WITH RECURSIVE counted(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < {rows})
    INSERT INTO archive SELECT i, 'code ' || i, hex(randomblob(60)), 0 FROM counted;
CREATE TRIGGER application_archive AFTER INSERT ON transfers BEGIN
    UPDATE archive SET n = n + NEW.amount WHERE id = 1 + (NEW.id * 7919) % {rows};
    UPDATE archive SET id = id + 1000000 WHERE id = 1 + (NEW.id * 104729) % {rows};
    DELETE FROM archive WHERE id = 1 + (NEW.id * 1299709) % {rows};
END;
"""


def make_archive(make_source: MakeSource, *, rows: int = ARCHIVE_ROWS, journal: str = "wal") -> Path:
    """Create the writer's schema with an archive of `rows` rows that its transfers touch."""
    return make_source(script=SCHEMA + ARCHIVE.format(rows=rows), journal=journal)


def fetch(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Run one query on a connection of its own."""
    with closing(sqlite3.connect(path, timeout=10)) as database:
        return database.execute(query).fetchall()


def head(path: Path) -> int:
    """Return the newest position of a source."""
    return int(fetch(path, "SELECT coalesce(max(seq), 0) FROM _liteferry_log")[0][0])


def caught_up(path: Path) -> Callable[[dict[str, Any]], bool]:
    """Return the condition that everything logged so far has arrived and the target is consistent."""
    wanted = head(path)

    def reached(status: dict[str, Any]) -> bool:
        one = source_of(status)
        return bool(one["state"] == "streaming" and one["consistent"] and one["position"] >= wanted)

    return reached


def caught_up_with(path: Path) -> Callable[[dict[str, Any]], bool]:
    """Return the condition of `caught_up` for one of several sources."""
    wanted = head(path)

    def reached(status: dict[str, Any]) -> bool:
        one = next((found for found in status["sources"] if found["path"] == str(path)), None)
        return bool(one and one["state"] == "streaming" and one["consistent"] and one["position"] >= wanted)

    return reached


def settle(daemon: RunningDaemon, path: Path, timeout: float = 60) -> dict[str, Any]:
    """Wait until the daemon streams and has brought over all that is in the log now."""
    daemon.wait_until(lambda status: status["state"] == "streaming", timeout, "state streaming")
    return daemon.wait_until(caught_up(path), timeout, "the end of the log")


async def started(
    daemon: StartDaemon,
    path: Path,
    url: str,
    *,
    env: Mapping[str, str] = HASTY,
    args: Sequence[object] = (),
) -> RunningDaemon:
    """Start a daemon, and return it when it streams and has brought over all that is in the log now."""
    running = daemon(path, url, env=env, args=args)
    await asyncio.to_thread(settle, running, path)
    return running


async def run_once(daemon: StartDaemon, path: Path, url: str) -> None:
    """Have a daemon bring everything over, and end it in good order."""
    running = await started(daemon, path, url)
    assert await asyncio.to_thread(running.stop) == 0


def source_of(status: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of the only source."""
    one: dict[str, Any]
    [one] = status["sources"]
    return one


def copying(daemon: RunningDaemon, rows: int) -> dict[str, Any]:
    """Wait until the snapshot has copied more than that many rows."""
    return daemon.wait_until(
        lambda status: bool(status["sources"]) and source_of(status)["rows_copied"] > rows, 30, "rows copied"
    )


async def end_equal(daemon: RunningDaemon, path: Path, url: str, seconds: float = 60) -> None:
    """Settle, and assert that both sides are equal row by row."""
    await asyncio.to_thread(settle, daemon, path, seconds)
    assert await differences(path, url) == []


async def ended_equal(writing: Writer, daemon: RunningDaemon, path: Path, url: str) -> None:
    """Let the writer end, without an error in its life, and assert that both sides become equal."""
    assert writing.stop().errors == []
    await end_equal(daemon, path, url)


async def versions(path: Path, url: str) -> dict[str, str]:
    """Return for every table a hash of its rows' transactions and places: rewritten rows change it."""
    with closing(sqlite3.connect(path)) as source:
        tables = ordinary_tables(source)
    found = {}
    target = await asyncpg.connect(url)
    try:
        for table in tables:
            query = f"SELECT md5(string_agg(xmin::text || ctid::text, ' ' ORDER BY ctid)) FROM {quote(table)}"
            found[table] = await target.fetchval(query)
    finally:
        await target.close()
    return found


def acknowledged(journal: Path) -> int:
    """Return the number of the last transaction that the writer's COMMIT has confirmed."""
    lines = journal.read_text().splitlines()
    return int(json.loads(lines[-1])["number"])


async def target_count(url: str, seed: int) -> int:
    """Return the number of the writer's last transaction that has arrived on the target."""
    query = "SELECT n FROM tags WHERE doc = $1 AND tag = 'last'"
    return int(await one_value(url, query, f"writer:{seed}") or 0)


async def one_value(url: str, query: str, *parameters: object) -> Any:
    """Run one query on the target on a connection of its own."""
    target = await asyncpg.connect(url)
    try:
        return await target.fetchval(query, *parameters)
    finally:
        await target.close()


def source_open(path: Path, table: str = "tags") -> bool:
    """Tell whether the source takes a write of the application; any refusal but the fence's is raised."""
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        try:
            database.execute(f"INSERT INTO {table} VALUES ('probe', 'source', 1)")
        except sqlite3.IntegrityError as error:
            assert "moved to PostgreSQL" in str(error)
            return False
        finally:
            database.execute("ROLLBACK")
    return True


async def target_open(url: str, table: str = "tags") -> bool:
    """Tell whether the target takes a write of the application; any refusal but the guard's is raised."""
    target = await asyncpg.connect(url)
    trial = target.transaction()
    await trial.start()
    try:
        await target.execute(f"INSERT INTO {table} VALUES ('probe', 'target', 1)")
    except asyncpg.ObjectNotInPrerequisiteStateError:
        return False
    finally:
        await trial.rollback()
        await target.close()
    return True


async def poll(look: Callable[[], Awaitable[T | None]], seconds: float = 30, pause: float = 0.05) -> T:
    """Return the first answer that is not None. Fails when none came in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = await look()
        if answer is not None:
            return answer
        await asyncio.sleep(pause)
    raise AssertionError(f"nothing came within {seconds} s")


def stop_all(writers: list[Writer]) -> list[str]:
    """End the writers and return all their errors."""
    return [error for one in writers for error in one.stop().errors]
