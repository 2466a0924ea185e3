"""A migration that goes on under other settings does as they say: read again, filled afresh, or refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.compare import differences
from tests.databases import from_source, on_target
from tests.fault.scene import HASTY, settle
from tests.fault.test_bad_values import configured
from tests.fault.test_cutover import refused
from tests.fault.test_quarantine import LATIN, NUL, kept, quarantined, run
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

#: Where a restart under other settings may die.
POINTS = ("settle.before_commit", "settle.after_commit")

SCHEMA = f"""
CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT, at INTEGER, doc TEXT);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 500)
    INSERT INTO note SELECT n, 'note ' || n, 1700000000 + n, '{{"n": ' || n || '}}' FROM i;
UPDATE note SET body = {LATIN} WHERE id IN (7, 400);
UPDATE note SET body = {NUL} WHERE id = 8;
CREATE TABLE plain(id INTEGER PRIMARY KEY, v TEXT);
INSERT INTO plain VALUES (1, 'a');
"""

RULE = '[bad_values]\n"note.body" = "escape"\n'
TYPES = '[columns]\n"note.at" = "timestamptz from epoch_s"\n"note.doc" = "jsonb"\n'
BECOME = {"note.body": "text escaped", "note.at": "timestamptz from epoch_s", "note.doc": "jsonb"}


def of_note(url: str) -> object:
    """Return what tells one table of this name from the next."""
    return on_target(url, "SELECT 'note'::regclass::oid")


async def settled(running: RunningDaemon, path: Path) -> None:
    """Wait until all is streamed that there is, and everything was compared."""
    await asyncio.to_thread(settle, running, path)
    await asyncio.to_thread(
        running.wait_until, lambda s: s["sources"][0]["stale_tables"] == 0, 60, "nothing to read again"
    )


@pytest.mark.parametrize("point", ["", *POINTS])
async def test_other_settings_are_carried_out_at_the_next_start(
    point: str, make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """A rule has its rows tried again, a type has the table filled afresh; a kill is no matter."""
    path = make_source(script=SCHEMA)
    running = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(settle, running, path)
    await asyncio.to_thread(kept, running, 3)
    table = of_note(target_url)
    assert running.stop() == 0
    run(path, "INSERT INTO note(body) VALUES ('while it was down')")

    for settings, columns in ((RULE, 1), (RULE + TYPES, 3)):
        args = configured(tmp_path, settings)
        if point:
            dying = daemon(
                path, target_url, env={**HASTY, "LITEFERRY_FAILPOINTS": f"{point}=kill"}, args=args
            )
            assert await asyncio.to_thread(dying.wait_end) == -9
        running = daemon(path, target_url, env=HASTY, args=args)
        await settled(running, path)
        await asyncio.to_thread(kept, running, 0)
        become = dict(list(BECOME.items())[:columns])
        run(path, f"UPDATE note SET at = at + 1 WHERE id > 490; UPDATE note SET body = {NUL} WHERE id = 3")
        await asyncio.to_thread(settle, running, path)
        assert await differences(path, target_url, columns=become) == []
        assert (of_note(target_url) == table) == (columns == 1)
        assert running.stop() == 0

    # what is not said any more changes nothing
    last = daemon(path, target_url, env=HASTY)
    await asyncio.to_thread(settle, last, path)
    assert await differences(path, target_url, columns=BECOME) == []
    assert await quarantined(target_url) == []
    assert (await asyncio.to_thread(last.verify))["equal"]
    assert last.cutover()["outcome"] == "cut_over"
    assert last.stop() == 0
    # the application has the tables by now
    moved = daemon(
        path, target_url, env=HASTY, args=configured(tmp_path, '[columns]\n"note.at" = "numeric"\n')
    )
    await asyncio.to_thread(moved.wait_until, lambda s: s["state"] == "cut_over", 30, "the state")
    assert await differences(path, target_url, columns=BECOME) == []


async def test_a_type_that_cannot_be_changed_is_refused_before_anything_is_touched(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """Of a table that was there before us, or where schema changes halt; a rule is carried out."""
    on_target(target_url, "CREATE TABLE note(id bigint PRIMARY KEY, body text, at timestamptz, doc jsonb)")
    path = make_source(script=SCHEMA)
    adopt, seconds = 'existing_tables = "adopt"\n', '[columns]\n"note.at" = "timestamptz from epoch_s"\n'
    running = daemon(path, target_url, env=HASTY, args=configured(tmp_path, adopt + seconds))
    await asyncio.to_thread(settle, running, path)
    await asyncio.to_thread(kept, running, 3)
    assert running.stop() == 0

    for head, other, said in (
        (adopt, '[columns]\n"note.at" = "timestamptz from epoch_ms"\n', "was on the target before"),
        (adopt + 'on_schema_change = "halt"\n', seconds + '"plain.v" = "jsonb"\n', "are given other types"),
    ):
        refused = daemon(path, target_url, env=HASTY, args=configured(tmp_path, head + other))
        assert await asyncio.to_thread(refused.wait_end) == 2
        assert said in refused.log
    again = daemon(path, target_url, env=HASTY, args=configured(tmp_path, adopt + seconds + RULE))
    await settled(again, path)
    await asyncio.to_thread(kept, again, 0)
    assert await differences(path, target_url, columns=BECOME) == []


async def test_a_cutover_that_was_interrupted_is_finished_under_the_settings_that_it_was_begun_with(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """What the target has was made by them, and by them it comes home."""
    path = make_source(script=SCHEMA)
    before = from_source(path, "SELECT id, hex(body), typeof(body) FROM note WHERE id IN (7, 8) ORDER BY id")
    env = {**HASTY, "LITEFERRY_FAILPOINTS": "cutover.after_fence=kill"}
    dying = daemon(path, target_url, env=env, args=configured(tmp_path, RULE))
    await asyncio.to_thread(dying.wait_ready)
    await refused(dying)
    assert await asyncio.to_thread(dying.wait_end) == -9

    other = configured(tmp_path, '[bad_values]\n"note.body" = "replace"\n')
    running = daemon(path, target_url, env=HASTY, args=other)
    await asyncio.to_thread(running.wait_for, "cut_over")
    on_target(target_url, "UPDATE note SET at = at + 1 WHERE id IN (7, 8)")
    await asyncio.to_thread(running.wait_home, 60)
    assert (await asyncio.to_thread(running.rollback))["outcome"] == "rolled_back"
    after = from_source(path, "SELECT id, hex(body), typeof(body) FROM note WHERE id IN (7, 8) ORDER BY id")
    assert after == before
