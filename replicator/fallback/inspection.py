"""Whether the target's tables are still those that the way back was armed for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from asyncpg import Record

from replicator.planning.plan import TablePlan
from replicator.postgres.connections import Connection
from replicator.values.conversions import base
from triggers.statements import load

from .keylog import NAMES

SQL = load("replicator", "fallback.sql")


@dataclass
class Shape:
    """What has become of the application's tables on the target since the way back was armed."""

    #: What the source cannot follow: nothing is brought home until it is undone.
    objections: list[str] = field(default_factory=list)
    #: What only PostgreSQL has, and what stays there at a rollback.
    notices: list[str] = field(default_factory=list)


async def look(connection: Connection, source_id: UUID, plans: Mapping[int, TablePlan]) -> Shape:
    """Look at a source's tables on the target, and at what has come beside them."""
    wanted = {base(c.pg_type) for plan in plans.values() for c in plan.record}
    named = {row["given"]: row["named"] for row in await connection.fetch(SQL["types"], sorted(wanted))}
    present: dict[int, dict[str, Record]] = {}
    for row in await connection.fetch(SQL["columns"], *_tables(plans)):
        present.setdefault(row["table_id"], {})[row["name"]] = row
    shape = Shape()
    for number, plan in plans.items():
        types = {c.target: named[base(c.pg_type)] for c in plan.record}
        _compare(shape, plan, types, present.get(number))
    for kind, name in await _made_since(connection, source_id, plans):
        shape.notices.append(
            f"{kind} {name} was made in PostgreSQL after the cutover: a rollback leaves it there"
        )
    return shape


def _compare(
    shape: Shape, plan: TablePlan, wanted: Mapping[str, str], present: Mapping[str, Record] | None
) -> None:
    if present is None:
        shape.objections.append(f"table {plan.qualified} is gone from PostgreSQL, or has another name")
        return
    told = f"table {plan.qualified} was changed in PostgreSQL: column"
    gone = [name for name in wanted if name not in present]
    shape.objections += [f"{told} {name!r} is gone" for name in gone]
    for name, column in present.items():
        # a table that was there before us may have columns of its own
        if name in wanted or plan.adopted:
            continue
        if column["needs_value"] and not gone:
            # rows that stream there after a rollback would be refused
            shape.objections.append(f"{told} {name!r} is new, NOT NULL and without a default: give it one")
        else:
            shape.notices.append(f"{told} {name!r} is new: a rollback leaves its values there")
    for name, pg_type in wanted.items():
        # there a column's type may be one that is only read as the plan's: a domain, an enumeration
        if not plan.adopted and name in present and present[name]["type"] != pg_type:
            shape.objections.append(f"{told} {name!r} is {present[name]['type']} and no longer {pg_type}")


async def remember(connection: Connection, source_id: UUID, plans: Mapping[int, TablePlan]) -> None:
    """Note what stands in the schemas of a source's tables now."""
    await connection.execute(SQL["forget_beside"], source_id)
    await connection.execute(
        f"INSERT INTO liteferry.back_beside SELECT $1::uuid, kind, name FROM ({SQL['beside']}) AS b",  # noqa: S608
        source_id,
        _schemas(plans),
    )


async def _made_since(
    connection: Connection, source_id: UUID, plans: Mapping[int, TablePlan]
) -> list[tuple[str, str]]:
    if not await connection.fetchval(SQL["has_beside"]):
        return []
    rows = await connection.fetch(
        f"SELECT kind, name FROM ({SQL['beside']}) AS b EXCEPT "  # noqa: S608
        "SELECT kind, name FROM liteferry.back_beside WHERE source_id = $1::uuid ORDER BY kind, name",
        source_id,
        _schemas(plans),
    )
    return [(row["kind"], row["name"]) for row in rows]


def _schemas(plans: Mapping[int, TablePlan]) -> list[str]:
    return sorted({plan.schema for plan in plans.values()})


async def unwatched(connection: Connection, plans: Mapping[int, TablePlan]) -> list[int]:
    """Return the tables whose changes are not all logged: triggers are gone, or do not always fire."""
    rows = await connection.fetch(SQL["watched"], *_tables(plans), list(NAMES))
    return [row["table_id"] for row in rows if row["triggers"] != len(NAMES)]


def _tables(plans: Mapping[int, TablePlan]) -> tuple[list[int], list[str]]:
    return list(plans), [plan.qualified for plan in plans.values()]
