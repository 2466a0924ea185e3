"""Whether the file that a source was opened as still stands under its name.

Only names and inodes are looked at, never the file itself: closing any descriptor of it would drop the locks
that SQLite holds on it for this process. An open file keeps its inode, so the number cannot come back as
another file's while the source is held.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from pathlib import Path

from config.errors import SourceMissing


class Presence(enum.Enum):
    """What stands under the name of a source."""

    #: The file that was opened.
    PRESENT = "present"
    #: Nothing, or nothing that can be seen.
    MISSING = "missing"
    #: Another file.
    REPLACED = "replaced"


#: What the operator is told.
REASONS = {
    Presence.MISSING: "its file is missing: it was deleted, renamed, or its folder is out of reach",
    Presence.REPLACED: "another file stands in its place",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells a file from all others of its machine, whatever it is called."""

    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """Return the identity of the file that a status is about."""
        return cls(status.st_dev, status.st_ino)


def look(path: Path, known: Identity) -> Presence:
    """Tell what stands under a name, given without links, by comparing it with the file that was opened."""
    try:
        # a link in the file's place leads SQLite to other side files than ours, even where it leads to the
        # same file: so it counts as another
        status = os.lstat(path)
    except OSError:
        return Presence.MISSING
    return Presence.PRESENT if Identity.of(status) == known else Presence.REPLACED


def refuse_absence(path: Path, known: Identity) -> None:
    """Raise SourceMissing unless the file that was opened stands under its name.

    To be asked after a connection was opened by that name: it may have opened another file.
    """
    found = look(path, known)
    if found is not Presence.PRESENT:
        raise SourceMissing(
            f"source {str(path)!r}: {REASONS[found]}",
            hint="put the very file back; liteferry goes on by itself then",
        )
