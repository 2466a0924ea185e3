"""What identifies a row: the primary key, else a usable unique index, else the rowid."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass

from config.errors import Unsupported

from .schema import Index, Table


class KeyKind(enum.Enum):
    """Where a key comes from."""

    #: INTEGER PRIMARY KEY: the column is the rowid.
    ROWID_ALIAS = "rowid_alias"
    #: A declared primary key that is not the rowid.
    PRIMARY = "primary"
    #: A unique index over NOT NULL columns, in a table without a usable primary key.
    UNIQUE = "unique"
    #: The rowid itself, kept in a side column of the target.
    ROWID = "rowid"


#: Those that every SQLite has; rows cannot be looked up here by one that an application brings along.
COLLATIONS = frozenset({"BINARY", "NOCASE", "RTRIM"})


@dataclass(frozen=True)
class Key:
    """The key of a table: column names (for ROWID the name that reads it) and their index's collations."""

    kind: KeyKind
    columns: tuple[str, ...]
    collations: tuple[str, ...] = ()
    descending: tuple[bool, ...] = ()
    #: The index the key was taken from; replacing on it hits the row with this very key.
    index: str | None = None

    @property
    def is_rowid(self) -> bool:
        """Tell whether the key's value is the rowid, whose new value a BEFORE INSERT cannot know."""
        return self.kind in (KeyKind.ROWID_ALIAS, KeyKind.ROWID)


def choose(table: Table, holding_null: Collection[str] = ()) -> Key:
    """Choose the key of a table.

    `holding_null` names columns that do hold NULL: SQLite allows that in a primary key, PostgreSQL and
    any sane notion of identity do not. Raises Unsupported for a table whose columns shadow all three
    names of the rowid and that has no other key.
    """
    alias = table.rowid_alias
    if alias is not None:
        return Key(KeyKind.ROWID_ALIAS, (alias.name,))
    nullable = {c.name for c in table.columns if not c.not_null and not table.without_rowid}
    unusable = {n.lower() for n in holding_null} & {n.lower() for n in nullable}
    primary = next((i for i in table.indexes if i.origin == "pk"), None)
    names = tuple(c.name for c in table.primary_key)
    foreign = (
        {c.collation for c in primary.columns if c.collation.upper() not in COLLATIONS} if primary else ()
    )
    if foreign and table.without_rowid:
        raise Unsupported(
            f"the key of table {table.name!r} compares by {min(foreign)!r}, which only the application has",
            hint="leave the table out with `exclude`, or rebuild it with a collation of SQLite's own",
        )
    if primary is not None and not foreign and names and not unusable & {n.lower() for n in names}:
        return _from_index(KeyKind.PRIMARY, names, primary)
    for index in table.indexes:
        if _usable(index, table):
            return _from_index(KeyKind.UNIQUE, index.plain_columns or (), index)
    if table.rowid_name is None:
        raise Unsupported(
            f"table {table.name!r} has no key: no primary key, no unique index over NOT NULL columns, and "
            "columns that hide the rowid",
            hint="add a UNIQUE index over NOT NULL columns, or leave the table out with `exclude`",
        )
    return Key(KeyKind.ROWID, (table.rowid_name,))


def _usable(index: Index, table: Table) -> bool:
    names = index.plain_columns
    return (
        index.unique
        and not index.partial
        and names is not None
        # Under another collation two different values are one key: no identity to replicate by.
        and all(c.collation.upper() == "BINARY" for c in index.columns)
        and all(table.column(n).not_null and not table.column(n).generated for n in names)
    )


def _from_index(kind: KeyKind, names: tuple[str, ...], index: Index) -> Key:
    terms = {c.name: c for c in index.columns}
    return Key(
        kind,
        names,
        tuple(terms[n].collation for n in names),
        tuple(terms[n].descending for n in names),
        index.name,
    )
