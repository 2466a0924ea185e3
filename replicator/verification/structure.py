"""The structure of the target's tables beside the plan: columns, keys, constraints, indexes, sequences.

What is expected depends on where the migration is. While it streams the tables are guarded, foreign keys and
some unique indexes are not there yet, and sequences stand at their start; after the cutover all of it must
be there, and each sequence ahead of its column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replicator.loading import loader
from replicator.planning.plan import TablePlan
from replicator.postgres.connections import Connection
from replicator.schema import constraints, ddl, names
from replicator.schema.indexes import is_folded
from replicator.state import State
from replicator.values.conversions import base
from triggers.identifier import quote
from triggers.key import KeyKind
from triggers.schema import Index
from triggers.statements import load

from .findings import Finding

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

SQL = load("replicator", "structure.sql")

#: Rows of that kind of relation can be compared: an ordinary table, or a partitioned one.
TABLES = ("r", "p")

#: PostgreSQL's own names for types that go by a shorter one.
LONG_NAMES = {
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "time": "time without time zone",
    "varchar": "character varying",
    "bpchar": "character",
}

#: What pg_index keeps of a term's order.
DESCENDING, NULLS_FIRST = 1, 2

REBUILD = "nothing of the rows is lost; build it by hand, or `liteferry uninstall` and start afresh"


@dataclass(frozen=True)
class There:
    """A column, a constraint or an index as the target has it."""

    name: str
    columns: tuple[str | None, ...] = ()
    kind: str = ""
    valid: bool = True
    unique: bool = False
    partial: bool = False
    orders: tuple[int, ...] = ()


@dataclass
class Actual:
    """One table as the target has it."""

    oid: int
    kind: str
    guarded: bool
    #: By name: the type, whether it refuses NULL, and the sequence that it counts on with.
    columns: dict[str, tuple[str, bool, str | None]] = field(default_factory=dict)
    constraints: dict[str, There] = field(default_factory=dict)
    indexes: dict[str, There] = field(default_factory=dict)
    #: By column: the greatest value, and what its sequence gives out next.
    sequences: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Expected:
    """What a table should be like just now."""

    plan: TablePlan
    #: All tables of the source, which its foreign keys may refer to.
    siblings: Sequence[TablePlan]
    cut_over: bool
    #: It is being repaired: what is built last may be missing.
    stale: bool = False
    #: What PostgreSQL would not build: as in the notes, kind and name.
    refused: frozenset[str] = frozenset()


async def check(pipeline: Pipeline, numbers: Sequence[int]) -> dict[int, list[Finding]]:
    """Compare the structure of some tables, by number, with what it should be now. Raises TargetAway."""
    async with pipeline.tailer.applying:
        plans = {n: pipeline.plans[n] for n in numbers if n in pipeline.plans}
        cut_over = pipeline.facts.state is State.CUT_OVER
        async with pipeline.target.connection() as connection:
            found = await look(connection, list(plans.values()), sequences=cut_over)
    siblings, notes = list(pipeline.plans.values()), pipeline.facts.notes
    told: dict[int, list[Finding]] = {}
    for (number, plan), actual in zip(plans.items(), found, strict=True):
        refused = frozenset(
            n["what"] for n in notes if n["table"] == plan.name and n["reason"].startswith(loader.REFUSED)
        )
        stale = number in pipeline.facts.stale
        told[number] = findings(Expected(plan, siblings, cut_over, stale, refused), actual)
    return told


async def look(connection: Connection, plans: Sequence[TablePlan], *, sequences: bool) -> list[Actual | None]:
    """Read the structure of the plans' tables on the target; None for one that is not there."""
    rows = await connection.fetch(SQL["tables"], [plan.qualified for plan in plans])
    found: list[Actual | None] = [None] * len(plans)
    for row in rows:
        found[row["place"]] = Actual(row["oid"], row["kind"], row["guarded"])
    tables = {one.oid: one for one in found if one is not None}
    for row in await connection.fetch(SQL["columns"], list(tables)):
        told = row["type"], row["not_null"], row["sequence"]
        tables[row["oid"]].columns[row["name"]] = told
    for row in await connection.fetch(SQL["constraints"], list(tables)):
        one = There(row["name"], tuple(row["columns"]), row["kind"], row["valid"])
        tables[row["oid"]].constraints[one.name] = one
    for row in await connection.fetch(SQL["indexes"], list(tables)):
        facts = "i", row["valid"], row["is_unique"], row["partial"], tuple(row["orders"])
        one = There(row["name"], tuple(row["columns"]), *facts)
        tables[row["oid"]].indexes[one.name] = one
    if sequences:
        for plan, actual in zip(plans, found, strict=True):
            if actual is not None:
                await _read_sequence(connection, plan, actual)
    return found


async def _read_sequence(connection: Connection, plan: TablePlan, actual: Actual) -> None:
    column = ddl.identity(plan)
    sequence = actual.columns.get(column.target, ("", False, None))[2] if column else None
    if column is None or sequence is None:
        return
    greatest = await connection.fetchval(
        f"SELECT coalesce(max({quote(column.target)}), 0) FROM {plan.qualified}", timeout=3600
    )
    coming = await connection.fetchval(f"SELECT last_value + is_called::int FROM {sequence}")
    actual.sequences[column.target] = greatest, coming


def findings(wanted: Expected, actual: Actual | None) -> list[Finding]:
    """Return what is not as it should be; nothing when all is. Pure."""
    plan = wanted.plan
    if actual is None or actual.kind not in TABLES:
        problem = "is not there" if actual is None else "is no table"
        return [Finding(plan.name, "table", problem, "restore it; until then nothing can be written to it")]
    if plan.adopted:
        # its types, constraints and indexes are the application's own
        return [*_guard(wanted, actual), *_adopted(wanted, actual)]
    parts = (_guard, _columns, _key, _indexes, _constraints, _sequences)
    return [one for part in parts for one in part(wanted, actual)]


def _guard(wanted: Expected, actual: Actual) -> Iterator[Finding]:
    if not wanted.cut_over and not actual.guarded:
        hint = (
            "others can write to the table; restart after `liteferry uninstall`, or create the trigger again"
        )
        yield Finding(wanted.plan.name, f"trigger {ddl.GUARD}", "is missing or switched off", hint)


def _columns(wanted: Expected, actual: Actual) -> Iterator[Finding]:
    plan = wanted.plan
    for place, column in enumerate(plan.record):
        what = f"column {column.target}"
        there = actual.columns.get(column.target)
        if there is None:
            yield Finding(plan.name, what, "is not there", "add it again: the stream cannot write without")
            continue
        full, not_null, _ = there
        if full != long_name(column.pg_type):
            hint = (
                f"change it back: ALTER TABLE {plan.qualified} ALTER COLUMN {quote(column.target)} TYPE ..."
            )
            yield Finding(plan.name, what, f"is {full}, planned is {long_name(column.pg_type)}", hint)
        strict = place in plan.key_places or plan.table.column(column.source).not_null
        if not_null and not strict:
            hint = f"ALTER TABLE {plan.qualified} ALTER COLUMN {quote(column.target)} DROP NOT NULL"
            yield Finding(plan.name, what, "refuses NULL, which the source allows", hint)
        elif strict and not not_null:
            hint = f"ALTER TABLE {plan.qualified} ALTER COLUMN {quote(column.target)} SET NOT NULL"
            yield Finding(plan.name, what, "allows NULL, which the source does not", hint, wanted.stale)
    for name in actual.columns.keys() - {column.target for column in plan.record}:
        hint = "drop it if it is not wanted; it is never written to"
        yield Finding(
            plan.name, f"column {name}", "is only on the target", hint, actual.columns[name][1] is False
        )


def _adopted(wanted: Expected, actual: Actual) -> Iterator[Finding]:
    """Of a table that was there before us: what we write to, and what tells rows apart while it streams."""
    plan = wanted.plan
    for column in plan.record:
        if column.target not in actual.columns:
            hint = "add it again: the stream cannot write without"
            yield Finding(plan.name, f"column {column.target}", "is not there", hint)
    key = sorted(plan.record[i].target for i in plan.key_places)
    whole = [one for one in actual.indexes.values() if one.unique and one.valid and not one.partial]
    if not wanted.cut_over and not any(sorted(map(str, one.columns)) == key for one in whole):
        hint = f"changes are applied by it: CREATE UNIQUE INDEX ON {plan.qualified} (...)"
        yield Finding(plan.name, f"unique index ({', '.join(key)})", "is not there", hint)


def long_name(pg_type: str) -> str:
    """Return a type as PostgreSQL spells it out."""
    name, bracket, arguments = pg_type.partition("(")
    spelled = LONG_NAMES.get(base(pg_type), name)
    return f"{spelled}{bracket}{arguments}"


def _key(wanted: Expected, actual: Actual) -> Iterator[Finding]:
    plan = wanted.plan
    columns = tuple(plan.record[i].target for i in plan.key_places)
    kind = "u" if plan.key.kind is KeyKind.UNIQUE else "p"
    keys = [one for one in actual.constraints.values() if one.kind == kind]
    if not any(one.columns == columns for one in keys):
        what = f"{'unique key' if kind == 'u' else 'primary key'} ({', '.join(columns)})"
        others = [one.columns for one in actual.constraints.values() if one.kind in "pu"]
        same = any(sorted(map(str, one)) == sorted(columns) for one in others)
        problem = "has its columns in another order" if same else "is not there"
        hint = f"ALTER TABLE {plan.qualified} ADD {'UNIQUE' if kind == 'u' else 'PRIMARY KEY'} (...)"
        yield Finding(plan.name, what, problem, f"changes are applied by it: {hint}")


def _indexes(wanted: Expected, actual: Actual) -> Iterator[Finding]:
    plan, known = wanted.plan, set(names.key_names(wanted.plan))
    for index, one in zip(plan.table.indexes, ddl.by_index(plan), strict=True):
        if one is None:
            continue
        known.update(one.names)
        what = f"{one.kind} {one.name}"
        if what in wanted.refused:
            problem = "was not built: PostgreSQL refused it"
            yield Finding(
                plan.name, what, problem, "see the notes of `liteferry status --json`", harmless=True
            )
            continue
        if one.late and not wanted.cut_over:
            continue
        there = actual.indexes.get(names.found(one.names, actual.indexes) or "")
        if there is None:
            yield Finding(plan.name, what, "is not there", one.sql + "; " + REBUILD, wanted.stale)
        elif not there.valid:
            yield Finding(plan.name, what, "is not valid", "REINDEX it, or drop it and build it again")
        elif not _alike(plan, index, there, constraint=one.kind == "unique constraint"):
            yield Finding(plan.name, what, "is defined in another way", f"planned is: {one.sql}")
    for there in actual.indexes.values():
        if there.unique and there.name not in known and not _is_key(plan, there):
            hint = "it may refuse rows that the source takes: drop it until the cutover"
            yield Finding(
                plan.name, f"unique index {there.name}", "is only on the target", hint, wanted.cut_over
            )


def _is_key(plan: TablePlan, there: There) -> bool:
    return there.columns == tuple(plan.record[i].target for i in plan.key_places)


def _alike(plan: TablePlan, index: Index, there: There, *, constraint: bool) -> bool:
    """Tell whether an index is as planned; of expressions and conditions only whether there is one."""
    columns = tuple(
        None if c.name is None or is_folded(plan, c) else plan.on_target(c.name) for c in index.columns
    )
    orders = tuple(DESCENDING if c.descending else NULLS_FIRST for c in index.columns)
    if index.origin != "c":
        # NULLs need no place where uniqueness alone is meant
        orders = (0,) * len(columns)
    unique = constraint or index.unique
    wanted = columns, orders, unique, index.partial
    return wanted == (there.columns, there.orders, there.unique, there.partial)


def _constraints(wanted: Expected, actual: Actual) -> Iterator[Finding]:
    plan = wanted.plan
    planned = {one.name: one for one in constraints.constraints(plan, wanted.siblings)}
    present = {one.name: one for one in actual.constraints.values() if one.kind in "fc"}
    if not wanted.cut_over:
        for name in (one.name for one in present.values() if one.kind == "f"):
            hint = "the stream may write a row before the one it refers to: drop it, the cutover creates it"
            yield Finding(
                plan.name, f"foreign key {name}", "is there before the cutover", hint, harmless=True
            )
        return
    for name, one in planned.items():
        what = f"{one.kind} {name}"
        if what in wanted.refused:
            continue
        if name not in present:
            yield Finding(plan.name, what, "is not there", one.sql)
        elif not present[name].valid:
            hint = f"rows of the source violate it; mend them, then {ddl.validate(plan, name)}"
            yield Finding(plan.name, what, "is not validated", hint, harmless=True)


def _sequences(wanted: Expected, actual: Actual) -> Iterator[Finding]:
    plan, column = wanted.plan, ddl.identity(wanted.plan)
    if column is None or column.target not in actual.columns:
        return
    what = f"sequence of {column.target}"
    if actual.columns[column.target][2] is None:
        change = f"ALTER TABLE {plan.qualified} ALTER COLUMN {quote(column.target)}"
        hint = f"{change} ADD GENERATED BY DEFAULT AS IDENTITY"
        yield Finding(plan.name, what, "is not there: the application's inserts will fail", hint)
    elif wanted.cut_over:
        greatest, coming = actual.sequences.get(column.target, (0, 1))
        if coming <= greatest:
            hint = "set it: SELECT setval(pg_get_serial_sequence(...), max of the column)"
            yield Finding(plan.name, what, f"gives out {coming}, and {greatest} is there already", hint)
