"""The PostgreSQL of the demonstration: a server of its own, or a database of its own on one that is there."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import asyncpg

from config.errors import TargetError
from config.secret import mask_text
from daemon.embedded import EmbeddedPostgres
from daemon.pgbinaries import server_account, temporary_root
from replicator.cutover.cutover import uninterrupted

from .heir import Heir

T = TypeVar("T")


@dataclass(frozen=True)
class Server:
    """Where the target is, and what it is for people to read."""

    url: str
    text: str


async def to_its_end(work: Callable[[], T]) -> T:
    """Run blocking work in a thread; a cancellation takes effect after it."""
    return await uninterrupted(asyncio.to_thread(work))


@contextmanager
def temporary_folder(keep: bool) -> Iterator[Path]:
    """Make a folder for the demonstration's files, gone at the end unless it is to be kept."""
    account = server_account()
    root = temporary_root(account)
    if not keep:
        with tempfile.TemporaryDirectory(prefix="liteferry-demo-", dir=root) as name:
            yield Path(name)
        return
    kept = Path(tempfile.mkdtemp(prefix="liteferry-demo-", dir=root))
    if account is not None:
        # the server, which does not run as root, has its data in it
        kept.chmod(0o755)
    yield kept


@asynccontextmanager
async def embedded(kept: Path | None, heir: Heir) -> AsyncIterator[Server]:
    """Run a server of our own; its data stay in `kept` if that is given. Raises LiteferryError."""
    server = await to_its_end(lambda: EmbeddedPostgres(kept))
    heir.takes("folder", server.scratch)
    try:
        await to_its_end(server.start)
        heir.takes("process", server.pid)
        version = await to_its_end(lambda: server.version)
        yield Server(server.url, f"{version}, a server of its own: {server.url}")
    finally:
        await to_its_end(lambda: server.__exit__(None, None, None))


@asynccontextmanager
async def borrowed(url: str, keep: bool) -> AsyncIterator[Server]:
    """Make a database of our own on a server that is there, dropped at the end. Raises TargetError."""
    name = f"liteferry_demo_{secrets.token_hex(4)}"
    try:
        version = await _created(url, name)
        own = urlsplit(url)._replace(path=f"/{name}").geturl()
        yield Server(own, f"{version}, database {name} on a given server: {mask_text(own)}")
    finally:
        if not keep:
            with contextlib.suppress(OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await uninterrupted(_administer(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


async def _created(url: str, name: str) -> str:
    """Create the database; return the server's version."""
    try:
        return await uninterrupted(_administer(url, f'CREATE DATABASE "{name}"'))
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise TargetError(
            f"no database could be made on {mask_text(url)!r}: {type(error).__name__}: {error}",
            hint="give --target the URL of a server whose user may create databases, or no --target",
        ) from error


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Hold a connection open while inside."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def _administer(url: str, statement: str) -> str:
    """Run one statement; return the server's version."""
    async with connected(url) as connection:
        await connection.execute(statement)
        return str(await connection.fetchval("SHOW server_version"))
