"""How much of a source's write-ahead log is in use, told from the file alone.

The file does not shrink when the log begins anew at its start, so its size says how large it once was. But
every frame bears the salt of the log that it belongs to: frames of the present one come first, then what is
left of older ones. Reading it takes no lock, and SQLite has none on this file that closing it could drop.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

HEADER_BYTES = 32
FRAME_BYTES = 24
_MAGIC = (0x377F0682, 0x377F0683)

#: Reads some bytes at an offset; fewer at the end of the file.
Read = Callable[[int, int], bytes]


def used_bytes(wal: Path) -> int:
    """Return how many bytes of a WAL file belong to the present log; 0 where there is none."""
    try:
        descriptor = os.open(wal, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        size = os.fstat(descriptor).st_size
        return _used(size, lambda count, offset: os.pread(descriptor, count, offset))
    except OSError:
        return 0
    finally:
        os.close(descriptor)


def _used(size: int, read: Read) -> int:
    header = read(HEADER_BYTES, 0)
    if len(header) < HEADER_BYTES or int.from_bytes(header[:4]) not in _MAGIC:
        return 0
    page, salt = int.from_bytes(header[8:12]), header[16:24]
    if not page:
        return 0
    frame = FRAME_BYTES + page
    # the first frame that is not of this log; a frame is written as a whole before the next is begun
    low, high = 0, (size - HEADER_BYTES) // frame
    while low < high:
        middle = (low + high) // 2
        if read(FRAME_BYTES, HEADER_BYTES + middle * frame)[8:16] == salt:
            low = middle + 1
        else:
            high = middle
    return HEADER_BYTES + low * frame if low else 0
