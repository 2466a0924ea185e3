"""Whether the target's tables are still those that the way back was armed for."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.conversions import base
from replicator.plan import TablePlan
from replicator.target import Connection
from triggers.statements import load

from .keylog import NAMES

SQL = load("replicator", "fallback.sql")


async def objections(connection: Connection, plans: Mapping[int, TablePlan]) -> list[str]:
    """Return what of the application's changes to its tables on the target the source could not follow."""
    wanted = {base(c.pg_type) for plan in plans.values() for c in plan.record}
    named = {row["given"]: row["named"] for row in await connection.fetch(SQL["types"], sorted(wanted))}
    rows = await connection.fetch(SQL["columns"], *_tables(plans))
    present: dict[int, dict[str, str]] = {}
    for row in rows:
        present.setdefault(row["table_id"], {})[row["name"]] = row["type"]
    found = []
    for number, plan in plans.items():
        types = {c.target: named[base(c.pg_type)] for c in plan.record}
        found += _differences(plan, types, present.get(number))
    return found


def _differences(plan: TablePlan, wanted: Mapping[str, str], present: Mapping[str, str] | None) -> list[str]:
    if present is None:
        return [f"table {plan.qualified} is gone from PostgreSQL"]
    told = f"table {plan.qualified} was changed in PostgreSQL: column"
    found = [f"{told} {name!r} is gone" for name in wanted if name not in present]
    # a table that was there before us may have columns of its own
    new = [name for name in present if name not in wanted and not plan.adopted]
    found += [f"{told} {name!r} is new, and SQLite has none for it" for name in new]
    for name, pg_type in wanted.items():
        # there a column's type may be one that is only read as the plan's: a domain, an enumeration
        if not plan.adopted and name in present and present[name] != pg_type:
            found.append(f"{told} {name!r} is {present[name]} and no longer {pg_type}")
    return found


async def unwatched(connection: Connection, plans: Mapping[int, TablePlan]) -> list[int]:
    """Return the tables whose changes are not all logged: triggers are gone, or do not always fire."""
    rows = await connection.fetch(SQL["watched"], *_tables(plans), list(NAMES))
    return [row["table_id"] for row in rows if row["triggers"] != len(NAMES)]


def _tables(plans: Mapping[int, TablePlan]) -> tuple[list[int], list[str]]:
    return list(plans), [plan.qualified for plan in plans.values()]
