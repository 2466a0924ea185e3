"""The fence: triggers that refuse the application's writes after it has moved to PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from .identifier import PREFIX, literal, quote
from .statements import load
from .trigger_sql import META

SQL = load("triggers", "changelog.sql")

#: What the application reads in its error; operators grep for it.
MESSAGE = "this database has moved to PostgreSQL: writes are refused here (liteferry cutover)"


def sql(number: int, table: str) -> list[tuple[str, str]]:
    """Return the names and texts of the triggers that close one table."""
    made = []
    for suffix, event in (("fi", "INSERT"), ("fu", "UPDATE"), ("fd", "DELETE")):
        name = f"{PREFIX}fence_{number}_{suffix}"
        body = f"SELECT RAISE(ABORT, {literal(MESSAGE)});"
        made.append(
            (name, f"CREATE TRIGGER {quote(name)} BEFORE {event} ON {quote(table)}\nBEGIN\n  {body}\nEND")
        )
    return made


def raise_fence(connection: sqlite3.Connection, tables: Iterable[tuple[int, str]], cutover: str) -> None:
    """Close every table and note the cutover's id, inside the write transaction the caller holds.

    Raises RuntimeError outside of one: there each trigger would stand at once, with nothing to undo it.
    """
    if not connection.in_transaction:
        msg = "a fence is put up inside a write transaction only"
        raise RuntimeError(msg)
    for number, table in tables:
        for _, text in sql(number, table):
            connection.execute(text)
    connection.execute(SQL["write_meta"], {"name": "fence", "value": cutover})


def lift_fence(connection: sqlite3.Connection) -> None:
    """Open every table again, inside the write transaction the caller holds."""
    for (name,) in connection.execute(
        "SELECT name FROM main.sqlite_master WHERE type = 'trigger' AND name GLOB '_liteferry_fence_*'"
    ).fetchall():
        connection.execute(f"DROP TRIGGER {quote(name)}")
    connection.execute(SQL["delete_meta"], {"name": "fence"})


def fenced_by(connection: sqlite3.Connection) -> str | None:
    """Return the id of the cutover whose fence stands in the file, None when there is none."""
    if not connection.execute(SQL["has_object"], {"name": META}).fetchone()[0]:
        return None
    row = connection.execute(SQL["read_meta"], {"name": "fence"}).fetchone()
    return str(row[0]) if row else None


def is_fenced(connection: sqlite3.Connection) -> bool:
    """Tell whether the file refuses the application's writes."""
    return fenced_by(connection) is not None
