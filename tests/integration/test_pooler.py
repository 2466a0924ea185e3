"""A connection that gets another session of the server with each transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import asyncpg
import pytest

from config.errors import TargetAway, TargetError
from replicator.postgres.connections import Target
from tests.fixtures.pgbouncer import Pooling
from tests.fixtures.proxy import Proxy


async def test_a_pooler_is_found_and_a_server_is_none(target_url: str, pooling: Pooling) -> None:
    """By the process number; what the setting says goes before it."""
    async with Target(target_url, size=1) as direct:
        assert not direct.pooled
    async with Target(target_url, size=1, pooler="transaction") as told:
        assert told.pooled
    url = pooling(target_url)
    async with Target(url, size=1) as through:
        assert through.pooled
    async with Target(url, size=1, pooler="none") as told:
        assert not told.pooled


async def test_statements_do_not_meet_each_other(target_url: str, pooling: Pooling) -> None:
    """Eight clients with as many statements on two sessions: everybody gets the answer to the own one."""
    async with Target(pooling(target_url, size=2), size=8) as target:

        async def ask(number: int) -> None:
            async with target.connection() as connection:
                for place in range(60):
                    query = f"SELECT $1::bigint * 1000 + {number}"
                    assert await connection.fetchval(query, place) == place * 1000 + number

        await asyncio.gather(*map(ask, range(8)))


async def test_nothing_is_left_in_a_session(target_url: str, pooling: Pooling) -> None:
    """No prepared statement, no setting: what the driver switches off while it looks at types is on again.

    Nor is what somebody else has left there taken away.
    """
    url = pooling(target_url, size=1)
    other = await asyncpg.connect(url, statement_cache_size=0)
    try:
        await other.execute("CREATE TYPE mood AS ENUM ('good', 'bad'); SET jit = on; SET lock_timeout = '7s'")
        async with Target(url, size=2) as target:
            async with target.connection() as connection:
                assert await connection.fetchval("SELECT ARRAY['good']::mood[]") == ["good"]
            async with target.transaction() as connection:
                await connection.fetch("SELECT $1::int", 1)
                rows = connection.cursor("SELECT generate_series(1, $1::int)", 9, prefetch=2)
                # another statement between the rows does not disturb them
                assert [(r[0], await connection.fetchval("SELECT $1::int", 7)) async for r in rows] == [
                    (number, 7) for number in range(1, 10)
                ]
        left = await other.fetchrow(
            "SELECT current_setting('jit'), current_setting('lock_timeout'), "
            "(SELECT count(*) FROM pg_prepared_statements WHERE name <> ''), "
            "coalesce(current_setting('liteferry.writer', true), '')"
        )
        assert left is not None
        assert tuple(left) == ("on", "7s", 0, "")
    finally:
        await other.close()


async def test_a_pooler_that_comes_later_is_noticed(
    target_url: str, pooling: Pooling, proxy: Callable[[str], Proxy]
) -> None:
    """An address that was the server's leads through one since: the next connection keeps to that."""
    line = proxy(target_url)
    async with Target(line.url, size=2) as target:
        assert not target.pooled
        async with target.connection() as kept:
            # the first of the pool is taken: the next is a new one
            line.lead_to(pooling(target_url))
            with pytest.raises(TargetAway, match="PoolerAppeared"):
                async with target.connection():
                    pass
            assert target.pooled
            async with target.transaction() as connection:
                assert await connection.fetchval("SELECT $1::int", 3) == 3
            assert await kept.fetchval("SELECT 1") == 1


async def test_what_a_pooler_cannot_pass_on_is_said(target_url: str, pooling: Pooling) -> None:
    """A parameter of the session in the URL is refused, and waiting would not help."""
    url = urlsplit(pooling(target_url))._replace(query="search_path=app").geturl()
    with pytest.raises(TargetError, match="unsupported startup parameter: search_path") as refused:
        async with Target(url, size=1):
            pass
    assert not refused.value.retryable
    assert "take the parameter out of the URL" in refused.value.hint
