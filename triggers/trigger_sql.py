"""The text of the change log and of the capture triggers; pure functions with golden files.

The triggers log keys and nothing else, and can neither fail nor be suppressed: the log has no constraint
beside its integer key, no body uses an upsert, an OR clause, a JSON function or anything newer than
SQLite 3.8. Logging a key too often is harmless; only a missing one is fatal.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from .identifier import PREFIX, literal, quote
from .index_sql import parse
from .key import Key, KeyKind
from .schema import Column, Index, Table

LOG = f"{PREFIX}log"
TABLES = f"{PREFIX}tables"
META = f"{PREFIX}meta"

#: Version of the trigger set; rises whenever a generated text changes.
VERSION = 2

#: Key columns that every change log has; a wider key adds more.
MIN_KEY_COLUMNS = 4


@dataclass(frozen=True)
class Trigger:
    """A trigger's name and its full CREATE TRIGGER text, as it must stand in sqlite_master."""

    name: str
    sql: str


def log_sql(width: int) -> str:
    """Return the CREATE TABLE of the change log for keys of up to `width` columns.

    No column has a type, so that every storage class stays what it is. No AUTOINCREMENT: it would create
    sqlite_sequence in the application's file and cost each write a third more.
    """
    keys = ", ".join(f"k{i}" for i in range(1, width + 1))
    return f"CREATE TABLE {quote(LOG)}(seq INTEGER PRIMARY KEY, at, t, {keys})"


def triggers(table: Table, key: Key, table_id: int) -> list[Trigger]:
    """Return the triggers that capture a table, the column-naming re-check ones last."""
    made = _key_triggers(table, key, table_id) + _recheck_triggers(table, key, table_id)
    name = quote(table.name)
    return [
        Trigger(
            f"{PREFIX}{table_id}_{suffix}",
            f"CREATE TRIGGER {quote(f'{PREFIX}{table_id}_{suffix}')} {event} ON {name}\nBEGIN\n"
            + "".join(f"  {statement};\n" for statement in body)
            + "END",
        )
        for suffix, event, body in made
    ]


def fingerprint(texts: Iterable[str]) -> str:
    """Return a short hash over all texts of a trigger set, in whatever order."""
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()[:16]


#: A default that is a number, a text, a blob, or a word, which SQLite takes for a text; but no clock's name.
_LITERAL = re.compile(
    r"""([+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,2})?
      | x?'(?:[^']|'')*' | "(?:[^"]|"")*" | (?!current_)[^\W\d]\w*)$""",
    re.IGNORECASE | re.VERBOSE,
)

_Body = tuple[str, str, list[str]]


def _key_triggers(table: Table, key: Key, table_id: int) -> list[_Body]:
    old, new = _log_row(key, table_id, "OLD"), _log_row(key, table_id, "NEW")
    # UPDATE OF the key columns rather than WHEN NEW.k IS NOT OLD.k, which compares by the column's
    # collation and takes 'a' for 'A' and 1 for 1.0. SET rowid = ... moves an INTEGER PRIMARY KEY as well.
    moved = ", ".join(_moving_columns(table, key))
    made = [
        ("ai", "AFTER INSERT", [new]),
        ("bd", "BEFORE DELETE", [old]),
        # In BEFORE too: an application's own trigger may swallow every AFTER trigger by RAISE(IGNORE).
        ("bu", "BEFORE UPDATE", [old]),
        ("au", f"AFTER UPDATE OF {moved}", [new]),
        ("bn", f"BEFORE UPDATE OF {moved}", [new]),
    ]
    if not key.is_rowid:
        made.append(("bi", "BEFORE INSERT", [new]))
    return made


def _moving_columns(table: Table, key: Key) -> list[str]:
    named = [] if key.kind.value == "rowid" else [quote(c) for c in key.columns]
    taken = {c.name.lower() for c in table.columns}
    rowids = ("rowid", "oid", "_rowid_")
    return named + ([] if table.without_rowid else [n for n in rowids if n not in taken])


def _log_row(key: Key, table_id: int, side: str) -> str:
    names = ", ".join(f"k{i}" for i in range(1, len(key.columns) + 1))
    values = ", ".join(_key_value(key, column, side) for column in key.columns)
    return f"INSERT INTO {quote(LOG)}(at, t, {names}) VALUES(julianday('now'), {table_id}, {values})"


def _key_value(key: Key, column: str, side: str) -> str:
    value = f"{side}.{quote(column)}"
    # a primary key cannot be dropped, the columns of a unique index can
    return _guarded(f"(SELECT {value})", [column], side) if key.kind is KeyKind.UNIQUE else value


def _guarded(expression: str, columns: Iterable[str], side: str = "NEW") -> str:
    """Return an expression that stays valid when the application drops one of some columns.

    A name that the inner SELECT does not know any more, `NEW.c` or a bare `c`, is looked for further out,
    where it is NULL. Without this, DROP COLUMN fails for naming our trigger, and so does every write after
    one that was let pass.
    """
    nothing = ", ".join(f"NULL AS {quote(c)}" for c in columns)
    return f"(SELECT {expression} FROM (SELECT {nothing}) AS {side})"


def _log_found(table: Table, key: Key, table_id: int, where: str, columns: Sequence[str]) -> str:
    """Return the statement that logs the key of the one row, if any, which meets a condition.

    `columns` are those that the condition names and the application could drop.
    """
    names = [f"k{i}" for i in range(1, len(key.columns) + 1)]
    insert = f"INSERT INTO {quote(LOG)}(at, t, {', '.join(names)}) SELECT julianday('now'), {table_id}"
    droppable = list(key.columns) if key.kind is KeyKind.UNIQUE else []
    if table.rowid_name and not droppable:
        rowid = quote(table.rowid_name)
        condition = f"{rowid} = {_found(table, rowid, where, columns)}" if columns else where
        return f"{insert}, {', '.join(map(quote, key.columns))} FROM {_aliased(table)} WHERE {condition}"
    found = [_found(table, quote(column), where, [*columns, *droppable]) for column in key.columns]
    values = ", ".join(f"{row} AS {name}" for row, name in zip(found, names, strict=True))
    return f"{insert}, {', '.join(names)} FROM (SELECT {values}) WHERE k1 IS NOT NULL"


def _found(table: Table, wanted: str, where: str, columns: Sequence[str]) -> str:
    row = f"(SELECT {wanted} FROM {_aliased(table)} WHERE {where})"
    return _guarded(row, dict.fromkeys(columns)) if columns else row


def _aliased(table: Table) -> str:
    # a table may be called "new"
    return f"{quote(table.name)} AS {quote(PREFIX + 'row')}"


def _recheck_triggers(table: Table, key: Key, table_id: int) -> list[_Body]:
    """REPLACE deletes the rows it collides with and fires no DELETE trigger: log them before it does."""
    on_insert: list[str] = []
    on_update: list[str] = []
    touched: list[str] | None = []
    rowid = table.rowid_name
    for index in table.indexes:
        if not index.unique or (index.name == key.index and _by_bytes(index)):
            continue
        plain = index.plain_columns
        named = list(plain or ()) if plain and not index.partial else [c.name for c in table.columns]
        for collides in _collisions(table, index):
            on_insert.append(_log_found(table, key, table_id, collides, named))
            others = f"{collides} AND {quote(rowid)} <> OLD.{quote(rowid)}" if rowid else collides
            on_update.append(_log_found(table, key, table_id, others, named))
        computed = index.partial or plain is None or any(table.column(c).generated for c in plain)
        touched = None if touched is None or computed else touched + list(plain or ())
    if rowid and not key.is_rowid:
        same = f"{quote(rowid)} = NEW.{quote(rowid)}"
        on_insert.append(_log_found(table, key, table_id, same, ()))
    made: list[_Body] = []
    if on_insert:
        made.append(("ri", "BEFORE INSERT", on_insert))
    if on_update:
        made.append(("ru", _update_event(touched), on_update))
    if rowid and not key.is_rowid:
        moved = ", ".join(n for n in _moving_columns(table, key) if n in ("rowid", "oid", "_rowid_"))
        others = f"{quote(rowid)} = NEW.{quote(rowid)}"
        made.append(("rr", f"BEFORE UPDATE OF {moved}", [_log_found(table, key, table_id, others, ())]))
    return made


def _by_bytes(index: Index) -> bool:
    # A key that replaces 'a' by 'A' under NOCASE takes away another key than the one it brings.
    return all(column.collation.upper() == "BINARY" for column in index.columns)


def _update_event(touched: Sequence[str] | None) -> str:
    # A partial index's WHERE, an expression and a generated column may depend on any column: None then.
    if touched is None:
        return "BEFORE UPDATE"
    return "BEFORE UPDATE OF " + ", ".join(quote(c) for c in dict.fromkeys(touched))


def _collisions(table: Table, index: Index) -> list[str]:
    """Return the conditions under which a row holds the unique value that NEW is about to take."""
    # NOT NULL ON CONFLICT REPLACE stores the default where NEW still says NULL.
    replaced = [c for c in table.columns if c.not_null and c.default is not None and not c.generated]
    if index.plain_columns is not None or not replaced:
        return [_collision(table, index, replaced)]
    # In an expression coalesce() would hide a column's collation and affinity: only where it is needed.
    missing = " OR ".join(f"NEW.{quote(c.name)} IS NULL" for c in replaced)
    return [_collision(table, index, ()), f"{_collision(table, index, replaced)} AND ({missing})"]


def _collision(table: Table, index: Index, replaced: Sequence[Column]) -> str:
    text = parse(index.sql) if index.sql else None
    terms = []
    for position, term in enumerate(index.columns):
        collation = f" COLLATE {quote(term.collation)}"
        if term.name is not None:
            terms.append(f"{quote(term.name)}{collation} = {_new(table.column(term.name), replaced)}")
        else:
            assert text is not None, "an index over an expression has a text"
            expression = text.terms[position]
            row = ", ".join(f"{_new(c, replaced)} AS {quote(c.name)}" for c in table.columns)
            new = f"(SELECT {expression} FROM (SELECT {row}) AS {quote(table.name)})"
            terms.append(f"({expression}){collation} = {new}")
    if text is not None and text.where:
        terms.append(f"({text.where})")
    return " AND ".join(terms)


def _new(column: Column, replaced: Sequence[Column]) -> str:
    value = f"NEW.{quote(column.name)}"
    return f"coalesce({value}, {_stored_default(column)})" if column in replaced else value


def _stored_default(column: Column) -> str:
    """Return a column's default as it is stored: a literal '01' becomes 1 in an INTEGER column."""
    text = column.default or "NULL"
    if not _LITERAL.match(text):
        # may be another value each time, such as a clock's
        return text
    with closing(sqlite3.connect(":memory:")) as scratch:
        try:
            scratch.execute(f"CREATE TABLE t(c {column.declared} DEFAULT {text})")
            scratch.execute("INSERT INTO t DEFAULT VALUES")
            (value,) = scratch.execute("SELECT c FROM t").fetchone()
        except sqlite3.Error:
            return text
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return "NULL" if value is None else str(value)
