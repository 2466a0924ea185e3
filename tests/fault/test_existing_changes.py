"""The application changes SQLite's schema while one that was there is filled: never altered, never lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.catalogue import dump
from tests.databases import from_source, on_source, on_target
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

from .adoptee import configuration
from .scene import HASTY, settle

ADOPT = 'existing_tables = "adopt"\n'

SOURCE = """
CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b INTEGER);
INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 0);
CREATE TABLE gone(id INTEGER PRIMARY KEY, v TEXT);
INSERT INTO gone VALUES (1, 'kept');
"""

TARGET = """
CREATE TABLE t(id bigint PRIMARY KEY, a text, b boolean, later integer, "A2" text);
CREATE TABLE gone(id bigint PRIMARY KEY, v text);
CREATE TABLE other(id bigint PRIMARY KEY, flag boolean NOT NULL);
COMMENT ON TABLE t IS 'the application''s';
"""


async def streaming(
    daemon: StartDaemon, make_source: MakeSource, url: str, folder: Path
) -> tuple[RunningDaemon, Path]:
    """Start a daemon that adopts, and wait until it streams."""
    on_target(url, TARGET)
    source = make_source(script=SOURCE)
    running = daemon(source, url, env=HASTY, args=("--config", configuration(folder, ADOPT)))
    await asyncio.to_thread(settle, running, source)
    return running, source


def objected(text: str) -> Any:
    """Return the condition that something speaks against the cutover."""
    return lambda status: any(text in reason for reason in status["reasons"])


def places(url: str) -> list[tuple[object, ...]]:
    """Return what a table that was made anew would not keep."""
    return on_target(
        url, "SELECT oid, relname FROM pg_class WHERE relname IN ('t', 'gone', 'other') ORDER BY 1"
    )


async def test_a_new_column_goes_where_the_target_has_one_and_is_an_objection_else(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """Rows written before and after are whole; the cutover waits for a column on the target."""
    running, source = await streaming(daemon, make_source, target_url, tmp_path)
    before, were = await dump(target_url), places(target_url)
    on_source(source, "ALTER TABLE t ADD COLUMN later INTEGER DEFAULT 7; UPDATE t SET a = 'x' WHERE id = 1")
    await asyncio.to_thread(settle, running, source)
    query = "SELECT id, a, later FROM t ORDER BY id"
    running.wait_until(lambda status: on_target(target_url, query) == from_source(source, query))

    on_source(
        source, "ALTER TABLE t ADD COLUMN nowhere TEXT; INSERT INTO t VALUES (3, 'three', 1, 3, 'lost?')"
    )
    running.wait_until(objected("column 'nowhere' of table 't' has no column on the target"))
    await asyncio.to_thread(settle, running, source)
    assert on_target(target_url, query) == from_source(source, query)
    assert (await dump(target_url), places(target_url)) == (before, were)

    on_target(target_url, "ALTER TABLE t ADD COLUMN nowhere text; SELECT 1")
    on_source(source, "CREATE INDEX looked_at ON t(a)")
    await asyncio.to_thread(running.wait_ready)
    query = "SELECT id, nowhere FROM t ORDER BY id"
    assert on_target(target_url, query) == from_source(source, query)


async def test_renames_rebuilds_and_a_restart_keep_the_table(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """A renamed column and table go on to where they went; a table that is made anew is the same one."""
    running, source = await streaming(daemon, make_source, target_url, tmp_path)
    before, were = await dump(target_url), places(target_url)
    on_source(source, "ALTER TABLE t RENAME COLUMN a TO title; INSERT INTO t VALUES (4, 'four', 1)")
    await asyncio.to_thread(settle, running, source)
    on_source(source, "ALTER TABLE t RENAME TO things; INSERT INTO things VALUES (5, 'five', 0)")
    await asyncio.to_thread(settle, running, source)
    query, there = "SELECT id, a FROM t ORDER BY id", "SELECT id, title FROM things ORDER BY id"
    assert on_target(target_url, query) == from_source(source, there)

    on_source(
        source,
        "BEGIN; CREATE TABLE made(id INTEGER PRIMARY KEY, title VARCHAR, b BOOLEAN); "
        "INSERT INTO made SELECT * FROM things WHERE id > 1; DROP TABLE things; "
        "ALTER TABLE made RENAME TO things; INSERT INTO things VALUES (6, 'six', 1); COMMIT",
    )
    await asyncio.to_thread(settle, running, source)
    running.wait_until(lambda _: on_target(target_url, query) == from_source(source, there))
    running.stop()
    on_source(
        source, "ALTER TABLE things ADD COLUMN later INTEGER; INSERT INTO things VALUES (7, 'seven', 1, 2)"
    )
    on_source(source, "ALTER TABLE things DROP COLUMN b")
    running = daemon(source, target_url, env=HASTY, args=("--config", configuration(tmp_path, ADOPT)))
    await asyncio.to_thread(settle, running, source)
    wider, there = "SELECT id, a, later FROM t ORDER BY id", "SELECT id, title, later FROM things ORDER BY id"
    running.wait_until(lambda _: on_target(target_url, wider) == from_source(source, there))
    assert (await dump(target_url), places(target_url)) == (before, were)


async def test_a_table_that_comes_back_is_followed_again(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """A migration without a transaction drops a table, and makes it anew a moment later."""
    running, source = await streaming(daemon, make_source, target_url, tmp_path)
    before, were = await dump(target_url), places(target_url)
    on_source(source, "CREATE TABLE made AS SELECT * FROM t; DROP TABLE t")
    running.wait_until(objected("table 't' is gone from the source"))
    on_source(
        source,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b INTEGER); "
        "INSERT INTO t SELECT * FROM made WHERE id > 1; "
        "INSERT INTO t VALUES (9, 'nine', 1); DROP TABLE made",
    )
    query = "SELECT id, a FROM t ORDER BY id"
    running.wait_until(lambda _: on_target(target_url, query) == from_source(source, query))
    await asyncio.to_thread(running.wait_ready)
    on_target(target_url, "DROP TABLE IF EXISTS made; SELECT 1")
    assert (await dump(target_url), places(target_url)) == (before, were)


async def test_a_table_that_is_gone_or_has_another_key_is_let_go_of_as_it_is(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """The target's keeps its rows, the others stream on, the cutover does not begin; also after a restart."""
    running, source = await streaming(daemon, make_source, target_url, tmp_path)
    before, were = await dump(target_url), places(target_url)
    on_source(source, "DROP TABLE gone; INSERT INTO t VALUES (8, 'eight', 1)")
    running.wait_until(objected("table 'gone' is gone from the source"))
    await asyncio.to_thread(settle, running, source)
    on_source(
        source,
        "BEGIN; CREATE TABLE other(id INTEGER PRIMARY KEY, flag INTEGER); "
        "INSERT INTO other VALUES (1, 1); COMMIT",
    )
    await asyncio.to_thread(settle, running, source)
    running.wait_until(lambda _: on_target(target_url, "SELECT * FROM other") == [(1, True)])
    running.stop()
    on_source(
        source,
        "BEGIN; CREATE TABLE made(id INTEGER, a TEXT PRIMARY KEY, b INTEGER); "
        "INSERT INTO made SELECT * FROM t; DROP TABLE t; ALTER TABLE made RENAME TO t; "
        "INSERT INTO other VALUES (2, 0); COMMIT",
    )
    running = daemon(source, target_url, env=HASTY, args=("--config", configuration(tmp_path, ADOPT)))
    running.wait_until(objected("table 't' has another key"))
    running.wait_until(objected("table 'gone' is gone from the source"))
    await asyncio.to_thread(settle, running, source)
    assert on_target(target_url, "SELECT id FROM other ORDER BY id") == [(1,), (2,)]
    assert on_target(target_url, "SELECT a FROM t ORDER BY id") == [("one",), ("two",), ("eight",)]
    assert on_target(target_url, "SELECT v FROM gone") == [("kept",)]
    guarded = {line for line in await dump(target_url) if "liteferry_guard" not in line}
    assert guarded == {line for line in before if "liteferry_guard" not in line}
    assert places(target_url) == were
