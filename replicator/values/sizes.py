"""How large rows are on their way: one larger than PostgreSQL takes would break each connection anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from sys import getsizeof
from typing import Any, TypeVar

from replicator.postgres.connections import COMMAND_SECONDS

from .texts import BadText

Row = TypeVar("Row")

#: Bytes of a row that COPY and a statement's parameters still carry. A message and a row in memory may have
#: 1 GiB each; the server ends the connection of whoever sends a longer one.
LARGEST_ROW = 1_000_000_000

#: Bytes per second that a server stores at least.
SLOWEST = 1 << 20

#: Bytes of rows sent by one statement.
LARGEST_STATEMENT = 64 << 20


def row_bytes(row: Sequence[Any]) -> int:
    """Return the bytes of a row as it is sent, nearly: exact for texts and blobs."""
    return sum(map(_bytes, row)) + 8 * len(row)


def _bytes(value: Any) -> int:
    if isinstance(value, str):
        # a string of one byte per character has two in UTF-8 for some of them
        return len(value) if value.isascii() else len(value.encode(errors="surrogatepass"))
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, BadText):
        return len(value.raw)
    if isinstance(value, list):
        return sum(map(_bytes, value)) + 8 * len(value)
    return getsizeof(value)


def too_large(row: Sequence[Any]) -> bool:
    """Tell whether a row, as the driver takes it, is larger than PostgreSQL does."""
    # the sizes of Python's objects are known without a look into them; UTF-8 has at most thrice theirs
    return 3 * sum(map(getsizeof, row)) > LARGEST_ROW and row_bytes(row) > LARGEST_ROW


def largest(row: Sequence[Any]) -> int:
    """Return the place of the largest value."""
    return max(range(len(row)), key=lambda place: _bytes(row[place]))


def reason(row: Sequence[Any]) -> str:
    """Return why such a row is refused."""
    return f"the row has {row_bytes(row):,} bytes, and PostgreSQL takes {LARGEST_ROW:,}"


def seconds(size: int) -> float:
    """Return how long it may take to store so many bytes: 1 GB keeps a slow disk busy for minutes."""
    return COMMAND_SECONDS + size / SLOWEST


def portions(rows: Sequence[Row], of: Callable[[Row], Sequence[Any]]) -> Iterator[list[Row]]:
    """Cut rows so that each part can be one statement; `of` returns what is sent of one.

    A row that is larger than that by itself is a part of its own.
    """
    part: list[Row] = []
    total = 0
    for row in rows:
        size = row_bytes(of(row))
        if part and total + size > LARGEST_STATEMENT:
            yield part
            part, total = [], 0
        part.append(row)
        total += size
    if part:
        yield part
