"""How long the first copy of a source will take, from a short measured sample."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from triggers.identifier import quote
from triggers.schema import Table

#: Rows and seconds of the sample, over all tables together.
SAMPLE_ROWS = 2_000
SAMPLE_SECONDS = 0.5

#: How much longer a copy takes than the bare reading of its rows, on two cores and a near server (measured:
#: 3 to 4), and where the server is slower, far away or at work on something else.
NEAR = 3.0
FAR = 15.0

#: Rows of a table that has no rowid to estimate them by: as many as fit, of this size.
ROW_BYTES = 100


@dataclass(frozen=True)
class Sample:
    """What reading a few rows of each table took."""

    rows: int
    seconds: float
    #: Bytes of the values, as Python counts text and blobs.
    bytes: int


def sample(connection: sqlite3.Connection, tables: Sequence[Table], seconds: float) -> Sample:
    """Read the first rows of tables, each in a read that ends after `seconds` at the latest."""
    begun = time.monotonic()
    rows = size = 0
    spent = 0.0
    for table in tables:
        if rows >= SAMPLE_ROWS or time.monotonic() - begun > SAMPLE_SECONDS:
            break
        started = time.monotonic()
        found: list[tuple[object, ...]]
        # ended by the number of rows, and by the time: a row may be megabytes long
        asked = f"SELECT * FROM main.{quote(table.name)} LIMIT {SAMPLE_ROWS - rows}"
        # text that is no UTF-8, an expression that fails: it is told elsewhere
        with contextlib.suppress(sqlite3.Error), closing(connection.execute(asked)) as cursor:
            while found := cursor.fetchmany(50):
                rows += len(found)
                size += sum(map(_size, found))
                if time.monotonic() - started > seconds:
                    break
        spent += time.monotonic() - started
    return Sample(rows, spent, size)


def _size(row: tuple[object, ...]) -> int:
    return sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)


def duration(rows: int, file_bytes: int, one: Sample) -> tuple[float, float] | None:
    """Return the least and the most seconds that a copy may take; None where the sample had no rows; pure.

    `rows` is an upper bound from the rowids; the file's size bounds it once more.
    """
    if not one.rows:
        return None
    fit = max(one.rows, int(file_bytes / max(one.bytes / one.rows, 1.0)))
    read = min(rows or fit, fit) * one.seconds / one.rows
    return read * NEAR, read * FAR


def spoken(seconds: float) -> str:
    """Return a duration as one says it: `seconds`, `4 minutes`, `3 hours`; pure."""
    if seconds < 10:
        return "seconds"
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}s"
    return f"{seconds:.0f} seconds"
