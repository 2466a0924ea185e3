"""Poolers that lend a server's session for one transaction only, such as PgBouncer in transaction mode.

Nothing may be left in a session there: no prepared statement with a name, no setting, no lock, no temporary
table. What we do in transactions keeps to that anyhow; this is about what the driver does between them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import asyncpg

from config.errors import TargetError

if TYPE_CHECKING:
    Driver: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Driver = asyncpg.Connection

#: What the setting `pooler` may say: find out, there is none (or one that keeps sessions), there is one.
Pooler: TypeAlias = Literal["auto", "none", "transaction"]

#: Of the pool that `Pooled` connections are made for.
OPTIONS: dict[str, Any] = {"statement_cache_size": 0}


class PoolerAppeared(ConnectionError):
    """Behind an address that was a server's a pooler answers: prepared statements would meet others'."""


class Pooled(Driver):
    """A connection that may get another session of the server with each transaction.

    A statement with parameters takes several messages: outside a transaction each could reach another
    session, where the statement is unknown or, worse, somebody else's.
    """

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        """Run a statement; without parameters it is one message, and goes as it is."""
        if not args:
            return await super().execute(query, **options)
        async with self._one_session():
            return await super().execute(query, *args, **options)

    async def executemany(self, command: str, args: Iterable[Sequence[Any]], **options: Any) -> None:
        """Run a statement for each of some parameters."""
        async with self._one_session():
            await super().executemany(command, args, **options)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a query and return its rows."""
        async with self._one_session():
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a query and return its first row."""
        async with self._one_session():
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        """Run a query and return one value of its first row."""
        async with self._one_session():
            return await super().fetchval(query, *args, **options)

    async def copy_records_to_table(self, table_name: str, **options: Any) -> str:
        """COPY rows; the driver asks for the columns' types first."""
        async with self._one_session():
            return await super().copy_records_to_table(table_name, **options)

    def cursor(self, query: str, *args: Any, **options: Any) -> Any:
        """Return what goes through the rows of a query, inside a transaction.

        The driver's own gives the statement a name, which would stay in the session: whoever counts from the
        same number, as we do after a restart, could not have it.
        """
        return self._rows(query, args, options)

    async def _rows(
        self, query: str, args: Sequence[Any], options: dict[str, Any]
    ) -> AsyncIterator[asyncpg.Record]:
        statement = await self.prepare(query)
        async for row in statement.cursor(*args, **options):
            yield row

    def get_reset_query(self) -> str:
        """Return nothing: the session that it would reach may be somebody else's by now."""
        return ""

    @asynccontextmanager
    async def _one_session(self) -> AsyncIterator[None]:
        if self.is_in_transaction():
            yield
            return
        async with self.transaction():
            yield


async def is_pooled(connection: Driver) -> bool:
    """Tell whether a pooler answers: it gives its clients process numbers of its own making.

    The connection must keep no statements.
    """
    async with connection.transaction():
        return bool(await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid())


async def refuse_pooler(connection: Driver) -> None:
    """Raise PoolerAppeared unless the server itself answers; prepares nothing."""
    # one message without parameters, so that it is harmless in whosever session it runs
    asked = f"SELECT 1 / (pg_backend_pid() = {connection.get_server_pid():d})::int"
    try:
        await connection.execute(asked)
    except asyncpg.DivisionByZeroError:
        raise PoolerAppeared("a pooler has come between us and the server") from None


def refusal(error: asyncpg.ProtocolViolationError) -> TargetError | None:
    """Return what a pooler will never do for us, None for what may pass.

    Poolers have one code for everything that they refuse; these texts name no more than a parameter.
    """
    text = str(error.args[0]) if error.args else ""
    if "startup parameter" in text:
        return TargetError(
            f"the pooler refused the connection: {text}",
            hint="take the parameter out of the URL, or name it in PgBouncer's ignore_startup_parameters",
        )
    return None
