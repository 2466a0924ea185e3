"""How far comparisons of all rows are, kept in the target, so that one that was interrupted goes on.

What was compared before is worth something only together with what was touched since. Up to the position of
a bookmark the target has those keys too; behind it the source's change log has them, which is not pruned
beyond. Whatever else may have changed rows has the table begun afresh: another plan or schema, a log that is
not the one, a table that is stale.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from config.errors import CaptureBroken
from replicator import failpoint
from replicator.faults import source_error
from replicator.planning.plan import TablePlan
from replicator.postgres.connections import CONTROL, Connection
from replicator.sources import paging
from replicator.sources.paging import Cursor
from replicator.streaming.reader import logged_keys
from replicator.values.converter import Row
from triggers import changelog
from triggers.statements import load

from .findings import TableReport
from .touched import Record

if TYPE_CHECKING:
    import asyncpg

    from replicator.pipeline import Pipeline
    from replicator.postgres.ledger import SourceRecord

log = structlog.get_logger("liteferry.comparison")

SQL = load("replicator", "comparison.sql")

#: Who compares: somebody who has asked for it, and the background.
COMMAND, BACKGROUND = "command", "background"

#: Between two times that the target is told, in seconds: a kill costs what was compared since.
SAVE_SECONDS = 1.0

#: Somebody's who has asked for repairs too: what differs is repaired there, and only told of here.
REPAIRING = "command with repair"


@dataclass(eq=False)
class Bookmark:
    """How far the comparison of one table is."""

    kind: str
    number: int
    plan: TablePlan
    #: What was touched since it was begun.
    record: Record
    #: SQLite's count of schema changes by then; rows may be numbered anew since another.
    schema: int | None
    report: TableReport
    cursor: Cursor | None = None
    #: Whether all rows of the source have been met.
    walked: bool = False
    done: bool = False
    #: Whether the target does not know it as it is, or may know another of the same table.
    dirty: bool = True
    fresh: bool = True
    #: What the target is told of it.
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def is_begun(self) -> bool:
        """Tell whether there is anything to go on with."""
        return self.cursor is not None or self.walked

    def reach(self, cursor: Cursor | None, *, walked: bool = False, done: bool = False) -> None:
        """Note how far it is, and what has been found by now."""
        self.cursor, self.walked, self.done = cursor, walked, done
        self.found, self.dirty = self.report.state(), True


class Bookmarks:
    """The bookmarks of one source."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._facts = pipeline.facts
        self._marks: dict[tuple[str, int], Bookmark] = {}
        #: Up to where the target knows what was touched.
        self._position: int | None = None
        self._saved_at = 0.0
        self._saving = asyncio.Lock()
        self._created = False

    @property
    def position(self) -> int | None:
        """Return the position beyond which the source's log must be kept; None where there is none."""
        return self._position if self._marks else None

    def begin(self, kind: str, number: int, plan: TablePlan, report: TableReport) -> Bookmark:
        """Begin a table afresh, while no batch is on its way."""
        self.drop(kind, number)
        record = self._facts.touched.begin(number, plan, self._facts.suspicion.count)
        record.unsaved = []
        made = Bookmark(kind, number, plan, record, self._facts.schema_version, report)
        self._marks[kind, number] = made
        return made

    def find(self, kind: str, number: int) -> Bookmark | None:
        """Return where to go on with a table; None where it must be begun afresh."""
        mark = self._marks.get((kind, number))
        if mark is None or not mark.is_begun or not self._holds(mark):
            return None
        # what was found behind it is found again
        mark.report = TableReport.of_state(mark.plan.name, mark.found)
        mark.report.taken_up = mark.report.compared
        return mark

    def has(self, kind: str) -> bool:
        """Tell whether there is anything to go on with."""
        return any(known == kind and mark.is_begun for (known, _), mark in self._marks.items())

    def _holds(self, mark: Bookmark) -> bool:
        """Tell whether all that may have changed its rows since is known."""
        facts = self._facts
        return (
            mark.record.keys is not None
            and self._is_planned(mark)
            and mark.record.doubts == facts.suspicion.count
            and mark.schema == facts.schema_version
            and mark.number not in facts.stale
        )

    def _is_planned(self, mark: Bookmark) -> bool:
        """Tell whether its table is read as it was then; a plan that was made anew may say the same."""
        plan = self._pipeline.plans.get(mark.number)
        if plan is None or (plan is not mark.plan and digest(plan) != digest(mark.plan)):
            return False
        mark.plan = plan
        return True

    def drop(self, kind: str, number: int) -> None:
        """Forget how far a table is; the target learns of it with the next save."""
        mark = self._marks.pop((kind, number), None)
        if mark is not None:
            self._facts.touched.end(mark.record, equal=False)

    async def tell(self) -> None:
        """Save, if it is time to."""
        if time.monotonic() - self._saved_at >= SAVE_SECONDS:
            await self.save()

    async def save(self) -> None:
        """Have the target know how far the tables are, and what was touched since. Raises TargetAway."""
        async with self._saving:
            if not self._marks and self._position is None:
                return
            async with self._pipeline.tailer.applying:
                for key in [key for key, mark in self._marks.items() if not self._holds(mark)]:
                    self.drop(*key)
                place = self._facts.position, self._facts.mark
                if self._marks and place[0] == self._position and not self._is_changed():
                    return
                marks = [m for m in self._marks.values() if m.is_begun]
                if not marks and self._position is None:
                    return
                fresh = {id(m): list(m.record.unsaved or ()) for m in marks}
                for mark in marks:
                    mark.record.unsaved = []
            try:
                await self._write(marks, fresh, place)
            except BaseException:
                for mark in marks:
                    if mark.record.unsaved is not None:
                        mark.record.unsaved += fresh[id(mark)]
                raise
            self._position = place[0] if marks else None
            self._saved_at = time.monotonic()
        failpoint.reach("comparison.saved")

    def _is_changed(self) -> bool:
        return any(mark.dirty or mark.record.unsaved for mark in self._marks.values() if mark.is_begun)

    async def _write(
        self, marks: Sequence[Bookmark], fresh: dict[int, list[Row]], place: tuple[int, float | None]
    ) -> None:
        async with self._pipeline.target.transaction() as connection:
            if not self._created:
                await connection.execute(CONTROL["lock_setup"])
                for name in ("create", "create_keys", "create_index"):
                    await connection.execute(SQL[name])
            source_id = self._pipeline.source_id
            known = [m.kind for m in marks], [m.number for m in marks]
            await connection.execute(SQL["forget_others"], source_id, *known)
            for mark in marks:
                await self._write_one(connection, mark, fresh[id(mark)], place)
            await connection.execute(SQL["move"], source_id, *place)
        self._created = True
        for mark in marks:
            mark.dirty = mark.fresh = False

    async def _write_one(
        self, connection: Connection, mark: Bookmark, fresh: list[Row], place: tuple[int, float | None]
    ) -> None:
        where = self._pipeline.source_id, mark.kind, mark.number
        if mark.fresh:
            # of one that was begun before
            await connection.execute(SQL["begin"], *where)
        if mark.dirty:
            cursor = None if mark.cursor is None else paging.encode(mark.cursor)
            facts = cursor, mark.walked, mark.done, json.dumps(mark.found)
            await connection.execute(SQL["save"], *where, digest(mark.plan), mark.schema, *place, *facts)
        if fresh:
            await connection.execute(SQL["add_keys"], *where, list(map(paging.encode, fresh)))

    async def close(self, kind: str) -> None:
        """Forget a comparison that has come to its end, or is begun afresh. Raises TargetAway."""
        for number in [number for known, number in self._marks if known == kind]:
            self.drop(kind, number)
        # not while they are just being saved
        async with self._saving, self._pipeline.target.connection() as connection:
            if self._created or await connection.fetchval(SQL["exists"]):
                await connection.execute(SQL["close"], self._pipeline.source_id, [kind])

    async def take_up(self, record: SourceRecord, *, trusted: bool) -> None:
        """Take up what another daemon has left, if that is right; before anything moves the position.

        It is not where that daemon had something to look into. Raises TargetAway, SourceError.
        """
        async with self._pipeline.target.connection() as connection:
            if not await connection.fetchval(SQL["exists"]):
                return
            self._created = True
            kept = await connection.fetch(SQL["saved"], record.source_id) if trusted else []
            for row in kept:
                await self._take_up(connection, record, row)
        self._position = min((row["position"] for row in kept), default=None)
        if self._marks:
            log.info("comparisons are gone on with", source=self._facts.path, tables=len(self._marks))
        elif self._position is None:
            # what is left in the target goes with the first save
            self._position = record.position

    async def _take_up(self, connection: Connection, record: SourceRecord, row: asyncpg.Record) -> None:
        kind, number = row["kind"], row["table_id"]
        plan = self._pipeline.plans.get(number)
        same = plan is not None and row["plan"] == digest(plan) and number not in self._facts.stale
        version = row["schema_version"]
        if plan is None or not same or version is None or version != record.schema_version:
            return
        try:
            logged = await self._logged(plan, number, row, record)
        except CaptureBroken:
            # the log is another, or does not reach back: nobody knows what was touched
            return
        keys = await connection.fetch(SQL["keys"], record.source_id, kind, number)
        report = TableReport.of_state(plan.name, json.loads(row["found"]))
        mark = self.begin(kind, number, plan, report)
        self._facts.touched.add(mark.record, [paging.decode(one["key"]) for one in keys])
        mark.record.unsaved = []
        self._facts.touched.add(mark.record, logged)
        cursor = None if row["cursor"] is None else paging.decode(row["cursor"])
        mark.schema = version
        mark.reach(cursor, walked=row["walked"], done=row["done"])
        mark.dirty = mark.fresh = False

    async def _logged(
        self, plan: TablePlan, number: int, row: asyncpg.Record, record: SourceRecord
    ) -> list[Row]:
        """Return what was logged between a bookmark and the target's position. Raises CaptureBroken."""
        reader, span = self._pipeline.reader, (row["position"], record.position)
        try:
            return await reader.run(_logged, plan, number, span, row["mark"])
        except sqlite3.Error as error:
            raise source_error(reader, error) from error


def _logged(
    connection: sqlite3.Connection, plan: TablePlan, number: int, span: tuple[int, int], mark: float | None
) -> list[Row]:
    low, high = span
    changelog.checked_head(connection, low, mark)
    if high < low or (low > 0 and changelog.place(connection, low).mark != mark):
        raise CaptureBroken("the target was set back, or the log does not reach back")
    if high == low:
        return []
    changelog.touched(connection, low, high)
    return logged_keys(connection, plan, number, span)


def digest(plan: TablePlan) -> str:
    """Return the SHA-256 of all of a plan by which rows are read and compared."""
    columns = [[c.source, c.target, c.pg_type, c.conversion, c.enum, list(c.labels)] for c in plan.record]
    facts = [plan.structure(), plan.qualified, list(plan.key.columns), list(plan.paging.columns), columns]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
