"""Rows that PostgreSQL cannot hold are kept aside, and no others: copied, streamed, repaired, killed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.compare import differences
from tests.fault.scene import COPIERS, HASTY, settle, source_of, started
from tests.fixtures.cli import Answer, Liteferry
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

SCHEMA = """
CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT, n INT);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 4000)
    INSERT INTO note SELECT n, 'note ' || n, n FROM i;
CREATE TABLE tag(name TEXT PRIMARY KEY, n INT) WITHOUT ROWID;
INSERT INTO tag SELECT 'tag ' || id, id FROM note WHERE id < 50;
CREATE TABLE loose(body TEXT);
INSERT INTO loose VALUES ('fine');
"""

#: Text that is not UTF-8, and text with a NUL.
LATIN, NUL = "CAST(x'636166e9' AS TEXT)", "CAST(x'610062' AS TEXT)"

#: What makes rows bad, with the ids that are then bad in `note`.
SPOIL = f"""
UPDATE note SET body = {NUL} WHERE id IN (1, 2000, 3999);
UPDATE note SET body = {LATIN} WHERE id = 2001;
INSERT INTO tag VALUES ({LATIN}, 1), ({NUL}, 2);
INSERT INTO loose VALUES ({LATIN}), ('good')
"""
SPOILT = (1, 2000, 3999, 2001)

#: Takes the rows that no PostgreSQL can hold out of a copy.
CLEAN = """
DELETE FROM note WHERE instr(CAST(body AS BLOB), x'00') OR body = CAST(x'636166e9' AS TEXT)
    OR typeof(n) = 'text';
DELETE FROM tag WHERE instr(CAST(name AS BLOB), x'00') OR name = CAST(x'636166e9' AS TEXT)
    OR length(name) > 2000;
DELETE FROM loose WHERE body = CAST(x'636166e9' AS TEXT)
"""


def run(path: Path, statements: str) -> None:
    """Write as the application."""
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as application:
        application.executescript(f"BEGIN; {statements}; COMMIT")


async def assert_all_but(path: Path, url: str, tmp_path: Path) -> None:
    """Assert that the target has exactly the rows of the source that PostgreSQL can hold."""
    copy = tmp_path / "clean.db"
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as cleaned:
        source.backup(cleaned)
        for (name,) in cleaned.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            cleaned.execute(f'DROP TRIGGER "{name}"')
        cleaned.executescript(CLEAN)
    assert await differences(copy, url) == []


def kept(running: RunningDaemon, rows: int) -> dict[str, Any]:
    """Wait until so many rows are in quarantine."""
    return running.wait_until(lambda s: source_of(s)["quarantined"] == rows, 30, f"{rows} rows in quarantine")


async def quarantined(url: str) -> list[tuple[str, Any, str]]:
    """Return table, key and reason of all rows in quarantine."""
    query = """SELECT name, key, reason FROM liteferry.quarantine JOIN liteferry.progress
        USING (source_id, table_id) ORDER BY 1, 2"""
    target = await asyncpg.connect(url)
    try:
        return [(name, json.loads(key), reason) for name, key, reason in await target.fetch(query)]
    finally:
        await target.close()


@pytest.mark.parametrize("env", [{}, COPIERS], ids=["in the daemon", "by copiers"])
async def test_bad_rows_do_not_stop_the_copy(
    env: dict[str, str], make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """All others arrive; each bad one is kept with its key, values and the reason."""
    path = make_source(script=f"{SCHEMA};{SPOIL}")
    running = await started(daemon, path, target_url, env={**HASTY, **env}, args=("--batch-size", "500"))
    await asyncio.to_thread(kept, running, 7)
    await assert_all_but(path, target_url, tmp_path)
    found = await quarantined(target_url)
    assert [key[0][1] for name, key, _ in found if name == "note"] == sorted(map(str, SPOILT))
    assert all("NUL" in reason or "UTF-8" in reason for _, _, reason in found)
    assert "caf" not in running.log


async def test_bad_rows_of_the_stream_come_and_go(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """One that turns bad leaves the target, one that turns good comes back, a deleted one is forgotten."""
    path = make_source(script=SCHEMA)
    running = await started(daemon, path, target_url)
    run(path, SPOIL)
    run(path, "UPDATE note SET n = 'many' WHERE id BETWEEN 100 AND 104")
    await asyncio.to_thread(kept, running, 12)
    await asyncio.to_thread(settle, running, path)
    await assert_all_but(path, target_url, tmp_path)
    run(
        path,
        f"UPDATE note SET body = 'right again' WHERE id = 1; DELETE FROM note WHERE id = 2000;"
        f"UPDATE note SET n = 5 WHERE id = 101; DELETE FROM tag WHERE name = {LATIN};"
        f"UPDATE note SET id = 9000 WHERE id = 102",
    )
    await asyncio.to_thread(kept, running, 8)
    await asyncio.to_thread(settle, running, path)
    await assert_all_but(path, target_url, tmp_path)
    assert [key for name, key, _ in await quarantined(target_url) if key == [["integer", "9000"]]]


async def test_what_only_postgresql_knows_to_refuse_is_found_by_halving(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """Keys too long for an index, among thousands that are not."""
    path = make_source(script=SCHEMA)
    running = await started(daemon, path, target_url)
    long = "hex(randomblob(3000))"
    run(
        path,
        "INSERT INTO tag SELECT 'more ' || id, id FROM note;"
        f"INSERT INTO tag VALUES ({long}, 1), ({long}, 2), ({long}, 3)",
    )
    await asyncio.to_thread(kept, running, 3)
    await asyncio.to_thread(settle, running, path)
    await assert_all_but(path, target_url, tmp_path)


async def test_a_cutover_waits_for_the_quarantine(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path, liteferry: Liteferry
) -> None:
    """Until every row is right, or accepted by the name of its table; a new one must be accepted anew."""
    path = make_source(script=f"{SCHEMA};{SPOIL}")
    running = await started(daemon, path, target_url)

    async def call(*words: str) -> Answer:
        return await asyncio.to_thread(liteferry, *words, "--control", running.socket)

    refused = await call("cutover", "--yes")
    assert refused.status == 1
    assert "4 rows of table 'note' are in quarantine" in refused.errors
    listed = await call("quarantine", "list", "--table", "note", "--json")
    assert [row["key"] for row in listed.json["rows"]] == [["1"], ["2000"], ["2001"], ["3999"]]
    assert listed.json["rows"][0]["row"]["n"] == ["integer", 1]
    assert "note 2001: column body: text that is not UTF-8" in (await call("quarantine", "list")).output

    verified = await call("verify")
    assert (verified.status, "note: SQLite=4000, PostgreSQL=3996 ok" in verified.output) == (0, True)
    for table in ("note", "tag", "loose"):
        assert (await call("quarantine", "accept", table)).status == 0
    await asyncio.to_thread(running.wait_ready)
    run(path, f"UPDATE note SET body = {LATIN} WHERE id IN (5, 2001)")
    await asyncio.to_thread(kept, running, 8)
    assert (await call("cutover", "--yes")).status == 1
    run(path, "UPDATE note SET body = 'right' WHERE id = 5")
    await asyncio.to_thread(kept, running, 7)
    assert (await call("quarantine", "accept", "nowhere")).status == 2
    await asyncio.to_thread(running.wait_ready)
    assert (await call("cutover", "--yes")).status == 0
    await assert_all_but(path, target_url, tmp_path)


@pytest.mark.parametrize(
    "point", ["apply.before_commit@3", "apply.after_commit@3", "snapshot.before_commit@2"]
)
async def test_a_kill_keeps_the_quarantine_and_the_rows_in_step(
    point: str, make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """The row and its place in quarantine are one transaction."""
    path = make_source(script=f"{SCHEMA};{SPOIL}")
    env = {**HASTY, "LITEFERRY_FAILPOINTS": f"{point}=kill"}
    first = daemon(path, target_url, env=env, args=("--batch-size", "500"))
    bad = iterations(path)
    await asyncio.to_thread(write_until_end, first, path, bad)
    run(path, "UPDATE note SET body = 'right' WHERE id = 1")
    second = await started(daemon, path, target_url)
    with closing(sqlite3.connect(path)) as source:
        source.text_factory = bytes
        (spoilt,) = source.execute(f"SELECT count(*) FROM note WHERE body IN ({LATIN}, {NUL})").fetchone()
    await asyncio.to_thread(kept, second, spoilt + 3)
    await assert_all_but(path, target_url, tmp_path)


def iterations(path: Path) -> Iterable[str]:
    """Yield statements that turn rows bad and good."""
    for number in range(10, 2000, 3):
        yield f"UPDATE note SET body = {LATIN} WHERE id = {number}"
        yield f"UPDATE note SET body = 'right' WHERE id = {number - 3}"


def write_until_end(running: RunningDaemon, path: Path, statements: Iterable[str]) -> None:
    """Write until the daemon has been killed."""
    for statement in statements:
        if running.returncode is not None:
            break
        run(path, statement)
    assert running.wait_end() == -9


async def test_a_repair_minds_the_quarantine(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path, liteferry: Liteferry
) -> None:
    """Rows that were spoilt, mended or deleted around the triggers are put where they belong."""
    path = make_source(script=f"{SCHEMA};{SPOIL}")
    first = await started(daemon, path, target_url)
    await asyncio.to_thread(kept, first, 7)
    assert first.stop() == 0
    with closing(sqlite3.connect(path, isolation_level=None)) as source:
        query = "SELECT sql, name FROM sqlite_master WHERE type = 'trigger' AND name GLOB '_liteferry_*'"
        triggers = source.execute(query).fetchall()
        dropped = ";".join(f'DROP TRIGGER "{name}"' for _, name in triggers)
        source.executescript(
            f"BEGIN; {dropped}; UPDATE note SET body = {NUL} WHERE id = 77;"
            "UPDATE note SET body = 'right' WHERE id = 1; DELETE FROM note WHERE id = 2000;"
            f"DELETE FROM loose WHERE body <> 'fine'; {';'.join(sql for sql, _ in triggers)}; COMMIT"
        )
    second = await started(daemon, path, target_url)
    await asyncio.to_thread(kept, second, 5)
    await asyncio.to_thread(second.wait_until, lambda s: not s["sources"][0]["stale_tables"], 30, "mended")
    await assert_all_but(path, target_url, tmp_path)
    again = await asyncio.to_thread(liteferry, "quarantine", "retry", "--control", second.socket, "--json")
    assert again.json == {"tables": 2}
    await asyncio.to_thread(settle, second, path)
    await asyncio.to_thread(kept, second, 5)


async def test_a_null_that_comes_into_a_primary_key_gets_the_table_another_key(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """SQLite allows it, PostgreSQL does not: from then on the rowid is the key."""
    path = make_source(script="CREATE TABLE word(k TEXT PRIMARY KEY, v INT); INSERT INTO word VALUES('a', 1)")
    running = await started(daemon, path, target_url)
    run(path, "INSERT INTO word VALUES(NULL, 2), (NULL, 2), ('b', 3)")
    await asyncio.to_thread(settle, running, path)
    assert await differences(path, target_url) == []
    run(path, "DELETE FROM word WHERE rowid = 2; UPDATE word SET v = 9 WHERE k IS NULL")
    await asyncio.to_thread(settle, running, path)
    assert await differences(path, target_url) == []


async def test_halting_ends_with_the_first_bad_row(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """For those who want to look first."""
    path = make_source(script=SCHEMA)
    running = await started(daemon, path, target_url, env={**HASTY, "LITEFERRY_ON_BAD_VALUE": "halt"})
    run(path, SPOIL)
    assert await asyncio.to_thread(running.wait_end) == 5
    assert await quarantined(target_url) == []
