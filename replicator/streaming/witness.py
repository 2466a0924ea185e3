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
        #: The last look; a cutover that is undone, and what happens in it, lies between two of them.
        self._seen: Sight | None = None

    def beat(self, connection: sqlite3.Connection, budget: float) -> None:
        """Write a heartbeat. Raises SourceBusy when the lock is not free within `budget` seconds."""
        changelog.beat(connection, budget)
        self._beats += 1

    def is_explained(self, connection: sqlite3.Connection) -> bool:
        """Look at the file, and tell whether the log or the schema says why it has changed since the last."""
        before, self._seen = self._seen, self.look(connection)
        return before is None or self._seen.explains(before)

    def look(self, connection: sqlite3.Connection) -> Sight:
        """Look at the file in one read transaction."""
        with reading(connection):
            head = changelog.head(connection)
            version = int(connection.execute("PRAGMA main.data_version").fetchone()[0])
            return Sight(version, head - self._beats, refit.version(connection))
