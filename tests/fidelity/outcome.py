"""What an application can see of a statement."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Outcome:
    """What an application can see of a statement."""

    rows: list[Row]
    rowcount: int
    changes: int
    last_rowid: int
    error: str


def outcome(connection: sqlite3.Connection, statement: str) -> Outcome:
    """Run a statement and return what the application sees."""
    rows: list[Row] = []
    count, error = -1, ""
    try:
        cursor = connection.execute(statement)
        rows, count = cursor.fetchall(), cursor.rowcount
    except sqlite3.Error as raised:
        error = f"{getattr(raised, 'sqlite_errorname', '')} {raised}"
    changes, last_rowid = connection.execute("SELECT changes(), last_insert_rowid()").fetchone()
    # Where a table has triggers, anyone's, SQLite puts off a foreign key's refusal to the statement's end:
    # the rowid of the row that was refused then stays behind.
    # VACUUM leaves behind the rowid of what it has copied last, our tables included.
    told = 0 if error or statement == "VACUUM" else last_rowid
    return Outcome(rows, count, changes, told, error)


def level(connection: sqlite3.Connection) -> None:
    """Set the last rowid to a known one."""
    connection.execute("INSERT OR REPLACE INTO temp.one(rowid, x) VALUES(1, 1)")
