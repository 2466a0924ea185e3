"""The change log kept small while the target is away: of each key's entries only the newest stays.

The reader takes the distinct keys behind the target's position and reads their rows as they are now, so that
of several entries of one key all but one are superfluous. Why taking them out loses nothing:

- The newest entry of a key stays. An entry goes only when a newer one of the same key is committed, and
  whatever batch brings that newer one has read the row at or after the newer change. So it does not matter
  which batch is being read or applied meanwhile, or whether it fails. (Keeping the first entry would: a batch
  that has read the row before its last change might move the position past the only entry left.)
- Keys are compared as the reader's DISTINCT does, and finer: the log's columns have no type and no collation,
  so texts compare by bytes, and storage classes are compared besides, so that 1 and 1.0 stay two keys.
  Heartbeats count as one key.
- The entry at a position of the target is the mark by which a rewound log is told. Neither the entry at a
  position that the target may have got to goes, nor the one right behind the position, which says that
  the log joins on. The newest of the log never goes, being the newest of its key: no position comes twice.
- What went is written down in the same transaction, for the entry behind it: how many, and since when the
  oldest of them waited. So the count of positions stays complete (somebody else's DELETE is still noticed,
  see changelog.touched) and the age of the oldest change honest.
- What is superfluous is worked out in temporary tables, from short reads of a few entries at a time, each
  entry once. Should the file be replaced by another copy in between, the newest entry looked at is not what
  it was, and all that was worked out is thrown away. A process that dies loses temporary tables, no more.

Entries go in the order of their positions once there are as many as the caller waits for, so that each page
of the log is written once per sweep and not once per entry.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from . import changelog
from .changelog import Deleted
from .connection import writing
from .statements import load

SQL = load("triggers", "compaction.sql")
LOG_SQL = load("triggers", "changelog.sql")

#: Page cache of the temporary tables in KiB; what does not fit goes to a temporary file.
CACHE_KIB = 8192


@dataclass(frozen=True)
class Keep:
    """Positions that the target has, or may have got without our knowing."""

    position: int
    reach: int


def create_sql(width: int) -> list[str]:
    """Return the temporary tables for a log with keys of up to `width` columns; pure."""
    keys = ", ".join(f"c{i}" for i in range(1, width + 1))
    key = f"t, kinds, {keys}"
    return [
        f"CREATE TEMP TABLE _liteferry_newest({key}, seq, PRIMARY KEY({key})) WITHOUT ROWID",
        f"CREATE TEMP TABLE _liteferry_window(seq INTEGER PRIMARY KEY, t, {_logged(width)})",
        "CREATE TEMP TABLE _liteferry_superfluous(seq INTEGER PRIMARY KEY)",
        "CREATE TEMP TABLE _liteferry_going(seq INTEGER PRIMARY KEY, at)",
        (
            "CREATE TEMP TRIGGER _liteferry_newer AFTER UPDATE ON temp._liteferry_newest BEGIN "
            "INSERT INTO _liteferry_superfluous(seq) VALUES(OLD.seq); END"
        ),
    ]


def copy_sql(width: int) -> str:
    """Return the statement that takes a few entries out of the source, to be looked at in peace; pure."""
    return (
        f"INSERT INTO temp._liteferry_window(seq, t, {_logged(width)}) "
        f"SELECT seq, t, {_logged(width)} FROM main._liteferry_log WHERE seq > :after AND seq <= :upto"
    )


def _logged(width: int) -> str:
    return ", ".join(f"k{i}" for i in range(1, width + 1))


def look_sql(width: int) -> str:
    """Return the statement that notes the newest entry of each key, its trigger the one before; pure."""
    numbers = range(1, width + 1)
    # a NULL would be different from every other: its kind tells it from the 0 that stands for it
    kinds = " || ".join(f"substr(typeof(k{i}), 1, 1)" for i in numbers)
    keys = ", ".join(f"CASE t WHEN {changelog.HEARTBEAT} THEN 0 ELSE coalesce(k{i}, 0) END" for i in numbers)
    names = ", ".join(f"c{i}" for i in numbers)
    return (
        f"INSERT INTO temp._liteferry_newest(t, kinds, {names}, seq) "
        f"SELECT coalesce(t, -1), {kinds}, {keys}, seq FROM temp._liteferry_window WHERE true ORDER BY seq "
        f"ON CONFLICT(t, kinds, {names}) DO UPDATE SET seq = excluded.seq"
    )


class Compaction:
    """Finds and deletes superfluous entries on one writable connection, step by short step."""

    def __init__(self) -> None:
        self._width = 0
        self._swept = 0
        #: The newest entry that was looked at, and when it was written.
        self.anchor = 0
        self._mark: float | None = None
        self.looked_at = 0
        self.keys = 0
        self.superfluous = 0

    @property
    def active(self) -> bool:
        """Tell whether there are temporary tables."""
        return self._width > 0

    def begin(self, connection: sqlite3.Connection, position: int) -> None:
        """Make ready to look at what is behind `position`."""
        self.forget(connection)
        width = int(connection.execute(LOG_SQL["log_width"]).fetchone()[0])
        connection.execute("PRAGMA temp_store = FILE")
        connection.execute(f"PRAGMA temp.cache_size = -{CACHE_KIB}")
        for statement in create_sql(width):
            connection.execute(statement)
        self._width, self._swept, self.anchor, self._mark = width, 0, position, None
        self.looked_at = self.keys = self.superfluous = 0

    def forget(self, connection: sqlite3.Connection) -> None:
        """Drop what was worked out; the log stays as it is."""
        self._width = 0
        for name in ("newest", "window", "superfluous", "going"):
            connection.execute(f"DROP TABLE IF EXISTS temp._liteferry_{name}")

    def look(self, connection: sqlite3.Connection, entries: int) -> int:
        """Look at up to `entries` new entries in one read transaction; return how many there were."""
        with self._at_once(connection):
            if not self._joins_on(connection):
                self._width = 0
                return 0
            last, count = connection.execute(SQL["next"], {"seq": self.anchor, "entries": entries}).fetchone()
            if not count:
                return 0
            connection.execute(SQL["clear_window"])
            connection.execute(copy_sql(self._width), {"after": self.anchor, "upto": last})
            mark = changelog.place(connection, last).mark
            connection.execute("COMMIT")
        # from here on nothing of the source is held: a WAL that is being read can never begin anew
        before = connection.total_changes
        connection.execute(look_sql(self._width))
        # the trigger's inserts count as changes too
        older = connection.total_changes - before - count
        self.anchor, self._mark = last, mark
        self.looked_at += count
        self.keys += count - older
        self.superfluous += older
        return int(count)

    def drop(
        self,
        connection: sqlite3.Connection,
        keep: Keep,
        entries: int,
        budget: float,
        before_commit: Callable[[], None] = lambda: None,
    ) -> Deleted:
        """Delete up to `entries` superfluous ones, in the order of their positions; none ends a sweep.

        Raises SourceBusy when the lock is not free within `budget` seconds; nothing is changed then.
        """
        last = self._choose(connection, keep, entries)
        if last is None:
            if not self._swept:
                # a whole sweep found nothing, or only what must stay: nothing to wait for
                self.superfluous = 0
            self._swept = 0
            return Deleted()
        with writing(connection, budget):
            begun = time.monotonic()
            if not self._joins_on(connection):
                self._width = 0
                return Deleted()
            changelog.create_gaps(connection)
            gone = connection.execute(SQL["delete"]).rowcount
            connection.execute(SQL["note"])
            connection.execute(SQL["forget_notes"])
            connection.execute(LOG_SQL["add_to_gap_sum"], {"entries": gone})
            before_commit()
        seconds = time.monotonic() - begun
        # should this fail, what is not in the log any more is passed over the next time
        connection.execute(SQL["done"])
        self._swept = last
        self.superfluous -= gone
        return Deleted(gone, seconds)

    def _choose(self, connection: sqlite3.Connection, keep: Keep, entries: int) -> int | None:
        """Choose what goes next while others may write: nothing that is chosen here can change by that."""
        with self._at_once(connection):
            connection.execute(SQL["clear"])
            self.superfluous -= connection.execute(SQL["passed"], {"position": keep.position}).rowcount
            limits = {
                "after": max(self._swept, keep.position),
                "first": keep.position + 1,
                "reach": keep.reach,
                "anchor": self.anchor,
                "entries": entries,
            }
            connection.execute(SQL["choose"], limits)
            chosen, last = connection.execute(SQL["chosen"]).fetchone()
            connection.execute("COMMIT")
        return int(last) if chosen else None

    def _joins_on(self, connection: sqlite3.Connection) -> bool:
        """Tell whether the log is still the one that was looked at."""
        return self._mark is None or changelog.place(connection, self.anchor).mark == self._mark

    @contextmanager
    def _at_once(self, connection: sqlite3.Connection) -> Iterator[None]:
        """See one state of the file; temporary tables change as a whole or not at all."""
        connection.execute("BEGIN")
        try:
            yield
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
