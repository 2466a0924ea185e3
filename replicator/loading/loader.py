"""The target's tables: created empty and guarded, keyed after the load, indexed once consistent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import asyncpg
import structlog

from config.errors import TargetError
from replicator.planning.adoption import Adoption
from replicator.planning.plan import TablePlan
from replicator.postgres import ledger
from replicator.postgres.connections import CONTROL, Connection, Target, describe
from replicator.schema import aside, ddl, names
from replicator.schema.ddl import Note, Object
from triggers.changelog import Place
from triggers.identifier import quote

from .lanes import Bounds

log = structlog.get_logger("liteferry.loader")

#: Building an index may take as long as it takes.
DAY = 86_400.0

#: How a note begins of what the target would not take; other notes are of what it takes in another form.
REFUSED = "PostgreSQL refused it"


async def create(
    target: Target,
    source_id: UUID,
    path: str,
    schema: str,
    plans: Mapping[int, TablePlan],
    lanes: Mapping[int, Sequence[Bounds]],
    place: Place,
    version: int,
    inode: int,
    adoptions: Mapping[str, Adoption] | None = None,
) -> None:
    """Create the tables, or take over those that are to be adopted, and register the source: all or nothing.

    Raises TargetContents when another of the tables is there already, TargetError for missing privileges.
    """
    try:
        async with target.transaction() as connection:
            await ledger.prepare(connection)
            made = [p.target for p in plans.values() if not p.adopted]
            await ledger.refuse_existing(connection, schema, made)
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
            await ledger.register(connection, source_id, path, schema, place, version, inode)
            for number, plan in plans.items():
                if plan.adopted:
                    adoption = (adoptions or {})[plan.name]
                    await aside.put_aside(connection, source_id, plan, adoption.found)
                    notes = adoption.notes
                else:
                    await names.make_way(connection, schema, plan.target)
                    await connection.execute(ddl.create_table(plan))
                    await connection.execute(ddl.comment(plan, path))
                    notes = ddl.notes(plan, list(plans.values()))
                await connection.execute(ddl.guard(plan))
                await ledger.add_table(connection, source_id, number, plan, lanes[number], notes)
    except asyncpg.InsufficientPrivilegeError as error:
        raise TargetError(
            f"the target's user may not create schemas or tables: {describe(error)}",
            hint="run as its owner: GRANT CREATE ON DATABASE <database> TO <user>, and "
            "GRANT CREATE, USAGE ON SCHEMA <schema> TO <user>",
        ) from None


async def add_indexes(
    target: Target, source_id: UUID, tables: Mapping[int, TablePlan], refused: Mapping[int, Collection[str]]
) -> None:
    """Build the unique constraints and indexes that are missing; what PostgreSQL refuses becomes a note.

    `refused` tells for each table what has become one already, which is not tried again.
    """
    for number, plan in tables.items():
        async with target.transaction() as connection:
            wanted = await missing(connection, plan)
            tried = refused.get(number, ())
            notes = await build(connection, plan, [o for o in wanted if f"{o.kind} {o.name}" not in tried])
            await connection.execute(
                CONTROL["indexed"], source_id, number, ledger.notes_json(notes), timeout=DAY
            )


async def missing(connection: Connection, plan: TablePlan) -> list[Object]:
    """Return the indexes and constraints that a table should have by now and has not.

    One that was there before us has its own.
    """
    if plan.adopted:
        return []
    wanted = [one for one in ddl.secondary(plan) if not one.late]
    present = await names.indexes_of(connection, plan)
    return [one for one in wanted if names.found(one.names, present) is None]


async def tighten(connection: Connection, plan: TablePlan, statements: Sequence[str]) -> list[Note]:
    """Give columns their NOT NULL; one that holds NULL all the same becomes a note."""
    if plan.adopted:
        return []
    return await build(connection, plan, [Object(plan.name, "", "column", sql) for sql in statements])


async def relax(connection: Connection, source_id: UUID, number: int, plan: TablePlan, name: str) -> bool:
    """Take a unique index away that a stale row stands behind, until the table is repaired.

    It may be one that the source has dropped while nobody looked. Returns False for the table's key, and
    for an index that was there before us.
    """
    if plan.adopted or name in names.key_names(plan):
        return False
    await connection.execute(f"ALTER TABLE {plan.qualified} DROP CONSTRAINT IF EXISTS {quote(name)}")
    await connection.execute(f"DROP INDEX IF EXISTS {quote(plan.schema)}.{quote(name)}")
    await connection.execute(CONTROL["set_unindexed"], source_id, number)
    return True


async def build_together(
    connection: Connection, wanted: Sequence[tuple[TablePlan, Sequence[Object]]]
) -> list[Note]:
    """Create objects in one go, for the application waits; where one is refused, one by one as `build`."""
    script = ";\n".join(one.sql for _, objects in wanted for one in objects)
    try:
        async with connection.transaction():
            if script:
                await connection.execute(script, timeout=DAY)
    except asyncpg.PostgresError as error:
        if isinstance(error, asyncpg.PostgresConnectionError | asyncpg.OperatorInterventionError):
            raise
        return [note for plan, objects in wanted for note in await build(connection, plan, objects)]
    return []


async def build(connection: Connection, plan: TablePlan, objects: Sequence[Object]) -> list[Note]:
    """Create objects one by one inside a transaction; return what could not be created and why."""
    notes = []
    for wanted in objects:
        try:
            async with connection.transaction():
                one = await names.placed(connection, plan, wanted) if wanted.other else wanted
                await connection.execute(one.sql, timeout=DAY)
        except asyncpg.PostgresError as error:
            if isinstance(error, asyncpg.PostgresConnectionError | asyncpg.OperatorInterventionError):
                raise
            reason = f"{REFUSED}: {describe(error)}"
            notes.append(Note(wanted.table, f"{wanted.kind} {wanted.name}", reason))
            log.warning("not carried", table=wanted.table, object=wanted.name, reason=reason)
    return notes
