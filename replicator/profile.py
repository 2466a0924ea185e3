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
from .types import Affinity, Evidence, affinity
from .values import Value, mark_bad_text

CLASSES = ("integer", "real", "text", "blob")
_FACTS = len(CLASSES) + 2

#: Characters of a dissenting value that are kept for the output of `plan`.
SHOWN = 40

#: SQLite gives at most 2,000 result columns, and every column has several facts.
COLUMNS_AT_ONCE = 300

#: A page has fewer rows than this, so that three counts fit into one sum.
_NULLS = 1 << 20
_OTHERS = 1 << 40

#: Which class a column is taken to hold until a page shows another.
_LIKELY = {Affinity.INTEGER: "integer", Affinity.REAL: "real", Affinity.NUMERIC: "integer"}


class Profile:
    """The running count over one table, a page at a time."""

    def __init__(self, table: Table, key: Key, seconds: float, most: int = 0) -> None:
        """Take how long one read may be, and after how many rows to stop: 0 for none."""
        self.table = table
        self._key = key
        self._most = most
        self._firsts: list[dict[str, tuple[str, str]]] = [{} for _ in table.columns]
        self._paging: Paging = paging(table, key)
        self._pace = Pace(seconds, most=200_000)
        # of a subquery SQLite wants to know every collation, also one that only the application has
        names = [quote(c.name) for c in table.columns]
        self._columns = ", ".join(f"t.{name} COLLATE BINARY AS {name}" for name in names)
        self._counts = [[0] * _FACTS for _ in table.columns]
        self._likely = [_LIKELY.get(affinity(c.declared), "text") for c in table.columns]
        self._after: Cursor | None = None
        self._limit = 0
        self.rows = 0
        self.done = False

    def step(self, connection: sqlite3.Connection) -> None:
        """Count one page in a read transaction of its own."""
        begun = time.monotonic()
        limit = self._limit = min(self._pace.rows, self._most - self.rows) if self._most else self._pace.rows
        with reading(connection):
            inner, parameters = self._paging.page(self._columns, self._after, limit)
            rows = 0
            for start in range(0, len(self.table.columns), COLUMNS_AT_ONCE):
                some = range(start, min(start + COLUMNS_AT_ONCE, len(self.table.columns)))
                rows = self._count(connection, some, inner, parameters)
            if rows == limit:
                edge = self._paging.page(
                    ", ".join(f"t.{quote(c)}" for c in self._paging.columns), self._after, 1, limit - 1
                )
                connection.text_factory = mark_bad_text
                try:
                    self._after = tuple(connection.execute(*edge).fetchone())
                finally:
                    connection.text_factory = str
        self.rows += rows
        self.done = rows < limit or 0 < self._most <= self.rows
        self._pace.took(rows, time.monotonic() - begun)

    def _count(
        self, connection: sqlite3.Connection, places: range, inner: str, parameters: Sequence[Value]
    ) -> int:
        """Count some columns of a page, most of which hold one class only; return its rows."""
        some = [(self.table.columns[i], self._likely[i]) for i in places]
        rows, *facts = connection.execute(_glance(some, inner), parameters).fetchone()
        mixed = []
        for n, i in enumerate(places):
            told, beyond, longest = facts[3 * n : 3 * n + 3]
            if (told or 0) >= _OTHERS:
                mixed.append(i)
            else:
                found = [0] * _FACTS
                found[CLASSES.index(self._likely[i])] = (told or 0) % _NULLS
                self._add(i, [*found[: len(CLASSES)], beyond, longest])
        if mixed:
            self._count_all(connection, mixed, inner, parameters)
        return int(rows)

    def _count_all(
        self, connection: sqlite3.Connection, places: Sequence[int], inner: str, parameters: Sequence[Value]
    ) -> None:
        """Count every class in columns that hold more than the likely one."""
        query = _counting([self.table.columns[i] for i in places], inner)
        facts = connection.execute(query, parameters).fetchone()
        for n, i in enumerate(places):
            counted = facts[n * _FACTS : (n + 1) * _FACTS]
            self._add(i, counted)
            self._likely[i] = max(zip(counted, CLASSES, strict=False))[1]
            for kind, count in zip(CLASSES, counted, strict=False):
                if count and kind not in self._firsts[i]:
                    self._firsts[i][kind] = self._first(connection, i, kind)

    def _first(self, connection: sqlite3.Connection, place: int, kind: str) -> tuple[str, str]:
        """Return the key of the page's first value of a class in a column, and how it begins."""
        keys = [f"{quote(name)} COLLATE BINARY AS k{n}" for n, name in enumerate(self._key.columns)]
        value = f"{quote(self.table.columns[place].name)} COLLATE BINARY AS v"
        inner, parameters = self._paging.page(", ".join([*keys, value]), self._after, self._limit)
        told = [f"CASE typeof(k{n}) WHEN 'integer' THEN k{n} ELSE typeof(k{n}) END" for n in range(len(keys))]
        # as bytes: a text need not be valid UTF-8
        start = f"CAST(substr(v, 1, {SHOWN + 1}) AS BLOB)"
        query = f"SELECT {start}, {', '.join(told)} FROM ({inner}) WHERE typeof(v) = ? LIMIT 1"
        begin, *key = connection.execute(query, [*parameters, kind]).fetchone()
        shown = ", ".join(str(one) if isinstance(one, int) else f"<{one}>" for one in key)
        return shown, _excerpt(begin or b"", kind)

    def _add(self, place: int, facts: Sequence[int | None]) -> None:
        counts = self._counts[place]
        for j, fact in enumerate(facts):
            counts[j] = max(counts[j], fact or 0) if j == _FACTS - 1 else counts[j] + (fact or 0)

    def evidence(self) -> list[Evidence]:
        """Return what was counted, in the order of the table's columns."""
        return [
            Evidence(self.rows, dict(zip(CLASSES, c, strict=False)), c[len(CLASSES)], c[-1], firsts)
            for c, firsts in zip(self._counts, self._firsts, strict=True)
        ]


def _excerpt(begin: bytes, kind: str) -> str:
    if kind == "blob":
        return repr(begin[:SHOWN])
    text = begin.decode("utf-8", "replace")
    if kind != "text":
        return text
    return repr(text[:SHOWN]) + ("..." if len(text) > SHOWN else "")


def _glance(columns: Sequence[tuple[Column, str]], inner: str) -> str:
    """Return the query that counts, in one look at each value, whether a column holds its likely class only.

    Asking for each class by itself takes more than twice the time (measured).
    """
    facts = ["count(*)"]
    for column, likely in columns:
        name = quote(column.name)
        facts.append(
            f"sum(CASE typeof({name}) WHEN '{likely}' THEN 1 WHEN 'null' THEN {_NULLS} ELSE {_OTHERS} END)"
        )
        boolean = "BOOL" in column.declared.upper() and likely == "integer"
        facts.append(f"sum({name} NOT IN (0, 1))" if boolean else "0")
        facts.append(f"max(length({name}))" if likely in ("text", "blob") else "0")
    return f"SELECT {', '.join(facts)} FROM ({inner})"


def _counting(columns: Sequence[Column], inner: str) -> str:
    facts = []
    for column in columns:
        name = quote(column.name)
        facts += [f"sum(typeof({name}) = '{kind}')" for kind in CLASSES]
        boolean = "BOOL" in column.declared.upper()
        facts.append(f"sum(typeof({name}) = 'integer' AND {name} NOT IN (0, 1))" if boolean else "0")
        facts.append(f"max(length({name}))")
    return f"SELECT {', '.join(facts)} FROM ({inner})"


def estimate(connection: sqlite3.Connection, table: Table, key: Key) -> int:
    """Estimate the rows of a table without reading it, from the span of its rowids; an upper bound."""
    if table.rowid_name is None:
        return 0
    rowid = quote(table.rowid_name)
    name = quote(table.name)
    low, high = connection.execute(
        f"SELECT (SELECT min(t.{rowid}) FROM main.{name} AS t), (SELECT max(t.{rowid}) FROM main.{name} AS t)"
    ).fetchone()
    return 0 if high is None else max(0, high - low + 1)
