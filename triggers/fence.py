"""The fence: triggers that refuse the application's writes after it has moved to PostgreSQL.

It lets pass whoever has noted in the same transaction that rows are returning from there: that note is made
and taken back within one transaction of ours, so nobody else ever sees it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from . import aside
from .identifier import PREFIX, literal, quote
from .statements import load
from .trigger_sql import META

SQL = load("triggers", "changelog.sql")

#: The note that rows are returning, and the count of schema changes as the fence left it.
RETURNING = "homecoming"
VERSION = "fence_schema"

#: What the application reads in its error; operators grep for it.
MESSAGE = "this database has moved to PostgreSQL: writes are refused here (liteferry cutover)"


def sql(number: int, table: str) -> list[tuple[str, str]]:
    """Return the names and texts of the triggers that close one table."""
    made = []
    for suffix, event in (("fi", "INSERT"), ("fu", "UPDATE"), ("fd", "DELETE")):
        name = f"{PREFIX}fence_{number}_{suffix}"
        when = f"NOT EXISTS (SELECT 1 FROM {quote(META)} WHERE name = {literal(RETURNING)})"
        body = f"SELECT RAISE(ABORT, {literal(MESSAGE)});"
        head = f"CREATE TRIGGER {quote(name)} BEFORE {event} ON {quote(table)}"
        made.append((name, f"{head}\nWHEN {when}\nBEGIN\n  {body}\nEND"))
    return made


def raise_fence(connection: sqlite3.Connection, tables: Iterable[tuple[int, str]], cutover: str) -> None:
    """Close every table and note the cutover's id, inside the write transaction the caller holds.

    The application's triggers on these tables are put aside. Raises RuntimeError outside of a transaction:
    there each trigger would stand at once, with nothing to undo it.
    """
    if not connection.in_transaction:
        msg = "a fence is put up inside a write transaction only"
        raise RuntimeError(msg)
    closed = list(tables)
    for number, table in closed:
        for _, text in sql(number, table):
            connection.execute(text)
    aside.put_aside(connection, [table for _, table in closed])
    connection.execute(SQL["write_meta"], {"name": "fence", "value": cutover})
    note_version(connection)


def note_version(connection: sqlite3.Connection) -> None:
    """Note the schema as it is now as the one that is known behind the fence, in the caller's transaction."""
    version = connection.execute("PRAGMA main.schema_version").fetchone()[0]
    connection.execute(SQL["write_meta"], {"name": VERSION, "value": str(version)})


def is_unchanged(connection: sqlite3.Connection) -> bool:
    """Tell whether nobody has changed the schema since the fence was put up; VACUUM counts as a change."""
    noted = connection.execute(SQL["read_meta"], {"name": VERSION}).fetchone()
    version = connection.execute("PRAGMA main.schema_version").fetchone()[0]
    return noted is not None and noted[0] == str(version)


def lift_fence(connection: sqlite3.Connection) -> None:
    """Open every table again, inside the write transaction the caller holds; its triggers come back."""
    for (name,) in connection.execute(
        "SELECT name FROM main.sqlite_master WHERE type = 'trigger' AND name GLOB '_liteferry_fence_*'"
    ).fetchall():
        connection.execute(f"DROP TRIGGER {quote(name)}")
    aside.restore(connection)
    for noted in ("fence", VERSION):
        connection.execute(SQL["delete_meta"], {"name": noted})


def fenced_by(connection: sqlite3.Connection) -> str | None:
    """Return the id of the cutover whose fence stands in the file, None when there is none."""
    if not connection.execute(SQL["has_object"], {"name": META}).fetchone()[0]:
        return None
    row = connection.execute(SQL["read_meta"], {"name": "fence"}).fetchone()
    return str(row[0]) if row else None


def is_fenced(connection: sqlite3.Connection) -> bool:
    """Tell whether the file refuses the application's writes."""
    return fenced_by(connection) is not None
