"""How the target fares once it has the application's writes: figures, and what somebody should look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg

from replicator.pipeline import Pipeline
from replicator.planning.plan import TablePlan
from replicator.postgres.connections import Connection, Target, describe
from replicator.schema import ddl
from triggers.identifier import quote
from triggers.statements import load

SQL = load("replicator", "aftercare.sql")

#: Of the server's connections, from which on it is worth a word.
MANY_CONNECTIONS = 0.8

#: How long a transaction may do nothing before it is worth a word, in seconds.
IDLE_SECONDS = 300.0

#: Longest that one question may take: the application is served by the same server.
QUESTION_SECONDS = 30.0


async def aftercare(target: Target, pipelines: Sequence[Pipeline]) -> dict[str, Any]:
    """Look at the target and return figures and findings; changes nothing. Raises TargetAway."""
    plans = [plan for pipeline in pipelines for plan in pipeline.plans.values()]
    async with target.connection() as connection:
        activity = dict(await _row(connection, "activity"))
        tables = [await _table(connection, plan) for plan in plans]
        sequences = [s for plan in plans if (s := await _sequence(connection, plan)) is not None]
        broken = await connection.fetch(SQL["broken"], [p.qualified for p in plans], timeout=QUESTION_SECONDS)
        ids = [pipeline.source_id for pipeline in pipelines]
        left = [dict(row) for row in await connection.fetch(SQL["left_behind"], ids)]
        statements = await _statements(connection)
    found = [f"{row['table_name']}: {row['what']}" for row in broken]
    found += [*_of_activity(activity), *_of_tables(tables), *_of_sequences(sequences)]
    found += [f"{row['table_name']}: {row['rows']} rows stayed behind in quarantine" for row in left]
    return {
        "findings": found,
        "activity": activity,
        "tables": tables,
        "sequences": sequences,
        "statements": statements,
    }


async def _row(connection: Connection, name: str, *parameters: object) -> asyncpg.Record:
    row = await connection.fetchrow(SQL[name], *parameters, timeout=QUESTION_SECONDS)
    assert row is not None, "one row is always answered"
    return row


async def _table(connection: Connection, plan: TablePlan) -> dict[str, Any]:
    row = await connection.fetchrow(SQL["table_facts"], plan.qualified, timeout=QUESTION_SECONDS)
    return {
        "table": plan.name,
        "target": plan.qualified,
        **(dict(row) if row is not None else {"gone": True}),
    }


async def _sequence(connection: Connection, plan: TablePlan) -> dict[str, Any] | None:
    """Return how far a sequence is, beside the greatest key; none where a table has no sequence."""
    column = ddl.identity(plan)
    if column is None:
        return None
    try:
        # the application may have changed all of this by now
        async with connection.transaction():
            name = await connection.fetchval(SQL["sequence_of"], plan.qualified, column.target)
            if name is None:
                return None
            # names come quoted from the server and from the plan
            going = await connection.fetchrow(f"SELECT last_value, is_called FROM {name}")  # noqa: S608
            sql = f"SELECT max({quote(column.target)}) FROM {plan.qualified}"  # noqa: S608
            greatest = await connection.fetchval(sql, timeout=QUESTION_SECONDS)
    except asyncpg.PostgresError as error:
        return {"table": plan.name, "sequence": None, "reason": describe(error)}
    assert going is not None, "a sequence has one row"
    following = going["last_value"] + going["is_called"]
    return {"table": plan.name, "sequence": name, "next": following, "greatest_key": greatest}


async def _statements(connection: Connection) -> list[dict[str, Any]] | None:
    """Return what takes the server longest, None where nobody counts or we may not see it."""
    if not await connection.fetchval(SQL["has_statements"]):
        return None
    try:
        async with connection.transaction():
            rows = await connection.fetch(SQL["slow_statements"], timeout=QUESTION_SECONDS)
    except asyncpg.PostgresError:
        # not preloaded, or in a schema that is not in our search_path
        return None
    return [dict(row) for row in rows]


def _of_activity(activity: dict[str, Any]) -> Iterator[str]:
    used, most = activity["connections"], activity["most_connections"]
    if used > most * MANY_CONNECTIONS:
        yield f"{used} of {most} connections are used: give the application a pool, or raise max_connections"
    if activity["deadlocks"]:
        yield f"{activity['deadlocks']} deadlocks so far: the server's log names the statements"
    if activity["waiting"]:
        yield f"{activity['waiting']} sessions wait for locks just now"
    if activity["idle_in_transaction"] > IDLE_SECONDS:
        seconds = activity["idle_in_transaction"]
        yield f"a transaction has been idle for {seconds:.0f} s: it keeps vacuum from its work"


def _of_tables(tables: Sequence[dict[str, Any]]) -> Iterator[str]:
    for facts in tables:
        if facts.get("gone"):
            yield f"{facts['table']}: the table is not there any more"
        elif not facts["analyzed"]:
            yield f"{facts['table']}: queries are planned by guesses until ANALYZE {facts['target']}"


def _of_sequences(sequences: Sequence[dict[str, Any]]) -> Iterator[str]:
    for one in sequences:
        if one["sequence"] is None:
            yield f"{one['table']}: its sequence cannot be looked at: {one['reason']}"
        elif one["greatest_key"] is not None and one["next"] <= one["greatest_key"]:
            yield (
                f"{one['table']}: the sequence {one['sequence']} would give {one['next']}, but the table has "
                f"{one['greatest_key']}: an INSERT will fail"
            )
