"""The application's own triggers, put aside while the fence stands: their work comes back with the rows.

What comes back from PostgreSQL is the outcome of the application's writes, triggers' work included. Were its
triggers to fire for our writes too, everything that they do would be done twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from .identifier import fold, quote
from .statements import load

SQL = load("triggers", "aside.sql")


def put_aside(connection: sqlite3.Connection, tables: Iterable[str]) -> int:
    """Take the application's triggers off some tables and keep their texts; return how many.

    Inside the write transaction the caller holds. They are put back once for a trial: raises sqlite3.Error
    for one that could not be made again, and that is before anything is final. Triggers on views stay: none
    of our writes goes there.
    """
    closed = {fold(name) for name in tables}
    found = [row for row in connection.execute(SQL["application"]).fetchall() if fold(row[2]) in closed]
    if not found:
        return 0
    connection.execute(SQL["create"])
    for row in found:
        connection.execute(SQL["keep"], row)
        connection.execute(f"DROP TRIGGER main.{quote(row[1])}")
    connection.execute("SAVEPOINT _liteferry_trial")
    try:
        _make(connection)
    finally:
        connection.execute("ROLLBACK TO _liteferry_trial")
        connection.execute("RELEASE _liteferry_trial")
    return len(found)


def restore(connection: sqlite3.Connection) -> None:
    """Make the application's triggers again, in their old order, inside the caller's write transaction."""
    if connection.execute(SQL["exists"]).fetchone()[0]:
        _make(connection)
        connection.execute(SQL["drop"])


def _make(connection: sqlite3.Connection) -> None:
    for _, sql in connection.execute(SQL["kept"]).fetchall():
        connection.execute(sql)
