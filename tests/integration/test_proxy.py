"""The proxy passes everything on until it is told not to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import pytest

from tests.fixtures.proxy import Proxy

MakeProxy = Callable[[str], Proxy]
BROKEN = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


async def test_it_passes_everything_on(proxy: MakeProxy, target_url: str) -> None:
    """A large value goes both ways unchanged, and an orderly close frees the connection."""
    line = proxy(target_url)
    connection = await asyncpg.connect(line.url)
    sent = bytes(range(256)) * 20_000

    assert await connection.fetchval("SELECT $1::bytea", sent) == sent
    assert line.connections == 1
    await connection.close()


async def test_a_cut_breaks_connections_and_lets_new_ones_through(proxy: MakeProxy, target_url: str) -> None:
    """The client sees its connection reset at once."""
    line = proxy(target_url)
    connection = await asyncpg.connect(line.url)
    line.cut()
    with pytest.raises(BROKEN):
        await connection.fetchval("SELECT 1")
    connection.terminate()

    again = await asyncpg.connect(line.url)
    assert await again.fetchval("SELECT 1") == 1
    await again.close()


async def test_a_cut_after_some_bytes_breaks_in_the_middle(proxy: MakeProxy, target_url: str) -> None:
    """A statement longer than the limit never arrives, one that is shorter does."""
    line = proxy(target_url)
    connection = await asyncpg.connect(line.url)
    line.cut_after(10_000)
    assert await connection.fetchval("SELECT 1") == 1
    with pytest.raises(BROKEN):
        await connection.execute(f"CREATE TABLE arrived(); -- {'x' * 10_000}")
    connection.terminate()

    direct = await asyncpg.connect(target_url)
    assert await direct.fetchval("SELECT to_regclass('arrived')") is None
    await direct.close()


async def test_deaf_answers_nothing_until_healed(proxy: MakeProxy, target_url: str) -> None:
    """A query hangs while the line is deaf, and is answered when it is not."""
    line = proxy(target_url)
    connection = await asyncpg.connect(line.url)
    line.deaf()
    query = asyncio.create_task(connection.fetchval("SELECT 1"))
    with pytest.raises(TimeoutError):
        await asyncpg.connect(line.url, timeout=0.2)
    assert not query.done()

    line.heal()

    assert await query == 1
    await connection.close()


async def test_refuse_lets_nobody_in_until_healed(proxy: MakeProxy, target_url: str) -> None:
    """Connecting fails at once, as to a server that is down."""
    line = proxy(target_url)
    line.refuse()
    with pytest.raises(BROKEN):
        await asyncpg.connect(line.url)

    line.heal()

    await (await asyncpg.connect(line.url)).close()
