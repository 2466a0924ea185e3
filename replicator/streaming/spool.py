"""Rows on their way from one read transaction to one target transaction, in bounded memory."""

from __future__ import annotations

import marshal
import pickle
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Self

from replicator.values.converter import Row
from triggers import pulse

_HEAD = struct.Struct(">BQ")
MARSHALLED, PICKLED = range(2)


@dataclass(frozen=True)
class Block:
    """Some changes of one table: keys that are gone and rows as they are now."""

    table_id: int
    gone: list[Row]
    rows: list[Row]
    #: Bytes of all that, nearly; known of what has been in a spool.
    size: int = field(default=0, compare=False, repr=False)


class Spool:
    """Blocks in the order they were read; in memory up to a size, in a nameless temporary file beyond.

    The source is read at full speed into here and let go of; PostgreSQL takes its time afterwards. So the
    read transaction is short, whatever the network does.
    """

    def __init__(self, memory: int) -> None:
        """Keep up to `memory` bytes out of the file."""
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=memory, prefix="liteferry-")  # noqa: SIM115  # closed by close()
        self._end = 0
        self.rows = 0

    def append(self, block: Block) -> None:
        """Add a block. Raises OSError when the temporary folder is full."""
        # in one piece: marshal's own load asks a Python file for each value by itself, at ten times the cost
        parts = block.table_id, block.gone, block.rows
        try:
            data, kind = marshal.dumps(parts), MARSHALLED
        except ValueError:
            # a text that is not UTF-8 among them
            data, kind = pickle.dumps(parts), PICKLED
        self._file.seek(self._end)
        self._file.write(_HEAD.pack(kind, len(data)))
        self._file.write(data)
        self._end = self._file.tell()
        self.rows += len(block.gone) + len(block.rows)
        pulse.beat()

    def __iter__(self) -> Iterator[Block]:
        """Read all blocks from the start, whether or not an earlier reading came to its end."""
        place = 0
        while place < self._end:
            self._file.seek(place)
            kind, length = _HEAD.unpack(self._file.read(_HEAD.size))
            load = marshal.loads if kind == MARSHALLED else pickle.loads
            number, gone, rows = load(self._file.read(length))
            place = self._file.tell()
            pulse.beat()
            yield Block(number, gone, rows, length)

    def close(self) -> None:
        """Give the memory and the file back."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
