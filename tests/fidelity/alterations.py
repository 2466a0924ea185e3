"""Random schema changes of an application: indexes, columns, renamed and rebuilt tables, VACUUM."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .schemas import TABLES, SchemaMaker, Sketch, quote
from .statements import Shape, Statements, shapes

#: Runs what was drawn on a scratch database, so that the next one is drawn from what is then there.
Try = Callable[[str], None]

NEW_TYPES = ("", "INT", "TEXT", "REAL", "TEXT COLLATE NOCASE", "VARCHAR(9) NOT NULL DEFAULT 'a'")


def any_table(chance: random.Random, name: str) -> str:
    """Draw any table at all."""
    return SchemaMaker(chance).table(name).sql


@dataclass(frozen=True)
class Style:
    """What an application's statements, its new tables and its new columns are made of."""

    statements: Callable[[random.Random, Sequence[Shape]], Statements] = Statements
    table: Callable[[random.Random, str], str] = any_table
    types: Sequence[str] = NEW_TYPES


LEGACY = ("PRAGMA legacy_alter_table = on", "PRAGMA legacy_alter_table = off")


class Alterations:
    """Draws bursts in which an application changes its schema and goes on writing."""

    def __init__(
        self, chance: random.Random, scratch: sqlite3.Connection, attempt: Try, style: Style = Style()
    ) -> None:
        """Take a database with the application's schema in it, to try things on."""
        self.chance = chance
        self._style = style
        self._scratch = scratch
        self._attempt = attempt
        self._made = 0
        #: Indexes that came in this burst: one that also goes in it leaves no trace, a known limit.
        self._young: set[str] = set()

    def burst(self) -> list[str]:
        """Return one to three schema changes with writes around them, in a transaction at times."""
        self._young.clear()
        together = self.chance.random() < 0.5
        burst = self._tried(["BEGIN"]) if together else []
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            for _ in range(self.chance.choice((0, 1, 2))):
                burst += self._tried([self._write()])
            burst += self._tried(self._change())
        for _ in range(self.chance.choice((0, 1, 3))):
            burst += self._tried([self._write()])
        return burst + self._tried([self.chance.choice(("COMMIT", "COMMIT", "ROLLBACK"))] if together else [])

    def _tried(self, statements: list[str]) -> list[str]:
        for statement in statements:
            self._attempt(statement)
        return statements

    def _write(self) -> str:
        there = shapes(self._scratch)
        return self._style.statements(self.chance, there).statement() if there else "SELECT 1"

    def _change(self) -> list[str]:
        there = shapes(self._scratch)
        if not there:
            return self._create_table()
        table = self.chance.choice(there)
        kinds: tuple[Callable[[Shape], list[str]], ...] = (
            *(self._create_index, self._create_index, self._drop_index, self._drop_index),
            *(self._add_column, self._drop_column, self._drop_column, self._drop_column),
            *(self._rename_column, self._rename_table, self._rebuild, self._rebuild_backwards),
        )
        draw = self.chance.random()
        if draw < 0.05:
            return [f"DROP TABLE {quote(table.name)}"] if len(there) > 1 else ["VACUUM"]
        if draw < 0.09:
            return self._create_table()
        return ["VACUUM"] if draw < 0.13 else self._somehow(self.chance.choice(kinds)(table))

    def _somehow(self, statements: list[str]) -> list[str]:
        altering = any(s.startswith("ALTER") for s in statements)
        return [LEGACY[0], *statements, LEGACY[1]] if altering and self.chance.random() < 0.15 else statements

    def _fresh(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}{self._made}"

    def _create_table(self) -> list[str]:
        taken = {shape.name.lower() for shape in shapes(self._scratch)}
        name = next((n for n in TABLES if n.lower() not in taken), self._fresh("more "))
        return [self._style.table(self.chance, name)]

    def _create_index(self, table: Shape) -> list[str]:
        declared = [f"{quote(table.alias)} INTEGER PRIMARY KEY"] if table.alias else [""]
        sketch = Sketch(table.name, list(table.columns), declared)
        maker = SchemaMaker(self.chance)
        terms = ", ".join(maker.term(sketch, column) for column in maker.some(table.columns, 2))
        where = f" WHERE {maker.condition(sketch)}" if self.chance.random() < 0.3 else ""
        unique = "UNIQUE " if self.chance.random() < 0.8 else ""
        name = self._fresh("x")
        self._young.add(name)
        return [f"CREATE {unique}INDEX {name} ON {quote(table.name)}({terms}){where}"]

    def _indexes(self, table: Shape) -> dict[str, str]:
        rows = self._scratch.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?",
            (table.name,),
        )
        return {name: sql for name, sql in rows.fetchall() if name not in self._young}

    def _drop_index(self, table: Shape) -> list[str]:
        names = list(self._indexes(table))
        return [f"DROP INDEX {quote(self.chance.choice(names))}"] if names else self._drop_column(table)

    def _add_column(self, table: Shape) -> list[str]:
        column = f"{self._fresh('n')} {self.chance.choice(self._style.types)}"
        return [f"ALTER TABLE {quote(table.name)} ADD COLUMN {column}"]

    def _drop_column(self, table: Shape) -> list[str]:
        """Drop a column, its indexes before it in most cases; under a constraint SQLite refuses."""
        column = quote(self.chance.choice(table.columns))
        naming = [name for name, sql in self._indexes(table).items() if column in sql]
        before = [f"DROP INDEX {quote(name)}" for name in naming] if self.chance.random() < 0.9 else []
        return [*before, f"ALTER TABLE {quote(table.name)} DROP COLUMN {column}"]

    def _rename_column(self, table: Shape) -> list[str]:
        column = quote(self.chance.choice(table.columns))
        return [f"ALTER TABLE {quote(table.name)} RENAME COLUMN {column} TO {self._fresh('r')}"]

    def _rename_table(self, table: Shape) -> list[str]:
        return [f"ALTER TABLE {quote(table.name)} RENAME TO {quote(self._fresh('table '))}"]

    def _rebuild(self, table: Shape) -> list[str]:
        """Make a new table, fill it, drop the old one, rename: as SQLite's documentation says."""
        name, made = quote(table.name), quote(self._fresh("new "))
        return self._as_migration(
            [*self._moved(table, name, made), f"ALTER TABLE {made} RENAME TO {name}", *self._again(table)]
        )

    def _rebuild_backwards(self, table: Shape) -> list[str]:
        """Rename the old table out of the way first, as SQLite's documentation says not to."""
        name, old = quote(table.name), quote(self._fresh("old "))
        return self._as_migration(
            [f"ALTER TABLE {name} RENAME TO {old}", *self._moved(table, old, name), *self._again(table)]
        )

    def _moved(self, table: Shape, old: str, new: str) -> list[str]:
        """Return what makes a table of another name, and moves the rows there."""
        columns = ", ".join(map(quote, table.columns))
        return [
            f"CREATE TABLE {new}{self._body(table)}",
            f"INSERT INTO {new}({columns}) SELECT {columns} FROM {old}",
            f"DROP TABLE {old}",
        ]

    def _as_migration(self, steps: list[str]) -> list[str]:
        if self._scratch.in_transaction:
            return steps
        if self.chance.random() < 0.7:
            steps = ["BEGIN", *steps, "COMMIT"]
        enforced = self._scratch.execute("PRAGMA foreign_keys").fetchone()[0]
        if enforced and self.chance.random() < 0.7:
            return ["PRAGMA foreign_keys = off", *steps, "PRAGMA foreign_keys = on"]
        return steps

    def _body(self, table: Shape) -> str:
        sql = self._scratch.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table.name,)
        ).fetchone()[0]
        return str(sql[sql.index("(") :])

    def _again(self, table: Shape) -> list[str]:
        return list(self._indexes(table).values()) if self.chance.random() < 0.7 else []
