"""Columns whose values have outgrown their type: the next type up that holds all of them.

A row that its table does not hold is in quarantine before anything is done here, so that nothing waits. The
type, the plan and the note that the table must be read again are one transaction; reading it again brings the
rows in, and sets right what PostgreSQL's own cast spells in another way.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog

from config.errors import TargetAway, TargetError
from replicator import failpoint
from replicator.backoff import Backoff
from replicator.loading.loader import DAY
from replicator.planning.plan import ColumnPlan, TablePlan
from replicator.postgres import ledger
from replicator.postgres.connections import CONTROL, Connection, describe
from replicator.postgres.quarantine import restored
from replicator.schema import dml
from replicator.schema.ddl import Note
from replicator.schema.defaults import translate
from replicator.state import State
from replicator.values.converter import strict
from triggers.identifier import fold, quote

from .changes import stamped

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

log = structlog.get_logger("liteferry.widening")

#: By type, those that hold all its values and more, the narrowest first.
LADDER: Mapping[str, tuple[str, ...]] = {
    "boolean": ("bigint", "numeric", "text"),
    "smallint": ("integer", "bigint", "numeric", "text"),
    "integer": ("bigint", "numeric", "text"),
    "bigint": ("numeric", "text"),
    "double precision": ("numeric", "text"),
    "numeric": ("text",),
}

#: Rows of the quarantine looked at together.
AT_ONCE = 500

#: How long the table's lock is waited for; all others wait behind us.
LOCK = "SET LOCAL lock_timeout = '5s'"

#: Long before any row was refused, in microseconds from 2000.
NEVER = -(10**15)


class TableBusy(TargetError):
    """A table cannot be altered just now; try again."""

    retryable = True


class Widening:
    """Gives columns of one source wider types."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._facts = pipeline.facts
        #: By table, the time of the newest refusal that was looked at.
        self._seen: dict[int, Any] = {}
        #: Table, column and type that PostgreSQL did not want.
        self._given_up: set[tuple[int, str, str]] = set()

    async def run(self) -> None:
        """Widen what the rows refused since the last call ask for. Raises TargetAway, TableBusy."""
        for number, newest in list(self._facts.newest_refusals.items()):
            if number in self._pipeline.plans and newest != self._seen.get(number):
                await self._look(number)
                self._seen[number] = newest

    async def _look(self, number: int) -> None:
        plan = self._pipeline.plans[number]
        eligible = list(widenable(plan, self._pipeline.plans.values()))
        wanted: dict[str, str] = {}
        since = self._seen.get(number, NEVER)
        while eligible:
            async with self._pipeline.target.connection() as connection:
                place = self._pipeline.source_id, number
                rows = await connection.fetch(CONTROL["quarantined_since"], *place, since, AT_ONCE)
            for row in rows:
                _climb(plan, eligible, json.loads(row["row"]), wanted)
            if len(rows) < AT_ONCE:
                break
            since = rows[-1]["seen_at"]
        wanted = {c: t for c, t in wanted.items() if (number, c, t) not in self._given_up}
        if wanted:
            await self._widen(number, wanted)

    async def _widen(self, number: int, wanted: Mapping[str, str]) -> None:
        """Alter the columns between two batches; the stream rests for as long as it takes."""
        async with self._pipeline.tailer.applying:
            backoff = Backoff()
            while self._facts.state in (State.STREAMING, State.CATCH_UP):
                try:
                    await self._attempt(number, wanted)
                    self._facts.connected = True
                    return
                except TargetAway:
                    # not without the lock: the answer to a commit may have got lost
                    self._facts.connected = False
                    await asyncio.sleep(backoff.failed())
        raise TableBusy("a cutover is under way, so no column is widened now")

    async def _attempt(self, number: int, wanted: Mapping[str, str]) -> None:
        pipeline = self._pipeline
        # waits for a commit of ours whose answer got lost and that is still on its way
        await pipeline.registration.record()
        stored = {record.table_id: record for record in await pipeline.registration.tables()}
        plan = _as_stored(pipeline.plans[number], stored[number].plan)
        new = widened(plan, wanted)
        if new != plan:
            try:
                await self._alter(number, plan, new)
            except asyncpg.PostgresError as error:
                await self._give_up(number, plan, wanted, f"PostgreSQL refused it: {describe(error)}")
                new = plan
            except Inexact as error:
                await self._give_up(number, plan, wanted, str(error))
                new = plan
        if new != pipeline.plans[number] or stored[number].stale != self._facts.stale.get(number):
            await pipeline.target.expire()
            await pipeline.replan({**pipeline.plans, number: new})

    async def _alter(self, number: int, plan: TablePlan, new: TablePlan) -> None:
        source_id = self._pipeline.source_id
        notes = [_note(new, old, now) for old, now in _changed(plan, new)]
        async with self._pipeline.target.transaction() as connection:
            try:
                await connection.execute(LOCK)
                await ledger.source(connection, source_id)
                await _refuse_negative_zeros(connection, plan, new)
                for statement in statements(plan, new):
                    await connection.execute(statement, timeout=DAY)
            except asyncpg.LockNotAvailableError:
                raise TableBusy(
                    f"table {plan.name!r} is locked on the target, so its columns cannot be widened yet"
                ) from None
            await ledger.set_plan(connection, source_id, number, new)
            await ledger.set_stale(connection, source_id, [number], stamped("a column has a wider type"))
            await connection.execute(CONTROL["add_notes"], source_id, number, ledger.notes_json(notes))
            failpoint.reach("widen.before_commit")
        failpoint.reach("widen.after_commit")
        for note in notes:
            log.warning("column widened", table=plan.name, column=note.what, change=note.reason)

    async def _give_up(self, number: int, plan: TablePlan, wanted: Mapping[str, str], reason: str) -> None:
        """Leave the rows in quarantine, and say why."""
        self._given_up.update((number, column, to) for column, to in wanted.items())
        notes = [
            Note(plan.name, f"column {column}", f"not widened to {to}: {reason}")
            for column, to in wanted.items()
        ]
        async with self._pipeline.target.connection() as connection:
            known = CONTROL["add_notes"]
            await connection.execute(known, self._pipeline.source_id, number, ledger.notes_json(notes))
        log.warning("column not widened", table=plan.name, columns=sorted(wanted), reason=reason)
        self._facts.notes += [{"table": n.table, "what": n.what, "reason": n.reason} for n in notes]


class Inexact(Exception):
    """Values that are there would change under the wider type."""


def widenable(plan: TablePlan, plans: Iterable[TablePlan]) -> Iterator[ColumnPlan]:
    """Yield the columns that may be given another type.

    Not those of the key, nor of foreign keys, whose other end has the old one; not what the user has chosen,
    nor any of a table that was there before us.
    """
    if plan.adopted:
        return
    related = {fold(name) for key in plan.table.foreign_keys for name in key.columns}
    for other in plans:
        for key in other.table.foreign_keys:
            if fold(key.other_table) == fold(plan.name):
                related |= {fold(name) for name in key.other_columns}
    for column in plan.columns:
        chosen = column.overridden or column.conversion
        fixed = column.source in plan.key.columns or fold(column.source) in related
        if column.pg_type in LADDER and not chosen and not fixed:
            yield column


def _climb(
    plan: TablePlan, eligible: Collection[ColumnPlan], row: Mapping[str, Any], wanted: dict[str, str]
) -> None:
    """Note the types that one refused row asks for, where they are wider than those noted so far."""
    for column in eligible:
        value = restored(row[column.source]) if column.source in row else None
        to = rung(column.pg_type, value)
        if to == "text" and _is_unique(plan, column):
            continue  # 1 and '1' would be one value
        ladder = LADDER[column.pg_type]
        before = wanted.get(column.source)
        if to is not None and (before is None or ladder.index(to) > ladder.index(before)):
            wanted[column.source] = to


def rung(pg_type: str, value: Any) -> str | None:
    """Return the narrowest type above another that takes a value; None where itself does, or none."""
    if value is None or _takes(pg_type, value):
        return None
    return next((wider for wider in LADDER[pg_type] if _takes(wider, value)), None)


def _takes(pg_type: str, value: Any) -> bool:
    try:
        strict(pg_type, numbers_as_text=pg_type == "text")(value)
    except ValueError:
        return False
    return True


def _is_unique(plan: TablePlan, column: ColumnPlan) -> bool:
    return any(i.unique and any(c.name == column.source for c in i.columns) for i in plan.table.indexes)


def widened(plan: TablePlan, wanted: Mapping[str, str]) -> TablePlan:
    """Return the plan with wider types; a column that has climbed higher meanwhile stays where it is."""
    columns = []
    for column in plan.columns:
        to = wanted.get(column.source)
        if to is not None and to in LADDER.get(column.pg_type, ()):
            column = replace(column, pg_type=to, overridden=to == "text")
        columns.append(column)
    return replace(plan, columns=tuple(columns))


def _as_stored(plan: TablePlan, stored: Mapping[str, Any]) -> TablePlan:
    """Return the plan with the types that the target keeps: an earlier attempt may have been committed."""
    kept = {c["name"]: c for c in stored["columns"]}
    columns = tuple(
        replace(c, pg_type=kept[c.source]["type"], overridden=kept[c.source]["overridden"])
        if c.source in kept
        else c
        for c in plan.columns
    )
    return replace(plan, columns=columns)


def _changed(plan: TablePlan, new: TablePlan) -> list[tuple[ColumnPlan, ColumnPlan]]:
    pairs = zip(plan.columns, new.columns, strict=True)
    return [(old, now) for old, now in pairs if old.pg_type != now.pg_type]


def statements(plan: TablePlan, new: TablePlan) -> Iterator[str]:
    """Yield the statements that alter the target's table from one plan to the other; pure."""
    # fewer digits would be another number
    yield "SET LOCAL extra_float_digits = 1"
    for old, now in _changed(plan, new):
        name = quote(old.target)
        change = f"ALTER TABLE {plan.qualified} ALTER COLUMN {name}"
        yield f"{change} DROP DEFAULT"
        yield f"{change} TYPE {now.pg_type} USING {_cast(old.pg_type, now.pg_type, name)}"
        column = plan.table.column(old.source)
        default = None
        if column.default is not None and not column.generated:
            default = translate(column.default, now.pg_type)
        if default is not None:
            yield f"{change} SET DEFAULT {default}"


def _cast(old: str, new: str, name: str) -> str:
    """Return the expression for the values that are there, as the converter of the new type has them."""
    if old == "boolean":
        return f"{name}::integer::{new}"
    if (old, new) == ("double precision", "numeric"):
        # a cast alone rounds to 15 digits; beyond 2^53 an integer has all of its own
        return (
            f"CASE WHEN abs({name}) > 9007199254740992 AND {name} >= -9223372036854775808 "
            f"AND {name} < 9223372036854775808 THEN {name}::bigint::numeric ELSE {name}::text::numeric END"
        )
    return f"{name}::{new}"


async def _refuse_negative_zeros(connection: Connection, plan: TablePlan, new: TablePlan) -> None:
    for old, now in _changed(plan, new):
        doubtful = (old.pg_type, now.pg_type) == ("double precision", "numeric")
        if doubtful and await connection.fetchval(dml.negative_zero(plan, old), timeout=DAY):
            raise Inexact("it holds -0.0, which numeric does not have")


def _note(plan: TablePlan, old: ColumnPlan, new: ColumnPlan) -> Note:
    lost = "; whether a value was a number is not kept" if new.pg_type == "text" else ""
    return Note(plan.name, f"column {old.source}", f"widened from {old.pg_type} to {new.pg_type}{lost}")
