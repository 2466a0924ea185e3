"""Looking at a source before anything is changed: structure, contents, and the plan made of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from config.errors import Unsupported
from replicator.postgres.connections import Target
from replicator.postgres.ledger import TableRecord
from replicator.schema import views
from replicator.schema.objects import Note
from triggers import select
from triggers.connection import reading
from triggers.identifier import quote
from triggers.inspection import application_triggers
from triggers.key import choose
from triggers.schema import Skipped, Table, tables
from triggers.select import View
from triggers.session import Session

from . import adopting, adoption
from .adoption import Adoption
from .asked import asked
from .naming import Naming, named
from .plan import SourcePlan, TablePlan, names_alone, plan_table, remembered
from .policy import Policy
from .profile import estimate
from .profiling import profiled
from .types import Evidence


def structure(connection: sqlite3.Connection, exclude: Collection[str]) -> tuple[list[Table], list[Skipped]]:
    """Read the structure of a source in one read transaction, and what is not replicated of it."""
    with reading(connection):
        found, skipped = tables(connection, exclude)
        return found, [*skipped, *_triggers(connection, exclude)]


def _triggers(connection: sqlite3.Connection, exclude: Collection[str]) -> list[Skipped]:
    """Return the application's triggers, but for those of tables that are left out by name."""
    return [
        Skipped(name, "trigger", f"on {table!r}, the application's: what it does, PostgreSQL has to do")
        for name, table in application_triggers(connection)
        if not any(fnmatchcase(table, pattern) for pattern in exclude)
    ]


async def make_plan(
    session: Session,
    schema: str,
    *,
    naming: Naming | None = None,
    exclude: Collection[str] = (),
    overrides: Mapping[str, str] | None = None,
    profile: bool = True,
    profile_rows: int = 0,
    read_seconds: float = 0.05,
    target: Target | None = None,
    leave_out: Collection[str] = (),
    policy: Policy = Policy(),  # noqa: B008  # a constant
) -> SourcePlan:
    """Plan a source from its structure and, with `profile`, from every value in it; changes nothing.

    Tables that a `target` has already are adopted. Raises Unsupported and ConfigError as `plan_table` does,
    ConfigError for names that would be one, TargetContents for tables that cannot be adopted, TargetAway.
    """
    found, skipped = await session.run(structure, exclude)
    names = named(naming or Naming(), found)
    present = await adopting.present(target, schema, [names[table.name].table for table in found])
    looking = adopting.Looking(
        session, overrides or {}, leave_out, read_seconds if profile else 0, profile_rows
    )
    planned: list[TablePlan] = []
    adoptions: dict[str, Adoption] = {}
    for table in found:
        await session.run(_refuse_unreachable, table)
        evidence, rows = await _looked_at(session, table, read_seconds if profile else 0, profile_rows)
        called = names[table.name]
        if called.table in present:
            there = present[called.table]
            one, made = await looking.adopt(table, schema, evidence, rows, there, called)
            planned.append(_ruled(one, overrides or {}, policy))
            adoptions[table.name] = made
        else:
            planned.append(plan_table(table, schema, evidence, overrides or {}, rows, called, policy))
    adoption.refuse(adoptions)
    seen = views.named(await session.run(select.views, exclude), naming or Naming())
    left_out = _left_out(skipped, seen, views.translate(seen, planned, schema)[1])
    return SourcePlan(schema, tuple(planned), left_out, tuple(seen), adoptions)


async def _looked_at(
    session: Session, table: Table, seconds: float, most: int
) -> tuple[list[Evidence], int | None]:
    """Return what a table holds, and an estimate of its rows where not all were counted.

    Read for some `seconds` at once, not at all with 0.
    """
    evidence = [Evidence()] * len(table.columns)
    if seconds:
        evidence = await profiled(session, table, seconds, most)
        if not (evidence and 0 < most <= evidence[0].rows):
            return evidence, None
    return evidence, await session.run(estimate, table, choose(table))


def _left_out(
    skipped: Sequence[Skipped], seen: Sequence[View], refused: Sequence[Note]
) -> tuple[Skipped, ...]:
    """Return what is not replicated: of the views that were seen those that are refused."""
    carried = {view.name for view in seen}
    others = [s for s in skipped if s.kind != "view" or s.name not in carried]
    return (*others, *(Skipped(note.table, "view", note.reason) for note in refused))


def _ruled(plan: TablePlan, overrides: Mapping[str, str], policy: Policy) -> TablePlan:
    """Return an adopted table's plan under the rules for values that cannot be stored; types stay."""
    columns = []
    for column in plan.columns:
        made = policy.applied(plan.name, column, key=column.source in plan.key.columns)
        kept = column if column.enum or made.pg_type != column.pg_type else made
        columns.append(replace(kept, asked=asked(overrides, policy, plan.name, column.source)))
    return replace(plan, columns=tuple(columns))


def _refuse_unreachable(connection: sqlite3.Connection, table: Table) -> None:
    """Without a readable rowid a table is walked by its key, where rows with NULL in it are not met."""
    if table.rowid_name is not None or table.without_rowid:
        return
    for column in table.primary_key:
        sql = f"SELECT 1 FROM main.{quote(table.name)} AS t WHERE t.{quote(column.name)} IS NULL LIMIT 1"
        if connection.execute(sql).fetchone():
            raise Unsupported(
                f"table {table.name!r}: its key {column.name!r} holds NULL, and columns hide the rowid",
                hint="give these rows a key, or leave the table out with `exclude`",
            )


def take_up(
    found: Sequence[Table], schema: str, records: Sequence[TableRecord]
) -> tuple[dict[int, TablePlan], set[int]]:
    """Return the plans that the target remembers, by number, and which of them fit no table any more.

    Of those nothing is known but the names on the target: the table will be made anew.
    """
    by_name = {table.name: table for table in found}
    plans, drifted = {}, set()
    for record in records:
        table = by_name.get(record.name)
        plan = remembered(table, schema, record.plan) if table is not None else None
        if plan is None:
            drifted.add(record.table_id)
            plan = names_alone(record.name, schema, record.plan)
        plans[record.table_id] = plan
    return plans, drifted
