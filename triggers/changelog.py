"""The change log: what the triggers wrote, in the order of commits."""

from __future__ import annotations

import sqlite3

from .connection import reading, writing
from .statements import load

SQL = load("triggers", "changelog.sql")

#: The number that heartbeats carry in the log instead of a table's.
HEARTBEAT = 0


def head(connection: sqlite3.Connection) -> int:
    """Return the newest position, 0 for an empty log."""
    return int(connection.execute(SQL["head"]).fetchone()[0])


def lag(connection: sqlite3.Connection, position: int) -> tuple[int, float]:
    """Return the number of entries after `position` and the age of the oldest one in seconds."""
    with reading(connection):
        newest = head(connection)
        oldest = connection.execute(SQL["oldest_age"], {"position": position}).fetchone()
    # Positions have no gaps (a rolled-back write gives its numbers back), so a difference is a count.
    return max(0, newest - position), max(0.0, oldest[0] or 0.0) if oldest else 0.0


def entries(connection: sqlite3.Connection) -> int:
    """Return how many entries the log holds."""
    return int(connection.execute(SQL["entries"]).fetchone()[0])


def touched(connection: sqlite3.Connection, low: int, high: int) -> dict[int, int]:
    """Return the number of entries per table in the positions (low, high]."""
    return dict(connection.execute(SQL["touched"], {"low": low, "high": high}).fetchall())


def last_beat(connection: sqlite3.Connection, low: int, high: int) -> float | None:
    """Return the Unix time of the newest heartbeat in the positions (low, high]."""
    beat = connection.execute(SQL["last_beat"], {"low": low, "high": high}).fetchone()[0]
    return None if beat is None else float(beat)


def beat(connection: sqlite3.Connection, budget: float) -> None:
    """Write a heartbeat. Raises SourceBusy when the lock is not free within `budget` seconds."""
    with writing(connection, budget):
        connection.execute(SQL["heartbeat"])


def prune(connection: sqlite3.Connection, position: int, entries: int, budget: float) -> int:
    """Delete up to `entries` of what the target has; return how many went.

    Raises SourceBusy when the lock is not free within `budget` seconds.
    """
    with writing(connection, budget):
        done = connection.execute(SQL["prune"], {"position": position, "entries": entries})
        return done.rowcount
