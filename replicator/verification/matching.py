"""Rows of both sides laid beside each other: which differ, which are missing, which nobody wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field

from config.errors import ValueRefused
from replicator.planning.plan import TablePlan
from replicator.postgres.connections import Connection, Target
from replicator.postgres.quarantine import Pair
from replicator.schema import dml
from replicator.streaming.reader import found_by_key
from replicator.values.converter import Refusal, Row, same_row

#: Rows compared at once; the stream rests for as long as one chunk takes.
CHUNK_ROWS = 5_000


@dataclass
class Differences:
    """How rows of the source differ from the target's of the same keys."""

    missing: list[Row] = field(default_factory=list)
    #: The row as it should be, as the target has it, and the places of the columns that differ.
    different: list[tuple[Row, Row, list[int]]] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        """Return all rows that the target should have and has not."""
        return [*self.missing, *(row for row, _, _ in self.different)]

    def leave_out(self, rows: Collection[int]) -> None:
        """Take out rows by their identities."""
        self.missing = [row for row in self.missing if id(row) not in rows]
        self.different = [one for one in self.different if id(one[0]) not in rows]


async def differences(target: Connection, plan: TablePlan, rows: Sequence[Row]) -> Differences:
    """Compare rows of the source, converted already, with what the target has under their keys."""
    found = Differences()
    if not rows:
        return found
    keys = [[row[i] for row in rows] for i in plan.key_places]
    records = await target.fetch(dml.select_by_key(plan), *keys)
    others = {tuple(r[i] for i in plan.key_places): tuple(r) for r in records}
    for row in rows:
        other = others.get(tuple(row[i] for i in plan.key_places))
        if other is None:
            found.missing.append(row)
        elif not same_row(row, other):
            pairs = enumerate(zip(row, other, strict=True))
            found.different.append((row, other, [i for i, (a, b) in pairs if not same_row((a,), (b,))]))
    return found


async def rows_under(target: Connection, plan: TablePlan, keys: Sequence[Row]) -> list[Row]:
    """Return the rows that the target has under some of its keys."""
    if not keys:
        return []
    columns = list(map(list, zip(*keys, strict=True)))
    return [tuple(record) for record in await target.fetch(dml.select_by_key(plan), *columns)]


async def target_keys(target: Target, plan: TablePlan) -> AsyncIterator[list[Row]]:
    """Walk the keys of a target's table in their order, some at a time.

    Each in a statement of its own: a long one would keep PostgreSQL from cleaning up behind the stream.
    """
    after: Row = ()
    while True:
        async with target.connection() as connection:
            query = dml.select_keys(plan, first=not after)
            found = [tuple(r) for r in await connection.fetch(query, CHUNK_ROWS, *after)]
        if found:
            yield found
        if len(found) < CHUNK_ROWS:
            return
        after = found[-1]


def converted(plan: TablePlan, rows: Sequence[Row]) -> tuple[list[Pair], list[Refusal]]:
    """Convert rows, the fast way if all can be."""
    try:
        return list(zip(rows, plan.converter.rows(rows), strict=True)), []
    except ValueRefused:
        return plan.converter.sift(rows)


def absent(connection: sqlite3.Connection, plan: TablePlan, keys: list[Row]) -> list[Row]:
    """Return those keys of the target that the source does not have, compared exactly."""
    return [key for key in keys if not found_by_key(connection, plan, plan.converter.source_key(key))]


def rows_of(
    connection: sqlite3.Connection, plan: TablePlan, keys: Sequence[Row]
) -> tuple[list[Row], list[Row]]:
    """Return the source's rows under some of its keys, compared exactly, and the keys that it has not."""
    rows: list[Row] = []
    gone: list[Row] = []
    for key in keys:
        same = found_by_key(connection, plan, key, whole=True)
        rows += same
        gone += [] if same else [key]
    return rows, gone
