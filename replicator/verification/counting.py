"""How many rows both sides have at one position."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TypeAlias
from uuid import UUID

from replicator.planning.plan import TablePlan
from replicator.postgres.connections import CONTROL, Connection, Target
from replicator.schema import dml
from triggers.identifier import quote

#: A table that takes more is not counted, for that is one read from end to end, and the stream rests
#: meanwhile. Without a WAL the application's writers wait for our reads.
COUNTED_BYTES = 2 << 30
COUNTED_BYTES_ROLLBACK = 128 << 20

#: What counting costs where all is in memory: PostgreSQL by the row, SQLite by the page.
ROW_SECONDS = 1e-7
BYTE_SECONDS = 5e-10

#: Holds the target at the state in which the source was looked at.
Aligned: TypeAlias = Callable[[Callable[[sqlite3.Connection], int]], AbstractAsyncContextManager[int]]


def is_counted(plan: TablePlan, journal_mode: str) -> bool:
    """Tell whether a table is small enough to be counted before its rows are compared."""
    most = COUNTED_BYTES if journal_mode == "wal" else COUNTED_BYTES_ROLLBACK
    return plan.rows * plan.row_bytes <= most


async def counted(
    target: Target, plan: TablePlan, place: tuple[UUID, int], aligned: Aligned
) -> tuple[int, int, int]:
    """Return how many rows the source has, the target, and the quarantine, all at one position."""
    async with _frozen(target) as connection:
        async with aligned(partial(count_rows, plan=plan)) as rows:
            # from now on it sees the target as it is now; the stream goes on
            await connection.fetchval("SELECT 1")
        others = await connection.fetchval(dml.count(plan), timeout=3600)
        return rows, others, await connection.fetchval(CONTROL["quarantined_in"], *place)


async def quarantined(target: Target, place: tuple[UUID, int]) -> int:
    """Return how many rows of a table are in quarantine."""
    async with target.connection() as connection:
        return int(await connection.fetchval(CONTROL["quarantined_in"], *place))


@asynccontextmanager
async def _frozen(target: Target) -> AsyncIterator[Connection]:
    async with (
        target.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection


def expected_seconds(plan: TablePlan) -> float:
    """Estimate how long counting a table on both sides takes, when it is in memory."""
    return plan.rows * (ROW_SECONDS + plan.row_bytes * BYTE_SECONDS)


def count_rows(connection: sqlite3.Connection, plan: TablePlan) -> int:
    """Return how many rows a table of the source has."""
    return int(connection.execute(f"SELECT count(*) FROM main.{quote(plan.name)}").fetchone()[0])
