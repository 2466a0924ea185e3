"""After the cutover: what PostgreSQL takes arrives in the fenced source, which can take over again."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from config.errors import ControlError, CutoverRefused
from tests.catalogue import dump
from tests.compare import differences
from tests.databases import from_source, on_source, on_target
from tests.fault import adoptee
from tests.fault import test_conversions_daemon as conversions
from tests.fault.scene import HASTY, one_value, poll, source_open, target_open
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

SCRIPT = """
CREATE TABLE people(
    id INTEGER PRIMARY KEY AUTOINCREMENT, mail TEXT UNIQUE, n INT, boss INT REFERENCES people(id));
CREATE TABLE notes(id INTEGER PRIMARY KEY, person INT REFERENCES people(id) ON DELETE CASCADE, body TEXT);
CREATE TABLE words(lang TEXT, word TEXT, n INT, PRIMARY KEY(lang, word)) WITHOUT ROWID;
CREATE TABLE codes(code TEXT PRIMARY KEY, n INT);
CREATE TABLE log(at TEXT, what TEXT);
CREATE TABLE audit(id INTEGER PRIMARY KEY, what TEXT);
INSERT INTO people(mail, n) VALUES ('a', 1), ('b', 2), ('c', 3);
INSERT INTO notes(person, body) VALUES (1, 'x'), (1, 'y'), (2, 'z');
INSERT INTO words VALUES ('de', 'Haus', 1), ('en', 'house', 2);
INSERT INTO codes VALUES ('q', 1), ('r', 2);
INSERT INTO log VALUES ('now', 'one'), ('now', 'one'), ('then', NULL);
CREATE TRIGGER audited AFTER INSERT ON notes BEGIN INSERT INTO audit(what) VALUES('note ' || NEW.id); END;
"""

WRITES = """
INSERT INTO people(mail, n) VALUES ('d', 4);
UPDATE people SET id = 100 WHERE mail = 'c';
BEGIN;
UPDATE people SET mail = 'on the way' WHERE mail = 'a';
UPDATE people SET mail = 'a' WHERE mail = 'b';
UPDATE people SET mail = 'b' WHERE mail = 'on the way';
COMMIT;
DELETE FROM people WHERE id = 2;
INSERT INTO people(id, mail) VALUES (9, 'undone') ON CONFLICT DO NOTHING;
DELETE FROM people WHERE id = 9;
INSERT INTO codes VALUES ('q', 5) ON CONFLICT (code) DO UPDATE SET n = EXCLUDED.n;
UPDATE codes SET code = 's' WHERE code = 'r';
TRUNCATE words;
INSERT INTO words VALUES ('fr', 'maison', 3);
INSERT INTO log(at, what) VALUES ('later', 'two');
DELETE FROM log WHERE at = 'then';
SET session_replication_role = replica;
INSERT INTO notes VALUES (77, 1, 'beside all ordinary triggers');
"""


async def cut_over(running: RunningDaemon) -> None:
    """Wait until it is ready, and cut over."""
    await asyncio.to_thread(running.wait_ready)
    await asyncio.to_thread(running.cutover)


async def home(running: RunningDaemon, url: str) -> None:
    """Wait until all that the target has taken is in the source."""

    async def empty() -> bool | None:
        return True if await one_value(url, "SELECT count(*) FROM liteferry.back_log") == 0 else None

    await poll(empty)
    await asyncio.to_thread(running.wait_until, lambda status: bool(status["can_rollback"]))


def schema_of(path: Path) -> list[tuple[object, ...]]:
    """Return all that is in a source's schema."""
    return sorted(from_source(path, "SELECT type, name, tbl_name, sql FROM sqlite_master"), key=repr)


def hidden(path: Path) -> list[tuple[object, ...]]:
    """Return the rowids of a table that has another key."""
    return from_source(path, "SELECT code, rowid FROM codes WHERE code = 'q'")


async def test_all_kinds_of_writes_come_home_and_the_source_takes_over(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """Keys that change, unique values that swap, cascades, TRUNCATE; rows keep their hidden rowids.

    The application's triggers do not fire for what comes home, and do again after the rollback. A second
    cutover follows without another copy.
    """
    path = make_source(script=SCRIPT)
    running = daemon(path, target_url, env=HASTY)
    await cut_over(running)
    before = hidden(path)
    on_target(target_url, WRITES)
    await home(running, target_url)
    assert await differences(path, target_url) == []
    assert from_source(path, "SELECT count(*) FROM audit") == [(0,)]
    assert hidden(path) == before
    assert (source_open(path, "words"), await target_open(target_url, "words")) == (False, True)

    rehearsal = await asyncio.to_thread(running.rollback, rehearse=True)
    assert rehearsal["outcome"] == "rehearsed"
    assert (source_open(path, "words"), await target_open(target_url, "words")) == (False, True)
    on_target(target_url, "UPDATE people SET n = n + 1; ")
    report = await asyncio.to_thread(running.rollback)
    assert report["outcome"] == "rolled_back"
    assert (source_open(path, "words"), await target_open(target_url, "words")) == (True, False)
    on_source(path, "INSERT INTO people(mail) VALUES ('e'); INSERT INTO notes(person) VALUES (100)")
    assert from_source(path, "SELECT count(*) FROM audit") == [(1,)]
    # the target had given out 5
    assert from_source(path, "SELECT id FROM people WHERE mail = 'e'") == [(101,)]

    copied = running.status()["sources"][0]["rows_copied"]
    await asyncio.to_thread(running.wait_ready)
    await asyncio.to_thread(running.cutover)
    assert await differences(path, target_url) == []
    assert running.status()["sources"][0]["rows_copied"] == copied
    assert (source_open(path, "words"), await target_open(target_url, "words")) == (False, True)
    assert running.log.count("is read again") == 0 and '"repaired"' not in running.log


async def test_a_vacuumed_source_gets_its_keyless_rows_anew(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """VACUUM numbers the rows anew by which they are told: the whole table is brought home again."""
    path = make_source(script=SCRIPT)
    running = daemon(path, target_url, env=HASTY)
    on_source(path, "DELETE FROM log WHERE rowid = 1")
    await cut_over(running)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("VACUUM")
    on_target(target_url, "UPDATE log SET what = 'changed' WHERE at = 'then'; INSERT INTO codes VALUES ('v')")
    await home(running, target_url)
    assert await differences(path, target_url) == []
    await asyncio.to_thread(running.rollback)
    on_source(path, "UPDATE log SET what = 'again'")
    await asyncio.to_thread(running.wait_ready)
    await asyncio.to_thread(running.cutover)
    assert await differences(path, target_url) == []


@pytest.mark.parametrize(
    "loss", ["ALTER TABLE codes DISABLE TRIGGER USER", "DROP TRIGGER liteferry_back_u ON codes"]
)
async def test_lost_triggers_are_put_in_again_and_their_table_is_read_as_a_whole(
    loss: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """A change that nothing has logged arrives all the same."""
    path = make_source(script=SCRIPT)
    running = daemon(path, target_url, env=HASTY)
    await cut_over(running)
    on_target(target_url, f"{loss}; UPDATE codes SET n = 1000; DELETE FROM codes WHERE code = 'r'")
    await asyncio.to_thread(running.wait_log, "triggers of the key log were lost")
    await home(running, target_url)
    assert await differences(path, target_url) == []
    assert from_source(path, "SELECT * FROM codes") == [("q", 1000)]


async def test_a_changed_table_on_the_target_is_told_and_harms_no_write(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """A table or a column is renamed, or one added that must have a value: the way back waits.

    Writes go on all the while, and come home when it is undone.
    """
    path = make_source(script=SCRIPT)
    running = daemon(path, target_url, env=HASTY)
    await cut_over(running)
    on_target(target_url, "ALTER TABLE codes RENAME COLUMN code TO sign; INSERT INTO codes VALUES ('new', 1)")
    on_target(
        target_url,
        "ALTER TABLE people ADD COLUMN must text NOT NULL DEFAULT 'x'; "
        "ALTER TABLE people ALTER COLUMN must DROP DEFAULT; ALTER TABLE words RENAME TO wordings",
    )
    wanted = (
        "column 'code' is gone",
        "column 'must' is new, NOT NULL and without a default",
        '"words" is gone from PostgreSQL, or has another name',
    )
    told = await asyncio.to_thread(
        running.wait_until,
        lambda s: all(w in "; ".join(s["rollback_reasons"]) for w in wanted),
        30,
        "reasons",
    )
    assert not told["can_rollback"]
    on_target(target_url, "UPDATE codes SET n = 7 WHERE sign = 'q'; ALTER TABLE codes RENAME sign TO code")
    on_target(target_url, "ALTER TABLE wordings RENAME TO words; ALTER TABLE people DROP COLUMN must")
    await home(running, target_url)
    assert await differences(path, target_url) == []


def of_tables(status: dict[str, Any]) -> list[str]:
    """Return the notices of a status but for those of the triggers that SQLite keeps."""
    return [notice for notice in status["notices"] if ": trigger: " not in notice]


async def test_what_is_made_on_the_target_is_told_and_stays_there(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """A table, a type and a column that SQLite has not stand in no way, and are named wherever it matters."""
    path = make_source(script=SCRIPT)
    on_target(target_url, "CREATE TABLE old(id int); CREATE TYPE size AS ENUM ('s', 'l')")
    running = daemon(path, target_url, env=HASTY)
    await cut_over(running)
    await home(running, target_url)
    assert of_tables(running.status()) == []
    on_target(
        target_url,
        "CREATE TABLE extra(id int PRIMARY KEY); INSERT INTO extra VALUES (1);"
        "CREATE TYPE mood AS ENUM ('ok');"
        "ALTER TABLE codes ADD COLUMN hint text; INSERT INTO codes VALUES ('new', 1, 'only here');"
        "TRUNCATE words; CREATE TEMP TABLE passing(id int)",
    )
    changed = 'table "public"."codes" was changed in PostgreSQL: '
    told = [
        f"{changed}column 'hint' is new: a rollback leaves its values there",
        "table public.extra was made in PostgreSQL after the cutover: a rollback leaves it there",
        "type public.mood was made in PostgreSQL after the cutover: a rollback leaves it there",
    ]
    await asyncio.to_thread(running.wait_until, lambda status: of_tables(status) == told, 30, "notices")
    await home(running, target_url)
    assert from_source(path, "SELECT * FROM codes WHERE code = 'new'") == [("new", 1)]
    assert from_source(path, "SELECT * FROM words") == []
    for order in ({"dry_run": True}, {"rehearse": True}, {}):
        assert (await asyncio.to_thread(running.rollback, **order))["notices"] == told
    on_source(path, "UPDATE codes SET n = 2 WHERE code = 'new'; INSERT INTO codes VALUES ('newer', 3)")
    await cut_over(running)
    assert on_target(target_url, "SELECT n, hint FROM codes WHERE code LIKE 'new%' ORDER BY n") == [
        (2, "only here"),
        (3, None),
    ]
    await asyncio.to_thread(running.wait_until, lambda status: of_tables(status) == told[:1], 30, "notice")


async def test_rows_that_sqlite_cannot_hold_are_kept_aside_and_told(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """The others go on without them; they stand against a rollback until corrected or accepted."""
    script = (
        "CREATE TABLE t(id INTEGER PRIMARY KEY, d DECIMAL, r REAL, n INT NOT NULL CHECK (n < 10), u TEXT "
    )
    path = make_source(script=f"{script} COLLATE NOCASE UNIQUE); INSERT INTO t VALUES (1, 1.5, 1.5, 1, 'a')")
    running = daemon(path, target_url, env=HASTY)
    await cut_over(running)
    on_target(
        target_url,
        "ALTER TABLE t DROP CONSTRAINT t_n_check;"
        "INSERT INTO t(id, d, n) VALUES (2, 'NaN', 1), (3, 1.00000000000000000001, 1), (4, 1, 10), (5, 2, 2);"
        "INSERT INTO t(id, r, n) VALUES (6, 'NaN', 1), (7, 'Infinity', 1), (8, '-0.0', 1);"
        "INSERT INTO t(id, n, u) VALUES (9, 1, 'B'); UPDATE t SET n = 100 WHERE id = 1",
    )
    told = await asyncio.to_thread(
        running.wait_until, lambda status: "6 rows of table 't'" in str(status["rollback_reasons"])
    )
    assert not told["can_rollback"] and told["sources"][0]["fallback"]["quarantined"] == 6
    assert from_source(path, "SELECT id FROM t ORDER BY id") == [(5,), (7,), (9,)]
    with pytest.raises(CutoverRefused, match="cannot be held by SQLite"):
        await asyncio.to_thread(running.rollback)
    listed = running.ask("/control/quarantine/list", {"table": "t", "limit": 10})["rows"]
    assert sorted((row["key"], row["column"]) for row in listed) == [
        (["1"], ""), (["2"], "d"), (["3"], "d"), (["4"], ""), (["6"], "r"), (["8"], "r"),
    ]  # fmt: skip
    assert next(row["row"]["n"] for row in listed if row["key"] == ["1"]) == 100

    on_target(
        target_url, "UPDATE t SET n = 5, d = 3 WHERE n >= 10 OR id IN (2, 3); DELETE FROM t WHERE id = 2"
    )
    await asyncio.to_thread(
        running.wait_until, lambda status: "2 rows of table 't'" in str(status["rollback_reasons"])
    )
    assert running.ask("/control/quarantine/accept", {"table": "t"}) == {"accepted": 2}
    assert (await asyncio.to_thread(running.rollback))["outcome"] == "rolled_back"
    assert from_source(path, "SELECT id, n FROM t WHERE id < 5") == [(1, 5), (3, 5), (4, 5)]


async def test_values_of_all_types_come_home_and_what_was_not_changed_keeps_its_spelling(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """One column is changed: the others are byte for byte what they were. New rows are spelled like them."""
    path = make_source(script=conversions.SCRIPT + conversions.insert(*range(1, 40)))
    running = daemon(path, target_url, env=HASTY, args=("--config", conversions.configuration(tmp_path)))
    await cut_over(running)
    names = (
        "id, verified, born, wakes, seen_at, created, updated, traced, observed, local_time, settings, raw, "
    )
    names += "tags, ip, net, mac, balance, rate, ratio, name, code, note"
    before = from_source(path, f"SELECT {names} FROM account ORDER BY id")
    on_target(target_url, "UPDATE account SET active = NOT active, level = level + 1; ")
    await home(running, target_url)
    assert from_source(path, f"SELECT {names} FROM account ORDER BY id") == before

    on_target(
        target_url,
        f"CREATE TEMP TABLE n AS SELECT {names}, active FROM account LIMIT 20;"
        "UPDATE n SET id = gen_random_uuid(), born = born + 10, wakes = wakes + interval '1.5 s', "
        "seen_at = seen_at + interval '1 h', updated = updated + interval '1 s', mac = '08:00:2b:ff:ff:ff', "
        "local_time = '2024-02-29 12:00', balance = balance * 2, verified = NOT verified, rate = 0.5;"
        f"INSERT INTO account({names}, active) SELECT * FROM n;"
        "UPDATE account SET id = gen_random_uuid() WHERE id NOT IN (SELECT account FROM visit);",
    )
    await home(running, target_url)
    assert running.status()["sources"][0]["fallback"]["quarantined"] == 0
    assert await differences(path, target_url, columns=conversions.COLUMNS) == []
    spelled = from_source(
        path, "SELECT DISTINCT seen_at LIKE '%-%-% %:%:%', mac LIKE '%-%', length(id) FROM account"
    )
    assert spelled == [(1, 1, 32)]


@pytest.mark.parametrize("point", ["", "finish.after_target", "finish.after_source"])
async def test_finished_nothing_of_ours_is_left(
    point: str, make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """On neither side, also when the daemon dies on the way and is started again."""
    path = make_source(script=SCRIPT)
    before = schema_of(path)
    running = daemon(path, target_url, env={**HASTY, "LITEFERRY_FAILPOINTS": f"{point}=kill"})
    await asyncio.to_thread(running.wait_ready)
    with pytest.raises(CutoverRefused):
        await asyncio.to_thread(running.finish)
    await cut_over(running)
    on_target(target_url, "INSERT INTO words VALUES ('fr', 'maison', 3); ")
    await home(running, target_url)
    if point:
        with pytest.raises(ControlError):
            await asyncio.to_thread(running.finish)
        running = daemon(path, target_url, env=HASTY)
    else:
        report = await asyncio.to_thread(running.finish)
        assert {t["name"]: t["rows"] for t in report["sources"][0]["tables"]}["words"] == 3
        assert running.status()["state"] == "finished"

    async def gone() -> bool | None:
        left = await one_value(
            target_url,
            "SELECT count(*) FROM (SELECT tgname::text FROM pg_trigger UNION ALL SELECT proname FROM pg_proc "
            "UNION ALL SELECT nspname FROM pg_namespace UNION ALL SELECT attname FROM pg_attribute "
            "WHERE NOT attisdropped UNION ALL SELECT description FROM pg_description) AS t(n) "
            "WHERE n LIKE '%liteferry%'",
        )
        return True if left == 0 else None

    await poll(gone)
    assert (
        sorted(from_source(path, "SELECT type, name, tbl_name, sql FROM sqlite_master"), key=repr) == before
    )
    on_target(target_url, "INSERT INTO words VALUES ('es', 'casa', 3); INSERT INTO log VALUES ('x', 'y')")


async def test_a_schema_that_was_there_before_us_is_put_aside_again_and_comes_back(
    make_source: MakeSource, daemon: StartDaemon, target_url: str, tmp_path: Path
) -> None:
    """Its triggers and foreign keys rest while rows stream in; what never left SQLite stays there."""
    on_target(target_url, adoptee.TARGET)
    path = make_source(script=adoptee.SOURCE + adoptee.rows(*range(1, 20)))
    running = daemon(path, target_url, env=HASTY, args=("--config", adoptee.configuration(tmp_path)))
    await asyncio.to_thread(running.wait_ready)
    await asyncio.to_thread(running.cutover, max_pause=30)
    # what is validated behind the cutover is not valid before that, and would not come again
    await asyncio.to_thread(running.wait_log, "foreign keys and statistics are done")
    before = await dump(target_url)
    on_target(
        target_url,
        "UPDATE users SET age = age + 1, mood = 'sad'; DELETE FROM fresh WHERE id = 3;"
        "DELETE FROM users WHERE id = 3; INSERT INTO notes(body) VALUES ('new');"
        "INSERT INTO users(id, email, created_at) OVERRIDING SYSTEM VALUE VALUES (99, 'new@x.org', now())",
    )
    await home(running, target_url)
    assert running.status()["sources"][0]["fallback"]["quarantined"] == 0
    query = "SELECT id, email, mood, age, name FROM users ORDER BY id"
    assert from_source(path, query) == on_target(target_url, query)
    assert from_source(path, "SELECT count(*) FROM users WHERE legacy = 'old'") == [(18,)]
    assert from_source(path, "SELECT count(*) FROM orders") == [(18,)]
    audited = on_target(target_url, "SELECT count(*) FROM audit")
    await asyncio.to_thread(running.rollback)
    on_source(path, adoptee.rows(20, 21) + "DELETE FROM notes WHERE body = 'new'")
    await asyncio.to_thread(running.wait_ready)
    assert on_target(target_url, "SELECT count(*) FROM audit") == audited
    await asyncio.to_thread(running.cutover, max_pause=30)
    assert from_source(path, query) == on_target(target_url, query)

    async def as_before() -> bool | None:
        return True if await dump(target_url) == before else None

    # foreign keys are checked against all rows behind the cutover
    await poll(as_before, 60, pause=0.3)
