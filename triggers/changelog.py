"""The change log: what the triggers wrote, in the order of commits."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from config.errors import CaptureBroken

from .connection import reading, writing
from .statements import load

SQL = load("triggers", "changelog.sql")

#: The number that heartbeats carry in the log instead of a table's.
HEARTBEAT = 0


@dataclass(frozen=True)
class Place:
    """A position, and when its entry was written as SQLite's julianday; None where there is no entry."""

    position: int
    mark: float | None = None


def head(connection: sqlite3.Connection) -> int:
    """Return the newest position, 0 for an empty log."""
    return int(connection.execute(SQL["head"]).fetchone()[0])


def place(connection: sqlite3.Connection, position: int) -> Place:
    """Return a position with the time of its entry."""
    found = connection.execute(SQL["mark"], {"position": position}).fetchone()
    return Place(position, found[0] if found else None)


def refuse_rewound(newest: int, position: int) -> None:
    """Raise CaptureBroken for a log that ends before `position`."""
    if newest < position:
        raise CaptureBroken(
            f"the change log ends at {newest}, but the target has got {position}: the file was restored "
            "from an older copy or its log was emptied",
            hint="changes may be lost; run `liteferry uninstall` for this source and start afresh",
        )


def checked_head(connection: sqlite3.Connection, position: int, mark: float | None = None) -> int:
    """Return the newest position, sure that nothing between `position` and it is missing.

    Positions have no gaps and nothing from the target's position on is pruned, so a log that ends before
    `position` or begins behind it was rewound or emptied, or the target was. With the `mark` of that entry,
    a log that was rewound and has since been written beyond `position` is noticed too. Raises CaptureBroken.
    """
    oldest, newest = connection.execute(SQL["span"]).fetchone()
    refuse_rewound(newest, position)
    if mark is not None and oldest <= position and place(connection, position).mark != mark:
        raise CaptureBroken(
            f"entry {position} of the change log is not the one that the target has got: the file was "
            "restored from an older copy, or its log was emptied, and written to since",
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
    """Return the number of entries per table in the positions (low, high].

    Raises CaptureBroken when there are fewer entries than positions.
    """
    found: dict[int, int] = dict(connection.execute(SQL["touched"], {"low": low, "high": high}).fetchall())
    missing = high - low - sum(found.values())
    if missing:
        raise CaptureBroken(
            f"{missing} entries of the change log between {low} and {high} are gone: somebody deleted them",
            hint="changes may be lost; run `liteferry uninstall` for this source and start afresh",
        )
    return found


def last_beat(connection: sqlite3.Connection, low: int, high: int) -> float | None:
    """Return the Unix time of the newest heartbeat in the positions (low, high]."""
    beat = connection.execute(SQL["last_beat"], {"low": low, "high": high}).fetchone()[0]
    return None if beat is None else float(beat)


def beat(connection: sqlite3.Connection, budget: float) -> None:
    """Write a heartbeat. Raises SourceBusy when the lock is not free within `budget` seconds."""
    with writing(connection, budget):
        connection.execute(SQL["heartbeat"])


def prune(connection: sqlite3.Connection, position: int, entries: int, budget: float) -> int:
    """Delete up to `entries` of what is before `position`, which the target has; return how many went.

    Raises SourceBusy when the lock is not free within `budget` seconds.
    """
    with writing(connection, budget):
        done = connection.execute(SQL["prune"], {"position": position, "entries": entries})
        return done.rowcount
