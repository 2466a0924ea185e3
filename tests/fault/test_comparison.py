"""The background verification: what nothing gave away is found and mended, and stands in nobody's way."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.compare import differences
from tests.databases import on_target
from tests.fault.scene import HASTY, end_equal, run_once, source_of, started
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

SCHEMA = """
CREATE TABLE picture(id INTEGER PRIMARY KEY, name TEXT, body BLOB);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 3000)
    INSERT INTO picture SELECT n, 'picture ' || n, randomblob(20) FROM i;
CREATE TABLE tag(name TEXT, picture INT, PRIMARY KEY(name, picture)) WITHOUT ROWID;
INSERT INTO tag SELECT 'tag ' || id % 7, id FROM picture;
"""

#: What somebody does to the target who has put the guard aside.
TAMPER = """
    UPDATE picture SET name = 'edited' WHERE id IN (1, 1500, 3000);
    DELETE FROM picture WHERE id = 17;
    INSERT INTO picture VALUES (20000, 'nobody wrote this', NULL);
    DELETE FROM tag WHERE picture BETWEEN 100 AND 104;
    INSERT INTO tag VALUES ('tag 9', 3), ('', 0)
"""


def repaired(rows: int) -> Callable[[dict[str, Any]], bool]:
    """Return the condition that so many rows have been repaired."""
    # a daemon that has just started knows no source yet
    return lambda s: bool(s["sources"]) and bool(source_of(s)["repaired_rows"] >= rows)


async def tamper(url: str) -> None:
    """Change the target behind everybody's back."""
    target = await asyncpg.connect(url)
    try:
        await target.execute(f"BEGIN; SET LOCAL liteferry.writer = 'on'; {TAMPER}; COMMIT")
    finally:
        await target.close()


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_what_somebody_changed_on_the_target_is_found_now_and_then(
    journal: str, make_source: MakeSource, daemon: StartDaemon, liteferry: Liteferry, target_url: str
) -> None:
    """Rows changed, deleted and added; meanwhile the cutover would not have to wait. It leaves reports."""
    path = make_source(script=SCHEMA, journal=journal)
    env = {"LITEFERRY_COMPARE_INTERVAL": "0.2", "LITEFERRY_VERIFICATION_REPORTS": "2"}
    running = daemon(path, target_url, env={**HASTY, **env})
    await asyncio.to_thread(running.wait_ready)
    await tamper(target_url)
    assert running.status()["can_cutover"]
    status = await asyncio.to_thread(running.wait_until, repaired(12), 60, "a comparison")
    assert source_of(status)["unexplained_changes"] == 0
    assert await differences(path, target_url) == []
    await asyncio.to_thread(
        running.wait_until, lambda s: source_of(s)["comparison_age_seconds"] < 2, 30, "a comparison"
    )
    await asyncio.to_thread(a_report_is_left, running, liteferry, path.parent)
    kept = on_target(target_url, "SELECT DISTINCT kind, count(*) <= 2 FROM liteferry.verification GROUP BY 1")
    assert kept == [("background", True)]


def a_report_is_left(running: RunningDaemon, liteferry: Liteferry, folder: Path) -> None:
    """Assert that the newest report is shown and written without anything being compared."""
    # the one that has repaired them has the checksums of what it met
    status = running.wait_until(
        lambda s: s["verification"]["background"]["verdict"] == "equal: 2 tables", 30, "a report"
    )
    assert (status["verification"]["last"], status["verification"]["background"]["kind"]) == (
        None,
        "background",
    )
    answer = liteferry("verify", "--control", running.socket, "--last", "--report", folder)
    assert answer.status == 0
    assert "picture: SQLite=3000, PostgreSQL=3000 ok" in answer.output
    assert answer.output.splitlines()[-1].startswith("equal: 2 tables")
    written = sorted(folder.glob("liteferry-verification-*"))
    assert [place.suffix for place in written] == [".html", ".json"]
    for place in written:
        assert liteferry("verify", "--check-report", place).status == 0
    tables = json.loads(written[1].read_text())["sources"][0]["tables"]
    assert [t["compared"] for t in tables] == [3_000, 3_000]
    assert all(t["source_checksum"] == t["target_checksum"] for t in tables)
    assert liteferry("verify", "--last", "--counts").status == 2


async def test_what_fired_no_trigger_while_the_daemon_was_down_is_found_at_its_start(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """By a connection that cannot be told from any other, with the log and the schema as they were."""
    path = make_source(script=SCHEMA)
    await run_once(daemon, path, target_url)
    write_in_place(path, 1777)
    second = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(second.wait_until, repaired(1), 60, "a comparison")
    await end_equal(second, path, target_url)


async def test_a_comparison_that_is_cut_short_is_begun_again(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """By a kill in its middle."""
    path = make_source(script=SCHEMA)
    await run_once(daemon, path, target_url)
    write_in_place(path, 2999)
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "repair.after_chunk@2=kill"}
    assert await asyncio.to_thread(daemon(path, target_url, env=env).wait_end) == -9
    third = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(third.wait_until, repaired(1), 60, "a comparison")
    await end_equal(third, path, target_url)


async def test_without_an_interval_nothing_is_compared(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Unless there is a reason."""
    path = make_source(script=SCHEMA)
    await run_once(daemon, path, target_url)
    await tamper(target_url)
    second = daemon(path, target_url, env={**HASTY, "LITEFERRY_COMPARE_INTERVAL": "0"})
    await asyncio.to_thread(second.wait_ready)
    assert source_of(second.status())["repaired_rows"] == 0
    write_in_place(path, 5)
    await asyncio.to_thread(second.wait_until, repaired(13), 60, "a comparison")
    assert await differences(path, target_url) == []


async def test_schemas_that_change_under_a_comparison_are_followed(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Each change has all tables compared, and the next one comes in the middle of it; the daemon goes on."""
    path = make_source(script=SCHEMA)
    running = await started(daemon, path, target_url, env={**HASTY, "LITEFERRY_COMPARE_INTERVAL": "0.01"})
    await asyncio.to_thread(rename_often, path)
    await end_equal(running, path, target_url)
    await asyncio.to_thread(running.wait_ready)
    assert await differences(path, target_url) == []


def rename_often(path: Path) -> None:
    """Change a table's name now and then."""
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as application:
        for number in range(25):
            old, new = ("picture", "photo") if number % 2 == 0 else ("photo", "picture")
            application.execute(f"ALTER TABLE {old} RENAME TO {new}")
            time.sleep(0.05 + 0.037 * (number % 7))


def write_in_place(path: Path, row: int) -> None:
    """Change a blob by incremental I/O, which fires no trigger."""
    with closing(sqlite3.connect(path, timeout=10)) as application:
        with application.blobopen("picture", "body", row) as blob:
            blob.write(b"another")
        application.commit()
