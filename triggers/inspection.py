"""What a source holds that its owner should know of before anything is installed; only reads."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .identifier import quote
from .schema import Column, Index, Table
from .statements import load

SQL = load("triggers", "inspection.sql")

#: How many steps of SQLite's machine pass between two looks at the clock: well below a millisecond.
STEPS = 1_000

#: What gives another value each time it is evaluated.
_CHANGING = re.compile(
    r"\b(?:random|randomblob|last_insert_rowid|changes|total_changes|unixepoch|current_(?:time|date|timestamp))\b"
    r"|'now'",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Violations:
    """Rows of a table whose foreign key leads nowhere."""

    table: str
    rows: int
    #: False when the time was up before the whole table was looked at.
    complete: bool = True
    #: Set when SQLite cannot check it: the columns referred to are not unique.
    mismatch: bool = False


def application_triggers(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return the application's own triggers, each with its table or view, also while they are put aside."""
    found = {(row[0], row[1]) for row in connection.execute(SQL["own_triggers"])}
    if connection.execute(SQL["any_aside"]).fetchone()[0]:
        found |= {(row[0], row[1]) for row in connection.execute(SQL["aside_triggers"])}
    return sorted(found)


def foreign_key_violations(connection: sqlite3.Connection, table: Table, seconds: float) -> Violations:
    """Count the rows of one table that violate its foreign keys, in one read of at most `seconds`."""
    rows = 0
    try:
        with _limited(connection, seconds):
            for _ in connection.execute(f"PRAGMA main.foreign_key_check({quote(table.name)})"):
                rows += 1
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return Violations(table.name, rows, complete=False)
        if "foreign key mismatch" in str(error):
            return Violations(table.name, rows, mismatch=True)
        raise
    return Violations(table.name, rows)


@contextmanager
def _limited(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """Interrupt whatever statement is still running after some seconds."""
    deadline = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def unpredictable_uniques(table: Table) -> list[str]:
    """Return the unique columns whose default is another one each time it is asked for.

    Where `NOT NULL ON CONFLICT REPLACE` stores such a default, the triggers cannot know which value was
    stored, and so not which row a REPLACE has removed.
    """
    unique = [index for index in table.indexes if index.unique]
    return [c.name for c in table.columns if _unpredictable(c) and any(_names(i, c) for i in unique)]


def _unpredictable(column: Column) -> bool:
    return column.not_null and column.default is not None and _CHANGING.search(column.default) is not None


def _names(index: Index, column: Column) -> bool:
    return any(term.name is not None and term.name.lower() == column.name.lower() for term in index.columns)
