"""`liteferry check` finds what `run` would stumble over, and changes nothing."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.databases import on_target
from tests.fixtures.cli import Answer, Liteferry
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.pgbouncer import Pooling
from tests.fixtures.sqlite import MakeSource

GOOD = """
CREATE TABLE users(id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE);
INSERT INTO users(email) VALUES('a'), ('b');
CREATE TABLE posts(id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id));
INSERT INTO posts VALUES(1, 1);
"""

LONG = "n" * 64


def found(answer: Answer, name: str) -> list[dict[str, Any]]:
    """Return the checks of that name in a JSON answer."""
    return [check for check in answer.json["checks"] if check["name"] == name]


def one(answer: Answer, name: str) -> tuple[str, str]:
    """Return level and text of the only check of that name."""
    (check,) = found(answer, name)
    return check["level"], check["text"]


def test_a_good_source_and_target_are_ready(
    liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """Every check passes, and the exit status says so."""
    source = make_source(script=GOOD)
    answer = liteferry("check", source, "--target", target_url, "--backup", source.parent / "backups")

    assert answer.status == 0
    assert answer.output.splitlines()[-1].startswith("ready to run: ")
    # a container's database may have another order of text
    assert "  warn  " not in re.sub(r"  warn  (collation|encryption) ", "", answer.output)


def test_nothing_is_changed(liteferry: Liteferry, make_source: MakeSource, target_url: str) -> None:
    """Not a byte of the file, nothing beside it, nothing on the target."""
    source = make_source(script=GOOD)
    before = source.read_bytes()
    liteferry("check", source, "--target", target_url)

    assert source.read_bytes() == before
    assert sorted(path.name for path in source.parent.iterdir()) == ["app.db"]
    assert on_target(target_url, "SELECT to_regnamespace('liteferry')::text") == [(None,)]


@pytest.mark.parametrize(
    ("script", "name", "level", "text"),
    [
        ("CREATE TABLE t(a)", "keys", "warn", "1 table without one: 't'"),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, xmin)",
            "names",
            "pass",
            "1 renamed: 't.xmin' is 'xmin_'",
        ),
        (f"CREATE TABLE t({LONG} INTEGER PRIMARY KEY)", "names", "pass", f"'t.{LONG}' is '{LONG[:54]}_"),
        (f"CREATE TABLE {LONG}(id INTEGER PRIMARY KEY)", "names", "pass", f"'{LONG}' is '{LONG[:54]}_"),
        ("CREATE VIEW v AS SELECT 1", "views", "warn", "1 not carried over: 'v'"),
        ("CREATE VIRTUAL TABLE f USING fts5(a)", "virtual tables", "warn", "1 not carried over: 'f'"),
        (
            "CREATE TABLE t(id); CREATE TRIGGER mine AFTER INSERT ON t BEGIN SELECT 1; END",
            "triggers",
            "warn",
            "'mine'",
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, k TEXT NOT NULL DEFAULT (hex(randomblob(8))) UNIQUE)",
            "defaults",
            "warn",
            "'t.k'",
        ),
        (
            "CREATE TABLE p(id PRIMARY KEY); CREATE TABLE c(p REFERENCES p); INSERT INTO c VALUES(7), (8)",
            "foreign keys",
            "warn",
            "table 'c': 2 violations",
        ),
        (
            "CREATE TABLE p(a); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(a))",
            "foreign key mismatch",
            "fail",
            "'c' refers to 'p' (a)",
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES(4, CAST(x'6100' AS TEXT))",
            "values",
            "warn",
            "1 row would go into quarantine; the first: table 't', key 4, column 'a'",
        ),
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES(4, CAST(x'ff' AS TEXT))",
            "duration",
            "pass",
            "nothing to copy",
        ),
        ("SELECT 1", "size", "warn", "0 tables"),
    ],
)
def test_what_stands_out_is_told(
    liteferry: Liteferry, make_source: MakeSource, script: str, name: str, level: str, text: str
) -> None:
    """One finding each, at its level, and the exit status is 1 for failures only."""
    answer = liteferry("check", make_source(script=script), "--json")
    told = one(answer, name)

    assert told[0] == level
    assert text in told[1]
    assert answer.status == (level == "fail")


def test_all_columns_without_a_type_are_told_at_once(
    liteferry: Liteferry, make_source: MakeSource, tmp_path: Path
) -> None:
    """With `halt`, `run` would stop at the first of them, and at the next one after that."""
    (tmp_path / "l.toml").write_text('on_bad_value = "halt"\n')
    script = "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES(1, 'x', 1), (2, 1, x'00');"
    source = make_source(script=script + script.replace(" t", " u"))
    answer = liteferry("check", source, "--json", "--config", tmp_path / "l.toml")

    assert [(c["level"], c["text"].split(" (")[0]) for c in found(answer, "plan")] == [
        ("fail", "table 't', column 'a'"),
        ("fail", "table 't', column 'b'"),
        ("fail", "table 'u', column 'a'"),
        ("fail", "table 'u', column 'b'"),
    ]


def test_what_check_passes_run_takes(
    daemon: StartDaemon, liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """Warnings do not stand against it."""
    script = GOOD + "CREATE TABLE nokey(a); INSERT INTO nokey VALUES(1); INSERT INTO posts VALUES(2, 99);"
    source = make_source(script=script)
    assert liteferry("check", source, "--target", target_url).status == 0

    daemon(source, target_url).wait_ready()


def test_a_rollback_journal_is_a_warning(liteferry: Liteferry, make_source: MakeSource) -> None:
    """Readers stall writers there; the way out is told."""
    answer = liteferry("check", make_source(script=GOOD, journal="delete"))

    assert answer.status == 0
    assert re.search("warn  journal mode +delete: each of our reads keeps the application's", answer.output)
    assert "Try: PRAGMA journal_mode = WAL" in answer.output


def test_little_disk_space_is_a_warning(liteferry: Liteferry, make_source: MakeSource) -> None:
    """The limit is that of the settings."""
    source = make_source(script=GOOD)
    answer = liteferry("check", source, "--json", env={"LITEFERRY_DISK_MIN_FREE_MB": "1000000000"})

    assert one(answer, "disk")[0] == "warn"


def test_room_for_three_times_the_source_is_asked_for(
    liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """On its own disk and on the target's, as far as that is known."""
    source = make_source(script=GOOD)
    os.truncate(source, 1 << 40)  # without taking any room
    answer = liteferry("check", source, "--target", target_url, "--json")

    assert one(answer, "disk")[0] == "warn"
    assert "3 times its size are 3,145,728" in one(answer, "disk")[1]
    assert "some 3,145,728 MiB will be needed" in one(answer, "target disk")[1]


def test_a_replaced_file_that_is_still_written_to_is_a_failure(
    liteferry: Liteferry, make_source: MakeSource
) -> None:
    """Whoever has it open writes to a file that nobody else sees; who has the right one open is named."""
    source = make_source(script=GOOD)
    with subprocess.Popen(["tail", "-f", source], stdout=subprocess.DEVNULL) as reader:
        try:
            while "tail" not in one(liteferry("check", source, "--json"), "other processes")[1]:
                assert reader.poll() is None
            source.unlink()
            make_source(script=GOOD)
            level, text = one(liteferry("check", source, "--json"), "other processes")
        finally:
            reader.kill()
    assert level == "fail"
    assert f"tail ({reader.pid})" in text


def test_a_limit_of_time_is_a_warning(liteferry: Liteferry, make_source: MakeSource, target_url: str) -> None:
    """It would end the building of an index; the statement that lifts it is told."""
    name = urlsplit(target_url).path.removeprefix("/")
    on_target(target_url, f"ALTER DATABASE \"{name}\" SET statement_timeout = '30s'")
    answer = liteferry("check", make_source(script=GOOD), "--target", target_url, "--json")

    (check,) = found(answer, "time limits")
    assert check["level"] == "warn"
    assert "statement_timeout = 30000ms" in check["text"]
    assert "SET statement_timeout = 0" in check["hint"]


def test_an_order_of_text_that_is_not_sqlites_is_a_warning(
    liteferry: Liteferry, make_source: MakeSource, postgres_server: str
) -> None:
    """An index answers in another order there."""
    name = f"ordered_{secrets.token_hex(4)}"
    try:
        on_target(
            postgres_server, f"CREATE DATABASE {name} LOCALE_PROVIDER icu ICU_LOCALE 'de' TEMPLATE template0"
        )
    except asyncpg.PostgresError as error:
        pytest.skip(f"this server has no ICU: {error}")
    try:
        url = urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
        answer = liteferry("check", make_source(script=GOOD), "--target", url, "--json")
    finally:
        on_target(postgres_server, f"DROP DATABASE {name}")

    assert one(answer, "collation")[0] == "warn"
    assert one(answer, "collation")[1].startswith("de: ORDER BY")


def test_a_damaged_file_is_a_failure(liteferry: Liteferry, make_source: MakeSource) -> None:
    """It begins like a database and is none."""
    source = make_source(script=GOOD)
    source.write_bytes(source.read_bytes()[:100] + b"\xff" * 5000)
    answer = liteferry("check", source, "--json")

    assert answer.status == 1
    assert one(answer, "file")[0] == "fail"


def test_an_installed_capture_is_told(
    daemon: StartDaemon, liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """With the target that knows it, `run` goes on; with another its tables may be in the way."""
    source = make_source(script=GOOD)
    running = daemon(source, target_url)
    running.wait_ready()
    running.stop()
    answer = liteferry("check", source, "--target", target_url, "--json")

    assert answer.status == 0
    assert one(answer, "capture")[0] == "warn"
    assert "known here, state streaming: `liteferry run` goes on" in one(answer, "tables")[1]


def test_a_fenced_source_is_a_failure(
    daemon: StartDaemon, liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """It has moved already."""
    source = make_source(script=GOOD)
    running = daemon(source, target_url)
    running.wait_ready()
    running.cutover()
    running.stop()
    answer = liteferry("check", source, "--target", target_url, "--json")

    assert answer.status == 1
    assert "fenced" in one(answer, "capture")[1]
    assert "state cut_over" in one(answer, "tables")[1]


def test_tables_of_two_sources_that_would_meet_are_a_failure(
    liteferry: Liteferry, make_source: MakeSource
) -> None:
    """Both sources are named, and the tables."""
    sources = [make_source(name, GOOD) for name in ("a.db", "b.db")]
    answer = liteferry("check", *sources, "--schema", "app", "--json")

    assert answer.status == 1
    assert [check["subject"] for check in found(answer, "schema")] == list(map(str, sources))
    assert "'posts', 'users'" in found(answer, "schema")[0]["text"]


def test_without_a_target_only_the_sources_are_looked_at(
    liteferry: Liteferry, make_source: MakeSource
) -> None:
    """That is a warning, for half of the question is open."""
    answer = liteferry("check", make_source(script=GOOD), "--json")

    assert answer.status == 0
    assert one(answer, "connection") == ("warn", "no target was given: not looked at")


def test_tables_in_the_way_are_a_failure(
    liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """They are not ours to touch."""
    on_target(target_url, "CREATE TABLE users(); CREATE TABLE unrelated();")
    answer = liteferry("check", make_source(script=GOOD), "--target", target_url, "--json")

    assert answer.status == 1
    assert one(answer, "tables") == ("fail", "schema 'public' holds 1 of the tables' names already: 'users'")


def test_a_target_that_cannot_be_reached_is_a_failure(liteferry: Liteferry, make_source: MakeSource) -> None:
    """The sources are looked at all the same; no secret is told."""
    url = "postgresql://me:s3cret@127.0.0.1:1/app"
    answer = liteferry("check", make_source(script=GOOD), "--target", url)

    assert answer.status == 1
    assert "fail  connection" in answer.output
    assert "pass  keys" in answer.output
    assert "s3cret" not in answer.output + answer.errors


def test_an_encoding_that_cannot_hold_every_text_is_a_failure(
    liteferry: Liteferry, make_source: MakeSource, postgres_server: str
) -> None:
    """The database has to be made anew, and how is told."""
    name = f"latin_{secrets.token_hex(4)}"
    made = f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    on_target(postgres_server, made)
    try:
        url = urlsplit(postgres_server)._replace(path=f"/{name}").geturl()
        answer = liteferry("check", make_source(script=GOOD), "--target", url, "--json")
    finally:
        on_target(postgres_server, f"DROP DATABASE {name}")

    assert answer.status == 1
    assert "LATIN1" in one(answer, "encoding")[1]


def test_a_read_only_database_is_a_failure(
    liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """Nothing could be written there."""
    name = urlsplit(target_url).path.removeprefix("/")
    on_target(target_url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    answer = liteferry("check", make_source(script=GOOD), "--target", target_url, "--json")

    assert one(answer, "writable")[0] == "fail"


@pytest.fixture
def role(postgres_server: str) -> Iterator[str]:
    """Make a role that may log in and nothing else; it outlives the test's database."""
    name = f"limited_{secrets.token_hex(4)}"
    on_target(postgres_server, f"CREATE ROLE {name} LOGIN PASSWORD 'limited'")
    yield name
    on_target(postgres_server, f"DROP ROLE {name}")


@pytest.fixture
def limited_url(role: str, target_url: str) -> Iterator[str]:
    """Return the URL by which that role reaches the test's database."""
    on_target(target_url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    parts = urlsplit(target_url)
    yield parts._replace(netloc=f"{role}:limited@{parts.hostname}:{parts.port}").geturl()
    on_target(target_url, f"DROP OWNED BY {role} CASCADE")


def test_missing_privileges_come_with_the_grants_that_give_them(
    liteferry: Liteferry, make_source: MakeSource, target_url: str, limited_url: str
) -> None:
    """Run as they are told, they are all that was missing."""
    source = make_source(script=GOOD)
    answer = liteferry("check", source, "--target", limited_url, "--json")
    (check,) = found(answer, "privileges")
    on_target(target_url, check["hint"] + ";")
    after = liteferry("check", source, "--target", limited_url, "--json")

    assert (answer.status, check["level"]) == (1, "fail")
    assert check["hint"].count("GRANT") == 2
    assert (after.status, one(after, "privileges")[0]) == (0, "pass")


def test_what_the_grants_allow_is_all_that_run_needs(
    daemon: StartDaemon,
    liteferry: Liteferry,
    make_source: MakeSource,
    target_url: str,
    limited_url: str,
) -> None:
    """The check asks for no more and no less."""
    source = make_source(script=GOOD)
    (check,) = found(liteferry("check", source, "--target", limited_url, "--json"), "privileges")
    on_target(target_url, check["hint"] + ";")

    running = daemon(source, limited_url)
    running.wait_ready()
    assert running.cutover()["outcome"] == "cut_over"


def test_too_few_connections_are_a_warning(
    liteferry: Liteferry, make_source: MakeSource, role: str, target_url: str, limited_url: str
) -> None:
    """The limits of server, database and role count, whichever is the narrowest."""
    on_target(target_url, f"ALTER ROLE {role} CONNECTION LIMIT 3")
    answer = liteferry("check", make_source(script=GOOD), "--target", limited_url, "--json")

    level, text = one(answer, "connections")
    assert level == "warn"
    assert text.startswith("3 left, liteferry takes up to 10 (")


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_pooler_in_the_way_is_told(
    liteferry: Liteferry, make_source: MakeSource, target_url: str, pooling: Pooling, mode: str
) -> None:
    """It does no harm, and how many sessions it must lend is told; prepared statements would do harm."""
    url, source = pooling(target_url, mode=mode), make_source(script=GOOD)
    answer = liteferry("check", source, "--target", url, "--json")
    assert answer.status == 0
    assert one(answer, "pooler")[0] == "pass"
    assert "nothing is left in its sessions" in one(answer, "pooler")[1]

    told = {"LITEFERRY_POOLER": "none"}
    answer = liteferry("check", source, "--target", url, "--json", env=told)
    assert one(answer, "pooler")[0] == "warn"
