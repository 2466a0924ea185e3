"""Random statements of an application: every conflict clause, UPSERT, moved keys, savepoints."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .schemas import quote

CLAUSES = ("", "", "", " OR REPLACE", " OR REPLACE", " OR IGNORE", " OR FAIL", " OR ABORT", " OR ROLLBACK")

#: Values that collide by collation, by affinity, or hardly at all, as SQL.
VALUES = (
    *("NULL", "0", "1", "2", "3", "-1", "1.0", "2.5", "-0.0", "'1'", "'01'", "'2.0'", "'a'", "'A'", "'a '"),
    *("'b'", "'B'", "''", "'é'", "'É'", "x'61'", "x''", "9007199254740993", "9007199254740992.0", "9e999"),
)

#: Draws a value for a column, as SQL.
Draw = Callable[[random.Random, str, str], str]


@dataclass(frozen=True)
class Shape:
    """What must be known of a table to write to it."""

    name: str
    columns: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    rowid: str | None
    alias: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the columns, and the rowid where there is one to be had by name."""
        return self.columns if self.rowid is None else (*self.columns, self.rowid)


def shapes(connection: sqlite3.Connection) -> list[Shape]:
    """Return the shapes of the application's tables."""
    rows = connection.execute(
        "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' "
        "AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_liteferry%' ESCAPE '\\' ORDER BY name"
    ).fetchall()
    return [_shape(connection, name, bool(wr)) for name, wr in rows]


def _shape(connection: sqlite3.Connection, name: str, without_rowid: bool) -> Shape:
    columns = connection.execute(f"PRAGMA table_xinfo({quote(name)})").fetchall()
    keys = []
    for index in connection.execute(f"PRAGMA index_list({quote(name)})").fetchall():
        terms = [r[2] for r in connection.execute(f"PRAGMA index_info({quote(index[1])})").fetchall()]
        if index[2] and all(term is not None for term in terms):
            keys.append(tuple(terms))
    taken = {c[1].lower() for c in columns}
    free = [n for n in ("rowid", "oid", "_rowid_") if n not in taken and not without_rowid]
    primary = [c for c in columns if c[5]]
    alias = primary[0][1] if len(primary) == 1 and primary[0][2].upper() == "INTEGER" else None
    plain = tuple(c[1] for c in columns if c[6] == 0)
    return Shape(name, plain, tuple(keys), free[0] if free else None, None if without_rowid else alias)


def any_value(chance: random.Random, table: str, column: str) -> str:
    """Draw any value at all."""
    return chance.choice(VALUES)


class Statements:
    """Draws statements over some tables."""

    def __init__(
        self, chance: random.Random, tables: Sequence[Shape], draw: Draw = any_value, *, mixed: bool = True
    ) -> None:
        """Take the tables and their values; with `mixed`, values move between columns of any type."""
        self.chance = chance
        self.tables = tables
        self._draw = draw
        self._mixed = mixed

    def burst(self, most: int) -> list[str]:
        """Return some statements, in a transaction at times; the transaction is ended."""
        made = [self.statement() for _ in range(self.chance.randint(1, most))]
        if self.chance.random() < 0.4:
            made = [self.chance.choice(("BEGIN", "BEGIN IMMEDIATE")), *self._nested(made)]
            made.append("ROLLBACK" if self.chance.random() < 0.15 else "COMMIT")
        return made

    def _nested(self, inner: list[str]) -> list[str]:
        if len(inner) < 2 or self.chance.random() < 0.5:
            return inner
        cut = self.chance.randrange(len(inner))
        undone = ["ROLLBACK TO s"] if self.chance.random() < 0.5 else []
        return [*inner[:cut], "SAVEPOINT s", *inner[cut:], *undone, "RELEASE s"]

    def statement(self) -> str:
        """Return one statement over a random table."""
        table = self.chance.choice(self.tables)
        kinds = (
            self.insert,
            self.insert,
            self.insert_select,
            self.upsert,
            self.update,
            self.update,
            self.delete,
        )
        return self.chance.choice(kinds)(table)

    def value(self, table: Shape, column: str) -> str:
        """Return a value for a column; small integers, mostly, for the rowid."""
        if column in (table.rowid, table.alias):
            return self.chance.choice(("NULL", "1", "2", "3", "4", "5", "'2'", "1.0", "-1"))
        return self._draw(self.chance, table.name, column)

    def insert(self, table: Shape) -> str:
        """Return an INSERT or REPLACE of one to three rows."""
        if self.chance.random() < 0.05:
            return f"INSERT INTO {quote(table.name)} DEFAULT VALUES"
        names = self._subset(table)
        rows = [
            "(" + ", ".join(self.value(table, n) for n in names) + ")"
            for _ in range(self.chance.choice((1, 1, 2, 3)))
        ]
        verb = self.chance.choice((*(f"INSERT{c}" for c in CLAUSES), "REPLACE"))
        return f"{verb} INTO {self._target(table, names)} VALUES {', '.join(rows)}{self._returning(table)}"

    def insert_select(self, table: Shape) -> str:
        """Return an INSERT of rows made from the same table or another."""
        other = self.chance.choice(self.tables) if self._mixed else table
        names = self._subset(table)
        query = (
            f"SELECT {', '.join(self._term(table, other, n) for n in names)} FROM {quote(other.name)} LIMIT 4"
        )
        return f"INSERT{self.chance.choice(CLAUSES)} INTO {self._target(table, names)} {query}"

    def _term(self, table: Shape, other: Shape, name: str) -> str:
        if self.chance.random() < 0.6 and name in table.columns and name != table.alias:
            return quote(self.chance.choice(other.columns) if self._mixed else name)
        return self.value(table, name)

    def upsert(self, table: Shape) -> str:
        """Return an INSERT with ON CONFLICT."""
        names = self._subset(table)
        values = ", ".join(self.value(table, n) for n in names)
        head = f"INSERT INTO {self._target(table, names)} VALUES ({values}) ON CONFLICT"
        keys = [*table.keys, *([(table.alias,)] if table.alias else [])]
        aimed = f"({', '.join(map(quote, self.chance.choice(keys)))})" if keys else ""
        if not aimed or self.chance.random() < 0.3:
            return f"{head} DO NOTHING"
        column = self.chance.choice(table.columns)
        new = self.chance.choice((self.value(table, column), f"excluded.{quote(column)}"))
        return f"{head}{aimed} DO UPDATE SET {quote(column)} = {new}{self._returning(table)}"

    def update(self, table: Shape) -> str:
        """Return an UPDATE of one or two columns, the key or the rowid among them."""
        names = self.chance.sample(table.names, min(len(table.names), self.chance.choice((1, 1, 2))))
        changes = ", ".join(f"{quote(n)} = {self.new_value(table, n)}" for n in names)
        head = f"UPDATE{self.chance.choice(CLAUSES)} {quote(table.name)} SET {changes}"
        return f"{head}{self._where(table)}{self._returning(table)}"

    def new_value(self, table: Shape, column: str) -> str:
        """Return what an UPDATE sets: a value, or something made of the row."""
        name, other = quote(column), quote(self.chance.choice(table.columns))
        if column in (table.rowid, table.alias):
            return self.chance.choice((self.value(table, column), f"{name} + 1", f"-{name}", "NULL"))
        made = (self.value(table, column), self.value(table, column), other, f"{name} + 1", f"upper({name})")
        return self.chance.choice(made if self._mixed else made[:1])

    def delete(self, table: Shape) -> str:
        """Return a DELETE."""
        return f"DELETE FROM {quote(table.name)}{self._where(table)}{self._returning(table)}"

    def _where(self, table: Shape) -> str:
        if self.chance.random() < (0.2 if self._mixed else 0.02):
            return ""
        column = self.chance.choice(table.columns)
        sign = self.chance.choice(("=", "=", "IS", ">", "<=") if self._mixed else ("=", "=", "=", "IS", ">"))
        return f" WHERE {quote(column)} {sign} {self.value(table, column)}"

    def _subset(self, table: Shape) -> list[str]:
        if self.chance.random() < 0.5:
            return list(table.columns)
        return self.chance.sample(table.names, self.chance.randint(1, len(table.names)))

    def _target(self, table: Shape, names: Sequence[str]) -> str:
        return f"{quote(table.name)}({', '.join(map(quote, names))})"

    def _returning(self, table: Shape) -> str:
        return " RETURNING *" if self.chance.random() < 0.1 else ""
