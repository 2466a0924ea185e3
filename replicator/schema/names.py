"""Names on the target: PostgreSQL has one space of names for tables, indexes and sequences of a schema.

A table bears the name of its plan. Whatever is named for it, its key, indexes and sequences,
gives way: it takes its other name where the first is taken, and is renamed when a table comes that wants it.
So each is looked for among the indexes of its table, under both names.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from config.errors import TargetContents
from replicator.planning.naming import alternative
from replicator.planning.plan import TablePlan
from replicator.postgres.connections import CONTROL, Connection
from triggers.identifier import quote

from .ddl import Object, key_name


async def make_way(connection: Connection, schema: str, table: str) -> None:
    """Rename an index or a sequence of a table of ours that bears the name of a table to come."""
    row = await connection.fetchrow(CONTROL["in_the_way"], schema, table)
    if row is not None:
        other = alternative(row["owner"], table)
        kind = "SEQUENCE" if row["kind"] == "S" else "INDEX"
        await connection.execute(f"ALTER {kind} {quote(schema)}.{quote(table)} RENAME TO {quote(other)}")


async def indexes_of(connection: Connection, plan: TablePlan) -> set[str]:
    """Return the names of a table's indexes."""
    return {row["relname"] for row in await connection.fetch(CONTROL["indexes_of"], plan.qualified)}


async def strangers(connection: Connection, schema: str, wanted: Collection[str]) -> set[str]:
    """Return those of some names that something has on the target which does not give way."""
    return {row["relname"] for row in await connection.fetch(CONTROL["existing"], schema, list(wanted))}


async def taken(connection: Connection, schema: str) -> set[str]:
    """Return all names of a schema's tables, indexes, sequences and the like."""
    return {row["relname"] for row in await connection.fetch(CONTROL["relations"], schema)}


async def placed(connection: Connection, plan: TablePlan, wanted: Object) -> Object:
    """Return an index or a constraint to create under a name that is free. Raises TargetContents."""
    return wanted.under(free(wanted.names, await taken(connection, plan.schema), plan.schema))


async def placed_key(connection: Connection, plan: TablePlan) -> str:
    """Return a name for the table's key that is free. Raises TargetContents."""
    return free(key_names(plan), await taken(connection, plan.schema), plan.schema)


def key_names(plan: TablePlan) -> tuple[str, str]:
    """Return both names of the constraint that carries a table's key."""
    return key_name(plan), alternative(plan.target, key_name(plan))


def free(names: Sequence[str], used: Collection[str], schema: str) -> str:
    """Return the first name that is not in use. Raises TargetContents."""
    for name in names:
        if name not in used:
            return name
    raise TargetContents(
        f"schema {schema!r} of the target has no name left for an index: {' and '.join(map(repr, names))} "
        "are there already",
        hint="rename them, or choose another schema with --schema",
    )


def found(names: Sequence[str], present: Collection[str]) -> str | None:
    """Return the name under which something is there, None when it is not."""
    return next((name for name in names if name in present), None)
