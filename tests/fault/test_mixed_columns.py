"""Columns and keys of several storage classes from the start: most rows arrive, the others are kept."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.compare import differences
from tests.fault.scene import COPIERS, HASTY, settle
from tests.fault.test_quarantine import kept, quarantined, run
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

SCHEMA = """
CREATE TABLE mixed(id INTEGER PRIMARY KEY, n INTEGER, body TEXT);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 3000)
    INSERT INTO mixed SELECT n, n, 'body ' || n FROM i;
UPDATE mixed SET n = 'many' WHERE id IN (7, 1500, 2999);
UPDATE mixed SET body = x'00ff' WHERE id IN (7, 8);
CREATE TABLE keyed(k INT PRIMARY KEY, v TEXT);
INSERT INTO keyed SELECT id * 10, 'v' FROM mixed WHERE id < 500;
INSERT INTO keyed VALUES ('a', 1), ('b', 2), (x'01', 3), (5, 'five');
CREATE TABLE pair(a, b, v, PRIMARY KEY(a, b)) WITHOUT ROWID;
INSERT INTO pair SELECT 'a' || id, id, id FROM mixed WHERE id < 500;
INSERT INTO pair VALUES (1, 1, 1), ('x', 'y', 2), (x'02', x'02', 3), ('x', 2.5, 4),
    (CAST(x'e9' AS TEXT), 1, 5);
CREATE TABLE holes(k TEXT PRIMARY KEY, v INT);
INSERT INTO holes VALUES (NULL, 1), (NULL, 1), ('a', 2), (x'03', 3), ('b', 'none');
"""

#: Takes out of a copy of the source what the types of most hold not.
CLEAN = """
DELETE FROM mixed WHERE typeof(n) = 'text' OR typeof(body) = 'blob';
DELETE FROM keyed WHERE typeof(k) <> 'integer';
DELETE FROM pair WHERE typeof(a) <> 'text' OR typeof(b) NOT IN ('integer', 'real')
    OR typeof(v) <> 'integer' OR a = CAST(x'e9' AS TEXT);
DELETE FROM holes WHERE typeof(k) = 'blob' OR typeof(v) = 'text';
"""


async def assert_all_but(path: Path, url: str, tmp_path: Path) -> None:
    """Assert that the target has exactly the rows of the source that fit."""
    copy = tmp_path / "clean.db"
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as cleaned:
        source.backup(cleaned)
        for (name,) in cleaned.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            cleaned.execute(f'DROP TRIGGER "{name}"')
        cleaned.executescript(CLEAN)
    assert await differences(copy, url) == []


@pytest.mark.parametrize("env", [{}, COPIERS], ids=["in the daemon", "by copiers"])
async def test_rows_that_do_not_fit_the_type_of_most_are_kept_aside(
    env: dict[str, str], make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """In ordinary columns and in keys, copied and streamed; a row with a refused key comes and goes by it."""
    path = make_source(script=SCHEMA)
    running = daemon(path, target_url, env={**HASTY, **env}, args=("--batch-size", "100"))
    await asyncio.to_thread(settle, running, path)
    await asyncio.to_thread(kept, running, 4 + 3 + 4 + 2)
    await assert_all_but(path, target_url, tmp_path)

    run(
        path,
        """
        UPDATE keyed SET v = 'again' WHERE k = 'a'; DELETE FROM keyed WHERE k = 'b';
        UPDATE keyed SET k = 6 WHERE k = x'01'; UPDATE keyed SET k = 'six' WHERE k = 10;
        INSERT INTO keyed VALUES ('new', 'new'); INSERT INTO keyed VALUES (7.5, 'half');
        UPDATE pair SET a = 'one' WHERE a = 1; DELETE FROM pair WHERE a = x'02';
        UPDATE pair SET v = 6 WHERE a = CAST(x'e9' AS TEXT); UPDATE pair SET b = x'04' WHERE a = 'a7';
        UPDATE holes SET v = 9 WHERE k IS NULL; DELETE FROM holes WHERE k = x'03';
        INSERT INTO holes VALUES (NULL, 'text'), (4, 4); UPDATE mixed SET n = 7 WHERE id = 1500;
        """,
    )
    await asyncio.to_thread(kept, running, 3 + 4 + 3 + 2)
    await asyncio.to_thread(settle, running, path)
    await assert_all_but(path, target_url, tmp_path)
    keys = {str(key[0][1]) for name, key, _ in await quarantined(target_url) if name == "keyed"}
    assert keys == {"a", "six", "new", (7.5).hex()}
    run(path, "DELETE FROM keyed WHERE typeof(k) <> 'integer'; DELETE FROM pair WHERE typeof(b) = 'blob'")
    await asyncio.to_thread(kept, running, 3 + 2 + 2)
    assert running.stop() == 0

    again = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(settle, again, path)
    await asyncio.to_thread(kept, again, 3 + 2 + 2)
    await assert_all_but(path, target_url, tmp_path)
    report = await asyncio.to_thread(again.verify)
    assert all(table["equal"] for source in report["sources"] for table in source["tables"])


async def test_halting_ends_at_the_plan(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """For those who want to look first."""
    path = make_source(script=SCHEMA)
    running = daemon(path, target_url, env={**HASTY, "LITEFERRY_ON_BAD_VALUE": "halt"})
    assert await asyncio.to_thread(running.wait_end) != 0
    assert "no PostgreSQL type holds all of" in running.log
