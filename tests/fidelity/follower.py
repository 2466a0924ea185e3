"""A target made of dicts: it applies what the product's own reader makes of the change log."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from replicator.planning.plan import ColumnPlan, TablePlan
from replicator.streaming.reader import Batch, read_batch
from triggers import capture, changelog
from triggers.key import KeyKind, choose
from triggers.relations import harmed
from triggers.schema import Table, tables

from .outcome import Row
from .schemas import quote

BUDGET = 5.0
MEMORY = 1 << 20


class Follower:
    """The tables of one source as a target that follows its change log would have them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Install the capture and copy what is there."""
        self._connection = connection
        self._rows: dict[int, dict[Row, Row]] = {}
        self.plans: dict[int, TablePlan] = {}
        for number, planned in self._install().items():
            self._copy(number, planned)
        self.place = changelog.place(connection, changelog.head(connection))

    def _install(self) -> dict[int, TablePlan]:
        found, _ = tables(self._connection)
        # what may bear no triggers is not captured
        harm = {one.parent for one in harmed(self._connection, found)}
        found = [table for table in found if table.name not in harm]
        wanted = [(table, choose(table, holding_null(self._connection, table))) for table in found]
        captured = capture.install(self._connection, wanted, BUDGET)
        self._schema_version = self._look()
        return {c.id: plan(c) for c in captured}

    def _look(self) -> int:
        return int(self._connection.execute("PRAGMA main.schema_version").fetchone()[0])

    def _copy(self, number: int, plan: TablePlan) -> None:
        self.plans[number] = plan
        rows = everything(self._connection, plan)
        self._rows[number] = {tuple(row[i] for i in plan.key_places): row for row in rows}

    def follow(self) -> None:
        """Apply what is new, structure included; the place moves. Raises what the reader raises."""
        if self._look() == self._schema_version:
            self._apply()
        else:
            self._adapt()

    def _adapt(self) -> None:
        """Mend the capture after a change of the schema; read again what it may have missed."""
        before, marks = capture.installed_triggers(self._connection), capture.marks(self._connection)
        plans = self._install()
        stale = {n for n, p in plans.items() if self._may_have_missed(n, p, before, marks)}
        self.plans = {n: p for n, p in plans.items() if n not in stale}
        self._apply()
        for number in stale:
            self._copy(number, plans[number])

    def _may_have_missed(
        self, number: int, new: TablePlan, present: dict[str, str], marks: dict[int, str]
    ) -> bool:
        captured = capture.Captured(number, new.table, new.key)
        if capture.compare(captured, present, marks.get(number)) is not capture.Installed.INSTALLED:
            return True
        # neither VACUUM, which renumbers rowids that nothing holds on to, nor ALTER TABLE fires a trigger
        renumbered = new.key.kind is KeyKind.ROWID and not new.table.indexes
        # SQLite 3.34 may write a column's new name into the expressions of other tables as well; the product
        # compares every table after a change of the schema
        computed = any(c.generated for c in new.table.columns)
        return renumbered or computed or new.table.columns != self.plans[number].table.columns

    def _apply(self) -> None:
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

    def holds_null_key(self) -> bool:
        """Tell whether a table holds a NULL in its key."""
        return any(
            set(holding_null(self._connection, planned.table)) & set(planned.key.columns)
            for planned in self.plans.values()
        )

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
