"""One liteferry per source: a lock beside SQLite's own, dropped by the system when the process ends.

Two daemons on one source lose nothing, for the position moves by compare and set; but the one to be stopped
by that may be the one that was to live, and what it stumbles over may read like a fault of the data.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.errors import NotADatabase, SourceError

#: Far behind any byte that SQLite locks (1 GiB and some) or a database can have (256 TiB).
PLACE = 1 << 62

#: Locks of an open file, not of a process: closing another descriptor of the file does not drop them.
_SET_LOCK = getattr(fcntl, "F_OFD_SETLK", None)


@contextmanager
def claimed(path: Path) -> Iterator[os.stat_result]:
    """Be the only liteferry on a source while inside; enter before and leave after all connections to it.

    Gives the status of the file that was opened, which is held open.

    Closing a file drops the locks that SQLite holds on it in this process: hence the order. Where the system
    has no such locks nothing is claimed. Raises SourceError when another process has the source.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError as error:
        raise NotADatabase(
            f"source {str(path)!r} cannot be opened: {os.strerror(error.errno or 0)}",
            hint="give the path of an existing database file that this user may read and write",
        ) from error
    try:
        if _SET_LOCK is not None:
            _lock(descriptor, path)
        yield os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    # struct flock: type, whence, start, length, and the process, which must be 0 here
    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, PLACE, 1, 0)
    try:
        fcntl.fcntl(descriptor, _SET_LOCK or 0, wanted)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            # a file system without locks of this kind
            return
        raise SourceError(
            f"another liteferry is at work on source {str(path)!r}",
            hint="stop that one first, or ask it: `liteferry status`",
        ) from None
