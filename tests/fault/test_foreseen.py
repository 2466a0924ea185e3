"""Of several sources none is touched when one of them must be refused, and nothing of the target is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from tests.fault.scene import fetch, one_value
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

#: What makes the second source one that cannot be carried, and what the error names.
FAULTS = {
    "a table of its name is there": ("CREATE TABLE t(id INTEGER PRIMARY KEY);", "'t'"),
    "it has no readable rowid": ("CREATE TABLE r(rowid, oid, _rowid_);", "'r'"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_source_that_must_be_refused_keeps_the_others_untouched(
    fault: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Neither our triggers are in the first file nor its tables on the target."""
    script, named = FAULTS[fault]
    first = make_source("first.db", "CREATE TABLE a(id INTEGER PRIMARY KEY, x TEXT);")
    second = make_source("second.db", script)
    await prepare_target(target_url)
    running = daemon([first, second], target_url)

    assert await asyncio.to_thread(running.wait_end) != 0
    assert named in running.log
    assert names(first) == ["a"]
    assert names(second) == [row.split("(")[0].split()[-1] for row in [script]]
    tables = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class AS c JOIN pg_namespace AS n "
    tables += (
        "ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND nspname IN ('first', 'second', 'liteferry')"
    )
    assert await one_value(target_url, tables) == "t"


async def prepare_target(url: str) -> None:
    """Have a table in the way of the second source."""
    target = await asyncpg.connect(url)
    await target.execute("CREATE SCHEMA second CREATE TABLE t(id int)")
    await target.close()


def names(path: Path) -> list[str]:
    """Return the names of all that is in a file."""
    return [name for (name,) in fetch(path, "SELECT name FROM sqlite_master ORDER BY name")]
