"""An independent comparison of a SQLite file with a PostgreSQL schema, row by row.

It shares no code with the product, so that both cannot be wrong in the same way.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import sqlite3
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import asyncpg

from tests import conversions

OWN_COLUMNS = frozenset({"_liteferry_rowid"})
SHOWN_ROWS = 5
SHOWN_CHARACTERS = 300
PREFETCH_ROWS = 5000
INTEGERS = range(-(2**63), 2**63)


async def differences(
    sqlite_path: Path,
    url: str,
    schema: str = "public",
    tables: Collection[str] | None = None,
    ignore_columns: Collection[str] = OWN_COLUMNS,
    columns: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> list[str]:
    """Return what differs between the file's tables and those of the same name in the schema, [] if nothing.

    `columns` holds the types that the configuration asks for, by "table.column"; `names` what is called
    otherwise on the target, by "table" and "table.column".

    Every ordinary table is compared (or those named), as a multiset of rows; each side is read in one
    transaction of its own, so the comparison is exact when nobody writes.
    """
    found: list[str] = []
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as source:
        source.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        source.execute("BEGIN")
        target = await asyncpg.connect(url)
        try:
            async with target.transaction(isolation="repeatable_read", readonly=True):
                for table in ordinary_tables(source) if tables is None else tables:
                    asked = {n: w for n, w in (columns or {}).items() if n.startswith(f"{table}.")}
                    asked = {name.partition(".")[2]: wanted for name, wanted in asked.items()}
                    called = (names or {}).get(table, table)
                    of_columns = {
                        name.removeprefix(f"{table}."): there
                        for name, there in (names or {}).items()
                        if name.startswith(f"{table}.")
                    }
                    found += await compare_table(
                        source, target, schema, table, ignore_columns, asked, called, of_columns
                    )
        finally:
            await target.close()
    return found


def ordinary_tables(source: sqlite3.Connection) -> list[str]:
    """Return the tables that an application made: no virtual, shadow, SQLite's or liteferry's own ones."""
    rows = source.execute("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
    return sorted(name for (name,) in rows if not name.lower().startswith(("sqlite_", "_liteferry")))


async def compare_table(
    source: sqlite3.Connection,
    target: asyncpg.Connection[asyncpg.Record],
    schema: str,
    table: str,
    ignore_columns: Collection[str],
    asked: Mapping[str, str],
    called: str,
    of_columns: Mapping[str, str],
) -> list[str]:
    """Return the differences of one table, which is `called` so on the target; its columns likewise."""
    there = await target_types(target, schema, called)
    if not there:
        return [f"table {table!r}: missing on the target"]
    back = {name: source for source, name in of_columns.items()}
    assert len(back) == len(of_columns), "two columns cannot be one"
    types = {back.get(name, name): kind for name, kind in there.items()}
    names = [row[1] for row in source.execute(f"PRAGMA table_xinfo({quote(table)})") if row[6] != 1]
    common = [name for name in names if name in types]
    found = [f"table {table!r}: column {name!r} missing on the target" for name in names if name not in types]
    extra = [name for name in types if name not in names and name not in ignore_columns]
    found += [f"table {table!r}: column {name!r} only on the target" for name in extra]
    if not common:
        return found
    kinds = {name: types[name] for name in common}
    balance: Counter[str] = Counter(source_rows(source, table, kinds, asked))
    async for row in target_rows(target, schema, called, common, asked, of_columns):
        balance[row] -= 1
    found += describe(table, "missing on the target", +balance)
    return found + describe(table, "only on the target", -balance)


async def target_types(target: asyncpg.Connection[asyncpg.Record], schema: str, table: str) -> dict[str, str]:
    """Return the columns of a target table with the name of their type, none when it does not exist."""
    rows = await target.fetch(
        "SELECT attname, atttypid::regtype::text AS type FROM pg_attribute WHERE attnum > 0 "
        "AND NOT attisdropped AND attrelid = (SELECT c.oid FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2)",
        schema,
        table,
    )
    return {row["attname"]: row["type"] for row in rows}


def source_rows(
    source: sqlite3.Connection, table: str, types: dict[str, str], asked: Mapping[str, str]
) -> Iterator[str]:
    """Yield every row of the SQLite table in canonical form."""
    columns = ", ".join(map(quote, types))
    kinds = [(kind, asked.get(name)) for name, kind in types.items()]
    for row in source.execute(f"SELECT {columns} FROM {quote(table)}"):
        yield shorten(
            [
                conversions.from_source(value, wanted) if wanted else from_sqlite(value, kind)
                for value, (kind, wanted) in zip(row, kinds, strict=True)
            ]
        )


async def target_rows(
    target: asyncpg.Connection[asyncpg.Record],
    schema: str,
    table: str,
    names: list[str],
    asked: Mapping[str, str],
    of_columns: Mapping[str, str],
) -> AsyncIterator[str]:
    """Yield every row of the PostgreSQL table in canonical form."""
    wanted = [asked.get(name) for name in names]
    pairs = zip((of_columns.get(name, name) for name in names), wanted, strict=True)
    columns = ", ".join(conversions.selected(quote(n), w) if w else quote(n) for n, w in pairs)
    query = f"SELECT {columns} FROM {quote(schema)}.{quote(table)}"
    async for row in target.cursor(query, prefetch=PREFETCH_ROWS):
        yield shorten(
            [
                conversions.from_target(value, how) if how else from_postgres(value)
                for value, how in zip(row, wanted, strict=True)
            ]
        )


def from_sqlite(value: object, kind: str) -> object:
    """Return a SQLite value as it must come back from a column of PostgreSQL type `kind`."""
    if not isinstance(value, str):
        return value
    try:
        if kind == "jsonb":
            return json.dumps(json.loads(value), sort_keys=True)
        if kind == "uuid":
            return str(uuid.UUID(value))
        if kind.startswith("timestamp"):
            return moment(datetime.datetime.fromisoformat(value))
        if kind == "date":
            return datetime.date.fromisoformat(value).isoformat()
        if kind.startswith("time "):
            return datetime.time.fromisoformat(value).isoformat()
    except ValueError:
        pass
    return value


def from_postgres(value: object) -> object:
    """Return a PostgreSQL value in the classes that SQLite has."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, datetime.datetime):
        return moment(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    return value


def number(value: Decimal) -> object:
    """Return an integer of 64 bits or a double when it is exactly the numeric, else the numeric."""
    if value.is_finite() and value == value.to_integral_value() and int(value) in INTEGERS:
        return int(value)
    double = float(value)
    return double if Decimal(str(double)) == value else value


def moment(value: datetime.datetime) -> str:
    """Return a point in time as text, in UTC when it has a zone."""
    return (value.astimezone(datetime.UTC) if value.tzinfo else value).isoformat()


def shorten(row: list[object]) -> str:
    """Return a text that differs wherever the rows differ: in value, in class, in the sign of zero.

    Rows longer than 300 characters end in a hash instead, which keeps a million of them in memory.
    """
    text = repr(tuple(row))
    if len(text) <= SHOWN_CHARACTERS:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{text[:SHOWN_CHARACTERS]}… #{digest}"


def describe(table: str, what: str, rows: Counter[str]) -> list[str]:
    """Return one line per row, five at most, and how many more there are."""
    shown = [f"table {table!r}: {what}: {row}" for row in list(rows.elements())[:SHOWN_ROWS]]
    more = rows.total() - len(shown)
    return shown + ([f"table {table!r}: {what}: {more} more rows"] if more else [])


def quote(name: str) -> str:
    """Quote an identifier for either database."""
    return '"' + name.replace('"', '""') + '"'
