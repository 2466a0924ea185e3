"""Behind the cutover PostgreSQL has the writes: what SQLite has beside them is found."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.compare import differences
from tests.databases import from_source, on_target
from tests.fault.scene import HASTY, poll
from tests.fault.test_fallback import cut_over, home
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource
from triggers import homecoming

SCRIPT = """
CREATE TABLE picture(id INTEGER PRIMARY KEY, name TEXT UNIQUE, body BLOB, n INT NOT NULL DEFAULT 0);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 3000)
    INSERT INTO picture(id, name, body) SELECT n, 'picture ' || n, randomblob(20) FROM i;
CREATE TABLE tag(name TEXT, picture INT, n INT, PRIMARY KEY(name, picture)) WITHOUT ROWID;
INSERT INTO tag SELECT 'tag ' || id % 7, id, 0 FROM picture;
CREATE TABLE child(id INTEGER PRIMARY KEY, picture INT REFERENCES picture(id));
CREATE TABLE loose(at DATETIME, done BOOLEAN, worth DECIMAL(10,2));
INSERT INTO loose VALUES ('2024-02-29 12:00:00', 1, 1.5), ('2024-02-29 12:00:00', 1, 1.5), (NULL, NULL, 2);
"""


def behind_the_fence(path: Path, script: str) -> None:
    """Write to the source as a tool does that has found out how to get past its triggers."""
    tool = sqlite3.connect(path, timeout=10, isolation_level=None)
    with closing(tool), homecoming.returning(tool, 10):
        for statement in script.split(";"):
            tool.execute(statement)


def without_triggers(path: Path, script: str) -> None:
    """Write to the source as a tool does that takes all triggers away and puts them in again."""
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as tool:
        tool.execute("BEGIN IMMEDIATE")
        triggers = tool.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            tool.execute(f'DROP TRIGGER "{name}"')
        for statement in script.split(";"):
            tool.execute(statement)
        for _, text in triggers:
            tool.execute(text)
        tool.execute("COMMIT")


def in_place(path: Path, row: int) -> None:
    """Change a blob by incremental I/O, which fires no trigger."""
    with closing(sqlite3.connect(path, timeout=10)) as tool:
        with tool.blobopen("picture", "body", row) as blob:
            blob.write(b"another")
        tool.commit()


@asynccontextmanager
async def application(url: str) -> AsyncIterator[dict[str, int]]:
    """Write to PostgreSQL from two sessions all the time, in transactions that overlap."""
    count = {"done": 0}

    async def write(chance: random.Random, first: int) -> None:
        session = await asyncpg.connect(url)
        try:
            for number in range(first, first + 100_000):
                async with session.transaction():
                    # none of those that are corrupted, which it would mend
                    row = chance.randrange(20, 1_400)
                    await session.execute(
                        "UPDATE picture SET n = n + 1, body = body || 'x' WHERE id = $1", row
                    )
                    await session.execute("INSERT INTO tag VALUES ('new', $1, 1)", number)
                    await session.execute("DELETE FROM tag WHERE name = 'new' AND picture = $1", number - 20)
                    await session.execute("UPDATE loose SET worth = worth + 1 WHERE done")
                    await asyncio.sleep(chance.random() * 0.004)
                count["done"] += 1
        finally:
            await session.close()

    writing = [asyncio.create_task(write(random.Random(n), n * 1_000_000)) for n in (1, 2)]
    try:
        yield count
    finally:
        for task in writing:
            task.cancel()
        await asyncio.wait(writing)
    assert all(task.cancelled() for task in writing)


async def verify(running: RunningDaemon, **options: Any) -> dict[str, Any]:
    """Have the daemon compare."""
    return await asyncio.to_thread(running.ask, "/control/verify", options)


def told(report: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """Return of each table that differs how many rows are missing, different and one too many."""
    tables = report["sources"][0]["tables"]
    return {t["name"]: (t["missing"], t["different"], t["extra"]) for t in tables if not t["equal"]}


CORRUPTIONS: dict[str, tuple[Callable[[Path], None], dict[str, tuple[int, int, int]], str]] = {
    "a row changed": (
        lambda path: behind_the_fence(path, "UPDATE picture SET name = 'other' WHERE id = 2999"),
        {"picture": (0, 1, 0)},
        "different: key 2999, columns name",
    ),
    "a row missing, one too many": (
        lambda path: behind_the_fence(
            path, "DELETE FROM tag WHERE picture = 7; INSERT INTO picture(id) VALUES (9999)"
        ),
        {"tag": (1, 0, 0), "picture": (0, 0, 1)},
        "extra in the source: key 9999",
    ),
    "a changed blob": (lambda path: in_place(path, 1500), {"picture": (0, 1, 0)}, "columns body"),
    "triggers taken away meanwhile": (
        lambda path: without_triggers(
            path, "DELETE FROM picture WHERE id = 17; INSERT INTO tag VALUES ('seven', 'no number', 0)"
        ),
        {"picture": (1, 0, 0), "tag": (0, 0, 1)},
        "missing in the source: key 17",
    ),
    "values swapped": (
        lambda path: behind_the_fence(
            path, "UPDATE tag SET n = picture WHERE picture IN (3, 4); UPDATE tag SET n = 7 - n WHERE n > 0"
        ),
        {"tag": (0, 2, 0)},
        "columns n",
    ),
}


@pytest.mark.timeout(180)
async def test_what_sqlite_has_beside_the_writes_of_postgresql_is_found_and_mended(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Each corruption behind the fence, while an application writes: no false alarm before nor behind it."""
    path = make_source(script=SCRIPT)
    running = daemon(path, target_url, env=HASTY)
    await cut_over(running)
    async with application(target_url) as count:
        for corrupt, wanted, detail in CORRUPTIONS.values():
            before = await verify(running)
            assert before["equal"], before
            assert before["sources"][0]["tables"][0]["source_checksum"] is not None
            await asyncio.to_thread(corrupt, path)
            found = await verify(running, samples=True)
            assert told(found) == wanted
            assert detail in str(found["sources"][0]["tables"])
            assert found["samples"]
            status = running.status()
            assert "liteferry verify --repair" in str(status["rollback_reasons"])
            assert not status["can_rollback"]
            mended = await verify(running, repair=True)
            assert mended["equal"], mended
            assert sum(t["repaired"] for t in mended["sources"][0]["tables"]) == sum(
                map(sum, wanted.values())
            )
        assert (await verify(running, counts_only=True))["equal"]
        assert (await verify(running, table="tag"))["equal"]
        assert count["done"] > 20
    await home(running, target_url)
    assert await differences(path, target_url) == []
    on_target(target_url, "UPDATE picture SET name = 'late' WHERE id = 5")
    incremental = await verify(running, incremental=True)
    assert incremental["equal"]
    assert {t["compared_by"] for t in incremental["sources"][0]["tables"]} == {"touched"}
    assert "not brought back" not in running.log


async def test_rows_that_sqlite_cannot_hold_are_told_and_are_no_difference(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Nor are those that PostgreSQL never got, and that stay behind; a key of theirs may be used again."""
    path = make_source(
        script="CREATE TABLE t(id INTEGER PRIMARY KEY, d DECIMAL, n INT);"
        "INSERT INTO t VALUES (1, 1.5, 1), (2, 2, 'no number'), (3, 3, 'nor this');"
    )
    env = {**HASTY, "LITEFERRY_COLUMNS": '{"t.n": "bigint"}'}
    running = daemon(path, target_url, env=env)
    await asyncio.to_thread(running.wait_until, lambda s: "quarantine" in str(s["reasons"]))
    await asyncio.to_thread(running.ask, "/control/quarantine/accept", {"table": "t"})
    await cut_over(running)
    on_target(
        target_url, "INSERT INTO t VALUES (4, 'NaN', 1), (5, 1, 1), (2, 7, 7);SELECT setval('t_id_seq', 5)"
    )
    await asyncio.to_thread(running.wait_until, lambda s: "cannot be held" in str(s["rollback_reasons"]))
    for counts_only in (False, True):
        report = await verify(running, counts_only=counts_only)
        [table] = report["sources"][0]["tables"]
        assert report["equal"], json.dumps(table)
        assert (table["source_rows"], table["target_rows"]) == (4, 4)
        assert (table["quarantined"], table["unreturned"]) == (1, 1)
    behind_the_fence(path, "DELETE FROM t WHERE id = 5")
    assert told(await verify(running)) == {"t": (1, 0, 0)}
    # also without any write of the application
    assert (await verify(running, repair=True))["equal"]
    # what PostgreSQL never got stays, and not what it has had under its keys since
    on_target(target_url, "TRUNCATE t")
    await home(running, target_url)
    assert from_source(path, "SELECT * FROM t") == [(3, 3, "nor this")]
    assert (await verify(running))["equal"]


async def test_a_table_that_is_another_by_now_is_not_called_equal(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Its rows cannot be compared, and the report says why; the daemon and the application go on."""
    path = make_source(script=SCRIPT)
    running = daemon(path, target_url, env=HASTY)
    await cut_over(running)
    on_target(target_url, "ALTER TABLE child DROP CONSTRAINT child_picture_fkey")
    report = await verify(running)
    assert "foreign key child_picture_fkey is not there" in structure(report)
    assert "not compared" not in structure(report)
    on_target(target_url, "ALTER TABLE tag ALTER COLUMN n TYPE numeric; INSERT INTO tag VALUES ('x', 1, 1.5)")
    report = await verify(running)
    assert not report["equal"]
    assert "rows were not compared: table" in structure(report)


def structure(report: dict[str, Any]) -> str:
    """Return what a report says of the tables' structure."""
    tables = report["sources"][0]["tables"]
    return ", ".join(f"{one['what']} {one['problem']}" for t in tables for one in t["structure"])


async def test_the_background_finds_it_after_a_restart_and_leaves_it_to_a_person(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """What was written behind the fence may be all that is left of a write; a rollback waits."""
    path = make_source(script=SCRIPT)
    first = daemon(path, target_url, env=HASTY)
    await cut_over(first)
    assert await asyncio.to_thread(first.stop) == 0
    in_place(path, 2000)
    second = daemon(path, target_url, env=HASTY)

    async def found() -> bool | None:
        return True if "rows of the source differ" in second.log else None

    await poll(found)
    status = await asyncio.to_thread(
        second.wait_until, lambda s: "verify --repair" in str(s["rollback_reasons"])
    )
    assert status["sources"][0]["repaired_rows"] == 0
    await verify(second, repair=True)
    await asyncio.to_thread(second.wait_until, lambda s: bool(s["can_rollback"]))
    assert (await asyncio.to_thread(second.rollback))["outcome"] == "rolled_back"
    assert await differences(path, target_url) == []
