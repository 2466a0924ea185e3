"""The change log: what the triggers wrote, in the order of commits."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from config.errors import CaptureBroken

from .connection import reading, writing
from .statements import load

SQL = load("triggers", "changelog.sql")

#: The number that heartbeats carry in the log instead of a table's.
HEARTBEAT = 0

#: What compaction has deleted, see there.
GAPS = "_liteferry_gaps"


@dataclass(frozen=True)
class Place:
    """A position, and when its entry was written as SQLite's julianday; None where there is no entry."""

    position: int
    mark: float | None = None


@dataclass(frozen=True)
class Deleted:
    """Entries deleted in one transaction, and the seconds for which it held the write lock."""

    entries: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Lag:
    """What the target has not got yet: entries of the log, and the age of the oldest change in seconds."""

    entries: int
    oldest: float = 0.0
    #: Positions, and so changes of the application: more than entries once the log has been compacted.
    positions: int = 0


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

    Positions have no gaps but those that compaction has made, and nothing from the target's position on is
    pruned, so a log that ends before `position` or begins behind it was rewound or emptied, or the target
    was. With the `mark` of that entry, a log that was rewound and has since been written beyond `position`
    is noticed too. Raises CaptureBroken.
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


def lag(connection: sqlite3.Connection, position: int) -> Lag:
    """Return what is behind `position`, which has an entry unless it is 0."""
    with reading(connection):
        positions = head(connection) - position
        if positions <= 0:
            return Lag(0)
        seq, at, now = connection.execute(SQL["oldest"], {"position": position}).fetchone()
        if at is not None and seq > position + 1 and (first := _gap(connection, seq)) is not None:
            # the oldest change is one whose entry a newer one of the same key has made superfluous
            at = min(at, first)
        at = now if at is None else at  # not an entry of our triggers
        gone = _sum_of_gaps(connection)
        if gone:
            gone -= _gone(connection, 0, position)
    return Lag(positions - gone, max(0.0, (now - at) * 86400.0), positions)


def waiting(connection: sqlite3.Connection, position: int, most: int) -> dict[int, int] | None:
    """Return the number of entries per table behind `position`; None where they are more than `most`."""
    high = head(connection)
    if high - position > most:
        return None
    found = connection.execute(SQL["touched"], {"low": position, "high": high})
    return {table: entries for table, entries in found if table != HEARTBEAT}


def entries(connection: sqlite3.Connection) -> int:
    """Return how many entries the log holds, but for what somebody else has deleted from it."""
    with reading(connection):
        return int(connection.execute(SQL["entries"]).fetchone()[0]) - _sum_of_gaps(connection)


def reach(connection: sqlite3.Connection, position: int, most: int) -> int:
    """Return the position of the last of up to `most` entries behind `position`; there must be one."""
    return int(connection.execute(SQL["reach"], {"position": position, "entries": most}).fetchone()[0])


def touched(connection: sqlite3.Connection, low: int, high: int) -> dict[int, int]:
    """Return the number of entries per table in the positions (low, high]; both have an entry, or `low` is 0.

    Raises CaptureBroken when an entry is missing that compaction has not deleted.
    """
    found: dict[int, int] = dict(connection.execute(SQL["touched"], {"low": low, "high": high}).fetchall())
    missing = high - low - sum(found.values())
    if missing:
        missing -= _gone(connection, low, high)
    if missing:
        raise CaptureBroken(
            f"{missing} entries of the change log between {low} and {high} are gone: somebody deleted them",
            hint="changes may be lost; run `liteferry uninstall` for this source and start afresh",
        )
    return found


def compacted(connection: sqlite3.Connection) -> int:
    """Return how many entries compaction has deleted that pruning has not passed yet."""
    return _sum_of_gaps(connection)


def _has_gaps(connection: sqlite3.Connection) -> bool:
    # a source that an older version installed has no such table until it is compacted
    return bool(connection.execute(SQL["has_object"], {"name": GAPS}).fetchone()[0])


def _sum_of_gaps(connection: sqlite3.Connection) -> int:
    return int(connection.execute(SQL["gap_sum"]).fetchone()[0]) if _has_gaps(connection) else 0


def _gone(connection: sqlite3.Connection, low: int, high: int) -> int:
    if not _has_gaps(connection):
        return 0
    # not the sum of all, which is under 0
    return int(connection.execute(SQL["gone"], {"low": max(0, low), "high": high}).fetchone()[0])


def _gap(connection: sqlite3.Connection, seq: int) -> float | None:
    found = connection.execute(SQL["gap"], {"seq": seq}).fetchone() if _has_gaps(connection) else None
    return found[0] if found else None


def last_beat(connection: sqlite3.Connection, low: int, high: int) -> float | None:
    """Return the Unix time of the newest heartbeat in the positions (low, high]."""
    beat = connection.execute(SQL["last_beat"], {"low": low, "high": high}).fetchone()[0]
    return None if beat is None else float(beat)


def beat(connection: sqlite3.Connection, budget: float) -> None:
    """Write a heartbeat. Raises SourceBusy when the lock is not free within `budget` seconds."""
    with writing(connection, budget):
        connection.execute(SQL["heartbeat"])


def prune(connection: sqlite3.Connection, position: int, entries: int, budget: float) -> Deleted:
    """Delete up to `entries` of what is before `position`, which the target has.

    Raises SourceBusy when the lock is not free within `budget` seconds.
    """
    with writing(connection, budget):
        begun = time.monotonic()
        gone = connection.execute(SQL["prune"], {"position": position, "entries": entries}).rowcount
        if gone and _sum_of_gaps(connection):
            passed = int(connection.execute(SQL["passed_gaps"]).fetchone()[0])
            connection.execute(SQL["forget_gaps"])
            connection.execute(SQL["add_to_gap_sum"], {"entries": -passed})
    return Deleted(gone, time.monotonic() - begun)


def passed(connection: sqlite3.Connection, position: int) -> int:
    """Return how many positions the log still spans before `position`."""
    oldest = int(connection.execute(SQL["span"]).fetchone()[0])
    return max(0, position - oldest)


def create_gaps(connection: sqlite3.Connection) -> None:
    """Create the table that says what compaction has deleted, inside a write transaction."""
    connection.execute(SQL["create_gaps"])
    connection.execute(SQL["create_gap_sum"])
