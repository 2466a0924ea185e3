"""The cheap independent check: a change of the file that the log does not explain fired no trigger.

`PRAGMA data_version` moves with every commit of another connection, and with nothing else but a checkpoint
that resets the WAL. A commit that left no entry in the log, did not change the schema and was none of ours
went around the triggers: through a connection that has switched them off, through incremental blob I/O, or
into a table that is not replicated. Which of these it was only a comparison tells.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from triggers import changelog, refit
from triggers.connection import reading

#: Between two comparisons, in multiples of the time that one takes: they cost the machine a twentieth.
REST = 20.0
SHORTEST_REST = 5.0
LONGEST_REST = 3600.0


@dataclass(frozen=True)
class Sight:
    """What our own writing connection sees of a source's file at one moment.

    On that connection `data_version` tells of others' commits only, so heartbeats and pruning do not hide
    what happens between two looks.
    """

    data_version: int
    #: Positions in the log, less the heartbeats that we have written.
    entries: int
    schema: int

    def explains(self, before: Sight) -> bool:
        """Tell whether whatever happened since `before` is accounted for. Pure."""
        if self.data_version == before.data_version:
            return True
        return (self.entries, self.schema) != (before.entries, before.schema)


class Witness:
    """Writes the heartbeats and looks at the file, both on the thread of the writing connection."""

    def __init__(self) -> None:
        self._beats = 0

    def beat(self, connection: sqlite3.Connection, budget: float) -> None:
        """Write a heartbeat. Raises SourceBusy when the lock is not free within `budget` seconds."""
        changelog.beat(connection, budget)
        self._beats += 1

    def look(self, connection: sqlite3.Connection) -> Sight:
        """Look at the file in one read transaction."""
        with reading(connection):
            head = changelog.head(connection)
            version = int(connection.execute("PRAGMA main.data_version").fetchone()[0])
            return Sight(version, head - self._beats, refit.version(connection))


class Suspicion:
    """When all tables are to be compared because of unexplained changes, given the time."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._begun = 0.0
        self._next = 0.0
        self._rest = SHORTEST_REST
        self._running = False
        #: Unexplained changes so far.
        self.count = 0
        #: Whether the last comparison found nothing: what came since was most likely of no concern.
        self.cleared = False

    def raised(self, now: float) -> None:
        """Note an unexplained change."""
        self.count += 1
        self._since = self._since if self._since is not None else now

    @property
    def open(self) -> bool:
        """Tell whether there are changes that no comparison has looked into."""
        return self._since is not None

    @property
    def blocks(self) -> bool:
        """Tell whether a cutover should wait for the comparison."""
        return (self.open or self._running) and not self.cleared

    def due_in(self, now: float) -> float | None:
        """Return the seconds until a comparison is due, None when none is wanted."""
        return max(0.0, self._next - now) if self.open else None

    def begin(self, now: float) -> None:
        """Note that a comparison begins: what is raised from now on wants another."""
        self._begun, self._since, self._running = now, None, True

    def ended(self, now: float, found: int) -> None:
        """Note that it has ended with so many rows repaired."""
        self.cleared, self._running = found == 0, False
        if found:
            self._rest = SHORTEST_REST
        else:
            self._rest = min(LONGEST_REST, max(self._rest * 2, (now - self._begun) * REST))
        self._next = now + (0.0 if found else self._rest)
