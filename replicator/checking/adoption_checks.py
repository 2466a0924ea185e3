"""Tables that the target has already, judged by the types that they have there, as `plan --adopt` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from config.errors import LiteferryError, TargetAway
from config.settings import Settings
from replicator.planning import adopting
from replicator.planning.adopting import Looking
from replicator.planning.adoption import Adoption
from replicator.planning.naming import Names
from replicator.planning.types import Evidence
from replicator.postgres.catalogue import TargetTable
from replicator.postgres.connections import Target
from triggers.schema import Table
from triggers.session import Session
from triggers.statements import load

from .checks import Findings, Level, counted

SQL = load("replicator", "checks.sql")

PROBLEM_HINT = "see docs/howto/existing-schema.md; `liteferry plan --adopt` tells how each column goes over"
WARNING_HINT = (
    "correct the rows in SQLite, or say under [columns] what is meant; see `liteferry plan --adopt`"
)


@dataclass(frozen=True)
class Existing:
    """What stands on the target under the names of a source's tables, by the source's names of them."""

    target: Target | None = None
    tables: Mapping[str, TargetTable] = field(default_factory=dict)
    names: Mapping[str, Names] = field(default_factory=dict)


async def existing(
    target: Target | None, source_id: UUID | None, schema: str, names: Mapping[str, Names]
) -> Existing:
    """Look for the tables of a source that a target has, unless it has them from us.

    A target that is away has none here: what is to be said of it is said elsewhere.
    """
    if target is None:
        return Existing()
    try:
        if await _is_known(target, source_id):
            return Existing()
        there = await adopting.present(target, schema, [one.table for one in names.values()])
    except (TargetAway, asyncpg.PostgresError):
        return Existing()
    found = {name: there[one.table] for name, one in names.items() if one.table in there}
    return Existing(target, found, names)


async def _is_known(target: Target, source_id: UUID | None) -> bool:
    if source_id is None:
        return False
    async with target.connection() as connection:
        if not await connection.fetchval(SQL["has_bookkeeping"]):
            return False
        return await connection.fetchrow(SQL["known"], source_id) is not None


async def check_adoptions(
    found: Findings,
    session: Session,
    there: Existing,
    tables: Sequence[Table],
    evidence: Mapping[str, Sequence[Evidence]],
    schema: str,
    settings: Settings,
    seconds: float,
) -> None:
    """Note what keeps tables from being filled, and which of their rows would go into quarantine.

    Values are not looked at where `seconds` is 0.
    """
    looking = Looking(session, settings.columns, settings.leave_out, seconds, settings.profile_rows)
    fitting = 0
    # what keeps all of a table from being filled is told with the target
    for table in (t for t in tables if not there.tables[t.name].obstacles):
        try:
            made = await _judged(looking, there, table, evidence[table.name], schema)
        except LiteferryError as error:
            found.refused("adoption", error)
            continue
        for text in made.problems:
            found.add("adoption", Level.FAIL, text, PROBLEM_HINT)
        for text in made.warnings:
            found.add("adoption", Level.WARN, text, WARNING_HINT)
        fitting += not made.problems and not made.warnings
    if fitting:
        text = f"all that is in {counted(fitting, 'table')} fits the target's own"
        found.add("adoption", Level.PASS, text)


async def _judged(
    looking: Looking, there: Existing, table: Table, evidence: Sequence[Evidence], schema: str
) -> Adoption:
    target = there.tables[table.name]
    plan, made = await looking.adopt(table, schema, evidence, None, target, there.names[table.name])
    if looking.seconds and not made.problems and there.target is not None:
        made.warnings += await looking.foretell(there.target, plan, made)
    return made
