"""Columns whose values outgrow their type while streaming: kept aside first, then the column is widened."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.compare import differences, target_types
from tests.fault.scene import HASTY, settle, source_of
from tests.fault.test_quarantine import kept, quarantined, run
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

POINTS = ("widen.before_commit", "widen.after_commit")

WIDEN = {**HASTY, "LITEFERRY_ON_TYPE_DRIFT": "widen"}

SCHEMA = """
CREATE TABLE t(id INTEGER PRIMARY KEY, flag BOOLEAN DEFAULT 1, whole INTEGER NOT NULL DEFAULT 7, part REAL,
    free, amount DECIMAL(10,2), word INT, code INTEGER UNIQUE, zero, body TEXT);
CREATE INDEX by_whole ON t(whole);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 500)
    INSERT INTO t SELECT n, n % 2, n * 1000000007, n / 7.0, 1.0 / n, n / 4.0, n, n, -0.0 * n, 'b' FROM i;
UPDATE t SET free = 4e15 + 1.0, amount = 1e300 WHERE id = 9;
UPDATE t SET free = 1e22, part = 9e999 WHERE id = 10;
UPDATE t SET free = 1e18 WHERE id = 11;
CREATE TABLE child(id INTEGER PRIMARY KEY, parent INT REFERENCES t(id), k INT);
INSERT INTO child VALUES (1, 1, 1), (2, 2, 2);
CREATE TABLE keyed(k INT PRIMARY KEY, v INT);
INSERT INTO keyed VALUES (1, 1), (2, 2);
"""

#: Values that the types of the plan do not hold, and those that nothing may be done for.
DRIFT = """
UPDATE t SET flag = 2 WHERE id = 1; UPDATE t SET whole = 1.5 WHERE id = 2;
UPDATE t SET whole = 9e999 WHERE id = 8;
UPDATE t SET free = 9007199254740993 WHERE id = 3; UPDATE t SET amount = 'N/A' WHERE id = 4;
UPDATE t SET word = 'seven' WHERE id = 5; UPDATE t SET word = 7.25 WHERE id = 6;
"""
REFUSED = """
UPDATE t SET code = 'x' WHERE id = 20; UPDATE t SET zero = 9007199254740993 WHERE id = 21;
UPDATE t SET body = 5 WHERE id = 22; UPDATE child SET parent = 'none' WHERE id = 1;
INSERT INTO keyed VALUES ('a', 1), (1.5, 2); UPDATE t SET body = x'00' WHERE id = 23;
"""
WIDENED = {
    "flag": "bigint",
    "whole": "numeric",
    "free": "numeric",
    "amount": "text",
    "word": "text",
    "code": "bigint",
    "zero": "double precision",
    "body": "text",
}
BECOME = {"t.amount": "text", "t.word": "text", "t.free": "numeric", "t.whole": "numeric"}


async def types(url: str, table: str) -> dict[str, str]:
    """Return the columns of a target's table with their types."""
    target = await asyncpg.connect(url)
    try:
        return await target_types(target, "public", table)
    finally:
        await target.close()


def mended(running: RunningDaemon) -> dict[str, Any]:
    """Wait until no table is to be read again any more."""
    return running.wait_until(lambda s: not source_of(s)["stale_tables"], 30, "mended tables")


async def test_a_column_is_given_the_next_type_that_holds_all(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Values that were there stay exactly what they were, defaults and indexes stay; a restart goes on so."""
    path = make_source(script=SCHEMA)
    running = daemon(path, target_url, env=WIDEN)
    await asyncio.to_thread(settle, running, path)
    run(path, DRIFT)
    await asyncio.to_thread(running.wait_log, "column widened")
    await asyncio.to_thread(kept, running, 0)
    await asyncio.to_thread(mended, running)
    await asyncio.to_thread(settle, running, path)
    assert (await types(target_url, "t")).items() >= WIDENED.items()
    assert await differences(path, target_url, columns=BECOME) == []
    notes = {note["what"]: note["reason"] for note in source_of(running.status())["notes"]}
    assert notes["column whole"] == "widened from bigint to numeric"
    assert "is not kept" in notes["column word"]
    target = await asyncpg.connect(target_url)
    assert await target.fetchval("SELECT count(*) FROM pg_indexes WHERE indexname = 'by_whole'") == 1
    query = "SELECT column_name, column_default FROM information_schema.columns WHERE table_name = 't'"
    defaults = {row["column_name"]: row["column_default"] for row in await target.fetch(query)}
    await target.close()
    assert (defaults["flag"], defaults["whole"]) == ("1", "7")

    run(path, "UPDATE t SET flag = 5, whole = whole + 0.5 WHERE id BETWEEN 30 AND 40")
    run(path, "DELETE FROM t WHERE id > 490")
    assert running.stop() == 0
    again = daemon(path, target_url, env=WIDEN)
    await asyncio.to_thread(settle, again, path)
    assert await differences(path, target_url, columns=BECOME) == []
    report = await asyncio.to_thread(again.verify)
    assert report["equal"], report


async def test_what_may_not_be_widened_stays_in_quarantine(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Keys, foreign keys, texts of a unique column, texts with blobs, and doubles with a negative zero."""
    path = make_source(script=SCHEMA)
    running = daemon(path, target_url, env=WIDEN)
    await asyncio.to_thread(settle, running, path)
    before = await types(target_url, "t"), await types(target_url, "child"), await types(target_url, "keyed")
    run(path, REFUSED)
    await asyncio.to_thread(kept, running, 6 if SQLITE_MAKES_TEXT else 7)
    await asyncio.to_thread(running.wait_log, "column not widened")
    await asyncio.to_thread(settle, running, path)
    after = await types(target_url, "t"), await types(target_url, "child"), await types(target_url, "keyed")
    assert after == before
    assert "column widened" not in running.log
    notes = {note["what"]: note["reason"] for note in source_of(running.status())["notes"]}
    assert "-0.0" in notes["column zero"]


#: A TEXT column makes a text of the number 5 by itself.
SQLITE_MAKES_TEXT = True


async def test_nothing_is_widened_unless_asked_for(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """The rows stay in quarantine."""
    path = make_source(script=SCHEMA)
    running = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(settle, running, path)
    run(path, DRIFT)
    await asyncio.to_thread(kept, running, 7)
    await asyncio.to_thread(settle, running, path)
    assert (await types(target_url, "t"))["whole"] == "bigint"
    assert len(await quarantined(target_url)) == 7


async def test_values_behind_the_sample_widen_too(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """The type was chosen by the first rows; the others were kept aside by the copy."""
    path = make_source(script=SCHEMA + DRIFT.replace("id =", "id = 400 +"))
    running = daemon(path, target_url, env={**WIDEN, "LITEFERRY_PROFILE_ROWS": "100"})
    await asyncio.to_thread(settle, running, path)
    await asyncio.to_thread(kept, running, 0)
    await asyncio.to_thread(mended, running)
    await asyncio.to_thread(settle, running, path)
    assert await differences(path, target_url, columns=BECOME) == []


async def test_a_lock_on_the_table_is_waited_for(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Not by the stream: it goes on, and the column is widened later."""
    path = make_source(script=SCHEMA)
    running = daemon(path, target_url, env=WIDEN)
    await asyncio.to_thread(settle, running, path)
    reading = await asyncpg.connect(target_url)
    held = reading.transaction()
    await held.start()
    await reading.fetch("SELECT count(*) FROM t")
    run(path, "UPDATE t SET whole = 'x' WHERE id = 5")
    await asyncio.to_thread(kept, running, 1)
    await asyncio.to_thread(running.wait_log, "is locked on the target")
    run(path, "UPDATE keyed SET v = 99")
    await asyncio.to_thread(settle_position, running, path)
    await held.rollback()
    await reading.close()
    await asyncio.to_thread(kept, running, 0)
    await asyncio.to_thread(mended, running)
    await asyncio.to_thread(settle, running, path)
    assert await differences(path, target_url, columns={"t.whole": "text"}) == []


def settle_position(running: RunningDaemon, path: Path) -> None:
    """Wait until all that is in the log has arrived, whatever the state is called."""
    with closing(sqlite3.connect(path)) as source:
        (head,) = source.execute("SELECT max(seq) FROM _liteferry_log").fetchone()
    running.wait_until(lambda s: bool(source_of(s)["position"] >= head), 30, "the end of the log")


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_leaves_type_plan_and_rows_in_step(
    point: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Either all of it was done, or nothing; the next start does the rest."""
    path = make_source(script=SCHEMA)
    first = daemon(path, target_url, env={**WIDEN, "LITEFERRY_FAILPOINTS": f"{point}=kill"})
    await asyncio.to_thread(settle, first, path)
    run(path, DRIFT)
    assert await asyncio.to_thread(first.wait_end) == -9
    assert (await types(target_url, "t"))["whole"] == ("numeric" if "after" in point else "bigint")
    run(path, "UPDATE t SET whole = whole + 1 WHERE id > 100; UPDATE t SET whole = 2.5 WHERE id = 7")
    second = daemon(path, target_url, env=WIDEN)
    await asyncio.to_thread(settle, second, path)
    await asyncio.to_thread(kept, second, 0)
    await asyncio.to_thread(mended, second)
    await asyncio.to_thread(settle, second, path)
    assert await differences(path, target_url, columns=BECOME) == []
