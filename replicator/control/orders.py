"""What the operator has ordered of the sources, as the target keeps it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from replicator.postgres.connections import CONTROL, Connection
from replicator.state import Paused, State
from triggers.statements import load

SQL = load("replicator", "orders.sql")


@dataclass(frozen=True)
class Orders:
    """What has been ordered of one source."""

    paused: Paused | None = None
    #: Rows per second, 0 for as many as there are; None where nothing was ordered and the setting counts.
    rows_per_second: int | None = None
    #: Unix time of that.
    limited_at: float | None = None


async def recall(connection: Connection, source_id: UUID) -> Orders:
    """Return what has been ordered of a source."""
    if not await connection.fetchval(SQL["knows_orders"]):
        return Orders()
    row = await connection.fetchrow(SQL["orders"], source_id)
    if row is None:
        return Orders()
    paused = None
    if row["paused_at"] is not None:
        paused = Paused(row["paused_at"], State(row["paused_before"]))
    return Orders(paused, row["rows_per_second"], row["limited_at"])


async def prepare(connection: Connection) -> None:
    """Make the table for them, inside a transaction; two daemons may do so at once."""
    await connection.execute(CONTROL["lock_setup"])
    await connection.execute(SQL["create_orders"])


async def pause(connection: Connection, source_id: UUID, before: State) -> Paused:
    """Note that a source is paused; return since when, which is earlier where it was already."""
    row = await connection.fetchrow(SQL["pause"], source_id, before.value)
    assert row is not None
    return Paused(row["paused_at"], State(row["paused_before"]))


async def resume(connection: Connection, sources: Collection[UUID]) -> None:
    """Note that some sources are paused no longer."""
    if await connection.fetchval(SQL["knows_orders"]):
        await connection.execute(SQL["resume"], list(sources))


async def limit(connection: Connection, sources: Collection[UUID], rows_per_second: int | None) -> None:
    """Note how many rows per second some sources may be read with; None where the setting is to count."""
    await connection.execute(SQL["limit"], list(sources), rows_per_second)
