"""A schema made by liteferry as the application finds it: what SQLite refused is refused."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from tests.compare import differences
from tests.databases import on_source, on_target
from tests.fault.scene import HASTY, settle
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

SHOP = """
CREATE TABLE users(id INTEGER PRIMARY KEY, mail TEXT NOT NULL UNIQUE COLLATE NOCASE CHECK (mail LIKE '%_@_%'),
    active BOOLEAN NOT NULL DEFAULT 1 CHECK (active IN (0, 1)), name TEXT COLLATE RTRIM,
    shown TEXT GENERATED ALWAYS AS (coalesce(name, mail)) VIRTUAL, made INT DEFAULT (unixepoch()));
CREATE UNIQUE INDEX one_active ON users(name) WHERE active = 1;
CREATE INDEX by_length ON users(length(name), lower(mail));
CREATE INDEX odd ON users(strftime('%Y', name));
CREATE TABLE words(lang TEXT, word TEXT COLLATE NOCASE,
    n INT CONSTRAINT "n is small" CHECK (n BETWEEN 0 AND 9), PRIMARY KEY(lang, word)) WITHOUT ROWID;
CREATE TABLE uses(id INTEGER PRIMARY KEY, word TEXT, lang TEXT, CHECK (date(word) IS NULL),
    FOREIGN KEY(lang, word) REFERENCES words(lang, word));
CREATE VIEW actives AS SELECT id, mail, shown FROM users WHERE active;
CREATE VIEW counts AS SELECT lang, count(*) AS words, max(n) AS most FROM words GROUP BY lang;
CREATE VIEW busy AS SELECT lang FROM counts WHERE words > 1;
CREATE VIEW odds AS SELECT random() AS r FROM users;
CREATE TRIGGER kept_small AFTER INSERT ON words BEGIN UPDATE words SET n = 9 WHERE n > 9; END;
CREATE VIRTUAL TABLE found USING fts5(word);
INSERT INTO users(mail, name) VALUES('Ada@example.org', 'Ada'), ('bob@example.org', NULL);
INSERT INTO words VALUES('en', 'Ship', 1), ('en', 'sea', 2), ('de', 'See', NULL);
INSERT INTO uses(lang, word) VALUES('en', 'SHIP');
"""

LATER = """
INSERT INTO users(mail, name, active) VALUES('Eve@example.org', 'Ada ', 0);
UPDATE users SET mail = 'ADA@example.org' WHERE id = 1;
UPDATE words SET word = 'ship' WHERE word = 'Ship';
"""


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    """Make a source that has one of everything."""
    return make_source(script=SHOP)


def moved(start: StartDaemon, source: Path, url: str, later: str = LATER) -> RunningDaemon:
    """Move a source while it is changed; return the daemon when all is done behind the cutover."""
    daemon = start(source, url, env=HASTY)
    settle(daemon, source)
    on_source(source, later)
    settle(daemon, source)
    daemon.wait_ready()
    daemon.cutover()
    daemon.wait_log("foreign keys and statistics are done")
    return daemon


async def test_rows_arrive_and_what_sqlite_refused_is_refused(
    daemon: StartDaemon, source: Path, target_url: str
) -> None:
    """CHECKs, NOCASE and RTRIM, partial unique indexes: as an application meets them that goes on writing."""
    moved(daemon, source, target_url)
    assert await differences(source, target_url) == []

    target = await asyncpg.connect(target_url)
    try:
        for statement, error in (
            ("INSERT INTO users(mail) VALUES('no at')", asyncpg.CheckViolationError),
            ("INSERT INTO users(mail) VALUES('BOB@example.org')", asyncpg.UniqueViolationError),
            ("INSERT INTO users(mail, name) VALUES('x@y', 'Ada   ')", asyncpg.UniqueViolationError),
            ("INSERT INTO words VALUES('en', 'SEA', 1)", asyncpg.UniqueViolationError),
            ("INSERT INTO words VALUES('fr', 'mer', 10)", asyncpg.CheckViolationError),
        ):
            with pytest.raises(error):
                await target.execute(statement)
        await target.execute("INSERT INTO users(mail, name, active) VALUES('x@y', 'Ada', false)")
        await target.execute("INSERT INTO words VALUES('fr', 'mer', NULL), ('en', 'See', 9)")
        await target.execute("INSERT INTO uses(lang, word) VALUES('en', 'sHiP')")
    finally:
        await target.close()


async def test_generated_columns_are_computed_and_views_are_there(
    daemon: StartDaemon, source: Path, target_url: str
) -> None:
    """The application reads from the target what it read from SQLite."""
    moved(daemon, source, target_url)
    on_target(target_url, "INSERT INTO users(mail) VALUES('new@example.org');")
    on_target(target_url, "UPDATE users SET name = 'Robert' WHERE mail LIKE 'bob%';")

    shown = [row[0] for row in on_target(target_url, "SELECT shown FROM users ORDER BY id")]
    assert shown == ["Ada", "Robert", "Ada ", "new@example.org"]
    assert len(on_target(target_url, "SELECT * FROM actives")) == 3
    assert on_target(target_url, "SELECT * FROM counts ORDER BY lang") == [("de", 1, None), ("en", 2, 2)]
    assert on_target(target_url, "SELECT lang FROM busy") == [("en",)]
    assert on_target(target_url, "SELECT made > 1700000000 FROM users WHERE id = 4") == [(True,)]


async def test_what_is_not_carried_is_told_with_the_reason(
    daemon: StartDaemon, source: Path, target_url: str
) -> None:
    """Indexes, CHECKs and keys in the table's notes; views, triggers and virtual tables among the notices."""
    running = moved(daemon, source, target_url)
    told = running.wait_until(lambda s: any("odds" in n for n in s["notices"]), what="the view's notice")
    notes = [f"{n['what']}: {n['reason']}" for one in told["sources"] for n in one["notes"]]

    assert any("index odd: the function strftime is not carried over" in note for note in notes)
    assert any("check (date(word) IS NULL): the function date" in note for note in notes)
    assert any("foreign key (lang, word): refers to a key that compares by NOCASE" in note for note in notes)
    assert any("random" in notice for notice in told["notices"])
    assert any(notice.startswith("kept_small: trigger: on 'words'") for notice in told["notices"])
    assert any(notice.startswith("found: virtual: ") for notice in told["notices"])


async def test_a_rebuilt_table_carries_its_new_checks(
    daemon: StartDaemon, source: Path, target_url: str
) -> None:
    """The way of migrations in SQLite: a new table, its rows, and the old one's name."""
    running = moved(
        daemon,
        source,
        target_url,
        """CREATE TABLE new(id INTEGER PRIMARY KEY, word TEXT, lang TEXT CHECK (length(lang) = 2),
            upper TEXT AS (upper(word)), CHECK (strftime('%Y', word) IS NULL));
        INSERT INTO new(id, word, lang) SELECT id, word, lang FROM uses;
        DROP TABLE uses; ALTER TABLE new RENAME TO uses;
        ALTER TABLE users ADD COLUMN age INT CHECK (age >= 0);""",
    )
    told = [note["what"] for note in running.status()["sources"][0]["notes"]]
    assert "check (strftime('%Y', word) IS NULL)" in told
    assert "check (date(word) IS NULL)" not in told
    with pytest.raises(asyncpg.CheckViolationError):
        on_target(target_url, "INSERT INTO uses(lang) VALUES('english');")
    with pytest.raises(asyncpg.CheckViolationError):
        on_target(target_url, "UPDATE users SET age = -1;")
    on_target(target_url, "INSERT INTO uses(lang, word) VALUES('en', 'x');")

    assert on_target(target_url, "SELECT upper FROM uses ORDER BY id") == [("SHIP",), ("X",)]
    query = "SELECT col_description('users'::regclass, 7)"
    assert on_target(target_url, query) == [("from SQLite INT",)]
