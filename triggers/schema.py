"""The structure of a source as SQLite reports it."""

from __future__ import annotations

import fnmatch
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from sqlite_utils import Database
from sqlite_utils.db import Table as UtilsTable

from .identifier import fold, is_ours, quote


@dataclass(frozen=True)
class Column:
    """One column; `hidden` is 0 for a plain one, 2 for a virtual and 3 for a stored generated one."""

    name: str
    declared: str
    not_null: bool
    default: str | None
    pk: int
    hidden: int = 0

    @property
    def generated(self) -> bool:
        """Tell whether SQLite computes the value."""
        return self.hidden in (2, 3)


@dataclass(frozen=True)
class IndexColumn:
    """One term of an index; `name` is None for an expression."""

    name: str | None
    collation: str
    descending: bool = False


@dataclass(frozen=True)
class Index:
    """An index; `origin` is c (CREATE INDEX), u (UNIQUE) or pk, `sql` None for the latter two."""

    name: str
    unique: bool
    origin: str
    partial: bool
    columns: tuple[IndexColumn, ...]
    sql: str | None = None

    @property
    def plain_columns(self) -> tuple[str, ...] | None:
        """Return the column names, or None when a term is an expression."""
        names = tuple(c.name for c in self.columns if c.name is not None)
        return names if len(names) == len(self.columns) else None


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of a table, composite or not."""

    columns: tuple[str, ...]
    other_table: str
    other_columns: tuple[str, ...]
    on_delete: str
    on_update: str


@dataclass(frozen=True)
class Table:
    """An ordinary table of the source."""

    name: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    without_rowid: bool = False
    strict: bool = False
    autoincrement: bool = False
    sql: str = field(default="", compare=False)

    def column(self, name: str) -> Column:
        """Return the column of that name; SQLite folds ASCII case. Raises KeyError."""
        return self._by_name[fold(name)]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {fold(column.name): column for column in self.columns}

    @property
    def primary_key(self) -> tuple[Column, ...]:
        """Return the declared primary key's columns in key order."""
        return tuple(sorted((c for c in self.columns if c.pk), key=lambda c: c.pk))

    @property
    def rowid_alias(self) -> Column | None:
        """Return the INTEGER PRIMARY KEY column that is the rowid, if there is one.

        Only the exact type INTEGER makes an alias, and a primary key with an index of its own is none
        (INT, and DESC inside the column definition).
        """
        key = self.primary_key
        if self.without_rowid or len(key) != 1 or key[0].declared.upper() != "INTEGER":
            return None
        return None if any(index.origin == "pk" for index in self.indexes) else key[0]

    @property
    def rowid_name(self) -> str | None:
        """Return a name that still reads the rowid: real columns may shadow all three of them."""
        if self.without_rowid:
            return None
        taken = {c.name.lower() for c in self.columns}
        return next((n for n in ("rowid", "oid", "_rowid_") if n not in taken), None)


@dataclass(frozen=True)
class Skipped:
    """Something in the source that is not replicated, and why."""

    name: str
    kind: str
    reason: str


def tables(connection: sqlite3.Connection, exclude: Iterable[str] = ()) -> tuple[list[Table], list[Skipped]]:
    """Read the tables to replicate, in name order, and what is left out with the reason."""
    database = Database(connection, execute_plugins=False, recursive_triggers=False)
    found: list[Table] = []
    skipped: list[Skipped] = []
    for name, kind, without_rowid, strict in _listing(connection):
        reason = _reason_to_skip(name, kind, exclude)
        if reason:
            skipped.append(Skipped(name, kind, reason))
        else:
            found.append(_table(database, name, bool(without_rowid), bool(strict)))
    return found, skipped


def _listing(connection: sqlite3.Connection) -> list[tuple[str, str, int, int]]:
    rows = connection.execute("PRAGMA main.table_list").fetchall()
    listed = [(r[1], r[2], r[4], r[5]) for r in rows if r[0] == "main"]
    return sorted(r for r in listed if not r[0].lower().startswith("sqlite_") and not is_ours(r[0]))


def _reason_to_skip(name: str, kind: str, exclude: Iterable[str]) -> str:
    pattern = next((p for p in exclude if fnmatch.fnmatchcase(name, p)), None)
    if kind == "virtual":
        return "virtual tables take no triggers"
    if kind == "shadow":
        return "the storage of a virtual table"
    if kind == "view" and pattern is None:
        return "a view holds no rows of its own"
    return f"excluded by the pattern {pattern!r}" if pattern else ""


def _table(database: Database, name: str, without_rowid: bool, strict: bool) -> Table:
    table = database.table(name)
    sql = table.schema
    return Table(
        name=name,
        columns=_columns(database, name),
        indexes=_indexes(database, table),
        foreign_keys=tuple(
            ForeignKey(
                tuple(k.columns),
                k.other_table,
                tuple(c for c in k.other_columns if c is not None),
                k.on_delete,
                k.on_update,
            )
            for k in table.foreign_keys
        ),
        without_rowid=without_rowid,
        strict=strict,
        autoincrement="autoincrement" in sql.lower() and _has_sequence(database),
        sql=sql,
    )


def _columns(database: Database, name: str) -> tuple[Column, ...]:
    # table_info, which sqlite-utils reads, hides generated columns; table_xinfo does not.
    rows = database.execute(f"PRAGMA table_xinfo({quote(name)})").fetchall()
    return tuple(
        Column(row[1], row[2] or "", bool(row[3]), row[4], row[5], row[6]) for row in rows if row[6] != 1
    )


def _indexes(database: Database, table: UtilsTable) -> tuple[Index, ...]:
    listed = {row[1]: row for row in database.execute(f"PRAGMA index_list({quote(table.name)})").fetchall()}
    texts = dict(
        database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", (table.name,)
        ).fetchall()
    )
    indexes = []
    for x in table.xindexes:
        _, _, unique, origin, partial = listed[x.name][:5]
        terms = tuple(IndexColumn(c.name, c.coll, bool(c.desc)) for c in x.columns if c.key)
        indexes.append(Index(x.name, bool(unique), origin, bool(partial), terms, texts.get(x.name)))
    return tuple(sorted(indexes, key=lambda index: index.name))


def _has_sequence(database: Database) -> bool:
    row = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone()
    return row is not None
