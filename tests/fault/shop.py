"""A shop whose application changes its schema: what it does, and what is looked at afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.fault.scene import one_value, source_of
from tests.fixtures.daemon import RunningDaemon

SCHEMA = """
CREATE TABLE pulse(n INTEGER PRIMARY KEY);
CREATE TABLE shop(id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT);
CREATE TABLE item(id INTEGER PRIMARY KEY, code TEXT, name TEXT NOT NULL, price REAL,
    shop INT REFERENCES shop(id));
CREATE UNIQUE INDEX item_code ON item(code);
CREATE INDEX item_name ON item(name);
CREATE TABLE entry(k TEXT NOT NULL, n INT NOT NULL, v, UNIQUE(k, n));
CREATE TABLE loose(a TEXT, b INT);
INSERT INTO shop SELECT value, 'shop ' || value, 'city' FROM (
    WITH RECURSIVE i(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM i WHERE value < 50) SELECT * FROM i);
WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 3000)
    INSERT INTO item SELECT n, 'code ' || n, 'name ' || n, n / 4.0, 1 + n % 50 FROM i;
INSERT INTO entry SELECT 'k' || id, id, name FROM item;
INSERT INTO loose SELECT name, id FROM item;
"""

REBUILD = """
CREATE TABLE new_item(id INTEGER PRIMARY KEY, {columns});
INSERT INTO new_item SELECT id, {values} FROM item;
DROP TABLE item;
ALTER TABLE new_item RENAME TO item;
"""

#: What applications and their migration tools do; each is one transaction unless it says BEGIN and COMMIT.
CHANGES = {
    "a column is added": "ALTER TABLE item ADD COLUMN extra TEXT DEFAULT 'none'",
    "a NOT NULL column is added and filled": """
        ALTER TABLE item ADD COLUMN stock INT NOT NULL DEFAULT 0; UPDATE item SET stock = id""",
    "a column is dropped": "ALTER TABLE item DROP COLUMN price",
    "an index and its column are dropped at once": "DROP INDEX item_code; ALTER TABLE item DROP COLUMN code",
    "a column is renamed": "ALTER TABLE item RENAME COLUMN name TO title",
    "a unique column is renamed": "ALTER TABLE item RENAME COLUMN code TO sku",
    "a table is renamed": "ALTER TABLE item RENAME TO product",
    "table and column are renamed, another added": """
        ALTER TABLE item RENAME TO product; ALTER TABLE product RENAME COLUMN price TO cost;
        ALTER TABLE product ADD COLUMN extra INT""",
    "two tables swap their names": """
        ALTER TABLE item RENAME TO swap; ALTER TABLE loose RENAME TO item;
        ALTER TABLE swap RENAME TO loose""",
    "a table takes the name that another gives up": """
        ALTER TABLE loose RENAME TO spare; ALTER TABLE entry RENAME TO loose""",
    "a table is created and filled": """
        CREATE TABLE fresh(id INTEGER PRIMARY KEY, name TEXT UNIQUE, at TEXT);
        INSERT INTO fresh SELECT id, name, 'now' FROM item""",
    "a table is dropped": "DROP TABLE entry",
    "a table is dropped and created otherwise": """
        DROP TABLE entry; CREATE TABLE entry(id TEXT PRIMARY KEY, v REAL);
        INSERT INTO entry VALUES('a', 1.5)""",
    "a unique index is created, and used to replace": """
        CREATE UNIQUE INDEX item_title ON item(name);
        REPLACE INTO item VALUES(90001, 'new', 'name 5', 1, 1)""",
    "an index is created": "CREATE INDEX item_price ON item(price DESC, name)",
    "an index is dropped": "DROP INDEX item_name; DROP INDEX item_code",
    "a table is rebuilt": REBUILD.format(
        columns="code TEXT, name TEXT NOT NULL, price REAL, shop INT, note TEXT",
        values="code, name, price, shop, 'rebuilt'",
    ),
    "a table is rebuilt with another type": REBUILD.format(
        columns="code TEXT, name TEXT, price TEXT, shop INT", values="code, name, 'p' || price, shop"
    ),
    "a table is rebuilt in several transactions": (
        "BEGIN; CREATE TABLE new_item(id INTEGER PRIMARY KEY, name TEXT); "
        "INSERT INTO new_item SELECT id, name FROM item; COMMIT; "
        "BEGIN; INSERT INTO pulse VALUES(77); COMMIT; "
        "BEGIN; DROP TABLE item; ALTER TABLE new_item RENAME TO item; COMMIT"
    ),
    "a table gets another key": """
        CREATE TABLE other(code TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID;
        INSERT INTO other SELECT code, name FROM item; DROP TABLE item; ALTER TABLE other RENAME TO item""",
    "some triggers of a table are dropped": "DROP TRIGGER _liteferry_{item}_ai; "
    "DROP TRIGGER _liteferry_{item}_bd; INSERT INTO item VALUES(90002, 'c', 'missed', 1, 1); "
    "DELETE FROM item WHERE id < 20",
    "a column is dropped and added again": """
        ALTER TABLE item DROP COLUMN price; ALTER TABLE item ADD COLUMN price REAL""",
    "an index comes, replaces, and goes": """
        CREATE UNIQUE INDEX passing ON item(name); REPLACE INTO item VALUES(90003, 'p', 'name 7', 1, 1);
        DROP INDEX passing""",
    "rowids are numbered anew": "DELETE FROM loose WHERE b % 3 = 0; COMMIT; VACUUM; BEGIN",
}


def apply(path: Path, statements: str) -> None:
    """Do what the application does, all or nothing, by a connection of its own."""
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as application:
        found = application.execute("SELECT id FROM _liteferry_tables WHERE name = 'item'").fetchone()
        text = statements.replace("{item}", str(found[0]))
        alone = "BEGIN" in text.partition(";")[0]
        application.executescript(text if alone else f"BEGIN; {text}; COMMIT")


def pulse(path: Path, number: int) -> None:
    """Write to a table that every change leaves alone."""
    with closing(sqlite3.connect(path, timeout=10)) as application:
        application.execute("INSERT INTO pulse VALUES(?)", (number,))
        application.commit()


def write(path: Path) -> None:
    """Write to every table there is, as the application goes on doing; all must have rowids."""
    with closing(sqlite3.connect(path, timeout=10)) as application:
        names = application.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_litef%' ESCAPE '\\'"
        ).fetchall()
        for (name,) in names:
            application.execute(f"DELETE FROM {name} WHERE rowid = 1")
            if name in ("item", "product", "loose"):
                application.execute(
                    f"UPDATE {name} SET rowid = rowid + 100000 WHERE rowid BETWEEN 100 AND 120"
                )
        application.commit()


def explicit_indexes(path: Path) -> set[str]:
    """Return the names of the indexes that the application has created."""
    with closing(sqlite3.connect(path)) as source:
        query = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        return {name for (name,) in source.execute(query)}


async def indexes(url: str) -> set[str]:
    """Return the names of the target's indexes that belong to no constraint."""
    query = """
        SELECT string_agg(c.relname, ',') FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE c.relnamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)"""
    return set(filter(None, str(await one_value(url, query) or "").split(",")))


async def missing_tables(path: Path, url: str) -> list[str]:
    """Return the names of tables that are on one side only."""
    with closing(sqlite3.connect(path)) as source:
        query = (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_litef%' ESCAPE '\\'"
        )
        here = {row[0] for row in source.execute(query) if not row[0].startswith("sqlite_")}
    query = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'"
    there = set(str(await one_value(url, query)).split(","))
    return sorted(here ^ there)


def told_of(reason: str) -> Callable[[dict[str, Any]], bool]:
    """Return the condition that a reason against a cutover is told."""
    return lambda status: any(reason in one for one in status["reasons"])


def logged(running: RunningDaemon, text: str) -> Callable[[], Awaitable[bool | None]]:
    """Return a look whether the daemon has logged a text."""

    async def look() -> bool | None:
        return text in running.log or None

    return look


def repaired(running: RunningDaemon, tables: int) -> Callable[[], Awaitable[bool | None]]:
    """Return a look whether so many tables have been repaired."""

    async def look() -> bool | None:
        status = source_of(await asyncio.to_thread(running.status))
        return True if status["repairs"] >= tables and status["state"] == "streaming" else None

    return look
