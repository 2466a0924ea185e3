"""The change log: what the triggers wrote, in the order of commits."""

from __future__ import annotations

import sqlite3

from config.errors import CaptureBroken

from .connection import reading, writing
from .statements import load

SQL = load("triggers", "changelog.sql")

#: The number that heartbeats carry in the log instead of a table's.
HEARTBEAT = 0


def head(connection: sqlite3.Connection) -> int:
    """Return the newest position, 0 for an empty log."""
    return int(connection.execute(SQL["head"]).fetchone()[0])


def checked_head(connection: sqlite3.Connection, position: int) -> int:
    """Return the newest position, sure that nothing between `position` and it is missing.

    Positions have no gaps and the newest row is never pruned, so a log that ends before `position` or begins
    behind it was rewound or emptied, or the target was. Raises CaptureBroken then.
    """
    oldest, newest = connection.execute(SQL["span"]).fetchone()
    if newest < position:
        raise CaptureBroken(
            f"the change log ends at {newest}, but the target has got {position}: the file was restored "
            "from an older copy or its log was emptied",
            hint="changes may be lost; run `liteferry uninstall` for this source and start afresh",
        )
    if newest > position and oldest > position + 1:
        raise CaptureBroken(
            f"the change log begins at {oldest}, but the target has got {position}: the target was restored "
            "from an older state, or somebody deleted from the log",
            hint="changes may be lost; run `liteferry uninstall` for this source and start afresh",
        )
    return int(newest)


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
