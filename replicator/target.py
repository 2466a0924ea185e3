"""Connections to PostgreSQL, and the rule which of their failures mean that the server is away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from config.errors import ConfigError, TargetAway, TargetError
from triggers.statements import load

from .codecs import set_codecs

if TYPE_CHECKING:
    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = PoolConnectionProxy
    Pool = asyncpg.Pool

CONTROL = load("replicator", "control.sql")

#: Longest a single ordinary statement may take before the connection counts as lost, in seconds.
COMMAND_SECONDS = 60.0
CONNECT_SECONDS = 10.0

#: How long a network may swallow everything without a word before a connection counts as lost, in seconds.
#: A statement that takes long is not meant: its server still answers on the level of TCP.
SILENCE_SECONDS = 15

#: The system's names for that, where it has them; the last is in milliseconds.
_LINE = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 5),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 2),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", SILENCE_SECONDS * 1000),
)

#: PostgreSQL 14: the oldest version that is still maintained, and the first whose numeric has infinities.
MINIMUM_SERVER = 140000

_AWAY = (
    ConnectionError,
    TimeoutError,
    asyncio.TimeoutError,
    socket.gaierror,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    # disk full, out of memory, too many connections: somebody makes room, and it goes on
    asyncpg.InsufficientResourcesError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    # a server that has just become a standby; an idle transaction that the server has ended, see `identify`
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)


class Target:
    """A pool of connections to one target database."""

    def __init__(self, url: str, *, size: int) -> None:
        """Take the address and the most connections to hold at once."""
        self._url = url
        self._size = size
        self._pool: Pool | None = None
        #: Held by what is compared in the background behind the cutover: one source at a time.
        self.leisure = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Open the pool. Raises TargetAway, or TargetError when the server will never do."""
        try:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=self._size,
                timeout=CONNECT_SECONDS,
                command_timeout=COMMAND_SECONDS,
                init=_prepare,
                server_settings={"application_name": "liteferry"},
            )
        except _AWAY as error:
            raise _away(error) from error
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
            # InvalidPasswordError is one of the former; the text names the role or database, no secret
            raise TargetError(
                f"the target refused the connection: {error.args[0] if error.args else type(error).__name__}",
                hint="check user, password and database of DATABASE_URL",
            ) from None
        except OSError as error:
            raise _away(error) from error
        except (ValueError, asyncpg.ClientConfigurationError) as error:
            raise ConfigError(
                f"target: not an address of PostgreSQL ({type(error).__name__})",
                hint="write it as postgresql://user:password@host:5432/database",
            ) from None
        await self._check_version()

    async def _check_version(self) -> None:
        async with self.connection() as connection:
            version = await connection.fetchval(CONTROL["version"])
            if version < MINIMUM_SERVER:
                await self.close()
                raise TargetError(
                    f"the target is PostgreSQL {version // 10000}, 14 or newer is needed",
                    hint="upgrade the server, or give another target",
                )

    async def close(self) -> None:
        """Close all connections, those that hang after a while by force."""
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                await asyncio.wait_for(pool.close(), 5)
            except (TimeoutError, *_AWAY):
                pool.terminate()

    async def expire(self) -> None:
        """Have connections opened anew: what they have prepared may be of types that are others now."""
        if self._pool is not None:
            await self._pool.expire_connections()

    def terminate(self) -> None:
        """Cut all connections without a word: whoever waits for an answer gets an error instead."""
        if self._pool is not None:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection outside any transaction. Raises TargetAway for what a retry may mend."""
        if self._pool is None:
            msg = "the target is closed"
            raise RuntimeError(msg)
        try:
            async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                yield connection
        except (*_AWAY, OSError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # leaving the transaction failed and hid the cancellation: a retry would lose it for good
                raise asyncio.CancelledError from error
            if isinstance(error, _AWAY) or isinstance(error.__cause__, ConnectionError):
                raise _away(error) from error
            if isinstance(error, OSError) and error.errno is None:
                raise _away(error) from error
            raise

    @asynccontextmanager
    async def transaction(self, *, adopted: bool = False) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction that the guard lets write. Raises TargetAway.

        For rows of `adopted` tables no constraint waits for the COMMIT.
        """
        async with self.connection() as connection, connection.transaction():
            await connection.execute(CONTROL["identify"])
            if adopted:
                await connection.execute(CONTROL["check_at_once"])
            yield connection


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    _watch_line(connection)
    await set_codecs(connection)


def _watch_line(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Let the system find out soon that nobody is at the other end; by default that takes it hours."""
    transport = getattr(connection, "_transport", None)
    line = transport.get_extra_info("socket") if transport is not None else None
    if line is None or line.family not in (socket.AF_INET, socket.AF_INET6):
        return
    for level, name, value in _LINE:
        if hasattr(socket, name):
            line.setsockopt(level, getattr(socket, name), value)


def _away(error: BaseException) -> TargetAway:
    return TargetAway(
        f"the target is away: {describe(error)}",
        hint="liteferry tries again by itself; check that PostgreSQL runs and can be reached",
    )


def describe(error: BaseException) -> str:
    """Return what may be logged of a driver's error: never its text, which can quote a row's values."""
    name = type(error).__name__
    if isinstance(error, asyncpg.PostgresError):
        facts: list[Any] = [error.sqlstate]
        facts += [getattr(error, part, None) for part in ("table_name", "column_name", "constraint_name")]
        return f"{name} ({', '.join(str(f) for f in facts if f)})"
    number = getattr(error, "errno", None)
    return f"{name} (errno {number})" if number else name
