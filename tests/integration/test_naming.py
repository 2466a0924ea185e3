"""Other names on the target than in the source: copied, streamed, altered, verified and cut over."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from replicator.verification.verifier import Verifier
from tests.compare import differences
from tests.databases import from_source, on_source, on_target
from tests.fidelity.engine import Running, streaming
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

SCRIPT = """
CREATE TABLE Users(Id INTEGER PRIMARY KEY AUTOINCREMENT, "E-Mail" TEXT UNIQUE, LastName TEXT, xmin INT,
    Boss INT REFERENCES Users(Id));
CREATE TABLE "Order Details"(OrderId INT, "Line No" INT, UserID INT REFERENCES Users(Id) ON DELETE CASCADE,
    Slot INT, Total REAL NOT NULL, PRIMARY KEY(OrderId, "Line No"));
CREATE UNIQUE INDEX "One Slot" ON "Order Details"(Slot) WHERE Total > 0;
CREATE INDEX byName ON Users(lower(LastName), "E-Mail");
CREATE TABLE [a/b "c"]("The Text", "WHERE" INT);
CREATE TABLE "2nd"(code TEXT NOT NULL UNIQUE, "" TEXT);
INSERT INTO Users VALUES(1, 'a', 'Ann', 7, NULL), (2, 'b', 'Bob', 8, 1), (3, 'c', 'Cid', 9, 1);
INSERT INTO "Order Details" VALUES(1, 1, 1, 1, 9.5), (1, 2, 1, 2, 1.0), (2, 1, 2, 3, 2.5), (3, 1, 3, 4, 3.5);
INSERT INTO [a/b "c"] VALUES('x', 1), ('x', 1), (NULL, 2);
INSERT INTO "2nd" VALUES('k', 'v');
"""

#: What `snake` makes of it, said here and not asked of the product.
SNAKE = {
    "Users": "users",
    "Users.Id": "id",
    "Users.E-Mail": "e_mail",
    "Users.LastName": "last_name",
    "Users.xmin": "xmin_",
    "Users.Boss": "boss",
    "Order Details": "order_details",
    "Order Details.OrderId": "order_id",
    "Order Details.Line No": "line_no",
    "Order Details.UserID": "user_id",
    "Order Details.Slot": "slot",
    "Order Details.Total": "total",
    'a/b "c"': "a_b_c",
    'a/b "c".The Text': "the_text",
    'a/b "c".WHERE': "where",
    "2nd": "_2nd",
    "2nd.": "unnamed",
}

#: Rows of all kinds come, change and go; two of them exchange what is unique.
WRITES = """
BEGIN;
INSERT INTO Users VALUES(10, 'd', 'Dan', NULL, 2);
UPDATE Users SET "E-Mail" = 'swap' WHERE Id = 1;
UPDATE Users SET "E-Mail" = 'a' WHERE Id = 2;
UPDATE Users SET "E-Mail" = 'b' WHERE Id = 1;
UPDATE "Order Details" SET Slot = -1 WHERE OrderId = 1 AND "Line No" = 1;
UPDATE "Order Details" SET Slot = 1 WHERE OrderId = 1 AND "Line No" = 2;
UPDATE "Order Details" SET Slot = 2 WHERE OrderId = 1 AND "Line No" = 1;
UPDATE "Order Details" SET OrderId = 7, "Line No" = 7 WHERE OrderId = 2;
DELETE FROM "Order Details" WHERE OrderId = 3;
INSERT INTO [a/b "c"] VALUES('y', 3);
DELETE FROM [a/b "c"] WHERE rowid = 1;
UPDATE "2nd" SET "" = 'w';
COMMIT;
"""

CHANGES = """
BEGIN;
ALTER TABLE Users ADD COLUMN birthDate TEXT DEFAULT 'then';
ALTER TABLE Users RENAME COLUMN LastName TO "Family Name";
ALTER TABLE "Order Details" ADD COLUMN "line-no" INT;
ALTER TABLE "2nd" RENAME TO SecondOne;
CREATE TABLE NewThing(id INTEGER PRIMARY KEY, UserId INT REFERENCES Users(Id));
INSERT INTO NewThing VALUES(1, 2);
UPDATE "Order Details" SET "line-no" = 5;
COMMIT;
"""

AFTER = {k: v for k, v in SNAKE.items() if not k.startswith(("2nd", "Users.LastName"))} | {
    "Users.birthDate": "birth_date",
    "Users.Family Name": "family_name",
    "Order Details.line-no": "line_no_2fa8497f",
    "SecondOne": "second_one",
    "SecondOne.": "unnamed",
    "NewThing": "new_thing",
    "NewThing.UserId": "user_id",
}


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    """Give a source with names of all kinds."""
    return make_source(script=SCRIPT)


async def settled(running: Running, path: Path, url: str, names: dict[str, str]) -> None:
    """Wait until all is over, and compare with both comparisons."""
    await running.settled(path)
    assert await differences(path, url, names=names) == []
    reports = await Verifier(running.pipeline).run()
    assert [report.name for report in reports if not report.equal] == []


async def test_snake_from_the_first_copy_to_altered_tables(source: Path, target_url: str) -> None:
    """Each row arrives under the names that were said, whatever the application does meanwhile."""
    async with streaming(source, target_url, names="snake") as running:
        await settled(running, source, target_url, SNAKE)
        on_source(source, WRITES)
        await settled(running, source, target_url, SNAKE)
        on_source(source, CHANGES)
        await settled(running, source, target_url, AFTER)
        on_source(
            source,
            WRITES.replace("2nd", "SecondOne").replace("10, 'd', 'Dan', NULL, 2", "11, 'e', 1, 2, 3, 4"),
        )
        await settled(running, source, target_url, AFTER)
        notes = [n for n in running.pipeline.facts.notes if "is taken" in n["reason"]]
        assert [(n["table"], n["what"]) for n in notes] == [("Order Details", "column line-no")]


@pytest.mark.parametrize("after", ["exact", "lower", "snake"])
async def test_a_restart_with_another_policy_renames_nothing(
    source: Path, target_url: str, after: str
) -> None:
    """What is on the target keeps its name while the application goes on; what is new goes by the new one."""
    async with streaming(source, target_url, names="snake") as running:
        await running.settled(source)
    on_source(source, WRITES + 'ALTER TABLE "Order Details" ADD COLUMN HowMany INT')
    async with streaming(source, target_url, names=after) as running:
        column = {"exact": "HowMany", "lower": "howmany", "snake": "how_many"}[after]
        names = {**SNAKE, "Order Details.HowMany": column}
        await settled(running, source, target_url, names)
        on_source(source, 'CREATE TABLE NewThing("A" INT)')
        table = {"exact": "NewThing", "lower": "newthing", "snake": "new_thing"}[after]
        column = "A" if after == "exact" else "a"
        await settled(running, source, target_url, {**names, "NewThing": table, "NewThing.A": column})


async def test_a_table_made_anew_keeps_its_names(source: Path, target_url: str) -> None:
    """Also when that is found at a restart, with other settings."""
    async with streaming(source, target_url, names="snake") as running:
        await running.settled(source)
        on_source(
            source,
            'CREATE TABLE n(OrderId TEXT PRIMARY KEY, "Total" REAL, More INT);'
            'INSERT INTO n SELECT OrderId || "Line No", Total, 1 FROM "Order Details";'
            'DROP TABLE "Order Details";'
            'ALTER TABLE n RENAME TO "Order Details"',
        )
        await settled(running, source, target_url, {**SNAKE, "Order Details.More": "more"})
    on_source(
        source, 'DROP TABLE "Order Details"; CREATE TABLE "Order Details"(Total REAL PRIMARY KEY, Other)'
    )
    async with streaming(source, target_url) as running:
        await settled(running, source, target_url, SNAKE)


async def test_a_new_table_whose_name_is_taken_stops_nobody(make_source: MakeSource, target_url: str) -> None:
    """It stands against the cutover, until the operator has given it a name."""
    path = make_source(script='CREATE TABLE "a b"(id INTEGER PRIMARY KEY); INSERT INTO "a b" VALUES(1)')
    connection = await asyncpg.connect(target_url)
    await connection.execute("CREATE TABLE there(v int)")
    await connection.close()
    async with streaming(path, target_url, names="snake") as running:
        await running.settled(path)
        on_source(path, 'CREATE TABLE "A-B"(v); CREATE TABLE There(v); CREATE TABLE "x y"("p q", "p-q")')
        on_source(path, 'INSERT INTO "a b" VALUES(2); INSERT INTO "A-B" VALUES(1)')
        await running.settled(path)
        assert len(running.pipeline.facts.objections) == 3
        assert "table 'A-B' would be called 'a_b', which is taken" in running.pipeline.facts.objections[0]
        assert await differences(path, target_url, tables=["a b"], names={"a b": "a_b"}) == []
    rename = {"A-B": "ab", "There": "here", "x y.p-q": "pq"}
    async with streaming(path, target_url, names="snake", rename=rename) as running:
        names = {"a b": "a_b", "A-B": "ab", "There": "here", "x y": "x_y", "x y.p q": "p_q", "x y.p-q": "pq"}
        await settled(running, path, target_url, names)
        assert running.pipeline.facts.objections == []


async def test_a_renamed_table_whose_name_is_taken_goes_on(make_source: MakeSource, target_url: str) -> None:
    """Under its other name: left out, its rows would be lost."""
    path = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY, v UNIQUE); INSERT INTO t VALUES(1, 2)")
    connection = await asyncpg.connect(target_url)
    await connection.execute("CREATE TABLE there(v int)")
    await connection.close()
    async with streaming(path, target_url) as running:
        await running.settled(path)
        on_source(path, "ALTER TABLE t RENAME TO there; INSERT INTO there VALUES(2, 3)")
        await settled(running, path, target_url, {"there": "there_f6f242b9"})


async def test_only_the_case_of_a_name_changes(make_source: MakeSource, target_url: str) -> None:
    """Under `lower` that is no change on the target at all; under `exact` it is a rename."""
    path = make_source(
        script="CREATE TABLE Users(Id INTEGER PRIMARY KEY, Name UNIQUE); INSERT INTO users VALUES(1, 1)"
    )
    names = "ALTER TABLE users RENAME COLUMN name TO way; ALTER TABLE users RENAME COLUMN way TO NAME"
    tables = "ALTER TABLE users RENAME TO way; ALTER TABLE way RENAME TO {}"
    async with streaming(path, target_url, names="lower") as running:
        await running.settled(path)
        on_source(path, f"BEGIN; {names}; {tables.format('USERS')}; INSERT INTO users VALUES(2, 2); COMMIT")
        lower = {"USERS": "users", "USERS.Id": "id", "USERS.NAME": "name"}
        await settled(running, path, target_url, lower)
        on_source(path, f"BEGIN; {tables.format('Users')}; INSERT INTO users VALUES(3, 3); COMMIT")
        await settled(running, path, target_url, {"Users": "users", "Users.Id": "id", "Users.NAME": "name"})
        assert on_target(target_url, "SELECT id, name FROM Users ORDER BY 1") == [(1, 1), (2, 2), (3, 3)]


AWKWARD = f"""
CREATE TABLE ""("" INTEGER PRIMARY KEY, xmin TEXT, xmin_ TEXT, CTID TEXT, _liteferry_rowid TEXT);
CREATE TABLE {"t" * 70}({"c" * 64} TEXT UNIQUE, {"c" * 65} TEXT, "select" INT, tableoid);
CREATE TABLE "É"("é" TEXT PRIMARY KEY, "É" TEXT, "line
break" INT);
CREATE TABLE "é"("a""b" INT, 'it''s' INT, [x/y] INT, `%s $1 :v ?` INT);
CREATE INDEX "index
of it" ON "é"("a""b");
INSERT INTO "" VALUES(1, 'a', 'b', 'c', 'd'), (2, 'e', 'f', 'g', 'h');
INSERT INTO {"t" * 70} VALUES('a', 'b', 1, 2), ('b', 'a', 2, 1);
INSERT INTO "É" VALUES('a', 'b', 1), ('b', 'a', 2);
INSERT INTO "é" VALUES(1, 2, 3, 4), (1, 2, 3, 4);
"""


async def test_as_in_the_source_but_for_what_postgresql_cannot_be_called(
    make_source: MakeSource, target_url: str
) -> None:
    """Each name that differs is one that it refuses; all rows come and change."""
    path = make_source(script=AWKWARD)
    long, first, second = "t" * 70, "c" * 64, "c" * 65
    names = {
        "": "unnamed",
        ".": "unnamed",
        ".xmin": "xmin__d2fe018c",
        "._liteferry_rowid": "_liteferry_rowid_",
        long: "t" * 54 + "_a75c6749",
        f"{long}.{first}": "c" * 54 + "_52b6419d",
        f"{long}.{second}": "c" * 54 + "_b30855e5",
        f"{long}.tableoid": "tableoid_",
    }
    async with streaming(path, target_url) as running:
        await settled(running, path, target_url, names)
        on_source(
            path,
            'UPDATE "" SET xmin = xmin_, _liteferry_rowid = CTID; DELETE FROM "" WHERE "" = 2;'
            f'UPDATE {long} SET {first} = {first} || 1, tableoid = 7; DELETE FROM {long} WHERE "select" = 2;'
            'UPDATE "É" SET "é" = "É" || 1; UPDATE "é" SET "a""b" = 9; DELETE FROM "é" WHERE rowid = 1',
        )
        await settled(running, path, target_url, names)


def test_the_cutover_under_snake(daemon: StartDaemon, source: Path, target_url: str) -> None:
    """Foreign keys, sequences and late indexes bear the target's names, which need no quotes."""
    running = daemon(source, target_url, args=["--names", "snake"])
    running.wait_ready()
    on_source(source, WRITES)
    on_source(source, "DELETE FROM Users WHERE Id = 10; INSERT INTO Users(LastName, Boss) VALUES('Eve', 2)")
    status = running.wait_ready()
    assert {(t["name"], t["target"]) for t in status["sources"][0]["tables"]} >= {
        ("Users", '"public"."users"'),
        ("Order Details", '"public"."order_details"'),
    }
    assert running.verify()["equal"]
    report = running.cutover()
    assert report["outcome"] == "cut_over"
    keys = """SELECT conname FROM pg_constraint WHERE convalidated AND contype = 'f'
        AND connamespace = 'public'::regnamespace ORDER BY 1"""
    late = "SELECT indexdef FROM pg_indexes WHERE indexname = 'One Slot'"
    running.wait_until(
        lambda _: len(on_target(target_url, keys)) == 2 and bool(on_target(target_url, late)), what="the keys"
    )
    assert on_target(target_url, keys) == [("order_details_user_id_fkey",), ("users_boss_fkey",)]
    added = "INSERT INTO users(e_mail, boss) VALUES('z', 1) RETURNING id"
    assert on_target(target_url, added) == [(12,)]
    gone = "DELETE FROM users WHERE id = 2 RETURNING last_name"
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        on_target(target_url, gone)
    (index,) = on_target(target_url, late)[0]
    assert "order_details USING btree (slot NULLS FIRST) WHERE (total > " in str(index)


def test_files_with_the_same_tables_go_to_one_schema_by_prefixes(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, liteferry: Liteferry
) -> None:
    """Each with its own rows, foreign keys and sequences."""
    script = """
        CREATE TABLE debates(id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT);
        CREATE TABLE votes(debate INT REFERENCES debates(id), n INT);
        INSERT INTO debates VALUES(7, '{0}');
        INSERT INTO votes VALUES(7, 1);
    """
    sources = [make_source(f"{name}.db", script.format(name)) for name in "ab"]
    args = ["--schema", "app", "--prefix-map", "a=a_", "--prefix-map", "b.db=b_"]
    assert liteferry("check", *sources, *args, "--target", target_url).status == 0
    running = daemon(sources, target_url, args=args)
    running.wait_ready()
    on_source(
        sources[1], "INSERT INTO debates VALUES(9, 'c'); CREATE TABLE later(v); INSERT INTO later VALUES(1)"
    )
    running.wait_ready()
    running.wait_until(
        lambda s: len(s["sources"][1]["tables"]) == 3 and s["can_cutover"], what="the new table"
    )
    assert running.verify()["equal"]
    assert running.cutover()["outcome"] == "cut_over"
    titles = "SELECT 'a', title FROM app.a_debates UNION SELECT 'b', title FROM app.b_debates ORDER BY 1, 2"
    assert on_target(target_url, titles) == [("a", "a"), ("b", "b"), ("b", "c")]
    assert on_target(target_url, "SELECT v FROM app.b_later") == [(1,)]
    keys = """SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
        WHERE contype = 'f' AND connamespace = 'app'::regnamespace ORDER BY 1"""
    assert on_target(target_url, keys) == [("app.a_votes", "app.a_debates"), ("app.b_votes", "app.b_debates")]
    assert on_target(target_url, "INSERT INTO app.a_debates(title) VALUES('x') RETURNING id") == [(8,)]


@pytest.mark.parametrize(("verb", "status"), [("check", 1), ("plan", 2), ("run", 2)])
def test_two_names_that_would_be_one_stop_each_verb(
    liteferry: Liteferry, make_source: MakeSource, target_url: str, verb: str, status: int
) -> None:
    """Both are named with the way out, and nothing is touched."""
    path = make_source(
        script='CREATE TABLE t("a b" INT, a_b INT); CREATE TABLE "T 2"(v); CREATE TABLE "t-2"(v)'
    )
    answer = liteferry(verb, path, "--target", target_url, "--names", "snake")
    told = answer.output + answer.errors
    assert answer.status == status
    assert "tables 'T 2' and 't-2' would both be called 't_2' on the target" in told
    assert '"t-2" = "..."' in told
    assert from_source(path, "SELECT count(*) FROM sqlite_master") == [(3,)]
    assert on_target(target_url, "SELECT to_regnamespace('liteferry')::text") == [(None,)]


def test_plan_tells_every_name_that_differs(liteferry: Liteferry, source: Path, tmp_path: Path) -> None:
    """As a comment in the script, and in the JSON."""
    config = tmp_path / "liteferry.toml"
    config.write_text('names = "lower"\n[rename]\n"Order Details" = "Lines"\n"Users.E-Mail" = "mail"\n')
    script = liteferry("plan", source, "--config", config).output
    assert '-- renamed: Order Details is "Lines" on the target' in script
    assert '-- renamed: Users.E-Mail is "mail" on the target' in script
    assert '-- renamed: Users.xmin is "xmin_" on the target' in script
    (told,) = liteferry("plan", source, "--config", config, "--json").json["sources"]
    users = next(t for t in told["tables"] if t["name"] == "Users")
    assert {"name": "Users.LastName", "target": "lastname"} in users["renamed"]
    assert [c["target"] for c in users["columns"]] == ["id", "mail", "lastname", "xmin_", "boss"]


def test_the_script_of_the_plan_runs(liteferry: Liteferry, source: Path, target_url: str) -> None:
    """With all that it makes, under any policy."""
    for policy in ("exact", "lower", "snake"):
        on_target(target_url, "DROP SCHEMA public CASCADE;")
        on_target(target_url, liteferry("plan", source, "--names", policy).output)
        assert on_target(target_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(4,)]


def test_a_rename_of_what_is_not_there_is_told(
    liteferry: Liteferry, source: Path, tmp_path: Path, target_url: str
) -> None:
    """By each verb, before anything is touched."""
    config = tmp_path / "liteferry.toml"
    config.write_text('[rename]\n"Users.Nope" = "x"\n')
    for verb, status in (("check", 1), ("plan", 2), ("run", 2)):
        answer = liteferry(verb, source, "--config", config, "--target", target_url)
        assert answer.status == status
        assert "rename.Users.Nope: there is no such table or column" in answer.output + answer.errors


def test_names_that_are_no_text_are_an_error(liteferry: Liteferry, make_source: MakeSource) -> None:
    """Neither Python nor PostgreSQL has a way to say them."""
    path = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY, abc INT)")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = ON")
        broken = "UPDATE sqlite_master SET sql = CAST(replace(CAST(sql AS BLOB), 'abc', x'61ff63') AS TEXT)"
        database.execute(broken)
    answer = liteferry("plan", path)
    assert answer.status == 3
    assert "UTF-8" in answer.errors
