"""Bringing a backlog into the source in one write transaction; what the source refuses is told, not forced.

All touched keys are deleted first and the rows inserted then, so that unique values may have changed hands.
Each row is read again: a column's affinity may have made something else of a value.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from replicator.planning.plan import TablePlan
from replicator.streaming.spool import Block, Spool
from replicator.values.converter import Row
from replicator.values.texts import BadText, mark_bad_text
from triggers import homecoming
from triggers.changelog import Place
from triggers.homecoming import REFUSALS, RawText, Remainder, Rest, Shape

from .backlog import Backlog
from .inverse import Inverse, Unspeakable

#: How long to ask for the write lock, in seconds: nobody but readers without a WAL can be in the way.
LOCK_SECONDS = 1.0


@dataclass(frozen=True)
class Refused:
    """A row of the target that the source cannot hold, by its key there."""

    table_id: int
    key: Row
    column: str
    reason: str


@dataclass
class Delivered:
    """What came of it."""

    place: Place = field(default_factory=lambda: Place(0))
    written: int = 0
    deleted: int = 0
    refused: list[Refused] = field(default_factory=list)


class Ways:
    """How the rows of one table are written, and made of the target's."""

    def __init__(self, plan: TablePlan) -> None:
        self.plan = plan
        self.shape = Shape(plan.table, plan.key, tuple(c.source for c in plan.record))
        self.inverse = Inverse(plan)

    def key_of(self, row: Row) -> Row:
        """Return the key of a row, of either side."""
        return tuple(row[i] for i in self.plan.key_places)

    def source_keys(self, block: Block) -> list[Row]:
        """Return the source's keys of all that a block brings, but for those that it cannot have."""
        keys = []
        for key in (*block.gone, *map(self.key_of, block.rows)):
            with contextlib.suppress(Unspeakable):
                keys.append(self.inverse.key(key))
        return keys


def ways(plans: Mapping[int, TablePlan]) -> dict[int, Ways]:
    """Return the ways of all tables by number."""
    return {number: Ways(plan) for number, plan in plans.items()}


class Delivery:
    """One backlog on its way into one source."""

    def __init__(
        self, connection: sqlite3.Connection, known: Mapping[int, Ways], backlog: Backlog, memory: int
    ) -> None:
        self._connection, self._ways, self._backlog = connection, known, backlog
        self._memory = memory
        self._samples: dict[int, list[Any]] = {}
        self.done = Delivered()

    def run(self, accepted: int | None) -> Delivered:
        """Write all of it in one transaction; `accepted` is as in `homecoming.begin`.

        Raises SourceBusy, SchemaChanged, SourceError, sqlite3.Error.
        """
        # a row that stayed behind may hold one that is not UTF-8
        self._connection.text_factory = mark_bad_text
        with (
            Spool(self._memory) as again,
            Spool(self._memory) as new,
            homecoming.returning(self._connection, LOCK_SECONDS, accepted),
        ):
            self._clear(again, new)
            # those that had a rowid first, or a new row might be given one of theirs
            for spool in (again, new):
                for block in spool:
                    for source, target, rest in block.rows:
                        self._insert(block.table_id, source, target, rest)
            self.done.place = homecoming.end(self._connection)
        return self.done

    def _clear(self, again: Spool, new: Spool) -> None:
        """Delete what has changed, and put aside what is to be inserted."""
        rest = {n: Remainder(self._connection, self._ways[n].shape, n) for n in self._backlog.whole}
        for number, keys in self._backlog.spared.items():
            for key in keys:
                rest[number].met(key)
        for block in self._backlog.spool:
            kept: list[Row] = []
            made: list[Row] = []
            for key in block.gone:
                self._drop(block.table_id, key)
            for row in block.rows:
                self._take(block.table_id, row, kept, made, rest.get(block.table_id))
            again.append(Block(block.table_id, [], kept))
            new.append(Block(block.table_id, [], made))
        for remainder in rest.values():
            self.done.deleted += remainder.delete()

    def _drop(self, number: int, key: Row) -> None:
        one = self._ways[number]
        try:
            wanted = one.inverse.key(key)
        except Unspeakable:
            # no row of the source can ever have had it
            return
        self.done.deleted += homecoming.delete(self._connection, one.shape, wanted)

    def _take(self, number: int, row: Row, kept: list[Row], made: list[Row], rest: Remainder | None) -> None:
        one = self._ways[number]
        key = one.key_of(row)
        try:
            wanted = one.inverse.key(key)
        except Unspeakable as error:
            return self._refuse(number, key, error.column, error.reason)
        found = homecoming.find(self._connection, one.shape, wanted)
        if rest is not None:
            rest.met(wanted)
        if found is not None and one.inverse.is_same(found.row, row):
            return
        if found is not None:
            homecoming.delete(self._connection, one.shape, wanted)
        try:
            source = one.inverse.row(row, found.row if found is not None else None, self._sampled(number))
        except Unspeakable as error:
            return self._refuse(number, key, error.column, error.reason)
        before = (found.rest.rowid, found.rest.kept) if found is not None else None
        (made if found is None else kept).append((source, row, before))

    def _sampled(self, number: int) -> list[Any]:
        if number not in self._samples:
            one = self._ways[number]
            self._samples[number] = homecoming.samples(self._connection, one.shape, one.inverse.varied)
        return self._samples[number]

    def _insert(self, number: int, source: Row, target: Row, rest: Row | None) -> None:
        one = self._ways[number]
        try:
            had = Rest(rest[0], _bindable(rest[1])) if rest is not None else None
            homecoming.insert(self._connection, one.shape, _bindable(source), had)
        except REFUSALS as error:
            # the text of a CHECK may quote a value; its name tells enough
            reason = f"SQLite refuses the row: {getattr(error, 'sqlite_errorname', type(error).__name__)}"
            return self._refuse(number, one.key_of(target), "", reason)
        self.done.written += 1
        found = homecoming.find(self._connection, one.shape, one.key_of(source))
        if found is not None and one.inverse.is_same(found.row, target):
            return
        column = one.inverse.differing(found.row, target) if found is not None else ""
        homecoming.delete(self._connection, one.shape, one.key_of(found.row if found else source))
        self.done.written -= 1
        self._refuse(number, one.key_of(target), column, "SQLite stores another value for it")

    def _refuse(self, number: int, key: Row, column: str, reason: str) -> None:
        self.done.refused.append(Refused(number, key, column, reason))


def _bindable(row: Row) -> Row:
    """Return a row as SQLite's driver takes it; behind the spool, which knows but one class of bytes."""
    return tuple(RawText(v.raw) if isinstance(v, BadText) else v for v in row)
