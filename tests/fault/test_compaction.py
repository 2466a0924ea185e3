"""The target is away while the application changes few rows many times: the log stays small."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.embedded import EmbeddedPostgres
from tests.fault.scene import HASTY, end_equal, source_of, started
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

SCHEMA = """
CREATE TABLE counters(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, body TEXT);
WITH RECURSIVE counted(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM counted WHERE i + 1 < {rows})
    INSERT INTO counters SELECT i, 0, hex(randomblob(20)) FROM counted;
"""

#: Compaction begins this early, and everything that is told of it is told at once.
ENTRIES = 5_000
ENV = {**HASTY, "LITEFERRY_COMPACT_ENTRIES": str(ENTRIES), "LITEFERRY_LOG_LEVEL": "debug"}

#: What one entry of such a log takes, with what is noted for it, and half-empty pages.
ENTRY_BYTES = 80

#: What may come in while a compaction waits for its turn and deletes.
WINDOW_SECONDS = 8


def hammer(path: Path, rows: int, changes: int, rate: int) -> subprocess.Popen[str]:
    """Start the application."""
    command = [sys.executable, "-m", "tests.fault.hammer", str(path), str(rows), str(changes), str(rate)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def watch(running: RunningDaemon, path: Path, work: subprocess.Popen[str]) -> tuple[int, int]:
    """Return the most entries and the most bytes that were seen until the application is done."""
    entries = size = 0
    while work.poll() is None:
        one = source_of(running.status())
        entries, size = max(entries, one["log_entries"]), max(size, bytes_of(path))
        time.sleep(0.1)  # the pace of looking, not a wait
    return entries, size


def bytes_of(path: Path) -> int:
    """Return the size of the file with its WAL."""
    wal = Path(f"{path}-wal")
    return path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)


def compacted(rows: int) -> Any:
    """Return the condition that the log is as small as it is going to be."""
    return lambda status: source_of(status)["log_entries"] <= 2 * rows + 2 * ENTRIES


def batches_since(running: RunningDaemon, known: int) -> list[dict[str, Any]]:
    """Return what was logged of each batch since the log had that many characters."""
    lines = [json.loads(line) for line in running.log[known:].splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == "batch applied"]


async def outage(
    make_source: MakeSource,
    daemon: StartDaemon,
    server: EmbeddedPostgres,
    *,
    rows: int,
    changes: int,
    rate: int,
    journal: str = "wal",
    window: float | None = None,
) -> None:
    """Stream, lose the server, be hammered, get the server back.

    `window` bounds, in seconds, what may come in while a compaction waits: for a machine of its own.
    """
    path = make_source(script=SCHEMA.format(rows=rows), journal=journal)
    running = await started(daemon, path, server.url, env=ENV)
    before = bytes_of(path)
    server.stop("immediate")
    work = await asyncio.to_thread(hammer, path, rows, changes, rate)
    most, largest = await asyncio.to_thread(watch, running, path, work)
    report = json.loads(work.communicate()[0])
    small = await asyncio.to_thread(running.wait_until, compacted(rows), 60, "a small log")
    bound = 2 * rows + 2 * ENTRIES + (changes if window is None else window * rate)
    assert most < bound
    assert largest < before + bound * ENTRY_BYTES + 16 * (1 << 20)
    assert source_of(small)["log_compacted"] > changes / 2
    assert source_of(small)["oldest_unapplied_seconds"] > report["seconds"]

    known, begun = len(running.log), time.monotonic()
    await asyncio.to_thread(server.start)
    await end_equal(running, path, server.url)
    seconds = time.monotonic() - begun
    batches = batches_since(running, known)
    if journal == "wal":
        assert batches[0]["entries"] >= rows, "not one single step"
        assert '"catch_up"' not in running.log[known:]
    sys.stdout.write(
        f"\n{journal}: {report}; most entries {most}, file {before} -> {largest} bytes at most, "
        f"{bytes_of(path)} at the end; back and equal in {seconds:.1f} s, batches {batches[:3]}\n"
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("journal", ["wal", pytest.param("delete", marks=pytest.mark.soak)])
async def test_the_log_stays_small_while_the_target_is_away(
    journal: str, make_source: MakeSource, daemon: StartDaemon, own_postgres: EmbeddedPostgres
) -> None:
    """It is bounded by the rows that change, not by the changes; catching up is one step."""
    await outage(make_source, daemon, own_postgres, rows=1_000, changes=60_000, rate=20_000, journal=journal)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_the_log_stays_small_through_millions_of_changes(
    make_source: MakeSource, daemon: StartDaemon, own_postgres: EmbeddedPostgres
) -> None:
    """The same with five million changes to ten thousand rows."""
    await outage(
        make_source, daemon, own_postgres, rows=10_000, changes=5_000_000, rate=20_000, window=WINDOW_SECONDS
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", ["compaction.before_commit@5", "compaction.after_commit@5"])
async def test_a_daemon_killed_while_it_compacts_leaves_a_whole_log(
    point: str, make_source: MakeSource, daemon: StartDaemon, own_postgres: EmbeddedPostgres
) -> None:
    """Whatever it had deleted by then, the next one brings everything over."""
    rows = 1_000
    path = make_source(script=SCHEMA.format(rows=rows))
    running = await started(
        daemon, path, own_postgres.url, env={**ENV, "LITEFERRY_FAILPOINTS": f"{point}=kill"}
    )
    own_postgres.stop("immediate")
    work = await asyncio.to_thread(hammer, path, rows, 40_000, 1_000_000)
    await asyncio.to_thread(work.communicate)
    assert await asyncio.to_thread(running.wait_end) < 0
    await asyncio.to_thread(own_postgres.start)
    await end_equal(daemon(path, own_postgres.url, env=ENV), path, own_postgres.url)
