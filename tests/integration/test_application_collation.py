"""Collations and functions that only the application has: its tables are carried all the same, or named."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from config.errors import Unsupported
from tests.fault.scene import HASTY, settle
from tests.fixtures.daemon import StartDaemon
from triggers.key import KeyKind, choose
from triggers.schema import tables

SCHEMA = """
CREATE TABLE a(k TEXT COLLATE mine PRIMARY KEY, v INT);
CREATE TABLE b(id INTEGER PRIMARY KEY, u TEXT COLLATE mine UNIQUE);
CREATE TABLE f(id INTEGER PRIMARY KEY, u TEXT);
CREATE UNIQUE INDEX fx ON f(ours(u));
INSERT INTO a VALUES('x', 1);
INSERT INTO b VALUES(1, 'x');
INSERT INTO f VALUES(1, 'x');
"""


def application(path: Path) -> sqlite3.Connection:
    """Connect as the application does: with a collation and a function of its own."""
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    connection.create_collation("mine", lambda a, b: (a.lower() > b.lower()) - (a.lower() < b.lower()))
    connection.create_function("ours", 1, lambda text: text.lower(), deterministic=True)
    return connection


async def test_what_they_make_unique_is_replaced_on_the_target_too(
    tmp_path: Path, daemon: StartDaemon, target_url: str
) -> None:
    """A key that compares by such a collation gives way to the rowid; unique values are looked up there."""
    path = tmp_path / "app.db"
    with closing(application(path)) as writing:
        writing.executescript(SCHEMA)
        running = daemon(path, target_url, env=HASTY)
        await asyncio.to_thread(settle, running, path)
        for statement in ("a VALUES('X', 2)", "b VALUES(2, 'X')", "f VALUES(2, 'X')", "a VALUES('y', 3)"):
            writing.execute(f"REPLACE INTO {statement}")
        await asyncio.to_thread(settle, running, path)
    target = await asyncpg.connect(target_url)
    try:
        assert list(map(tuple, await target.fetch("SELECT k, v FROM a ORDER BY v"))) == [("X", 2), ("y", 3)]
        assert list(map(tuple, await target.fetch("SELECT * FROM b"))) == [(2, "X")]
        assert list(map(tuple, await target.fetch("SELECT * FROM f"))) == [(2, "X")]
    finally:
        await target.close()


def test_a_key_that_only_the_application_can_compare_is_named(tmp_path: Path) -> None:
    """Without a rowid there is nothing else to tell rows by; with one, that is the key."""
    path = tmp_path / "app.db"
    with closing(application(path)) as writing:
        writing.executescript(f"{SCHEMA} CREATE TABLE w(k TEXT COLLATE mine PRIMARY KEY) WITHOUT ROWID")
    with closing(sqlite3.connect(path)) as reading:
        found = {table.name: table for table in tables(reading)[0]}
    assert choose(found["a"]).kind is KeyKind.ROWID
    with pytest.raises(Unsupported, match="'mine', which only the application has"):
        choose(found["w"])
