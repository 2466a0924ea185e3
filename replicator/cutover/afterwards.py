"""What is left to do once the application writes to the target: the operator's indexes, and who was told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from config.values import index_parts
from replicator.loading.loader import DAY
from replicator.postgres.connections import Target, describe
from replicator.schema.ddl import Note
from triggers.statements import load

log = structlog.get_logger("liteferry.afterwards")

SQL = load("replicator", "afterwards.sql")


async def untold(target: Target, sources: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """Return the cutovers whose hook has not been run to its end, with their reports. Raises TargetAway."""
    async with target.connection() as connection:
        rows = await connection.fetch(SQL["untold"], list(sources))
    return {row["cutover_id"]: json.loads(row["report"] or "{}") for row in rows}


async def last_moves(
    target: Target, sources: Sequence[UUID]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the reports of the last cutover and of the last rollback, None without. Raises TargetAway."""
    async with target.connection() as connection:
        cutover = await connection.fetchval(SQL["last_cutover"], list(sources))
        rollback = None
        if await connection.fetchval(SQL["knows_rollbacks"]):
            rollback = await connection.fetchval(SQL["last_rollback"], list(sources))
    return json.loads(cutover) if cutover else None, json.loads(rollback) if rollback else None


async def told(target: Target, cutover: UUID) -> None:
    """Note that the hook behind a cutover has been run. Raises TargetAway."""
    async with target.connection() as connection:
        await connection.execute(SQL["told"], cutover)


async def build_indexes(target: Target, statements: Sequence[str]) -> list[Note]:
    """Build the operator's indexes beside the application's writes; return what PostgreSQL refused.

    May be run again: what is there stays, what a break has left invalid is built anew. Raises TargetAway.
    """
    notes = []
    for statement in statements:
        try:
            await _build(target, statement)
        except asyncpg.PostgresError as error:
            notes.append(
                Note("indexes_after_cutover", statement, f"PostgreSQL refused it: {describe(error)}")
            )
    return notes


async def _build(target: Target, statement: str) -> None:
    parts = index_parts(statement)
    assert parts is not None, "the settings are checked"
    name = _folded(parts["name"])
    async with target.connection() as connection:
        there = await connection.fetchrow(SQL["index_on"], parts["table"], name)
        if there is not None and there["valid"]:
            return
        if there is not None:
            # what a CREATE INDEX CONCURRENTLY that broke off has left
            await connection.execute(f"DROP INDEX CONCURRENTLY {there['qualified']}", timeout=DAY)
        unique = "UNIQUE " if parts["unique"] else ""
        sql = f"CREATE {unique}INDEX CONCURRENTLY {parts['name']} ON {parts['rest']}"
        await connection.execute(sql, timeout=DAY)
    log.info("index built", index=name)


def _folded(name: str) -> str:
    """Return the name under which PostgreSQL keeps what a statement calls so."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
