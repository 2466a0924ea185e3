"""Rows that an existing schema refuses go into quarantine, and those it takes are never lost beside them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.databases import from_source, on_source, on_target
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

from .adoptee import configuration
from .scene import HASTY, settle, source_of

ADOPT = 'existing_tables = "adopt"\n'

SOURCE = """
CREATE TABLE t(id INTEGER PRIMARY KEY, kind TEXT, age INTEGER, name TEXT, code TEXT, small INTEGER,
    slug TEXT);
INSERT INTO t VALUES (1, 'ok', 1, 'a', 'A', 1, 'x'), (2, 'bad', 2, 'b', 'B', 2, NULL),
    (3, 'ok', -3, 'c', 'C', 3, NULL), (4, 'ok', 4, 'much too long', 'D', 4, NULL),
    (5, 'ok', 5, NULL, 'E', 5, NULL),
    (6, 'ok', 6, 'f', 'a', 6, NULL), (7, 'ok', 7, 'g', 'G', 70000, NULL), (8, 'ok', 8, 'h', 'H', 8, 'x'),
    (9, 'ok', 9, 'i', 'I', 9, 'i');
"""

TARGET = """
CREATE TYPE kind AS ENUM ('ok');
CREATE TABLE t(id bigint PRIMARY KEY, kind kind, age integer CHECK (age > 0), name varchar(5) NOT NULL,
    code text, small smallint, slug text UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX folded ON t (lower(code));
"""


def quarantined(count: int) -> Any:
    """Return the condition that so many rows are in quarantine."""
    return lambda status: source_of(status)["quarantined"] == count


def keys(url: str) -> list[int]:
    """Return the keys that have arrived."""
    return [int(str(key)) for (key,) in on_target(url, "SELECT id FROM t ORDER BY id")]


async def ready(daemon: StartDaemon, source: Path, url: str, folder: Path) -> RunningDaemon:
    """Start a daemon that adopts, and wait until it streams."""
    running = daemon(source, url, env=HASTY, args=("--config", configuration(folder, ADOPT)))
    await asyncio.to_thread(settle, running, source)
    return running


async def test_rows_that_break_the_targets_rules_are_kept_aside_one_by_one(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """Label, CHECK, length, NOT NULL, range, unique by expression and deferred; then all are mended."""
    on_target(target_url, TARGET)
    source = make_source(script=SOURCE)
    running = await ready(daemon, source, target_url, tmp_path)
    running.wait_until(quarantined(7))
    assert keys(target_url) == [1, 9]

    on_source(
        source,
        "UPDATE t SET kind = 'ok', age = abs(age), name = coalesce(substr(name, 1, 5), '-'), "
        "code = 'c' || id, small = id, slug = NULL WHERE id < 9",
    )
    await asyncio.to_thread(settle, running, source)
    running.wait_until(quarantined(0))
    assert keys(target_url) == list(range(1, 10))
    assert running.verify()["equal"]


async def test_rows_that_collide_while_streaming_are_kept_aside(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """One that takes a value that another has stays behind, in a batch with others that do not."""
    on_target(target_url, TARGET)
    source = make_source(script=SOURCE.partition("INSERT")[0])
    running = await ready(daemon, source, target_url, tmp_path)
    insert = "INSERT INTO t SELECT value, 'ok', 1, 'n', 'c' || value, 1, 's' || value FROM json_each('[{}]');"
    on_source(source, insert.format("1, 2, 3"))
    await asyncio.to_thread(settle, running, source)
    on_source(
        source,
        "BEGIN;" + insert.format("4, 5") + "UPDATE t SET code = 'C1' WHERE id = 2; "
        "UPDATE t SET slug = 's1' WHERE id = 4; UPDATE t SET age = 0 WHERE id = 3; COMMIT",
    )
    await asyncio.to_thread(settle, running, source)
    running.wait_until(quarantined(3))
    assert keys(target_url) == [1, 5]

    # whoever had the value gives it up: what is compared then goes in
    on_source(
        source,
        "UPDATE t SET code = 'free', slug = 'free' WHERE id = 1; UPDATE t SET age = 1; UPDATE t SET age = 2",
    )
    await asyncio.to_thread(settle, running, source)
    running.wait_until(quarantined(0))
    assert keys(target_url) == [1, 2, 3, 4, 5]
    assert running.verify()["equal"]


async def test_a_source_that_moves_its_rows_while_they_are_copied_arrives_whole(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """Keys and unique values that wander ahead of the copy meet the target's indexes, and end rightly."""
    on_target(target_url, "CREATE TABLE w(code text PRIMARY KEY, slug text UNIQUE, n bigint)")
    source = make_source(
        script="CREATE TABLE w(code TEXT PRIMARY KEY NOT NULL, slug TEXT UNIQUE, n INTEGER);"
        "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 6000) "
        "INSERT INTO w SELECT 'k' || i, 's' || i, i FROM c;"
    )
    arguments = ("--config", configuration(tmp_path, ADOPT), "--batch-size", "100", "--parallel", "1")
    running = daemon(source, target_url, env=HASTY, args=arguments)
    for i in range(1, 200):
        # to the end of the table, with its key; and another row takes the unique value that it had
        on_source(
            source,
            f"BEGIN; DELETE FROM w WHERE code = 'k{i}'; UPDATE w SET slug = 's{i}' WHERE code = "
            f"'k{i + 5000}'; INSERT INTO w VALUES ('k{i}', 's{i + 5000}', -{i}); COMMIT",
        )
    await asyncio.to_thread(settle, running, source)
    running.wait_until(quarantined(0))
    assert from_source(source, "SELECT * FROM w ORDER BY n") == on_target(
        target_url, "SELECT * FROM w ORDER BY n"
    )
