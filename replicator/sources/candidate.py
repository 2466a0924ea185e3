"""What can be seen of a file that stands in a source's place before SQLite is let near it.

Opening is no harmless look. A rollback journal that lies beside the file would be played into it, whichever
file it was written for; a WAL would be read as this file's. And whoever opens the first half of a copy makes
shared memory that tells everybody after him where the WAL ends.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from .presence import Identity

MAGIC = b"SQLite format 3\0"
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")

#: Every connection holds a lock on this byte of the shared memory for as long as it is in WAL mode.
DEAD_MAN_SWITCH = 128

_GET_LOCK = getattr(fcntl, "F_OFD_GETLK", None)


@dataclass(frozen=True)
class Sight:
    """A file and its side files at one moment."""

    identity: Identity
    size: int
    modified: int
    #: The first bytes: SQLite's own count of changes is among them.
    header: bytes
    #: Identity, size and time of the WAL; None where there is none, or an empty one.
    wal: tuple[Identity, int, int] | None
    #: The same of a rollback journal that waits to be played back.
    journal: tuple[Identity, int, int] | None
    #: Whether some process has it open in WAL mode.
    in_use: bool

    @classmethod
    def of(cls, path: Path) -> Sight | None:
        """Look at a file that nobody in this process has open; None for what is no file. Raises OSError."""
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return None
        return cls(
            Identity.of(status),
            status.st_size,
            status.st_mtime_ns,
            _begin(path, 100),
            _side(Path(f"{path}-wal")),
            _journal(Path(f"{path}-journal")),
            _in_use(Path(f"{path}-shm")),
        )

    @property
    def is_whole(self) -> bool:
        """Tell whether it begins as a database does and is as long as its header says. Pure."""
        if len(self.header) < 100 or not self.header.startswith(MAGIC):
            return False
        pages, valid_for = self._number(28), self._number(92)
        (size,) = struct.unpack_from(">H", self.header, 16)
        # in the header of an old library the count of pages may mean nothing
        return self._number(24) != valid_for or pages * (65536 if size == 1 else size) <= self.size

    def has_settled_since(self, before: Sight) -> bool:
        """Tell whether it is no copy on its way: nothing moved, or an application commits to it. Pure."""
        if self.identity != before.identity or not self.is_whole:
            return False
        return self.in_use or self == before or self._number(24) != before._number(24)

    def has_left_journal(self, before: Sight) -> bool:
        """Tell whether a journal lies beside it that no application is at work with. Pure."""
        return self.journal is not None and self._number(24) == before._number(24)

    def _number(self, place: int) -> int:
        (found,) = struct.unpack_from(">I", self.header, place)
        return int(found)


def _begin(path: Path, length: int) -> bytes:
    with path.open("rb") as file:
        return file.read(length)


def _side(path: Path) -> tuple[Identity, int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return (Identity.of(status), status.st_size, status.st_mtime_ns) if status.st_size else None


def _journal(path: Path) -> tuple[Identity, int, int] | None:
    try:
        # one that is kept between transactions is empty, or begins with zeros
        return _side(path) if _begin(path, 8) == JOURNAL_MAGIC else None
    except OSError:
        return None


def _in_use(path: Path) -> bool:
    """Ask for a lock that a connection would stand in the way of; takes none."""
    if _GET_LOCK is None:
        return False
    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, DEAD_MAN_SWITCH, 1, 0)
    try:
        descriptor = os.open(path, os.O_RDWR)
        with closing(os.fdopen(descriptor, "rb+")):
            found = fcntl.fcntl(descriptor, _GET_LOCK, wanted)
    except OSError:
        return False
    return bool(struct.unpack("hhqqi4x", found)[0] != fcntl.F_UNLCK)
