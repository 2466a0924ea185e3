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

#: What the dump has besides: the table that was not there, what a table without a key keeps, the way back.
NEW = ("fresh", "_liteferry_rowid", "notes_pkey1", "liteferry_back_")

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


def without_the_way_back(lines: set[str]) -> set[str]:
    """Return a dump without the triggers that stay until the way back is given up."""
    return {line for line in lines if "liteferry_back_" not in line}


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


async def test_a_schema_that_plan_has_written_down_can_be_adopted(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path, liteferry: Liteferry
) -> None:
    """`plan --out`, edited or not, run by psql, then filled; a table without a key has its column."""
    source = make_source(script=SOURCE + rows(1, 2, 3))
    script = tmp_path / "schema.sql"
    written = await asyncio.to_thread(liteferry, "plan", source, "--out", script)
    assert written.status == 0, written.errors
    on_target(target_url, await asyncio.to_thread(script.read_text))
    before = await dump(target_url)
    running = daemon(source, target_url, env=HASTY, args=("--adopt",))
    await asyncio.to_thread(settle, running, source)
    on_source(source, rows(4) + "DELETE FROM notes WHERE rowid = 2")
    await asyncio.to_thread(settle, running, source)
    assert await differences(source, target_url) == []
    await asyncio.to_thread(running.wait_ready)
    await asyncio.to_thread(running.cutover, max_pause=30)
    await settled(target_url)
    assert without_the_way_back(await dump(target_url)) == before


#: As Django writes it: identity by default, deferred foreign keys between apps, indexes by pattern, UUIDs.
DJANGO_TARGET = """
CREATE TABLE "auth_user"("id" integer NOT NULL PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY,
    "last_login" timestamp with time zone NULL, "is_superuser" boolean NOT NULL,
    "username" varchar(150) NOT NULL UNIQUE, "date_joined" timestamp with time zone NOT NULL);
CREATE TABLE "shop_item"("id" uuid NOT NULL PRIMARY KEY, "price" numeric(10, 2) NOT NULL,
    "stock" integer NOT NULL CHECK ("stock" >= 0), "meta" jsonb NOT NULL, "day" date NULL,
    "spent" interval NULL, "owner_id" integer NOT NULL);
CREATE TABLE "shop_item_tags"("id" bigint NOT NULL PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY,
    "item_id" uuid NOT NULL, "user_id" integer NOT NULL);
ALTER TABLE "shop_item" ADD CONSTRAINT "shop_item_owner_id_9c1e6a2d_fk_auth_user_id" FOREIGN KEY ("owner_id")
    REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE "shop_item_tags" ADD CONSTRAINT "shop_item_tags_item_id_0f_uniq"
    UNIQUE ("item_id", "user_id");
ALTER TABLE "shop_item_tags" ADD CONSTRAINT "shop_item_tags_item_id_0f_fk" FOREIGN KEY ("item_id")
    REFERENCES "shop_item" ("id") DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE "shop_item_tags" ADD CONSTRAINT "shop_item_tags_user_id_1f_fk" FOREIGN KEY ("user_id")
    REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX "auth_user_username_6821ab7c_like" ON "auth_user" ("username" varchar_pattern_ops);
CREATE INDEX "shop_item_owner_id_9c1e6a2d" ON "shop_item" ("owner_id");
"""

DJANGO_SOURCE = """
CREATE TABLE "auth_user"("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "last_login" datetime NULL,
    "is_superuser" bool NOT NULL, "username" varchar(150) NOT NULL UNIQUE, "date_joined" datetime NOT NULL);
CREATE TABLE "shop_item"("id" char(32) NOT NULL PRIMARY KEY, "price" decimal NOT NULL,
    "stock" integer unsigned NOT NULL CHECK ("stock" >= 0), "meta" text NOT NULL CHECK (JSON_VALID("meta")),
    "day" date NULL, "took" bigint NULL,
    "owner_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "shop_item_tags"("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    "item_id" char(32) NOT NULL REFERENCES "shop_item" ("id") DEFERRABLE INITIALLY DEFERRED,
    "user_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE UNIQUE INDEX "shop_item_tags_uniq" ON "shop_item_tags" ("item_id", "user_id");
"""

DJANGO_SETTINGS = """
existing_tables = "adopt"
leave_out = ["shop_item.took"]

[columns]
"auth_user.last_login" = "timestamptz in UTC"
"auth_user.date_joined" = "timestamptz in UTC"
"""

DJANGO_COLUMNS = {
    "auth_user.is_superuser": "boolean",
    "auth_user.last_login": "timestamptz in UTC",
    "auth_user.date_joined": "timestamptz in UTC",
    "shop_item.id": "uuid from hex",
    "shop_item.price": "numeric(10,2)",
    "shop_item.meta": "jsonb",
    "shop_item.day": "date",
    "shop_item_tags.item_id": "uuid",
}


def django_rows(*numbers: int) -> str:
    """Return the statements that insert a user, an item and a tag each."""
    return "".join(
        f"INSERT INTO auth_user VALUES ({n}, NULL, {n} % 2, 'user {n}', '2024-01-01 00:00:00.{n:06}');"
        f"INSERT INTO shop_item VALUES ('{n:032x}', {n}.25, {n}, '{{\"n\": {n}}}', '2024-02-29', {n}, {n});"
        f"INSERT INTO shop_item_tags(item_id, user_id) VALUES ('{n:032x}', {n});"
        for n in numbers
    )


async def test_a_schema_of_django_is_filled_and_is_as_it_was_after_the_cutover(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """Keys are UUIDs there and 32 digits here; foreign keys are deferred; a column is left out."""
    on_target(target_url, DJANGO_TARGET)
    before = await dump(target_url)
    source = make_source(script=DJANGO_SOURCE + django_rows(*range(1, 30)))
    arguments = ("--config", configuration(tmp_path, DJANGO_SETTINGS))
    running = daemon(source, target_url, env=HASTY, args=arguments)
    await asyncio.to_thread(settle, running, source)
    on_source(source, django_rows(30, 31) + "DELETE FROM shop_item_tags WHERE id % 5 = 0")
    on_source(source, "UPDATE shop_item SET price = 9.5, meta = '[]' WHERE stock % 3 = 0")
    await asyncio.to_thread(settle, running, source)
    missing = ["table 'shop_item': column 'took' missing on the target"]
    found = await differences(source, target_url, ignore_columns=["spent"], columns=DJANGO_COLUMNS)
    assert [text for text in found if text not in missing] == []
    assert (await asyncio.to_thread(running.verify))["equal"]
    await asyncio.to_thread(running.wait_ready)
    await asyncio.to_thread(running.cutover, max_pause=30)
    await settled(target_url)
    assert without_the_way_back(await dump(target_url)) == before
    insert = "INSERT INTO shop_item_tags(item_id, user_id) SELECT id, 1 FROM shop_item WHERE stock = 2"
    assert on_target(target_url, f"{insert} RETURNING id") == [(32,)]
