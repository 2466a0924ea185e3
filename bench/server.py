"""The PostgreSQL that everything is measured against: one server, a fresh database per measurement."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from daemon.embedded import EmbeddedPostgres

#: What decides how much a commit costs, and how much of a table stays in memory.
TELLING = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", "shared_buffers", "max_wal_size")


class Server:
    """The embedded server as it comes: nothing of its durability is switched off."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """Create a database, lend its URL, and drop it at the end."""
        name = f"bench_{next(self._numbers)}"
        await self.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(self._postgres.url)._replace(path=f"/{name}").geturl()
        finally:
            await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def execute(self, statement: str) -> None:
        """Run one statement as the superuser."""
        connection = await asyncpg.connect(self._postgres.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def checkpoint(self) -> None:
        """Write everything out, so that no measurement pays for the one before."""
        await self.execute("CHECKPOINT")

    async def facts(self) -> dict[str, str]:
        """Return the server's version and the settings that a reader of figures asks for."""
        connection = await asyncpg.connect(self._postgres.url)
        try:
            shown = {name: str(await connection.fetchval(f"SHOW {name}")) for name in TELLING}
        finally:
            await connection.close()
        return {"version": self._postgres.version, **shown}
