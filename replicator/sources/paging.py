"""Walking a table of the source in the order of its storage, in short reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.values.converter import BadText, Value
from triggers.identifier import quote

if TYPE_CHECKING:
    from triggers.key import Key
    from triggers.schema import Table

Cursor = tuple[Value | BadText, ...]


@dataclass(frozen=True)
class Paging:
    """The order in which a table is read: by rowid where there is one, by its key where not.

    The rowid is the cheapest walk, and needs no care for collations. A row whose rowid changes meanwhile
    may be read twice or not at all; the change log holds its key either way.
    """

    table: str
    columns: tuple[str, ...]
    collations: tuple[str, ...]
    descending: tuple[bool, ...]

    @property
    def terms(self) -> list[str]:
        """Return the ordering terms, each with the collation of the index to walk."""
        return [
            f"t.{quote(c)}" + (f" COLLATE {quote(k)}" if k else "")
            for c, k in zip(self.columns, self.collations, strict=True)
        ]

    def page(
        self,
        select: str,
        after: Cursor | None,
        limit: int,
        offset: int = 0,
        upto: Cursor | None = None,
    ) -> tuple[str, list[Value]]:
        """Return the query and parameters that read the next rows after a cursor.

        `select` names the columns as those of `t`: SQLite takes a quoted word that names no column, because
        the application has just dropped it, for a text.

        `upto` is the last place to read, for a walk along one column.
        """
        order = ", ".join(
            t + (" DESC" if d else "") for t, d in zip(self.terms, self.descending, strict=True)
        )
        head, tail = f"SELECT {select} FROM main.{quote(self.table)} AS t", f"ORDER BY {order} LIMIT ?"
        if after is None or len(after) == 1:
            conditions, parameters = self._between(after, upto)
            where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
            return f"{head}{where} {tail} OFFSET ?", [*parameters, limit, offset]
        parts: list[str] = []
        parameters = []
        for depth in reversed(range(len(after))):
            where, values = self._behind(after, depth)
            parts.append(f"SELECT * FROM ({head} WHERE {where} {tail})")
            parameters += [*values, limit + offset]
        return " UNION ALL ".join(parts) + " LIMIT ? OFFSET ?", [*parameters, limit, offset]

    def within(self, after: Cursor | None, upto: Cursor | None) -> tuple[str, list[Value]]:
        """Return what follows FROM for rows behind a cursor, up to a place, of a walk along one column."""
        conditions, parameters = self._between(after, upto)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"main.{quote(self.table)} AS t{where}", parameters

    def _between(self, after: Cursor | None, upto: Cursor | None) -> tuple[list[str], list[Value]]:
        conditions: list[str] = []
        parameters: list[Value] = []
        if after is not None:
            where, parameters = self._behind(after, 0)
            conditions.append(where)
        if upto is not None:
            sign = ">=" if self.descending[0] else "<="
            conditions.append(f"{self.terms[0]} {sign} {placeholder(upto[0])}")
            parameters += map(bindable, upto)
        return conditions, parameters

    def _behind(self, after: Cursor, depth: int) -> tuple[str, list[Value]]:
        # The rows that share the cursor's first `depth` terms and come behind it in the next one. All depths
        # in one condition would read the whole group of the first term up to the cursor, again for each
        # page: hours, where the first column of a key is a tenant. Row values would say it shorter, but do
        # not seek under an explicit collation nor with mixed directions.
        equal = [f"{t} = {placeholder(v)}" for t, v in zip(self.terms[:depth], after, strict=False)]
        sign = "<" if self.descending[depth] else ">"
        last = f"{self.terms[depth]} {sign} {placeholder(after[depth])}"
        return " AND ".join([*equal, last]), list(map(bindable, after[: depth + 1]))


def placeholder(value: Value | BadText) -> str:
    """Return what stands in a statement for a value: the driver binds no text that is not UTF-8."""
    # the plus takes the affinity away that the cast brings along, and by which numbers would compare as texts
    return "+CAST(? AS TEXT)" if isinstance(value, BadText) else "?"


def bindable(value: Value | BadText) -> Value:
    """Return what the driver binds for a value of the source."""
    return value.raw if isinstance(value, BadText) else value


def paging(table: Table, key: Key) -> Paging:
    """Choose the order in which to walk a table."""
    # an INTEGER PRIMARY KEY is the rowid, and is read anyway
    rowid = table.rowid_alias.name if table.rowid_alias is not None else table.rowid_name
    if rowid is not None:
        return Paging(table.name, (rowid,), ("",), (False,))
    collations = key.collations or ("",) * len(key.columns)
    return Paging(table.name, key.columns, collations, key.descending or (False,) * len(key.columns))


def encode(cursor: Sequence[Value | BadText]) -> str:
    """Return a cursor as text that keeps every storage class, for the progress kept on the target."""
    tagged: list[list[str | None]] = []
    for value in cursor:
        if isinstance(value, BadText):
            tagged.append(["text that is not UTF-8", value.raw.hex()])
        elif isinstance(value, bytes):
            tagged.append(["blob", value.hex()])
        elif isinstance(value, float):
            tagged.append(["real", value.hex()])
        elif isinstance(value, int):
            tagged.append(["integer", str(value)])
        else:
            tagged.append(["text", value])
    return json.dumps(tagged)


def decode(text: str) -> Cursor:
    """Return the cursor that `encode` made a text of."""
    readers: dict[str, Callable[[str], Value | BadText]]
    readers = {"blob": bytes.fromhex, "real": float.fromhex, "integer": int, "text": str}
    readers["text that is not UTF-8"] = lambda told: BadText(bytes.fromhex(told))
    return tuple(readers[kind](value) for kind, value in json.loads(text))


class Pace:
    """How many rows to read at once, so that one read takes about the time wanted."""

    def __init__(self, seconds: float, *, rows: int = 200, most: int = 50_000) -> None:
        self.seconds = seconds
        self.rows = rows
        self._most = most

    def took(self, rows: int, seconds: float) -> None:
        """Adjust to a read of `rows` rows that took `seconds`; never more than fourfold at once."""
        if rows < self.rows:
            return
        wanted = self.rows * self.seconds / max(seconds, 1e-6)
        self.rows = int(max(10, self.rows / 4, min(wanted, self.rows * 4, self._most)))

    def bound(self, row_bytes: int, budget: int) -> None:
        """Keep one read of rows of that size below `budget` bytes."""
        self._most = max(1, min(self._most, budget // max(1, row_bytes)))
        self.rows = min(self.rows, self._most)
