"""A schema that is there already: filled as it is, and in the end as it was, but for its rows."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from config.errors import ControlError
from tests.catalogue import dump
from tests.compare import differences
from tests.databases import from_source, on_source, on_target
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

from .adoptee import COLUMNS, ONE_SIDED, SOURCE, TARGET, configuration, rows
from .scene import HASTY, settle

#: Where a daemon that takes over a schema, or gives it back, may die; and at which pass.
POINTS = ("aside.put@1", "aside.put@8", "aside.key@1", "aside.back@1", "aside.back@7")

#: Other points where something may be put aside, or half back.
ELSEWHERE = ("register.after", "cutover.after_fence", "cutover.after_decision")

#: What the dump has besides: the table that was not there, and what a table without a key keeps.
NEW = ("fresh", "_liteferry_rowid", "notes_pkey1")

EXPECTED = (
    "table 'users': column 'legacy' missing on the target",
    "table 'users': column 'Name' missing on the target",
    "table 'users': column 'name' only on the target",
    "table 'notes': column 'id' only on the target",
    "table 'tagging': column 'id' only on the target",
)


async def same(source: Path, url: str) -> list[str]:
    """Return the differences of all tables but for columns that only one side has."""
    found = await differences(source, url, ignore_columns=ONE_SIDED, columns=COLUMNS)
    # the comparison does not know that these two are one column
    query = "SELECT id, name FROM users ORDER BY id"
    found += [] if from_source(source, query) == on_target(url, query) else ["names differ"]
    return [text for text in found if text not in EXPECTED]


def started(
    daemon: StartDaemon, source: Path, url: str, folder: Path, env: dict[str, str] | None = None
) -> RunningDaemon:
    """Start a daemon that adopts."""
    return daemon(source, url, env=env, args=("--config", configuration(folder)))


async def test_an_existing_schema_is_filled_and_is_as_it_was_after_the_cutover(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """Snapshot, streaming, restart, verification, cutover, and what the application writes then."""
    on_target(target_url, TARGET)
    before = await dump(target_url)
    source = make_source(script=SOURCE + rows(*range(1, 40)))
    running = started(daemon, source, target_url, tmp_path)
    await asyncio.to_thread(settle, running, source)
    assert await same(source, target_url) == []
    assert on_target(target_url, "SELECT count(*) FROM audit") == [(0,)]

    on_source(source, rows(*range(40, 60)) + "UPDATE users SET age = age + 1, mood = 'sad' WHERE id % 4 = 0")
    on_source(
        source,
        "DELETE FROM users WHERE id % 7 = 0; DELETE FROM orders WHERE id % 7 = 0;"
        "UPDATE orders SET parent = NULL WHERE parent % 7 = 0",
    )
    on_source(
        source,
        "BEGIN; UPDATE users SET email = 'x@x' WHERE id = 1; UPDATE users SET email = "
        "'u1@example.org' WHERE id = 2; UPDATE users SET email = 'u2@example.org' WHERE id = 1; COMMIT",
    )
    on_source(source, "UPDATE notes SET n = 9 WHERE rowid = 4; DELETE FROM notes WHERE rowid = 5")
    await asyncio.to_thread(settle, running, source)
    assert await same(source, target_url) == []
    running.stop()

    on_source(source, rows(60, 61))
    running = started(daemon, source, target_url, tmp_path)
    await asyncio.to_thread(settle, running, source)
    assert await same(source, target_url) == []
    report = await asyncio.to_thread(running.verify)
    assert report["equal"], report
    await asyncio.to_thread(running.wait_ready)
    assert (await asyncio.to_thread(running.cutover, max_pause=30))["outcome"] == "cut_over"
    await settled(target_url)
    assert as_before(await dump(target_url)) == as_before(before)
    assert await same(source, target_url) == []
    await writes_go_on(source, target_url)


def as_before(lines: set[str]) -> set[str]:
    """Return a dump without what is there besides."""
    return {line for line in lines if not any(name in line for name in NEW)}


@pytest.mark.parametrize(
    "point", [*POINTS, "register.after", "cutover.after_fence", "cutover.after_decision"]
)
async def test_a_kill_loses_nothing_that_was_put_aside(
    point: str, daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """Killed there and started again, the schema is in the end as it was."""
    on_target(target_url, TARGET)
    before = await dump(target_url)
    source = make_source(script=SOURCE + rows(*range(1, 20)))
    env = {"LITEFERRY_FAILPOINTS": f"{point}=kill", **HASTY}
    running = started(daemon, source, target_url, tmp_path, env)
    if point.startswith(("aside.back", "cutover")):
        await asyncio.to_thread(running.wait_ready)
        with suppress(ControlError):
            await asyncio.to_thread(running.cutover, max_pause=30)
    assert await asyncio.to_thread(running.wait_end) == -9
    if point in ("aside.put@1", "aside.put@8"):
        assert before == await dump(target_url)

    running = started(daemon, source, target_url, tmp_path, HASTY)
    reached = running.wait_until(lambda status: status["state"] in ("streaming", "cut_over"))
    if reached["state"] == "streaming":
        on_source(source, rows(20))
        await asyncio.to_thread(settle, running, source)
        assert await same(source, target_url) == []
        assert on_target(target_url, "SELECT count(*) FROM audit") == [(0,)]
        await asyncio.to_thread(running.wait_ready)
        await asyncio.to_thread(running.cutover, max_pause=30)
    await settled(target_url)
    assert as_before(await dump(target_url)) == as_before(before)
    assert await same(source, target_url) == []


async def test_uninstall_before_the_cutover_leaves_the_schema_as_it_was(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path, liteferry: Liteferry
) -> None:
    """Foreign keys, triggers and all are back; rows stay; and once emptied it can be adopted again."""
    on_target(target_url, TARGET)
    before = await dump(target_url)
    source = make_source(script=SOURCE + rows(1, 2, 3))
    running = started(daemon, source, target_url, tmp_path)
    await asyncio.to_thread(settle, running, source)
    running.stop()
    done = await asyncio.to_thread(liteferry, "uninstall", source, "--target", target_url, "--yes")
    assert done.status == 0, done.errors
    assert {line for line in await dump(target_url) if "fresh" not in line} == before
    assert on_target(target_url, "SELECT count(*) FROM users") == [(3,)]


async def settled(url: str) -> None:
    """Wait until nothing that was put aside is left."""
    for _ in range(300):
        if on_target(url, "SELECT count(*) FROM liteferry.aside WHERE kind <> 'side column'") == [(0,)]:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(on_target(url, "SELECT kind, name, restored FROM liteferry.aside"))


async def writes_go_on(source: Path, url: str) -> None:
    """Write as the application does after the cutover."""
    [(greatest,)] = from_source(source, "SELECT max(id) FROM users")
    assert on_target(url, "INSERT INTO users(email, created_at) VALUES ('new@x', now()) RETURNING id") == [
        (int(str(greatest)) + 1,)
    ]
    assert on_target(url, "SELECT said FROM audit ORDER BY id") == [("users INSERT",), ("always INSERT",)]
    [(number,)] = on_target(url, "INSERT INTO numbered(v) VALUES ('new') RETURNING id")
    assert int(str(number)) == 61 * 3 + 5
    on_target(
        url,
        "DELETE FROM fresh; DELETE FROM users WHERE id = 61; "
        f"INSERT INTO orders(user_id) VALUES ({greatest} + 1)",
    )
    assert on_target(url, "SELECT count(*) FROM orders WHERE user_id = 61") == [(0,)]
