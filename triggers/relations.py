"""Foreign keys that refer to columns which are no key: SQLite takes the schema, and not every statement.

With PRAGMA foreign_keys = ON a single-row INSERT into the parent of such a key passes as long as the parent
has no INSERT trigger, and fails ("foreign key mismatch") once it has one, anyone's. UPDATE and DELETE of the
parent, and whatever touches the child, fail already.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .identifier import fold, is_ours
from .schema import ForeignKey, Table

#: What to do about a foreign key that refers to columns which are no key.
HINT = (
    "CREATE UNIQUE INDEX on those columns of the parent, or leave the parent out with `exclude`: under "
    "PRAGMA foreign_keys = ON SQLite refuses INSERTs into it once it has any trigger. If the application "
    "never switches that on, set `foreign_keys_enforced = false`"
)


@dataclass(frozen=True)
class Mismatch:
    """A foreign key without a key behind it."""

    child: str
    parent: str
    columns: tuple[str, ...]

    def __str__(self) -> str:
        columns = ", ".join(self.columns) or "its primary key"
        return f"{self.child!r} refers to {self.parent!r} ({columns})"


def mismatches(tables: Sequence[Table]) -> list[Mismatch]:
    """Return the foreign keys whose parent is among the tables and has no such key. Pure.

    Where only the index's collation is another one than the column's, SQLite sees a mismatch that is not
    seen here.
    """
    by_name: Mapping[str, Table] = {fold(table.name): table for table in tables}
    found = []
    for child in tables:
        for key in child.foreign_keys:
            parent = by_name.get(fold(key.other_table))
            if parent is not None and parent is not child and not _has_key(parent, key):
                found.append(Mismatch(child.name, parent.name, key.other_columns))
    return found


def harmed(connection: sqlite3.Connection, tables: Sequence[Table]) -> list[Mismatch]:
    """Return those whose parent's INSERTs go through now and would not with our triggers."""
    rows = connection.execute("SELECT name, tbl_name, sql FROM main.sqlite_master WHERE type = 'trigger'")
    # with an INSERT trigger of the application's own they fail already
    failing = {
        fold(table)
        for name, table, sql in rows
        if not is_ours(name) and "INSERT" in sql.upper().partition("BEGIN")[0]
    }
    return [one for one in mismatches(tables) if fold(one.parent) not in failing]


def _has_key(parent: Table, key: ForeignKey) -> bool:
    primary = tuple(fold(column.name) for column in parent.primary_key)
    if not key.other_columns:
        return len(primary) == len(key.columns)
    wanted = sorted(map(fold, key.other_columns))
    whole = [index for index in parent.indexes if index.unique and not index.partial]
    keys = [primary, *(tuple(map(fold, i.plain_columns)) for i in whole if i.plain_columns is not None)]
    return any(sorted(columns) == wanted for columns in keys)
