"""Kills while names change, and other settings afterwards: what is on the target keeps its name."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from tests.compare import differences
from tests.databases import from_source, on_source, on_target
from tests.fault.scene import HASTY, SMALL_CHUNKS, poll, settle
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

SCRIPT = """
CREATE TABLE "Order Details"("Order Id" INT, LineNo INT, Total REAL UNIQUE, PRIMARY KEY("Order Id", LineNo));
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 2000)
    INSERT INTO "Order Details" SELECT n / 10, n, n / 2.0 FROM i;
CREATE TABLE Keyless("The Text" TEXT);
INSERT INTO Keyless VALUES('a'), ('a'), ('b');
"""

SNAKE = {
    "Order Details": "order_details",
    "Order Details.Order Id": "order_id",
    "Order Details.LineNo": "line_no",
    "Order Details.Total": "total",
    "Keyless": "keyless",
    "Keyless.The Text": "the_text",
}

CHANGES = """
BEGIN;
ALTER TABLE "Order Details" RENAME COLUMN LineNo TO "Line Number";
ALTER TABLE "Order Details" ADD COLUMN "line-number" INT DEFAULT 5;
ALTER TABLE Keyless RENAME TO "Key Less";
CREATE TABLE FirstNew(Id INTEGER PRIMARY KEY);
INSERT INTO FirstNew VALUES(1);
COMMIT;
"""

AFTER = {
    "Order Details": "order_details",
    "Order Details.Order Id": "order_id",
    "Order Details.Line Number": "line_number",
    "Order Details.line-number": "line_number_ed1d53fe",
    "Order Details.Total": "total",
    "Key Less": "key_less",
    "Key Less.The Text": "the_text",
    "FirstNew": "first_new",
    "FirstNew.Id": "id",
}

WRITES = """
UPDATE "Order Details" SET Total = -Total WHERE "Order Id" % 3 = 0;
DELETE FROM "Order Details" WHERE "Order Id" % 7 = 0;
"""

TABLES = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"


def snake(*more: str) -> dict[str, str]:
    """Return the environment of a daemon with that policy, that dies where it is told to."""
    return {**HASTY, "LITEFERRY_NAMES": "snake", **({"LITEFERRY_FAILPOINTS": more[0]} if more else {})}


@pytest.mark.parametrize(
    "point", ["register.after", "snapshot.before_commit@5", "snapshot.after_commit@5", "pipeline.streaming"]
)
async def test_a_copy_that_was_killed_goes_on_under_the_names_that_it_began_with(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, point: str
) -> None:
    """Though the settings are others by then."""
    path = make_source(script=SCRIPT)
    first = daemon(path, target_url, env=snake(f"{point}=kill"), args=SMALL_CHUNKS)
    assert await asyncio.to_thread(first.wait_end) < 0
    on_source(path, WRITES)
    second = daemon(path, target_url, env=HASTY, args=["--prefix-map", "app=p_"])
    await asyncio.to_thread(settle, second, path)
    assert await differences(path, target_url, names=SNAKE) == []
    assert sorted(on_target(target_url, TABLES)) == [("keyless",), ("order_details",)]


@pytest.mark.parametrize("point", ["follow.before_refit@2", "follow.after_refit@2", "follow.after_target@2"])
@pytest.mark.parametrize("after", ["snake", "exact"])
async def test_changed_tables_keep_the_names_that_the_target_has(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, point: str, after: str
) -> None:
    """Killed before the target was changed, what is new goes by the settings of the next start."""
    path = make_source(script=SCRIPT)
    first = daemon(path, target_url, env=snake(f"{point}=kill"))
    await asyncio.to_thread(first.wait_ready)
    on_source(path, CHANGES)
    assert await asyncio.to_thread(first.wait_end) < 0
    on_source(path, WRITES)
    second = daemon(path, target_url, env={**HASTY, "LITEFERRY_NAMES": after})
    await asyncio.to_thread(settle, second, path)
    changed = point == "follow.after_target@2"
    names = (
        AFTER
        if changed or after == "snake"
        else {
            "Order Details": "order_details",
            "Order Details.Order Id": "order_id",
            "Order Details.Total": "total",
            "Key Less.The Text": "the_text",
        }
    )
    assert await differences(path, target_url, names=names) == []
    assert (await asyncio.to_thread(second.verify))["equal"]


async def test_a_wrong_pair_of_names_keeps_a_known_source_from_nothing(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """A table that came while nobody looked, and whose name is taken, waits; the others stream."""
    paths: list[Path] = [make_source(f"{name}.db", "CREATE TABLE t(id INTEGER PRIMARY KEY)") for name in "ab"]
    args = ["--schema", "app", "--prefix-map", "a=a_"]
    first = daemon(paths, target_url, env=HASTY, args=args)
    await asyncio.to_thread(first.wait_ready)
    await asyncio.to_thread(first.stop)
    on_source(paths[1], "CREATE TABLE a_t(v); INSERT INTO a_t VALUES(1); INSERT INTO t VALUES(1)")
    second = daemon(paths, target_url, env=HASTY, args=args)
    told = "table 'a_t' would be called 'a_t', which is taken"
    await asyncio.to_thread(
        second.wait_until, lambda s: any(told in reason for reason in s["reasons"]), 30, "the reason"
    )
    on_source(paths[1], "INSERT INTO t VALUES(2)")
    arrived = "SELECT count(*) FROM app.t"
    await asyncio.to_thread(second.wait_until, lambda _: on_target(target_url, arrived) == [(2,)], 30, "both")
    assert await differences(paths[1], target_url, "app", ["t"]) == []
    await asyncio.to_thread(second.stop)
    third = daemon(paths, target_url, env={**HASTY, "LITEFERRY_RENAME": '{"a_t": "other"}'}, args=args)
    await asyncio.to_thread(third.wait_ready)
    assert await differences(paths[1], target_url, "app", names={"a_t": "other"}) == []


async def test_a_name_that_is_taken_just_then_stops_nobody(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Somebody makes a table of that name in a transaction that nobody else can look into."""
    path = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY)")
    running = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(running.wait_ready)
    somebody = await asyncpg.connect(target_url)
    try:
        async with somebody.transaction():
            await somebody.execute("CREATE TABLE fresh(other int)")
            on_source(path, "CREATE TABLE fresh(v); INSERT INTO fresh VALUES(1)")

            async def waiting() -> bool | None:
                return await somebody.fetchval("SELECT true FROM pg_locks WHERE NOT granted LIMIT 1") or None

            await poll(waiting)
    finally:
        await somebody.close()
    told = "table 'fresh' would be called 'fresh', which is taken"
    await asyncio.to_thread(
        running.wait_until, lambda s: any(told in reason for reason in s["reasons"]), 30, "the reason"
    )
    on_source(path, "INSERT INTO t VALUES(2)")
    arrived = "SELECT count(*) FROM t"
    await asyncio.to_thread(running.wait_until, lambda _: on_target(target_url, arrived) == [(1,)], 30, "it")
    triggers = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'fresh'"
    assert from_source(path, triggers) == [(0,)]


async def test_a_setting_for_what_the_application_has_renamed_keeps_nobody_from_a_restart(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """At the first start it is an error, most likely of typing; later it is told of."""
    path = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY, v INT); INSERT INTO t VALUES(1, 2)")
    env = {**HASTY, "LITEFERRY_RENAME": '{"t.v": "value", "t": "things"}'}
    first = daemon(path, target_url, env=env)
    await asyncio.to_thread(first.wait_ready)
    on_source(path, "ALTER TABLE t RENAME COLUMN v TO w; UPDATE t SET w = 3")
    await asyncio.to_thread(settle, first, path)
    await asyncio.to_thread(first.stop)
    second = daemon(path, target_url, env=env)
    status = await asyncio.to_thread(second.wait_ready)
    assert any("rename.t.v: there is no such" in notice for notice in status["notices"])
    assert await differences(path, target_url, names={"t": "things"}) == []


def test_everything_of_ours_is_found_under_its_name_to_be_taken_out(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, liteferry: Liteferry
) -> None:
    """The target's tables are open to everybody afterwards."""
    path = make_source(script=SCRIPT)
    running = daemon(path, target_url, env=snake())
    running.wait_ready()
    running.stop()
    assert liteferry("uninstall", path, "--target", target_url, "--yes").status == 0
    assert on_target(target_url, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []
    assert on_target(target_url, "DELETE FROM keyless RETURNING the_text") != []
