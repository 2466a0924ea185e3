"""Whether every row of a source is on the target or in quarantine, value for value, and nothing else is.

It shares no code with the product: what a type holds is said here once more, and what the quarantine keeps is
read from its own JSON. Of the product's plan only the names are taken.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from decimal import Context, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

from tests.compare import quote

if TYPE_CHECKING:
    from replicator.planning.plan import TablePlan

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

#: A value with its storage class, comparable and in one spelling.
Token: TypeAlias = tuple[str, Any]
Tokens: TypeAlias = tuple[Token, ...]

BAD_TEXT = "text that is not UTF-8"
#: The quarantine tells only the length of what is longer.
LONGEST_KEPT = 1 << 20
UNTOLD = "long; see the source"
#: PostgreSQL's index refuses keys of about a third of a page; below this none can be refused.
SAFE_IN_INDEX = 1_000
INTEGERS = {"smallint": 1 << 15, "integer": 1 << 31, "bigint": 1 << 63}
DIGITS = Context(prec=4_000)
SHOWN = 3


class NotHeld(ValueError):
    """A type cannot hold a value."""


class _BadText(bytes):
    """A text that is not UTF-8."""


@dataclass(frozen=True)
class Kept:
    """A row in quarantine: all columns by name, and what is said of it."""

    row: Mapping[str, Token]
    column: str
    reason: str


@dataclass(frozen=True)
class Sides:
    """One table as both sides have it."""

    name: str
    #: The columns' names in the source, and their types on the target.
    types: Mapping[str, str]
    source: Counter[Tokens]
    target: Counter[Tokens]
    quarantine: tuple[Kept, ...]

    def faults(self) -> list[str]:
        """Return what is neither equal nor in quarantine, or there without need."""
        kept = Counter(tuple(one.row[name] for name in self.types) for one in self.quarantine)
        wanted: Counter[Tokens] = Counter()
        for row, times in self.source.items():
            quarantined = min(times, kept[brief(row)])
            kept[brief(row)] -= quarantined
            wanted[self._held(row)] += times - quarantined
        needless = Counter(tuple(one.row.values()) for one in self.quarantine if not self._needed(one))
        return [
            *_told(self.name, "in quarantine, but not so in the source", +kept),
            *_told(self.name, "in quarantine without need", needless),
            *_told(self.name, "neither on the target nor in quarantine", wanted - self.target),
            *_told(self.name, "on the target, but not in the source", self.target - wanted),
        ]

    def _held(self, row: Tokens) -> Tokens:
        return tuple(_held_or_not(token, kind) for token, kind in zip(row, self.types.values(), strict=True))

    def _needed(self, one: Kept) -> bool:
        if any(_held_or_not(one.row[name], kind)[0] == "not held" for name, kind in self.types.items()):
            return True
        if any(str(value).endswith(UNTOLD) for _, value in one.row.values()):
            return True
        # PostgreSQL alone knows what is too long for an index
        return not one.column and any(
            isinstance(value, str) and len(value) > SAFE_IN_INDEX for _, value in one.row.values()
        )


async def both_sides(path: Path, url: str, plans: Iterable[TablePlan]) -> list[Sides]:
    """Read every table of the source, and what is on the target and in quarantine of it."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=20)) as source:
        source.text_factory = _text
        source.execute("BEGIN")
        target = await asyncpg.connect(url)
        try:
            async with target.transaction(isolation="repeatable_read", readonly=True):
                return [await _sides(source, target, plan) for plan in plans]
        finally:
            await target.close()


async def _sides(source: sqlite3.Connection, target: Connection, plan: TablePlan) -> Sides:
    listed = source.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1", (plan.name,))
    names = [name for (name,) in listed]
    targets = {c.source: c.target for c in plan.columns}
    kinds = await target.fetch(
        "SELECT attname, format_type(atttypid, NULL) AS type FROM pg_attribute "
        "WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped",
        plan.qualified,
    )
    by_name = {row["attname"]: row["type"] for row in kinds}
    types = {name: by_name[targets[name]] for name in names}
    columns = ", ".join(quote(name) for name in names)
    here = Counter(
        tuple(map(exact, row)) for row in source.execute(f"SELECT {columns} FROM main.{quote(plan.name)}")
    )
    columns = ", ".join(quote(targets[name]) for name in names)
    rows = await target.fetch(f"SELECT {columns} FROM {plan.qualified}")
    there = Counter(tuple(map(_arrived, row)) for row in rows)
    return Sides(plan.name, types, here, there, tuple(await kept_rows(target, plan.name)))


async def kept_rows(target: Connection, table: str) -> list[Kept]:
    """Return the rows of a table that are in quarantine."""
    rows = await target.fetch(
        "SELECT q.row::text AS row, column_name, reason FROM liteferry.quarantine AS q "
        "JOIN liteferry.progress USING (source_id, table_id) WHERE name = $1",
        table,
    )
    return [
        Kept({n: _remembered(*v) for n, v in json.loads(r["row"]).items()}, r["column_name"], r["reason"])
        for r in rows
    ]


def missing_tables(path: Path, plans: Collection[TablePlan]) -> list[str]:
    """Return the tables of the source that no plan is for, and plans that would share a table."""
    with closing(sqlite3.connect(path)) as source:
        listed = source.execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
        names = {n for (n,) in listed if not n.lower().startswith(("sqlite_", "_liteferry"))}
    found = [f"table {name!r} is not brought over" for name in names - {p.name for p in plans}]
    shared = Counter(p.qualified for p in plans)
    return found + [f"{name} is the target of several tables" for name, times in shared.items() if times > 1]


def _text(raw: bytes) -> str | _BadText:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return _BadText(raw)


def exact(value: object) -> Token:
    """Return a value of the source with its storage class."""
    if isinstance(value, _BadText):
        return BAD_TEXT, value.hex()
    if isinstance(value, bytes):
        return "blob", value.hex()
    if isinstance(value, float):
        return "real", repr(value)
    if value is None:
        return "null", None
    return ("text" if isinstance(value, str) else "integer"), value


def brief(row: Tokens) -> Tokens:
    """Return a row as the quarantine tells it: of a very long value the length."""
    return tuple((kind, _length(kind, value)) for kind, value in row)


def _length(kind: str, value: Any) -> Any:
    if kind not in ("text", "blob"):
        return value
    size = len(value) // 2 if kind == "blob" else len(value)
    return f"{size} {UNTOLD}" if size > LONGEST_KEPT else value


def _remembered(kind: str, value: Any) -> Token:
    if kind == "text with NUL, in hex":
        return "text", bytes.fromhex(value).decode()
    return kind, value


def _held_or_not(token: Token, pg_type: str) -> Token:
    try:
        return held(token, pg_type)
    except NotHeld:
        return "not held", token


def held(token: Token, pg_type: str) -> Token:
    """Return what a type holds of a value, which is all of it. Raises NotHeld."""
    kind, value = token
    if kind == "null":
        return token
    if pg_type in INTEGERS and kind == "integer" and -INTEGERS[pg_type] <= value < INTEGERS[pg_type]:
        return token
    if pg_type == "boolean" and kind == "integer" and value in (0, 1):
        return token
    if pg_type == "double precision" and kind in ("integer", "real"):
        return _double(kind, value)
    if pg_type == "numeric" and kind in ("integer", "real"):
        return _numeric(kind, value)
    if (pg_type, kind) == ("bytea", "blob") or (pg_type, kind) == ("text", "text") and "\x00" not in value:
        return token
    raise NotHeld


def _double(kind: str, value: Any) -> Token:
    if kind == "real":
        return "real", value
    if int(float(value)) != value:
        raise NotHeld
    return "real", repr(float(value))


def _numeric(kind: str, value: Any) -> Token:
    if value == "-0.0":
        raise NotHeld
    if kind == "real" and abs(float(value)) < 2.0**63 and float(value).is_integer():
        # equal to an integer, for SQLite as well: all of its digits
        return "numeric", _digits(Decimal(int(float(value))))
    return "numeric", _digits(Decimal(value))


def _digits(value: Decimal) -> str:
    return "0" if value.is_zero() else str(value.normalize(DIGITS))


def _arrived(value: object) -> Token:
    if isinstance(value, Decimal):
        return "numeric", _digits(value)
    return exact(int(value) if isinstance(value, bool) else value)


def _told(table: str, what: str, rows: Counter[Tokens]) -> list[str]:
    shown = [f"table {table!r}: {what}: {row!r:.400}" for row in list(rows.elements())[:SHOWN]]
    more = rows.total() - len(shown)
    return shown + ([f"table {table!r}: {what}: {more} more rows"] if more else [])
