"""The application changes its schema while it is streamed: followed, mended, equal, whatever dies."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.compare import differences
from tests.fault.scene import HASTY, end_equal, fetch, one_value, poll, run_once, settle, started
from tests.fault.shop import (
    CHANGES,
    apply,
    explicit_indexes,
    indexes,
    logged,
    missing_tables,
    pulse,
    told_of,
    write,
)
from tests.fixtures.daemon import StartDaemon

#: Where the daemon dies; it passes the first three once before anything has changed.
WHILE_FOLLOWING = (
    "follow.before_refit@2",
    "follow.after_refit@2",
    "follow.after_target@2",
    "repair.after_chunk",
    "repair.before_commit",
)

POINTS = (*WHILE_FOLLOWING, "recapture.after_mark")


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_of_the_schema_is_followed(
    change: str, source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """With writes before, within and behind it; all others stream on, no restart, and equal at the end."""
    running = await started(daemon, source, target_url)
    pulse(source, 1)
    apply(source, CHANGES[change])
    if change != "a table gets another key":
        write(source)
    pulse(source, 2)
    await asyncio.to_thread(settle, running, source)
    # what left no trace but in the rows is found by comparing, for which a cutover would wait
    await asyncio.to_thread(running.wait_ready)
    pulse(source, 3)
    await end_equal(running, source, target_url)
    assert running.returncode is None
    assert await missing_tables(source, target_url) == []
    assert await indexes(target_url) == explicit_indexes(source)


@pytest.mark.parametrize("point", WHILE_FOLLOWING)
@pytest.mark.parametrize("change", ["a table is rebuilt", "some triggers of a table are dropped"])
async def test_a_kill_while_following_loses_nothing(
    point: str, change: str, source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """Killed there and started again."""
    env = {**HASTY, "LITEFERRY_FAILPOINTS": f"{point}=kill"}
    first = await started(daemon, source, target_url, env=env)
    apply(source, CHANGES[change])
    write(source)
    assert await asyncio.to_thread(first.wait_end) == -9
    write(source)
    second = daemon(source, target_url, env=HASTY)
    pulse(source, 2)
    await end_equal(second, source, target_url)


@pytest.mark.parametrize("point", ["follow.before_refit@2", "follow.after_refit@2", "follow.after_target@2"])
async def test_a_kill_while_a_new_table_is_followed_leaves_one_set_of_triggers(
    point: str, source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """None of a number that the target has never heard of goes on writing into the log."""
    env = {**HASTY, "LITEFERRY_FAILPOINTS": f"{point}=kill"}
    first = await started(daemon, source, target_url, env=env)
    apply(source, CHANGES["a table is created and filled"])
    assert await asyncio.to_thread(first.wait_end) == -9
    second = daemon(source, target_url, env=HASTY)
    pulse(source, 2)
    await end_equal(second, source, target_url)
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'fresh'"
    assert len({name.split("_")[2] for (name,) in fetch(source, query)}) == 1
    assert len(fetch(source, "SELECT id FROM _liteferry_tables WHERE name = 'fresh'")) == 1


async def test_a_kill_before_the_comparison_is_made_up_for(
    source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """Of a change that left no trace but in the rows: the cutover waits until they have been compared."""
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "follow.after_target@2=kill"}
    first = await started(daemon, source, target_url, env=env)
    apply(source, CHANGES["an index comes, replaces, and goes"])
    assert await asyncio.to_thread(first.wait_end) == -9
    # by then it knows the schema's new number
    second = daemon(source, target_url, env={**HASTY, "LITEFERRY_COMPARE_INTERVAL": "0"})
    await asyncio.to_thread(second.wait_ready)
    assert await differences(source, target_url) == []


async def test_changes_while_the_daemon_is_away_are_followed_at_its_start(
    source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """All kinds in a row."""
    await run_once(daemon, source, target_url)
    for change in (
        "a column is added",
        "a table is created and filled",
        "a table is dropped",
        "an index is created",
        "a table is renamed",
    ):
        apply(source, CHANGES[change])
    pulse(source, 2)
    await end_equal(daemon(source, target_url, env=HASTY), source, target_url)
    assert await missing_tables(source, target_url) == []
    assert await indexes(target_url) >= explicit_indexes(source)


async def test_a_halting_daemon_names_the_table(source: Path, daemon: StartDaemon, target_url: str) -> None:
    """With the policy halt nothing is changed on the target."""
    running = await started(daemon, source, target_url, env={**HASTY, "LITEFERRY_ON_SCHEMA_CHANGE": "halt"})
    apply(source, CHANGES["a column is dropped"])
    pulse(source, 2)
    assert await asyncio.to_thread(running.wait_end) != 0
    assert "'item' has another structure" in running.log
    assert await one_value(target_url, "SELECT count(price) FROM item") == 3000


async def test_a_new_table_that_cannot_be_carried_stands_against_the_cutover_only(
    source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """The others stream on; without it, or with another structure, the objection goes."""
    running = await started(daemon, source, target_url)
    wide = ", ".join(f"c{n}" for n in range(1_600))
    apply(source, f"CREATE TABLE note(id INTEGER PRIMARY KEY, {wide}); INSERT INTO note(id) VALUES(1)")
    pulse(source, 2)
    await asyncio.to_thread(running.wait_until, told_of("it is not replicated"), 30, "the objection")
    apply(source, "ALTER TABLE note DROP COLUMN c7")
    await asyncio.to_thread(running.wait_ready)
    pulse(source, 3)
    await end_equal(running, source, target_url)
    assert await missing_tables(source, target_url) == []


async def test_a_foreign_key_to_no_key_takes_the_triggers_away_until_it_has_one(
    source: Path, daemon: StartDaemon, target_url: str
) -> None:
    """With foreign_keys on SQLite would refuse INSERTs into a parent with triggers; the cutover waits."""
    running = await started(daemon, source, target_url)
    with closing(sqlite3.connect(source, timeout=10, isolation_level=None)) as application:
        application.execute("PRAGMA foreign_keys = on")
        application.execute("CREATE TABLE label(text TEXT REFERENCES item(name))")
        await poll(logged(running, '"not captured"'))
        await asyncio.to_thread(running.wait_until, told_of("is not captured"), 30, "the objection")
        # a connection that does nothing but this INSERT would go on by the schema as it knows it
        application.execute("SELECT count(*) FROM shop").fetchone()
        application.execute("INSERT INTO item VALUES(90005, 'unseen', 'unseen', 1, 1)")
        application.execute("CREATE UNIQUE INDEX item_unique_name ON item(name)")
        application.execute("INSERT INTO label VALUES('unseen')")
    await asyncio.to_thread(running.wait_ready)
    pulse(source, 5)
    await end_equal(running, source, target_url)


async def test_nothing_else_is_read_again(source: Path, daemon: StartDaemon, target_url: str) -> None:
    """A new column in one table leaves the rows of the others untouched."""
    running = await started(daemon, source, target_url)
    before = await one_value(target_url, "SELECT md5(string_agg(xmin::text, ',' ORDER BY ctid)) FROM entry")
    apply(source, CHANGES["a column is added"])
    pulse(source, 2)
    await end_equal(running, source, target_url)
    after = await one_value(target_url, "SELECT md5(string_agg(xmin::text, ',' ORDER BY ctid)) FROM entry")
    assert before == after
    assert await differences(source, target_url) == []
