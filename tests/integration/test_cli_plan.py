"""`liteferry plan` tells what the target would look like, and touches nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.databases import on_target
from tests.fixtures.cli import Liteferry
from tests.fixtures.sqlite import MakeSource

SCRIPT = """
CREATE TABLE users(id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, score REAL, born DATE);
INSERT INTO users(email, score) VALUES('a', 1.5), ('b', NULL);
CREATE TABLE orders(id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), total DECIMAL(10,2));
INSERT INTO orders VALUES(1, 1, 10), (2, 1, 9.99);
CREATE TABLE log(line TEXT);
CREATE VIEW rich AS SELECT * FROM orders LIMIT 9;
CREATE VIEW all_orders AS SELECT * FROM orders;
CREATE TRIGGER logged AFTER UPDATE ON orders BEGIN INSERT INTO log VALUES(new.id); END;
"""

TABLES = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
)


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    """Make a source with two related tables, one without a key, and a view."""
    return make_source(script=SCRIPT)


def test_the_ddl_is_what_postgresql_takes(liteferry: Liteferry, source: Path, target_url: str) -> None:
    """The script runs as it is, and makes the tables."""
    answer = liteferry("plan", source)
    on_target(target_url, answer.output)

    assert answer.status == 0
    assert on_target(target_url, TABLES) == [("log",), ("orders",), ("users",)]


def test_every_type_comes_with_its_evidence(liteferry: Liteferry, source: Path) -> None:
    """The reader sees why, and what is not carried over."""
    script = liteferry("plan", source).output

    assert "-- users.score: double precision; 2 rows: 1 real, 1 null; 1.5 to 1.5" in script
    assert "-- users.email: text; 2 rows: 2 text; longest 1 byte" in script
    assert "-- orders.total: numeric; 2 rows:" in script
    assert "-- left out: view rich: LIMIT is not carried over: CREATE VIEW rich AS" in script
    assert "-- left out: trigger logged: on 'orders', the application's: " in script
    assert "-- not carried: log, column _liteferry_rowid" in script


def test_json_holds_the_whole_plan(liteferry: Liteferry, source: Path) -> None:
    """Key, columns with type and evidence, notes and what is left out, per table."""
    (told,) = liteferry("plan", source, "--json").json["sources"]
    log, orders, _ = told["tables"]

    assert (told["path"], told["schema"], told["existing"]) == (str(source), "public", None)
    reason = "LIMIT is not carried over: CREATE VIEW rich AS SELECT * FROM orders LIMIT 9"
    trigger, view = told["skipped"]
    assert (trigger["name"], trigger["kind"]) == ("logged", "trigger")
    assert view == {"name": "rich", "kind": "view", "reason": reason}
    assert told["views"] == ["all_orders"]
    assert orders["key"] == {"kind": "rowid_alias", "columns": ["id"]}
    assert orders["columns"][2].items() >= {"name": "total", "type": "numeric", "set_by_user": False}.items()
    assert "2 rows" in orders["columns"][2]["evidence"]
    extent = {"least": 9.99, "greatest": 10, "longest_bytes": None}
    assert orders["columns"][2].items() >= extent.items()
    assert [note["what"] for note in log["notes"]] == ["column _liteferry_rowid"]


def test_out_writes_the_script_to_a_file(liteferry: Liteferry, source: Path, tmp_path: Path) -> None:
    """Standard output is free for JSON then."""
    printed = liteferry("plan", source).output
    answer = liteferry("plan", source, "--out", tmp_path / "schema.sql")

    assert (tmp_path / "schema.sql").read_text() == printed
    assert (answer.output, answer.errors) == ("", f"{tmp_path / 'schema.sql'}: 3 tables\n")


def test_out_that_cannot_be_written_is_told(liteferry: Liteferry, source: Path, tmp_path: Path) -> None:
    """The path and the reason."""
    answer = liteferry("plan", source, "--out", tmp_path / "no" / "schema.sql")

    assert answer.status == 2
    assert "schema.sql' cannot be written: No such file or directory" in answer.errors


def test_neither_side_is_changed(liteferry: Liteferry, source: Path, target_url: str) -> None:
    """Not a byte of the file, and nothing on the target, not even a schema of ours."""
    before = source.read_bytes()
    answer = liteferry("plan", source, "--target", target_url)

    assert answer.status == 0
    assert source.read_bytes() == before
    assert sorted(path.name for path in source.parent.iterdir()) == ["app.db"]
    assert on_target(target_url, TABLES) == []
    assert on_target(target_url, "SELECT to_regnamespace('liteferry')::text") == [(None,)]


def test_tables_in_the_way_are_noted(liteferry: Liteferry, source: Path, target_url: str) -> None:
    """The plan is made all the same."""
    on_target(target_url, "CREATE TABLE orders(); CREATE TABLE other();")
    script = liteferry("plan", source, "--target", target_url).output
    (told,) = liteferry("plan", source, "--target", target_url, "--json").json["sources"]

    assert "-- in the way: the target has 'orders' already" in script
    assert told["existing"] == ["orders"]


def test_a_type_of_the_users_own_is_taken(liteferry: Liteferry, source: Path, tmp_path: Path) -> None:
    """And is marked as such."""
    (tmp_path / "l.toml").write_text('[columns]\n"orders.total" = "text"\n')
    (told,) = liteferry("plan", source, "--json", "--config", tmp_path / "l.toml").json["sources"]

    assert told["tables"][1]["columns"][2].items() >= {"type": "text", "set_by_user": True}.items()


def test_a_type_for_a_column_that_is_not_there_is_an_error(
    liteferry: Liteferry, source: Path, tmp_path: Path
) -> None:
    """A typing error must not pass as a type that was set."""
    (tmp_path / "l.toml").write_text('[columns]\n"orders.totals" = "text"\n')
    answer = liteferry("plan", source, "--config", tmp_path / "l.toml")

    assert answer.status == 2
    assert "columns.orders.totals: there is no such column" in answer.errors


def test_without_profile_only_declarations_count(liteferry: Liteferry, source: Path, tmp_path: Path) -> None:
    """No table is read for its values."""
    (tmp_path / "l.toml").write_text("profile = false\n")
    (told,) = liteferry("plan", source, "--json", "--config", tmp_path / "l.toml").json["sources"]

    assert [column["type"] for column in told["tables"][1]["columns"]] == ["bigint", "bigint", "numeric"]


def test_several_sources_have_a_schema_each(liteferry: Liteferry, make_source: MakeSource) -> None:
    """Named after the file, unless it is sent elsewhere."""
    sources = [make_source(name, SCRIPT) for name in ("app.db", "audit.db")]
    told = liteferry("plan", *sources, "--json", "--schema-map", "audit=trail").json["sources"]

    assert [source["schema"] for source in told] == ["app", "trail"]


DIRTY = """
CREATE TABLE event(id INTEGER PRIMARY KEY, at TEXT, ms INTEGER, score REAL, tag TEXT UNIQUE, is_on INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
INSERT INTO event SELECT i, '2026-01-02T03:04:05+01:00', 1700000000000 + i, i / 2.0, i, i % 2 FROM n;
"""


def test_types_that_would_hold_every_value_are_suggested(
    liteferry: Liteferry, make_source: MakeSource
) -> None:
    """With how many values were tried; what is chosen stays the cautious type."""
    script = liteferry("plan", make_source(script=DIRTY)).output

    assert "-- event.at: text; 200 rows: 200 text" in script
    assert (
        "-- suggestion: event.at: every one of 200 values is an ISO 8601 time with offset: "
        "`timestamptz from iso` would hold them" in script
    )
    assert "suggestion: event.is_on: every one of 200 values is 0 or 1" in script
    assert "`timestamptz from epoch_ms` would hold them" in script


def test_a_type_that_was_asked_for_is_told_what_it_refuses(
    liteferry: Liteferry, make_source: MakeSource, tmp_path: Path
) -> None:
    """How many values, the first one's key and beginning, the rule; and what does not arrive."""
    source = make_source(script=DIRTY + "UPDATE event SET at = 'soon' || char(10) || '; DROP' WHERE id = 17;")
    asked = '"event.at" = "timestamptz"\n"event.tag" = "numeric"\n"event.is_on" = "smallint"\n'
    (tmp_path / "l.toml").write_text(f"[columns]\n{asked}")
    answer = liteferry("plan", source, "--config", tmp_path / "l.toml")
    (told,) = liteferry("plan", source, "--json", "--config", tmp_path / "l.toml").json["sources"]
    at, tag = told["tables"][0]["columns"][1], told["tables"][0]["columns"][4]

    assert "`timestamptz from iso` refuses 1 of 200 values, first key 17: 'soon\\n; DROP'" in answer.output
    assert "warning: event.tag: numeric: two spellings of one value would collide" in answer.output
    assert "warning: event.is_on: smallint: a later value beyond its range" in answer.output
    assert (at["type"], at["conversion"]) == ("timestamptz", "timestamptz from iso")
    assert (at["refused"]["refused"], at["refused"]["first_key"]) == (1, "17")
    assert len(tag["warnings"]) == 2


SCORES = "UPDATE event SET score = 'N/A' WHERE id IN (17, 18); UPDATE event SET score = x'00' WHERE id = 3;"


def test_values_that_no_type_holds_together_are_named(
    liteferry: Liteferry, make_source: MakeSource, tmp_path: Path
) -> None:
    """The counts, the first key, and, on the operator's own terminal, how the value begins."""
    source = make_source(script=DIRTY + SCORES)
    answer = liteferry("plan", source)
    (told,) = liteferry("plan", source, "--json").json["sources"]
    (tmp_path / "l.toml").write_text('on_bad_value = "halt"\n')
    halted = liteferry("plan", source, "--config", tmp_path / "l.toml")

    assert answer.status == 0
    assert "2 of 200 rows are text, first key 17: 'N/A'" in answer.output
    assert "-- quarantine: event: 3 rows would be kept there" in answer.output
    assert "UNCLEAR" not in answer.output
    assert told["tables"][0]["quarantined"] == 3
    assert (told["tables"][0]["columns"][3]["type"], told["tables"][0]["columns"][3]["dissenting"]) == (
        "double precision",
        3,
    )
    assert halted.status != 0
    assert "2 of 200 rows are text, first key 17: 'N/A'" in halted.errors


def test_a_type_that_is_a_guess_is_told_aloud(
    liteferry: Liteferry, make_source: MakeSource, tmp_path: Path
) -> None:
    """Also where the script goes to a file."""
    source = make_source(script=DIRTY + "UPDATE event SET score = 'N/A' WHERE id > 150;")
    answer = liteferry("plan", source, "--out", tmp_path / "schema.sql")
    checked = liteferry("check", source)

    assert "warning: event.score: double precision is unclear: 50 of its values are" in answer.errors
    assert "THE TYPE IS UNCLEAR: only 75% of the values" in (tmp_path / "schema.sql").read_text()
    assert checked.status == 0
    assert "50 rows would go into quarantine; the first: table 'event', key 151" in checked.output
    assert "column 'score': double precision is unclear: 50 of 200 values" in checked.output


def test_a_key_takes_no_type_without_an_inverse(
    liteferry: Liteferry, make_source: MakeSource, tmp_path: Path
) -> None:
    """Two rows could become one: refused before anything is done."""
    source = make_source(script="CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL);")
    (tmp_path / "l.toml").write_text('[columns]\n"t.id" = "jsonb"\n')
    answer = liteferry("plan", source, "--config", tmp_path / "l.toml")
    (tmp_path / "l.toml").write_text('[columns]\n"t.id" = "uuid from hex"\n')

    assert answer.status == 2
    assert "columns.t.id: 'jsonb' has no exact inverse" in answer.errors
    assert liteferry("plan", source, "--config", tmp_path / "l.toml").status == 0


def test_a_sample_is_looked_at_where_that_was_asked_for(
    liteferry: Liteferry, make_source: MakeSource, tmp_path: Path
) -> None:
    """The first rows only, and the evidence says how many."""
    (tmp_path / "l.toml").write_text("profile_rows = 50\n")
    script = liteferry("plan", make_source(script=DIRTY), "--config", tmp_path / "l.toml").output

    assert "-- event.at: text; 50 rows: 50 text" in script
