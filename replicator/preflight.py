"""Looking at a source before anything is changed: structure, contents, and the plan made of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from config.errors import SchemaDrift, Unsupported
from triggers.connection import reading
from triggers.identifier import quote
from triggers.key import choose
from triggers.schema import Skipped, Table, tables
from triggers.session import Session

from .ledger import TableRecord
from .plan import SourcePlan, TablePlan, plan_table, remembered
from .profile import Profile, estimate
from .types import Evidence


def structure(connection: sqlite3.Connection, exclude: Collection[str]) -> tuple[list[Table], list[Skipped]]:
    """Read the structure of a source in one read transaction."""
    with reading(connection):
        return tables(connection, exclude)


async def make_plan(
    session: Session,
    schema: str,
    *,
    exclude: Collection[str] = (),
    overrides: Mapping[str, str] | None = None,
    profile: bool = True,
    read_seconds: float = 0.05,
) -> SourcePlan:
    """Plan a source from its structure and, with `profile`, from every value in it; changes nothing.

    Raises Unsupported and ConfigError as `plan_table` does.
    """
    found, skipped = await session.run(structure, exclude)
    planned = []
    for table in found:
        await session.run(_refuse_unreachable, table)
        rows: int | None = None
        if profile:
            evidence = await _profiled(session, table, read_seconds)
        else:
            rows = await session.run(estimate, table, choose(table))
            evidence = [Evidence()] * len(table.columns)
        planned.append(plan_table(table, schema, evidence, overrides or {}, rows))
    return SourcePlan(schema, tuple(planned), tuple(skipped))


def _refuse_unreachable(connection: sqlite3.Connection, table: Table) -> None:
    """Without a readable rowid a table is walked by its key, where rows with NULL in it are not met."""
    if table.rowid_name is not None or table.without_rowid:
        return
    for column in table.primary_key:
        sql = f"SELECT 1 FROM main.{quote(table.name)} WHERE {quote(column.name)} IS NULL LIMIT 1"
        if connection.execute(sql).fetchone():
            raise Unsupported(
                f"table {table.name!r}: its key {column.name!r} holds NULL, and columns hide the rowid",
                hint="give these rows a key, or leave the table out with `exclude`",
            )


async def _profiled(session: Session, table: Table, seconds: float) -> list[Evidence]:
    counting = Profile(table, choose(table), seconds)
    while not counting.done:
        await session.run(counting.step)
    return counting.evidence()


def take_up(
    found: Sequence[Table], schema: str, records: Sequence[TableRecord]
) -> tuple[dict[int, TablePlan], list[str]]:
    """Return the plans that the target remembers, by number, and the tables that are new since.

    Raises SchemaDrift when a planned table is gone or of another structure.
    """
    by_name = {table.name: table for table in found}
    plans = {}
    for record in records:
        table = by_name.pop(record.name, None)
        plan = remembered(table, schema, record.plan) if table is not None else None
        if plan is None:
            raise _drifted(record.name, gone=table is None)
        plans[record.table_id] = plan
    return plans, sorted(by_name)


def drift(found: Sequence[Table], plans: Iterable[TablePlan]) -> list[str]:
    """Return the tables that are new since the plan. Raises SchemaDrift when a planned one changed."""
    by_name = {table.name: table for table in found}
    for plan in plans:
        table = by_name.pop(plan.name, None)
        if table is None or replace(plan, table=table).structure() != plan.structure():
            raise _drifted(plan.name, gone=table is None)
    return sorted(by_name)


def _drifted(name: str, gone: bool) -> SchemaDrift:
    return SchemaDrift(
        f"table {name!r} {'is gone' if gone else 'has another structure'} since it was planned",
        hint="run `liteferry uninstall` for this source, drop the target's tables, and start afresh",
    )
