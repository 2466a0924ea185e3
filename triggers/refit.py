"""Following the application's own schema changes: what is there now, and triggers that fit it again."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from . import capture, changelog, relations
from .capture import Captured
from .changelog import Place
from .connection import reading, writing
from .identifier import fold, quote
from .relations import Mismatch
from .schema import Skipped, Table, tables
from .statements import load
from .trigger_sql import LOG, MIN_KEY_COLUMNS, TABLES

SQL = load("triggers", "changelog.sql")


class Moved(Exception):
    """The schema has changed once more since it was surveyed; look again."""


@dataclass(frozen=True)
class Edition:
    """What tells a schema from what it was before: SQLite's count, and a hash for edits past that count."""

    version: int
    mark: str


@dataclass(frozen=True)
class Survey:
    """A source's structure and triggers of ours, as one read transaction saw them."""

    edition: Edition
    tables: Sequence[Table]
    skipped: Sequence[Skipped]
    #: Text of every trigger of ours by name.
    triggers: Mapping[str, str]
    #: What each number of the log is called now: by its triggers, which follow a renamed table, else by the
    #: name that was noted.
    names: Mapping[int, str]
    #: What was noted of the triggers that were put in, by number.
    marks: Mapping[int, str]
    #: Tables that may bear no trigger of ours now, for INSERTs into them would fail, and why, by name.
    harmed: Mapping[str, Mismatch]
    #: The greatest number that an entry of the log bears; its table may be gone.
    logged: int = 0

    @property
    def free_number(self) -> int:
        """Return a number for a new table: entries of a table that is gone must not pass for its own."""
        return max([*self.names, self.logged], default=0) + 1

    def table(self, number: int) -> Table | None:
        """Return the table that bears a number, None when it is gone."""
        wanted = self.names.get(number)
        return next((t for t in self.tables if t.name == wanted), None)

    def bears(self, number: int) -> bool:
        """Tell whether a table has triggers of ours."""
        return bool(capture.named_for(number, self.triggers))

    def state(self, captured: Captured) -> capture.Installed:
        """Compare a table's wanted triggers with those that are there."""
        return capture.compare(captured, self.triggers, self.marks.get(captured.id))


def version(connection: sqlite3.Connection) -> int:
    """Return SQLite's own count of schema changes."""
    return int(connection.execute("PRAGMA main.schema_version").fetchone()[0])


def edition(connection: sqlite3.Connection) -> Edition:
    """Return what the schema is now; the caller's transaction makes it one moment."""
    return Edition(version(connection), capture.schema_mark(connection))


def survey(connection: sqlite3.Connection, exclude: Collection[str], *, enforced: bool) -> Survey:
    """Look at structure and triggers in one read transaction.

    `enforced` tells whether the application may have PRAGMA foreign_keys on.
    """
    with reading(connection):
        found, skipped = tables(connection, exclude)
        owners = _owners(connection)
        noted = {int(str(row[0])): str(row[1]) for row in _noted(connection)}
        # a table that was made anew under an old name bears the number of its own triggers
        unclaimed = {n: name for n, name in noted.items() if n not in owners and name not in owners.values()}
        return Survey(
            edition(connection),
            found,
            skipped,
            capture.installed_triggers(connection),
            {**unclaimed, **owners},
            capture.marks(connection),
            {one.parent: one for one in relations.harmed(connection, found)} if enforced else {},
            _logged(connection),
        )


def _logged(connection: sqlite3.Connection) -> int:
    if not connection.execute(SQL["has_object"], {"name": LOG}).fetchone()[0]:
        return 0
    return int(connection.execute(SQL["greatest_number"]).fetchone()[0])


def _owners(connection: sqlite3.Connection) -> dict[int, str]:
    rows = connection.execute(SQL["trigger_owners"]).fetchall()
    return {int(name.split("_")[2]): str(owner) for name, owner in rows if name.split("_")[2].isdigit()}


def _noted(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    there = connection.execute(SQL["has_object"], {"name": TABLES}).fetchone()[0]
    return connection.execute(SQL["read_tables"]).fetchall() if there else []


def table_names(connection: sqlite3.Connection) -> set[str]:
    """Return the names of all tables, folded as SQLite compares them."""
    return {fold(str(row[0])) for row in connection.execute(SQL["table_names"])}


def holding_null(connection: sqlite3.Connection, table: Table) -> list[str]:
    """Return the columns of the declared primary key that hold NULL, which SQLite allows."""
    if table.without_rowid or table.rowid_alias is not None:
        return []
    found = []
    for column in table.primary_key:
        sql = f"SELECT 1 FROM main.{quote(table.name)} AS t WHERE t.{quote(column.name)} IS NULL LIMIT 1"
        if not column.not_null and connection.execute(sql).fetchone():
            found.append(column.name)
    return found


def refit(
    connection: sqlite3.Connection,
    seen: Survey,
    wanted: Sequence[Captured],
    gone: Collection[int],
    bare: Collection[int],
    budget: float,
) -> Edition:
    """Make the triggers of some tables those they must have, forget tables that are gone, strip `bare` ones.

    A few tables per short transaction; returns what the schema is afterwards. Raises SourceBusy, and Moved
    when the schema is no longer the one that was surveyed.
    """
    expected = seen.edition
    width = max([MIN_KEY_COLUMNS, *(len(one.key.columns) for one in wanted)])
    for start in range(0, max(1, len(wanted)), capture.TABLES_PER_LOCK):
        with writing(connection, budget):
            if edition(connection) != expected:
                raise Moved
            if start == 0:
                capture.prepare(connection, width)
                for number in bare:
                    capture.strip_table(connection, number)
                for number in gone:
                    connection.execute(SQL["forget_table"], {"id": number})
            for one in wanted[start : start + capture.TABLES_PER_LOCK]:
                capture.install_table(connection, one)
            # of our own transaction, which nobody else can have come into
            expected = edition(connection)
    return expected


def recapture(connection: sqlite3.Connection, source_id: UUID, width: int, budget: float) -> Place:
    """Put the log in again under the same id, for keys of `width` columns; return where it begins.

    The triggers are put in when the schema is followed, for tables as they are then: one that names a column
    which is gone would make the application's writes fail. Raises SourceBusy.
    """
    with writing(connection, budget):
        capture.prepare(connection, max(MIN_KEY_COLUMNS, width), source_id)
        # they told of the log that is no longer followed
        connection.execute(SQL["drop_gaps"])
        changelog.create_gaps(connection)
    with reading(connection):
        return changelog.place(connection, changelog.head(connection))
