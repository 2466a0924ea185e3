"""What the columns of a table really hold, counted in short reads beside the application."""

from __future__ import annotations

import operator
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from replicator.sources.paging import Cursor, Pace, Paging, paging
from replicator.values.converter import Value, mark_bad_text
from triggers.connection import reading
from triggers.identifier import quote
from triggers.key import Key
from triggers.schema import Column, Table

from .types import Affinity, Evidence, affinity

CLASSES = ("integer", "real", "text", "blob")

#: Where the facts of a column are: behind the counts of its classes.
_BEYOND, _LONGEST, _LEAST, _GREATEST = range(len(CLASSES), len(CLASSES) + 4)
_FACTS = _GREATEST + 1

#: How a page's fact goes together with that of the pages before.
_TOGETHER: Mapping[int, Callable[..., Any]] = {_LONGEST: max, _LEAST: min, _GREATEST: max}

#: Characters of a dissenting value that are kept for the output of `plan`.
SHOWN = 40

#: SQLite gives at most 2,000 result columns, and every column has several facts.
COLUMNS_AT_ONCE = 240

#: Which class a column is taken to hold until a page shows another.
_LIKELY = {Affinity.INTEGER: "integer", Affinity.REAL: "real", Affinity.NUMERIC: "integer"}


@dataclass(frozen=True)
class Part:
    """Rows of a table behind a place, up to and with another; None for no bound."""

    after: Cursor | None = None
    upto: Cursor | None = None


class Profile:
    """The running count over one table, a page at a time."""

    def __init__(
        self, table: Table, key: Key, seconds: float, most: int = 0, part: Part | None = None
    ) -> None:
        """Take how long one read may be, after how many rows to stop (0: none), and which rows to look at."""
        self.table = table
        self._key = key
        self._most = most
        self._firsts: list[dict[str, tuple[str, str]]] = [{} for _ in table.columns]
        self._paging: Paging = paging(table, key)
        self._alias = table.rowid_alias
        self._by_rowid = table.rowid_alias is not None or table.rowid_name is not None
        self._pace = Pace(seconds, most=200_000)
        # of a subquery SQLite wants to know every collation, also one that only the application has
        names = [quote(c.name) for c in table.columns]
        self._columns = ", ".join(f"t.{name} COLLATE BINARY AS {name}" for name in names)
        self._counts: list[list[Any]] = [[0] * _LEAST + [None, None] for _ in table.columns]
        self._likely = [_LIKELY.get(affinity(c.declared), "text") for c in table.columns]
        self._after, self._upto = (part.after, part.upto) if part is not None else (None, None)
        self._limit = 0
        self.rows = 0
        self.done = False

    def step(self, connection: sqlite3.Connection) -> None:
        """Count one page in a read transaction of its own."""
        begun = time.monotonic()
        limit = self._limit = min(self._pace.rows, self._most - self.rows) if self._most else self._pace.rows
        with reading(connection):
            edge = self._edge(connection, limit)
            page, parameters = self._page(edge, limit)
            rows = 0
            for start in range(0, len(self.table.columns), COLUMNS_AT_ONCE):
                some = range(start, min(start + COLUMNS_AT_ONCE, len(self.table.columns)))
                rows = self._count(connection, some, page, parameters)
        self._after = edge or self._after
        self.rows += rows
        self.done = edge is None or 0 < self._most <= self.rows
        self._pace.took(rows, time.monotonic() - begun)

    def _edge(self, connection: sqlite3.Connection, limit: int) -> Cursor | None:
        """Return the place of a page's last row, None when the table ends before."""
        columns = ", ".join(f"t.{quote(c)}" for c in self._paging.columns)
        # a key need not be valid UTF-8
        connection.text_factory = mark_bad_text
        try:
            page = self._paging.page(columns, self._after, 1, limit - 1, upto=self._upto)
            found = connection.execute(*page).fetchone()
        finally:
            connection.text_factory = str
        return tuple(found) if found is not None else None

    def _page(self, edge: Cursor | None, limit: int) -> tuple[str, list[Value]]:
        """Return what follows FROM for the rows of a page, as `t`."""
        if self._by_rowid:
            # a subquery would have every row copied: a quarter of the time (measured)
            return self._paging.within(self._after, edge or self._upto)
        inner, parameters = self._paging.page(self._columns, self._after, limit)
        return f"({inner}) AS t", parameters

    def _count(
        self, connection: sqlite3.Connection, places: range, page: str, parameters: Sequence[Value]
    ) -> int:
        """Count some columns of a page, most of which hold one class only; return its rows."""
        known = [i for i in places if self._is_mixed(i)]
        some = [i for i in places if i not in known]
        query = _glance([(self.table.columns[i], self._likely[i]) for i in some], self._alias, page)
        # the greatest of a page may be a text among numbers, which need not be valid UTF-8
        connection.text_factory = bytes
        try:
            rows, others, *facts = connection.execute(query, parameters).fetchone()
        finally:
            connection.text_factory = str
        if others:
            # of which column the page does not tell
            known, some = list(places), []
        for n, i in enumerate(some):
            present, *reach = facts[4 * n : 4 * n + 4]
            found = [0] * len(CLASSES)
            found[CLASSES.index(self._likely[i])] = rows if present is None else present
            self._add(i, [*found, 0, *reach])
        if known:
            self._count_all(connection, known, page, parameters)
        return int(rows)

    def _is_mixed(self, place: int) -> bool:
        """Tell whether a column has shown values that are not its likely ones."""
        counts = self._counts[place]
        return bool(sum(count > 0 for count in counts[: len(CLASSES)]) > 1 or counts[_BEYOND] > 0)

    def _count_all(
        self, connection: sqlite3.Connection, places: Sequence[int], page: str, parameters: Sequence[Value]
    ) -> None:
        """Count every class in columns that hold more than the likely one."""
        query = _counting([self.table.columns[i] for i in places], page)
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

    def _add(self, place: int, facts: Sequence[Any]) -> None:
        counts = self._counts[place]
        for j, fact in enumerate(facts):
            if fact is not None:
                together: Callable[..., Any] = _TOGETHER.get(j, operator.add)
                counts[j] = fact if counts[j] is None else together(counts[j], fact)

    def evidence(self) -> list[Evidence]:
        """Return what was counted, in the order of the table's columns."""
        return [
            Evidence(self.rows, dict(zip(CLASSES, c, strict=False)), *_reach(c), firsts)
            for c, firsts in zip(self._counts, self._firsts, strict=True)
        ]


def _reach(counts: Sequence[Any]) -> tuple[int, int, int | float | None, int | float | None]:
    return counts[_BEYOND], counts[_LONGEST], counts[_LEAST], counts[_GREATEST]


def _excerpt(begin: bytes, kind: str) -> str:
    if kind == "blob":
        return repr(begin[:SHOWN])
    text = begin.decode("utf-8", "replace")
    if kind != "text":
        return text
    return repr(text[:SHOWN]) + ("..." if len(text) > SHOWN else "")


def _glance(columns: Sequence[tuple[Column, str]], alias: Column | None, page: str) -> str:
    """Return the query that tells whether all values of some columns are of their likely class or NULL.

    One question for a whole row takes half the time of one for each of six columns (measured). What need not
    be asked is not: a rowid is an integer, and where NULL is refused one would be no likely value.
    """
    named = [(f"t.{quote(column.name)}", column, likely) for column, likely in columns]
    alike = [_alike(name, column, likely) for name, column, likely in named if column != alias]
    facts = ["count(*)", f"count(CASE WHEN NOT ({' AND '.join(alike)}) THEN 1 END)" if alike else "0"]
    for name, column, likely in named:
        facts.append("NULL" if column.not_null or column == alias else f"count({name})")
        # the length of bytes stands beside them, the characters of a text must be counted
        facts.append(f"max(length(CAST({name} AS BLOB)))" if likely in ("text", "blob") else "NULL")
        # the column's collation may be one that only the application has
        number = f"{name} COLLATE BINARY" if likely in ("integer", "real") else "NULL"
        facts += [f"min({number})", f"max({number})"]
    return f"SELECT {', '.join(facts)} FROM {page}"


def _alike(name: str, column: Column, likely: str) -> str:
    """Return the condition of a likely value: of what is declared a boolean 0 and 1 are."""
    is_likely = f"typeof({name}) = '{likely}'"
    if _boolean(column) and likely == "integer":
        # the column's collation may be one that only the application has
        is_likely += f" AND {name} COLLATE BINARY IN (0, 1)"
    return f"({is_likely})" if column.not_null else f"({name} IS NULL OR {is_likely})"


def _counting(columns: Sequence[Column], page: str) -> str:
    facts = []
    for column in columns:
        name = f"t.{quote(column.name)}"
        facts += [f"sum(typeof({name}) = '{kind}')" for kind in CLASSES]
        facts.append(_beyond(name) if _boolean(column) else "0")
        facts.append(f"max(length(CAST({name} AS BLOB)))")
        number = f"CASE WHEN typeof({name}) IN ('integer', 'real') THEN {name} COLLATE BINARY END"
        facts += [f"min({number})", f"max({number})"]
    return f"SELECT {', '.join(facts)} FROM {page}"


def _boolean(column: Column) -> bool:
    return "BOOL" in column.declared.upper()


def _beyond(name: str) -> str:
    # the column's collation may be one that only the application has
    return f"sum(typeof({name}) = 'integer' AND {name} COLLATE BINARY NOT IN (0, 1))"


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
