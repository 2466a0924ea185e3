"""A target made of dicts: it applies what the product's own reader makes of the change log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from replicator.plan import ColumnPlan, TablePlan
from replicator.reader import Batch, read_batch
from triggers import capture, changelog
from triggers.key import choose
from triggers.schema import Table, tables

from .schemas import quote

BUDGET = 5.0
MEMORY = 1 << 20

Row = tuple[Any, ...]


class Follower:
    """The tables of one source as a target that follows its change log would have them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Install the capture and copy what is there."""
        self._connection = connection
        found, _ = tables(connection)
        wanted = [(table, choose(table, holding_null(connection, table))) for table in found]
        captured = capture.install(connection, wanted, BUDGET)
        self.plans = {c.id: plan(c) for c in captured}
        self.place = changelog.place(connection, changelog.head(connection))
        self._rows: dict[int, dict[Row, Row]] = {n: self._keyed(p) for n, p in self.plans.items()}

    def _keyed(self, plan: TablePlan) -> dict[Row, Row]:
        return {tuple(row[i] for i in plan.key_places): row for row in everything(self._connection, plan)}

    def follow(self) -> None:
        """Apply what is new; the place moves. Raises what the reader raises."""
        batch = read_batch(self._connection, self.plans, self.place, MEMORY)
        if batch is not None:
            self.apply(batch)

    def apply(self, batch: Batch) -> None:
        """Apply a batch; the place moves."""
        with closing(batch.spool):
            blocks = list(batch.spool)
        for block in blocks:
            for key in block.gone:
                self._rows[block.table_id].pop(key, None)
        for block in blocks:
            places = self.plans[block.table_id].key_places
            for row in block.rows:
                self._rows[block.table_id][tuple(row[i] for i in places)] = row
        self.place = batch.place

    def differences(self) -> list[str]:
        """Return one line per table that is not what the source has."""
        found = []
        for number, planned in self.plans.items():
            there = sorted(map(repr, everything(self._connection, planned)))
            here = sorted(map(repr, self._rows[number].values()))
            if there != here:
                missing = [row for row in there if row not in here]
                extra = [row for row in here if row not in there]
                found.append(f"table {planned.name!r}: missing {missing}, extra {extra}")
        return found


@dataclass(frozen=True)
class Outcome:
    """What an application can see of a statement."""

    rows: list[Row]
    rowcount: int
    changes: int
    last_rowid: int
    error: str


def outcome(connection: sqlite3.Connection, statement: str) -> Outcome:
    """Run a statement and return what the application sees."""
    rows: list[Row] = []
    count, error = -1, ""
    try:
        cursor = connection.execute(statement)
        rows, count = cursor.fetchall(), cursor.rowcount
    except sqlite3.Error as raised:
        error = f"{getattr(raised, 'sqlite_errorname', '')} {raised}"
    changes, last_rowid = connection.execute("SELECT changes(), last_insert_rowid()").fetchone()
    # Where a table has triggers, anyone's, SQLite puts off a foreign key's refusal to the statement's end:
    # the rowid of the row that was refused then stays behind.
    return Outcome(rows, count, changes, 0 if error else last_rowid, error)


def level(connection: sqlite3.Connection) -> None:
    """Set the last rowid to a known one."""
    connection.execute("INSERT OR REPLACE INTO temp.one(rowid, x) VALUES(1, 1)")


def plan(captured: capture.Captured) -> TablePlan:
    """Plan a table for the reader alone, for which the target's types do not matter."""
    columns = tuple(ColumnPlan(c.name, c.name, "text") for c in captured.table.columns)
    return TablePlan(captured.table, captured.key, "public", columns)


def holding_null(connection: sqlite3.Connection, table: Table) -> list[str]:
    """Return the columns that hold NULL now."""
    name = quote(table.name)
    return [
        c.name
        for c in table.columns
        if connection.execute(f"SELECT 1 FROM {name} WHERE {quote(c.name)} IS NULL LIMIT 1").fetchone()
    ]


def everything(connection: sqlite3.Connection, plan: TablePlan) -> list[Row]:
    """Return all rows of a table, as the record has them."""
    names = ", ".join(quote(c.source) for c in plan.record)
    rows: list[Row] = connection.execute(f"SELECT {names} FROM main.{quote(plan.name)}").fetchall()
    return rows
