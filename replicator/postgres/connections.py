"""Connections to PostgreSQL, and the rule which of their failures mean that the server is away."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from config.errors import ConfigError, LiteferryError, TargetAway, TargetError
from triggers.statements import load

from . import pooler, tls
from .codecs import set_codecs
from .pooler import OPTIONS, Pooled, Pooler, PoolerAppeared, is_pooled, refuse_pooler

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

    def __init__(self, url: str, *, size: int, pooler: Pooler = "auto") -> None:
        """Take the address, the most connections to hold at once, and whether a pooler is in the way."""
        self._url = url
        self._size = size
        self._pooler = pooler
        #: Whether nothing may be left in a session; None while nobody knows.
        self._pooled: bool | None = {"none": False, "transaction": True}.get(pooler)
        self._pool: Pool | None = None
        #: Held by what is compared in the background behind the cutover: one source at a time.
        self.leisure = asyncio.Lock()
        #: Pools of before a pooler came, which those who work with their connections may finish with.
        self._retired: list[Pool] = []
        self._renewing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pooled(self) -> bool:
        """Tell whether a pooler may lend another session of the server to each transaction."""
        return bool(self._pooled)

    async def connect(self) -> None:
        """Open the pool. Raises TargetAway, or TargetError when the server will never do."""
        if self._pooler == "auto":
            self._pooled = None
        with _refusals():
            self._pool = await self._open()
        await self._check_version()

    async def _open(self) -> Pool:
        tls.refuse_unreadable(self._url)
        options: dict[str, Any] = {"timeout": CONNECT_SECONDS, "command_timeout": COMMAND_SECONDS}
        options["server_settings"] = {"application_name": "liteferry"}
        if self._pooled is None:
            first = await asyncpg.connect(self._url, **OPTIONS, **options)
            try:
                self._pooled = await is_pooled(first)
            finally:
                await first.close(timeout=CONNECT_SECONDS)
        if self._pooled:
            options |= {"connection_class": Pooled, **OPTIONS}
        pool: Pool = await asyncpg.create_pool(
            self._url, min_size=1, max_size=self._size, init=self._prepare, **options
        )
        return pool

    async def _prepare(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        _watch_line(connection)
        if self._pooler == "auto" and not self._pooled:
            await refuse_pooler(connection)
        await set_codecs(connection)

    async def _renew(self) -> None:
        """Open a pool for the pooler that has come, unless somebody else just did."""
        async with self._renewing:
            if self._pool is not None and not self._pooled:
                self._pooled = True
                self._retired.append(self._pool)
                try:
                    self._pool = await self._open()
                except BaseException:
                    self._pooled, self._pool = False, self._retired.pop()
                    raise

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
        while self._retired:
            self._retired.pop().terminate()
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
        for pool in (*self._retired, *filter(None, [self._pool])):
            pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection outside any transaction. Raises TargetAway for what a retry may mend."""
        if self._pool is None:
            msg = "the target is closed"
            raise RuntimeError(msg)
        try:
            async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                yield connection
        except PoolerAppeared as error:
            with _refusals():
                await self._renew()
            raise _away(error) from error
        except (*_AWAY, OSError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # leaving the transaction failed and hid the cancellation: a retry would lose it for good
                raise asyncio.CancelledError from error
            if isinstance(error, _AWAY) or isinstance(error.__cause__, ConnectionError):
                raise _away(error) from error
            # a certificate can be renewed
            if isinstance(error, OSError) and (error.errno is None or isinstance(error, ssl.SSLError)):
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


@contextmanager
def _refusals() -> Iterator[None]:
    """Put into words why no connection can be had: TargetAway, TargetError or ConfigError."""
    try:
        yield
    except asyncpg.ProtocolViolationError as error:
        raise pooler.refusal(error) or _away(error) from error
    except ssl.SSLError as error:
        raise tls.insecure(error) from None
    except asyncpg.ClientConfigurationError as error:
        raise _no_address(error) from None
    except _AWAY as error:
        if "rejected SSL upgrade" in str(error):
            raise tls.missing() from None
        raise _away(error) from error
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        # InvalidPasswordError is one of the former; the text names the role or database, no secret
        raise TargetError(
            f"the target refused the connection: {error.args[0] if error.args else type(error).__name__}",
            hint="check user, password and database of DATABASE_URL; a .pgpass open to others is not used",
        ) from None
    except OSError as error:
        raise _away(error) from error
    except ValueError as error:
        raise _no_address(error) from None


def _no_address(error: ValueError) -> LiteferryError:
    # no other text of the driver's: it may quote the URL
    if "root certificate" in str(error) or "sslmode" in str(error):
        return TargetError(str(error.args[0]), hint=tls.HINT)
    return ConfigError(
        f"target: not an address of PostgreSQL ({type(error).__name__})",
        hint="write it as postgresql://user:password@host:5432/database",
    )


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
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{name} ({error.verify_message})"
    number = getattr(error, "errno", None)
    return f"{name} (errno {number})" if number else name
