"""Rows written into a fenced source: found, deleted, inserted and read again by their keys.

All of it happens inside one write transaction that notes first that rows are returning, which lets it pass
the fence, and takes the note back at its end. The capture triggers fire and log what is written: harmless.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from config.errors import SchemaChanged, SourceError

from . import changelog, fence
from .changelog import Place
from .connection import commit, lock, make_durable
from .identifier import PREFIX, quote
from .key import Key
from .schema import Table
from .statements import load

SQL = load("triggers", "changelog.sql")

Row: TypeAlias = tuple[Any, ...]

#: Rows of which one is looked at for the spelling of a column.
SAMPLED = 200

#: Pages of a WAL after which a commit of ours writes them back: behind the fence nobody else does any more.
CHECKPOINT_PAGES = 1_000

#: How long a commit waits for readers, in seconds.
COMMIT_SECONDS = 2.0

#: What SQLite says when a row does not fit the table; anything else is wrong with the file or the library.
REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, UnicodeError)


class RawText(bytes):
    """A text that is to be written byte by byte, for it is not UTF-8."""


def prepare(connection: sqlite3.Connection) -> None:
    """Set up a writing connection: what it commits lasts, and nothing but the tables' own rules is applied.

    Foreign keys are not enforced: they were on the other side, and cascades have done their work there.
    """
    make_durable(connection)
    for pragma in ("foreign_keys", "recursive_triggers", "ignore_check_constraints"):
        connection.execute(f"PRAGMA {pragma} = OFF")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")


def begin(connection: sqlite3.Connection, budget: float, accepted: int | None = None) -> None:
    """Begin a write transaction that passes the fence.

    Raises SourceBusy; SchemaChanged where the schema is neither as the fence left it nor of the version that
    is `accepted`; SourceError for a source without a fence, whose application may be writing.
    """
    lock(connection, budget)
    if not fence.is_fenced(connection):
        raise SourceError(
            "the fence of the source is gone: it may take writes beside PostgreSQL",
            hint="see that nobody writes to the SQLite file; nothing is brought back to it any more",
        )
    refuse_changed(connection, accepted)
    if not fence.is_unchanged(connection):
        fence.note_version(connection)
    connection.execute(SQL["write_meta"], {"name": fence.RETURNING, "value": "now"})


def refuse_changed(connection: sqlite3.Connection, accepted: int | None) -> None:
    """Raise SchemaChanged where the schema is neither as the fence left it nor of an accepted version."""
    if fence.is_unchanged(connection):
        return
    if connection.execute("PRAGMA main.schema_version").fetchone()[0] != accepted:
        raise SchemaChanged("the source's schema was changed since the cutover, or its file vacuumed")


def end(connection: sqlite3.Connection) -> Place:
    """Take the note back; return the end of the log, all of which is ours. The caller commits."""
    connection.execute(SQL["delete_meta"], {"name": fence.RETURNING})
    return changelog.place(connection, changelog.head(connection))


@contextmanager
def returning(connection: sqlite3.Connection, budget: float, accepted: int | None = None) -> Iterator[None]:
    """Hold a transaction as `begin` begins it; commit at the end, roll back on an error."""
    try:
        begin(connection, budget, accepted)
        yield
        commit(connection, COMMIT_SECONDS)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@dataclass(frozen=True)
class Shape:
    """A table as its rows are written; `columns` are those of a row, with a rowid that is the key."""

    table: Table
    key: Key
    columns: tuple[str, ...]

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Return the places of the key in a row."""
        return tuple(self.columns.index(c) for c in self.key.columns)

    @cached_property
    def written(self) -> tuple[int, ...]:
        """Return the places of the columns that are written: SQLite computes the others."""
        computed = {c.name for c in self.table.columns if c.generated}
        return tuple(i for i, c in enumerate(self.columns) if c not in computed)

    @cached_property
    def kept(self) -> tuple[str, ...]:
        """Return the columns that never went to the other side: a row keeps them while it is replaced."""
        return tuple(c.name for c in self.table.columns if not c.generated and c.name not in self.columns)

    @cached_property
    def rowid(self) -> str | None:
        """Return the name of a rowid that is not among the columns: a row keeps it while it is replaced."""
        hidden = self.table.rowid_alias is None and not self.key.is_rowid
        return self.table.rowid_name if hidden else None

    @cached_property
    def find_sql(self) -> str:
        """Return the query for a row by its key: by the key's index, then compared exactly."""
        rowid = f"t.{quote(self.rowid)}" if self.rowid else "NULL"
        names = ", ".join(f"t.{quote(c)}" for c in (*self.columns, *self.kept))
        return (
            f"SELECT {rowid}, {names} FROM main.{quote(self.table.name)} AS t WHERE {self._condition('t.')}"
        )

    @cached_property
    def delete_sql(self) -> str:
        """Return the statement that deletes a row by its key."""
        return f"DELETE FROM main.{quote(self.table.name)} WHERE {self._condition('')}"

    def insert_sql(self, more: Sequence[str], raw: Collection[int]) -> str:
        """Return the statement that inserts a row, whatever the table wants done about conflicts.

        `more` are columns before those of a row; the values at the places `raw` of all of them are texts that
        are given as blobs.
        """
        names = [*more, *(self.columns[i] for i in self.written)]
        marks = ("CAST(? AS TEXT)" if i in raw else "?" for i in range(len(names)))
        # REPLACE, as a table may declare it, would take other rows away
        head = f"INSERT OR ABORT INTO main.{quote(self.table.name)}({', '.join(map(quote, names))})"
        return f"{head} VALUES({', '.join(marks)})"

    def _condition(self, prefix: str) -> str:
        collations = self.key.collations or ("",) * len(self.key.columns)
        terms = []
        for number, (column, collation) in enumerate(zip(self.key.columns, collations, strict=True), 1):
            name = f"{prefix}{quote(column)}"
            terms.append(f"{name}{f' COLLATE {quote(collation)}' if collation else ''} = ?{number}")
            if collation and collation.upper() != "BINARY":
                terms.append(f"{name} COLLATE BINARY = ?{number}")
        return " AND ".join(terms)


@dataclass(frozen=True)
class Rest:
    """What a row has beside its columns: a rowid that is not among them, and what never left the source."""

    rowid: int | None = None
    kept: Row = ()


@dataclass(frozen=True)
class Found:
    """A row of the source."""

    row: Row
    rest: Rest


def find(connection: sqlite3.Connection, shape: Shape, key: Row) -> Found | None:
    """Return the row of a key."""
    found = connection.execute(shape.find_sql, key).fetchone()
    if found is None:
        return None
    end = 1 + len(shape.columns)
    return Found(tuple(found[1:end]), Rest(found[0], tuple(found[end:])))


def delete(connection: sqlite3.Connection, shape: Shape, key: Row) -> int:
    """Delete the row of a key; return how many there were."""
    return connection.execute(shape.delete_sql, key).rowcount


def insert(connection: sqlite3.Connection, shape: Shape, row: Row, rest: Rest | None) -> None:
    """Insert a row, with the rest that it had before. Raises one of REFUSALS when it does not fit."""
    more: list[str] = []
    values: list[Any] = []
    if rest is not None:
        more, values = list(shape.kept), list(rest.kept)
        if shape.rowid is not None:
            more, values = [*more, shape.rowid], [*values, rest.rowid]
    values += (row[i] for i in shape.written)
    raw = [i for i, value in enumerate(values) if isinstance(value, RawText)]
    connection.execute(shape.insert_sql(more, raw), values)


def samples(connection: sqlite3.Connection, shape: Shape, places: Collection[int]) -> list[Any]:
    """Return one value of each of some columns, None where there is none among some of the rows."""
    found: list[Any] = [None] * len(shape.columns)
    for place in places:
        name = quote(shape.columns[place])
        rows = f"SELECT {name} AS v FROM main.{quote(shape.table.name)} AS t LIMIT {SAMPLED}"
        one = connection.execute(f"SELECT v FROM ({rows}) WHERE v IS NOT NULL LIMIT 1").fetchone()
        found[place] = one[0] if one is not None else None
    return found


class Remainder:
    """The rows of a table whose keys are not met: what is left when all of it was gone through."""

    def __init__(self, connection: sqlite3.Connection, shape: Shape, number: int) -> None:
        self._connection, self._shape = connection, shape
        self._name = f"temp.{quote(f'{PREFIX}met_{number}')}"
        names = ", ".join(f"k{i}" for i in range(len(shape.places)))
        connection.execute(f"DROP TABLE IF EXISTS {self._name}")
        connection.execute(f"CREATE TABLE {self._name}({names}, PRIMARY KEY({names}))")

    def met(self, key: Sequence[Any]) -> None:
        """Note a key."""
        marks = ", ".join("?" * len(key))
        self._connection.execute(f"INSERT OR IGNORE INTO {self._name} VALUES({marks})", key)

    def delete(self) -> int:
        """Delete the rows whose keys were not met; return how many that were."""
        table = f"main.{quote(self._shape.table.name)}"
        # the collation is that of the left side, which compares byte by byte
        same = " AND ".join(f"m.k{i} = t.{quote(column)}" for i, column in enumerate(self._shape.key.columns))
        gone = self._connection.execute(
            f"DELETE FROM {table} AS t WHERE NOT EXISTS (SELECT 1 FROM {self._name} AS m WHERE {same})"
        ).rowcount
        self._connection.execute(f"DROP TABLE {self._name}")
        return gone


def raise_sequence(connection: sqlite3.Connection, table: str, least: int) -> None:
    """Let AUTOINCREMENT of a table go on behind a number that was given out on the other side."""
    sql = "UPDATE main.sqlite_sequence SET seq = ? WHERE name = ? AND seq < ?"
    if connection.execute(sql, (least, table, least)).rowcount:
        return
    if not connection.execute("SELECT 1 FROM main.sqlite_sequence WHERE name = ?", (table,)).fetchone():
        connection.execute("INSERT INTO main.sqlite_sequence(name, seq) VALUES(?, ?)", (table, least))
