"""`liteferry plan --adopt` and what it refuses: everything at once, before anything is touched."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.catalogue import dump
from tests.databases import on_target
from tests.fixtures.cli import Liteferry
from tests.fixtures.sqlite import MakeSource


def planned(liteferry: Liteferry, source: Path, url: str, settings: str, folder: Path) -> dict[str, Any]:
    """Return the columns of the only table of a plan, by name."""
    path = folder / "liteferry.toml"
    path.write_text(settings)
    answer = liteferry("plan", source, "--target", url, "--adopt", "--json", "--config", path)
    assert answer.status == 0, answer.errors
    [table] = answer.json["sources"][0]["tables"]
    assert table["adopted"]
    return {column["name"]: column["conversion"] or column["type"] for column in table["columns"]}


def refused(liteferry: Liteferry, source: Path, url: str, settings: str, folder: Path) -> str:
    """Return what `plan` says of a table that cannot be filled; `run` says the same."""
    path = folder / "liteferry.toml"
    path.write_text(settings)
    answer = liteferry("plan", source, "--target", url, "--adopt", "--config", path)
    assert answer.status != 0, answer.output
    return answer.errors


@pytest.mark.parametrize(
    ("declared", "value", "target", "wanted"),
    [
        ("INTEGER", "1", "boolean", "boolean"),
        ("TEXT", "'true'", "boolean", "boolean"),
        ("INTEGER", "1700000000", "timestamptz", "timestamptz from epoch_s"),
        ("INTEGER", "1700000000123", "timestamptz", "timestamptz from epoch_ms"),
        ("INTEGER", "1700000000123", "timestamp(3)", "timestamp(3) from epoch_ms"),
        ("INTEGER", "1700000000123456", "timestamp with time zone", "timestamptz from epoch_us"),
        ("INTEGER", "1700000000123456000", "timestamptz", "timestamptz from epoch_ns"),
        ("REAL", "1700000000.5", "timestamptz", "timestamptz from epoch_s"),
        ("REAL", "julianday('2024-02-29')", "timestamptz", "timestamptz from julian"),
        ("TEXT", "'2024-02-29T12:00:00Z'", "timestamptz", "timestamptz from iso"),
        ("TEXT", "'2024-02-29 12:00:00'", "timestamp", "timestamp from iso"),
        ("TEXT", "'2024-02-29'", "date", "date"),
        ("TEXT", "'12:00'", "time", "time"),
        ("TEXT", "'{}'", "jsonb", "jsonb"),
        ("TEXT", "'[\"a\"]'", "text[]", "text[]"),
        ("TEXT", "'[\"a\"]'", "varchar[]", "text[]"),
        ("TEXT", "'00000000000000000000000000000001'", "uuid", "uuid"),
        ("TEXT", "'10.0.0.1'", "inet", "inet"),
        ("TEXT", "'ok'", "mood", "text"),
        ("TEXT", "'ok'", "short", "varchar(5)"),
        ("TEXT", "'1.25'", "numeric(5,2)", "numeric(5,2)"),
        ("REAL", "1.25", "numeric", "numeric"),
        ("INTEGER", "7", "smallint", "smallint"),
        ("INTEGER", "7", "text", "text"),
        ("REAL", "0.5", "real", "real"),
        ("BLOB", "x'00'", "bytea", "bytea"),
        ("INTEGER", "7", "double precision", "double precision"),
    ],
)
def test_the_way_is_chosen_by_the_targets_type_and_the_values(
    declared: str,
    value: str,
    target: str,
    wanted: str,
    liteferry: Liteferry,
    make_source: MakeSource,
    target_url: str,
    tmp_path: Path,
) -> None:
    """The type is the one that the target has; how values become it is told by what they are."""
    types = "CREATE TYPE mood AS ENUM ('ok'); CREATE DOMAIN short AS varchar(5)"
    on_target(target_url, f"{types}; CREATE TABLE t(id int PRIMARY KEY, v {target})")
    source = make_source(
        script=f"CREATE TABLE t(id INTEGER PRIMARY KEY, v {declared}); "
        f"INSERT INTO t(v) VALUES ({value}), (NULL)"
    )
    assert planned(liteferry, source, target_url, "", tmp_path) == {"id": "integer", "v": wanted}


@pytest.mark.parametrize(
    ("declared", "values", "target", "asked"),
    [
        ("TEXT", "'2024-02-29 12:00:00'", "timestamptz", "timestamptz from iso in UTC"),
        ("INTEGER", "12", "timestamptz", "timestamptz from epoch_s rounded"),
        ("INTEGER", "1700000000), (1700000000000", "timestamptz", "timestamptz from epoch_"),
        ("REAL", "1700000000.1234567", "timestamptz", "timestamptz from epoch_s rounded"),
        ("REAL", "0.1", "real", "real lossy"),
        ("TEXT", "'a'", "char(3)", "char(3) padded"),
        ("TEXT", "'2024-02-29 12:00:00.1234'", "timestamp(3)", "timestamp(3) from iso rounded"),
        ("TEXT", "'secret'", "integer", ""),
        ("TEXT", "'secret'", "mood", ""),
        ("TEXT", "'secret'", "point", ""),
    ],
)
def test_what_only_a_person_can_say_is_asked_for(
    declared: str,
    values: str,
    target: str,
    asked: str,
    liteferry: Liteferry,
    make_source: MakeSource,
    target_url: str,
    tmp_path: Path,
) -> None:
    """The refusal tells what to write; where nothing would do, it tells that."""
    types = "CREATE TYPE mood AS ENUM ('ok')"
    on_target(target_url, f"{types}; CREATE TABLE t(id int PRIMARY KEY, v {target})")
    source = make_source(
        script=f"CREATE TABLE t(id INTEGER PRIMARY KEY, v {declared}); INSERT INTO t(v) VALUES ({values})"
    )
    errors = refused(liteferry, source, target_url, "", tmp_path)
    assert "t.v: " in errors
    assert f'"t.v" = "{asked}' in errors or not asked
    assert "secret" not in errors


async def test_everything_that_stands_against_it_is_told_at_once(
    liteferry: Liteferry, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """Rows, kinds of tables, columns on one side, a type that the settings contradict; nothing is touched."""
    on_target(
        target_url,
        "CREATE TABLE filled(id int PRIMARY KEY); INSERT INTO filled VALUES (1);"
        "CREATE VIEW seen AS SELECT 1 AS id; CREATE UNLOGGED TABLE fleeting(id int PRIMARY KEY);"
        "CREATE TABLE split(id int) PARTITION BY RANGE (id);"
        "CREATE TABLE sided(id int PRIMARY KEY, needed text NOT NULL, fine text,"
        " g int GENERATED ALWAYS AS (1) STORED, typed jsonb);"
        "CREATE TABLE parent(id int PRIMARY KEY); CREATE TABLE child() INHERITS (parent);"
        "CREATE TABLE rewritten(id int PRIMARY KEY);"
        "CREATE RULE u AS ON UPDATE TO rewritten DO INSTEAD NOTHING",
    )
    names = ("filled", "seen", "fleeting", "split", "parent", "rewritten")
    script = "".join(f"CREATE TABLE {name}(id INTEGER PRIMARY KEY);" for name in names)
    source = make_source(
        script=f"{script} CREATE TABLE sided(id INTEGER PRIMARY KEY, only_here TEXT, g INTEGER, typed TEXT);"
    )
    before = await dump(target_url)
    settings = '[columns]\n"sided.typed" = "uuid"\n'
    errors = await asyncio.to_thread(refused, liteferry, source, target_url, settings, tmp_path)
    for text in (
        '"public"."filled" has rows already',
        '"public"."seen" is a view',
        '"public"."fleeting" is unlogged',
        '"public"."split" is a partitioned table',
        '"public"."parent" takes part in inheritance',
        '"public"."rewritten" has a rule ON UPDATE',
        'sided.only_here: "public"."sided" has no column for it',
        'leave_out = ["sided.only_here"]',
        "sided.g: PostgreSQL computes its column itself",
        "'uuid' does not agree with the target's type, jsonb",
        '"public"."sided".needed is NOT NULL without a default',
        "10 things",
    ):
        assert text in errors
    assert await dump(target_url) == before


def test_a_table_of_another_role_is_named_with_the_statement_that_helps(
    liteferry: Liteferry, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """Whoever runs liteferry must own the tables, for triggers and foreign keys are put aside."""
    on_target(
        target_url,
        "CREATE TABLE t(id int PRIMARY KEY); GRANT ALL ON t TO PUBLIC; GRANT ALL ON SCHEMA public TO PUBLIC;"
        "DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN",
    )
    source = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY)")
    url = target_url.replace("postgres@", "stranger@").replace("postgres:test@", "stranger@")
    try:
        errors = refused(liteferry, source, url, "", tmp_path)
    finally:
        on_target(target_url, "DROP OWNED BY stranger; DROP ROLE stranger")
    assert 'ALTER TABLE "public"."t" OWNER TO "stranger"' in errors


def test_a_key_that_blurs_on_the_target_is_refused(
    liteferry: Liteferry, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """Where two keys could become one row: numbers as text, and texts whose spelling is lost."""
    on_target(target_url, "CREATE TABLE b(k text PRIMARY KEY); CREATE TABLE c(k timestamptz PRIMARY KEY)")
    source = make_source(
        script="CREATE TABLE b(k INTEGER PRIMARY KEY); CREATE TABLE c(k TEXT PRIMARY KEY NOT NULL);"
    )
    errors = refused(liteferry, source, target_url, "", tmp_path)
    assert "1 and '1' would be the same row" in errors
    assert "'timestamptz from iso' has no exact inverse" in errors


def test_a_key_whose_collation_knows_no_case_is_refused(
    liteferry: Liteferry, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """To such a column 'A' and 'a' are one key, and one row would take the other's place."""
    blind = "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
    try:
        on_target(target_url, f"{blind}; CREATE TABLE a(k text COLLATE blind PRIMARY KEY)")
    except asyncpg.FeatureNotSupportedError:
        pytest.skip("this PostgreSQL is built without ICU")
    source = make_source(script="CREATE TABLE a(k TEXT PRIMARY KEY NOT NULL)")
    errors = refused(liteferry, source, target_url, "", tmp_path)
    assert "a.k: it is part of the key, and by the collation" in errors


def test_what_would_be_quarantined_is_foretold(
    liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """NULLs, lengths, labels and ranges are counted with the first key."""
    on_target(
        target_url,
        "CREATE TYPE mood AS ENUM ('ok');"
        "CREATE TABLE t(id int PRIMARY KEY, a text NOT NULL, b varchar(3), m mood, n smallint)",
    )
    source = make_source(
        script="CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b TEXT, m TEXT, n INTEGER);"
        "INSERT INTO t VALUES (1, 'x', 'abc', 'ok', 1), (2, NULL, 'abcd', 'no', 70000)"
    )
    answer = liteferry("plan", source, "--target", target_url, "--adopt")
    for text in (
        "t.a: NOT NULL: would be quarantined: 1 of 2 rows hold NULL",
        "t.b: character varying(3): would be quarantined: 1 of 2 values, first key 2",
        "t.m: mood: would be quarantined: 1 of 2 values, first key 2",
        "t.n: smallint: would be quarantined: 1 of 2 values, first key 2",
    ):
        assert text in answer.output


def test_checks_are_foretold_by_asking_postgresql(
    liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """Each is counted by itself, whatever types are in it; one that cannot be asked says so."""
    on_target(
        target_url,
        "CREATE TYPE mood AS ENUM ('ok', 'sad');"
        "CREATE TABLE t(id int PRIMARY KEY, n int CONSTRAINT small CHECK (n < 10), tags text[], m mood,"
        " at timestamptz, own int DEFAULT 1, CONSTRAINT many CHECK (cardinality(tags) > 1),"
        " CONSTRAINT glad CHECK (m <> 'sad'),"
        " CONSTRAINT late CHECK (at > '2020-01-01'), CONSTRAINT lesser CHECK (own > n))",
    )
    source = make_source(
        script="CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, tags TEXT, m TEXT, at INTEGER);"
        "INSERT INTO t VALUES (1, 1, '[\"a\", \"b\"]', 'ok', 1700000000),"
        "(2, 11, '[\"a\"]', 'sad', 1500000000),"
        "(3, 12, NULL, NULL, NULL)"
    )
    answer = liteferry("plan", source, "--target", target_url, "--adopt")
    assert answer.status == 0, answer.errors
    for text in (
        "t: CHECK small: would be quarantined: 2 of 3 rows, first key 2",
        "t: CHECK many: would be quarantined: 1 of 3 rows, first key 2",
        "t: CHECK glad: would be quarantined: 1 of 3 rows, first key 2",
        "t: CHECK late: would be quarantined: 1 of 3 rows, first key 2",
        "t: CHECK lesser: cannot be foretold",
    ):
        assert text in answer.output


def test_check_judges_by_the_types_that_are_there(
    liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """As the plan does, and not by those that our own tables would have."""
    on_target(
        target_url,
        "CREATE TABLE good(id int PRIMARY KEY, at timestamptz, mixed text);"
        "CREATE TABLE t(id int PRIMARY KEY, a text NOT NULL, n smallint CONSTRAINT small CHECK (n < 10))",
    )
    source = make_source(
        script="CREATE TABLE good(id INTEGER PRIMARY KEY, at TEXT, mixed INTEGER);"
        "INSERT INTO good VALUES (1, '2024-02-29T12:00:00Z', NULL);"
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, n INTEGER);"
        "INSERT INTO t VALUES (1, 'x', 11), (2, NULL, 70000);"
        "CREATE TABLE own(id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO own VALUES (1, 2)"
    )
    answer = liteferry("check", source, "--target", target_url, "--adopt", "--json")
    told = {(c["level"], c["text"]) for c in answer.json["checks"] if c["name"] == "adoption"}
    assert answer.status == 0, answer.output
    assert told == {
        ("pass", "all that is in 1 table fits the target's own"),
        ("warn", "t.a: NOT NULL: would be quarantined: 1 of 2 rows hold NULL"),
        (
            "warn",
            "t.n: smallint: would be quarantined: 1 of 2 values, first key 2: it is outside -32768 to 32767",
        ),
        ("warn", "t: CHECK small: would be quarantined: 1 of 2 rows, first key 1"),
    }
    assert any(c["text"] == "every column of 1 table has a type that holds it" for c in answer.json["checks"])

    on_target(target_url, "ALTER TABLE good DROP COLUMN at; SELECT 1")
    answer = liteferry("check", source, "--target", target_url, "--adopt")
    assert answer.status == 1
    assert "good.at: " in answer.output and "has no column for it: add one" in answer.output


def test_check_says_which_tables_would_be_filled(
    liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """And names what keeps one from it."""
    on_target(target_url, "CREATE TABLE t(id int PRIMARY KEY); SELECT 1")
    source = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY)")
    assert "filled as they are" in liteferry("check", source, "--target", target_url, "--adopt").output
    on_target(target_url, "INSERT INTO t VALUES (1); SELECT 1")
    answer = liteferry("check", source, "--target", target_url, "--adopt")
    assert answer.status == 1
    assert '"public"."t" has rows already' in answer.output


def test_existing_tables_are_refused_with_a_word_about_the_setting(
    liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """Nothing is adopted unless somebody says so."""
    on_target(target_url, "CREATE TABLE t(id int PRIMARY KEY); SELECT 1")
    source = make_source(script="CREATE TABLE t(id INTEGER PRIMARY KEY)")
    answer = liteferry("plan", source, "--target", target_url)
    assert "in the way: the target has 't' already" in answer.output
