"""What the columns of a table really hold, counted in short reads beside the application."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from triggers.connection import reading
from triggers.identifier import quote
from triggers.key import Key
from triggers.schema import Column, Table

from .paging import Cursor, Pace, Paging, paging
from .types import Evidence

CLASSES = ("integer", "real", "text", "blob")
_FACTS = len(CLASSES) + 2

#: SQLite gives at most 2,000 result columns, and every column has several facts.
COLUMNS_AT_ONCE = 300


class Profile:
    """The running count over one table, a page at a time."""

    def __init__(self, table: Table, key: Key, seconds: float) -> None:
        self.table = table
        self._paging: Paging = paging(table, key)
        self._pace = Pace(seconds, most=200_000)
        self._counts = [[0] * _FACTS for _ in table.columns]
        self._after: Cursor | None = None
        self.rows = 0
        self.done = False

    def step(self, connection: sqlite3.Connection) -> None:
        """Count one page in a read transaction of its own."""
        begun = time.monotonic()
        limit = self._pace.rows
        with reading(connection):
            inner, parameters = self._paging.page("*", self._after, limit)
            if any(c.hidden for c in self.table.columns):
                # `*` leaves no generated column out, only the hidden ones of virtual tables.
                columns = ", ".join(quote(c.name) for c in self.table.columns)
                inner, parameters = self._paging.page(columns, self._after, limit)
            facts: list[int | None] = []
            for start in range(0, len(self.table.columns), COLUMNS_AT_ONCE):
                some = self.table.columns[start : start + COLUMNS_AT_ONCE]
                row = connection.execute(_counting(some, inner), parameters).fetchone()
                rows = int(row[0])
                facts += row[1:]
            if rows == limit:
                edge = self._paging.page(
                    ", ".join(map(quote, self._paging.columns)), self._after, 1, limit - 1
                )
                self._after = tuple(connection.execute(*edge).fetchone())
        self._add(rows, facts)
        self.done = rows < limit
        self._pace.took(rows, time.monotonic() - begun)

    def _add(self, rows: int, facts: Sequence[int | None]) -> None:
        self.rows += rows
        for i, counts in enumerate(self._counts):
            for j, fact in enumerate(facts[i * _FACTS : (i + 1) * _FACTS]):
                counts[j] = max(counts[j], fact or 0) if j == _FACTS - 1 else counts[j] + (fact or 0)

    def evidence(self) -> list[Evidence]:
        """Return what was counted, in the order of the table's columns."""
        return [
            Evidence(self.rows, dict(zip(CLASSES, c, strict=False)), c[len(CLASSES)], c[-1])
            for c in self._counts
        ]


def _counting(columns: Sequence[Column], inner: str) -> str:
    facts = ["count(*)"]
    for column in columns:
        name = quote(column.name)
        facts += [f"sum(typeof({name}) = '{kind}')" for kind in CLASSES]
        boolean = "BOOL" in column.declared.upper()
        facts.append(f"sum(typeof({name}) = 'integer' AND {name} NOT IN (0, 1))" if boolean else "0")
        facts.append(f"max(length({name}))" if "INT" not in column.declared.upper() else "0")
    return f"SELECT {', '.join(facts)} FROM ({inner})"


def estimate(connection: sqlite3.Connection, table: Table, key: Key) -> int:
    """Estimate the rows of a table without reading it, from the span of its rowids; an upper bound."""
    if table.rowid_name is None:
        return 0
    rowid = quote(table.rowid_name)
    name = quote(table.name)
    low, high = connection.execute(
        f"SELECT (SELECT min({rowid}) FROM main.{name}), (SELECT max({rowid}) FROM main.{name})"
    ).fetchone()
    return 0 if high is None else max(0, high - low + 1)
