"""Keys that are too long for an index of PostgreSQL, in the source before anything is copied."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.compare import differences
from tests.fault.scene import COPIERS, HASTY, one_value, settle
from tests.fault.test_quarantine import kept, quarantined, run
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

#: Random ones do not become shorter by compression; repeated ones do, and fit.
SCHEMA = """
CREATE TABLE word(k TEXT PRIMARY KEY, n INT) WITHOUT ROWID;
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 3000)
    INSERT INTO word SELECT 'word ' || n, n FROM i;
INSERT INTO word SELECT hex(randomblob(3000 + n)), n FROM word WHERE n IN (1, 700, 2999);
INSERT INTO word SELECT 'repeated' || printf('%.*c', 20000 + n, 'x'), n FROM word WHERE n IN (5, 6, 7);
CREATE TABLE pair(a BLOB, b TEXT, v INT, PRIMARY KEY(a, b));
INSERT INTO pair SELECT randomblob(1400), hex(randomblob(800)), n FROM word WHERE n < 4;
INSERT INTO pair SELECT randomblob(1000), hex(randomblob(200)), n FROM word WHERE n < 50;
CREATE TABLE indexed(id INTEGER PRIMARY KEY, body TEXT);
CREATE INDEX by_body ON indexed(body);
INSERT INTO indexed VALUES (1, hex(randomblob(5000))), (2, 'short');
"""


async def assert_all_but(path: Path, url: str, tmp_path: Path) -> None:
    """Assert that the target has exactly the rows of the source that are not too long."""
    copy = tmp_path / "clean.db"
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as cleaned:
        source.backup(cleaned)
        for (name,) in cleaned.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            cleaned.execute(f'DROP TRIGGER "{name}"')
        cleaned.executescript(
            "DELETE FROM word WHERE length(k) > 2700 AND k NOT LIKE 'repeated%';"
            "DELETE FROM pair WHERE length(a) + length(b) > 2700"
        )
    assert await differences(copy, url) == []


@pytest.mark.parametrize("env", [{}, COPIERS], ids=["in the daemon", "by copiers"])
async def test_rows_whose_key_no_index_holds_are_kept_aside(
    env: dict[str, str], make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """The key is made without them; those that compress well stay; an index that cannot be is a note."""
    path = make_source(script=SCHEMA)
    running = daemon(path, target_url, env={**HASTY, **env})
    status = await asyncio.to_thread(settle, running, path)
    await asyncio.to_thread(kept, running, 3 + 4)
    await assert_all_but(path, target_url, tmp_path)
    assert all("too long for an index" in reason for _, _, reason in await quarantined(target_url))
    assert await one_value(target_url, "SELECT count(*) FROM pg_class WHERE relname LIKE 'probe_%'") == 0
    notes = status["sources"][0]["notes"]
    assert [note["table"] for note in notes if "by_body" in note["what"]] == ["indexed"]

    run(path, "DELETE FROM word WHERE n = 1; UPDATE word SET k = 'short' WHERE n = 700 AND length(k) > 100")
    await asyncio.to_thread(kept, running, 1 + 4)
    await asyncio.to_thread(settle, running, path)
    await assert_all_but(path, target_url, tmp_path)
    report = await asyncio.to_thread(running.verify)
    assert all(table["equal"] for source in report["sources"] for table in source["tables"])


async def test_a_row_that_changes_while_the_key_is_made_is_right_afterwards(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """Killed before the keys, changed, started again: what the log tells comes after."""
    path = make_source(script=SCHEMA)
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "snapshot.after_commit@3=kill"}
    first = daemon(path, target_url, env=env, args=("--batch-size", "100", "--parallel", "1"))
    assert await asyncio.to_thread(first.wait_end) == -9
    run(
        path, "DELETE FROM word WHERE n = 1; UPDATE word SET n = -n WHERE n = 2999; UPDATE pair SET v = v + 1"
    )
    second = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(settle, second, path)
    await asyncio.to_thread(kept, second, 2 + 4)
    await assert_all_but(path, target_url, tmp_path)


async def test_halting_tells_how_many(make_source: MakeSource, daemon: StartDaemon, target_url: str) -> None:
    """Instead of PostgreSQL's own error."""
    path = make_source(script=SCHEMA)
    running = daemon(path, target_url, env={**HASTY, "LITEFERRY_ON_BAD_VALUE": "halt"})
    assert await asyncio.to_thread(running.wait_end) != 0
    assert "rows are too long for PostgreSQL's index" in running.log


def test_the_plan_tells_of_long_keys(liteferry: Liteferry, make_source: MakeSource) -> None:
    """Only PostgreSQL can tell which ones are too long."""
    assert (
        "warning: word.k: part of the key, up to 20,015 long"
        in liteferry("plan", make_source(script=SCHEMA)).output
    )
