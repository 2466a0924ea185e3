"""Rows that PostgreSQL alone knows to refuse are found by halving: in few statements."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator, Sequence

import asyncpg
import pytest
import pytest_asyncio

from replicator.postgres.connections import Connection, Target
from replicator.postgres.quarantine import store
from replicator.values.converter import Row

ROWS = 4096


@pytest_asyncio.fixture
async def connection(target_url: str) -> AsyncIterator[Connection]:
    """Connect to a table that refuses negative numbers, in a transaction."""
    async with Target(target_url, size=1) as target, target.connection() as opened, opened.transaction():
        await opened.execute("CREATE TABLE t(n int PRIMARY KEY CHECK (n >= 0))")
        yield opened


@pytest.mark.parametrize("bad", [0, 1, 2, 7, 64])
async def test_a_bad_row_costs_no_more_than_two_statements_per_halving(
    bad: int, connection: Connection
) -> None:
    """2 log2(n) + 1 for one, fewer for each of several; every other row is stored."""
    wrong = set(random.Random(bad).sample(range(1, ROWS), bad))
    rows: list[tuple[Row, Row]] = [((n,), (-n if n in wrong else n,)) for n in range(ROWS)]
    sent = 0

    async def send(ready: Sequence[Row]) -> None:
        nonlocal sent
        sent += 1
        await connection.execute("INSERT INTO t SELECT unnest($1::int[])", [n for (n,) in ready])

    refusals = await store(connection, rows, send)
    assert {r.row[0] for r in refusals} == wrong
    assert sent <= 1 + 2 * bad * math.log2(ROWS)
    assert await connection.fetchval("SELECT count(*) FROM t") == ROWS - bad


async def test_a_row_that_collides_is_no_matter_of_one_row(connection: Connection) -> None:
    """Two rows may have exchanged a unique value: whoever sends them must see both."""

    async def send(ready: Sequence[Row]) -> None:
        await connection.execute("INSERT INTO t SELECT unnest($1::int[])", [n for (n,) in ready])

    with pytest.raises(asyncpg.UniqueViolationError):
        await store(connection, [((1,), (1,)), ((2,), (1,))], send)
