"""Both sides read from end to end and compared row by row, by code that knows nothing of the engine.

It shares no line with what copied the rows or with `liteferry verify`, so that an error there shows here.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

PREFETCH_ROWS = 5_000
SHOWN_KEYS = 3

Row = tuple[Any, ...]


@dataclass
class Table:
    """One table as SQLite has it, and what PostgreSQL has otherwise."""

    name: str
    columns: list[str]
    key: list[int]
    rows: dict[Row, Row]
    found: int = 0
    differences: list[str] = field(default_factory=list)

    def meet(self, row: Row) -> None:
        """Compare a row of PostgreSQL with ours of the same key."""
        self.found += 1
        key = tuple(row[place] for place in self.key)
        ours = self.rows.get(key)
        if ours is None:
            self.differences.append(f"{self.name} {key}: only on PostgreSQL")
        # by their texts: equal numbers of different classes, and both zeros, are not the same value
        elif repr(ours) != repr(row):
            names = [c for c, a, b in zip(self.columns, ours, row, strict=True) if repr(a) != repr(b)]
            self.differences.append(f"{self.name} {key}: differs in {', '.join(names)}")
        if ours is not None:
            del self.rows[key]

    def finish(self) -> None:
        """Name the rows that PostgreSQL did not have."""
        self.differences += [f"{self.name} {key}: only in SQLite" for key in self.rows]


@dataclass(frozen=True)
class Difference:
    """What a comparison has found: the rows of each table that were compared, and the differences."""

    rows: dict[str, int]
    differences: list[str]

    @property
    def equal(self) -> bool:
        """Tell whether every row of either side has its equal on the other."""
        return not self.differences

    def shown(self) -> str:
        """Return the first differences and how many there are."""
        first = "; ".join(self.differences[:SHOWN_KEYS])
        return f"{len(self.differences)} differences: {first}"


async def compare(
    path: Path, target: asyncpg.Connection[asyncpg.Record], schema: str = "public"
) -> Difference:
    """Read every table of the file and of the schema, inside the transaction that `target` is in."""
    tables = await asyncio.to_thread(_read_source, path)
    rows = {table.name: len(table.rows) for table in tables}
    for table in tables:
        await _read_target(target, schema, table)
    return Difference(rows, [text for table in tables for text in table.differences])


def _read_source(path: Path) -> list[Table]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as source:
        source.execute("BEGIN")
        names = source.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
            "AND name NOT LIKE '\\_liteferry%' ESCAPE '\\' ORDER BY name"
        ).fetchall()
        return [_read_table(source, name) for (name,) in names]


def _read_table(source: sqlite3.Connection, name: str) -> Table:
    described = source.execute(f"PRAGMA table_info({_quote(name)})").fetchall()
    key = [column[0] for column in described if column[5]]
    rows = source.execute(f"SELECT * FROM {_quote(name)}")  # noqa: S608 -- a quoted name
    by_key = {tuple(row[place] for place in key): row for row in rows}
    return Table(name, [column[1] for column in described], key, by_key)


async def _read_target(target: asyncpg.Connection[asyncpg.Record], schema: str, table: Table) -> None:
    columns = ", ".join(map(_quote, table.columns))
    query = f"SELECT {columns} FROM {_quote(schema)}.{_quote(table.name)}"  # noqa: S608 -- quoted names
    async for record in target.cursor(query, prefetch=PREFETCH_ROWS):
        # SQLite has no booleans: true is the integer 1
        table.meet(tuple(int(value) if isinstance(value, bool) else value for value in record))
    table.finish()


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
