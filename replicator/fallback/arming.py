"""Arming the way back in the decision's own transaction, and taking it off again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from replicator.postgres.connections import Connection
from triggers.statements import load

from . import inspection, keylog

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

SQL = load("replicator", "fallback.sql")


async def prepare(connection: Connection) -> None:
    """Create the log, the quarantine and the journal where they are not there yet."""
    for name in ("log", "quarantine", "rollback", "beside"):
        await connection.execute(SQL[f"create_{name}"])


async def arm(connection: Connection, pipeline: Pipeline) -> None:
    """Have all that is changed in a source's tables logged from this transaction's commit on."""
    await connection.execute(SQL["forget_entries"], pipeline.source_id)
    await inspection.remember(connection, pipeline.source_id, pipeline.plans)
    for number in pipeline.plans:
        await _watch(connection, pipeline, number)


async def rearm(connection: Connection, pipeline: Pipeline, numbers: Sequence[int]) -> None:
    """Watch tables again whose triggers were lost: any row of theirs may have changed since."""
    await connection.execute("SET LOCAL lock_timeout = '500ms'")
    for number in numbers:
        await _watch(connection, pipeline, number)
    await connection.execute(SQL["mark_whole"], pipeline.source_id, list(numbers))


async def _watch(connection: Connection, pipeline: Pipeline, number: int) -> None:
    plan = pipeline.plans[number]
    # in one round trip, for writers wait
    statements = [
        *keylog.drop(plan.qualified),
        keylog.function(plan, pipeline.source_id, number),
        *keylog.triggers(plan, pipeline.source_id, number),
    ]
    await connection.execute(";\n".join(statements))


async def disarm(connection: Connection, pipeline: Pipeline) -> None:
    """Have nothing logged any more, and forget what was."""
    for number, plan in pipeline.plans.items():
        statements = [*keylog.drop(plan.qualified), keylog.drop_function(pipeline.source_id, number)]
        await connection.execute(";\n".join(statements))
    await connection.execute(SQL["forget_entries"], pipeline.source_id)


async def forget(connection: Connection, source_id: UUID, tables: Mapping[int, str]) -> None:
    """Take all of it off some tables, qualified names by number, and forget what was logged and kept."""
    if not await is_armed(connection):
        return
    for number, qualified in tables.items():
        statements = [*keylog.drop(qualified), keylog.drop_function(source_id, number)]
        await connection.execute(";\n".join(statements))
    await connection.execute(SQL["forget_entries"], source_id)
    await connection.execute(SQL["forget_kept"], source_id)


async def is_armed(connection: Connection) -> bool:
    """Tell whether the target has a key log at all: one that was cut over by an older version has none."""
    return bool(await connection.fetchval(SQL["armed"]))
