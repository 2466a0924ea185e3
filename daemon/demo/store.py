"""The application's two stores: the SQLite file it grew up with, and the PostgreSQL that it moves to.

Both take the statements of `sql/shop.sql` by name; `$1` is a parameter in either dialect.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import asyncpg

from triggers.statements import load

T = TypeVar("T")
Rows = list[tuple[Any, ...]]

#: What the fence's error says; all that the application knows of liteferry.
MOVED = "moved to PostgreSQL"

BUSY_SECONDS = 5.0

STATEMENTS = load("daemon.demo", "shop.sql")
POSTGRES_STATEMENTS = {**STATEMENTS, **load("daemon.demo", "shop_postgres.sql")}


class Moved(Exception):
    """The SQLite file refuses the write because the database has moved."""


class Again(Exception):
    """The transaction met another one and was undone; it may be done again."""


class Store(Protocol):
    """A database that the shop can use."""

    def run(self, name: str, *values: Any) -> Rows:
        """Run the named statement and return its rows."""

    def transaction(self) -> Any:
        """Hold a transaction open: committed at the end, rolled back on an exception."""

    def close(self) -> None:
        """Close the connection."""


class SqliteStore:
    """One connection to the SQLite file, set up as its applications do."""

    def __init__(self, path: Path) -> None:
        # opened here and used by one thread, closed by another that waits for it
        self.connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self.connection.execute("PRAGMA synchronous = normal")
        self.connection.execute("PRAGMA foreign_keys = on")

    def run(self, name: str, *values: Any) -> Rows:
        """Run the named statement and return its rows. Raises Moved behind the fence, sqlite3.Error."""
        try:
            given = {str(number): value for number, value in enumerate(values, 1)}
            return self.connection.execute(STATEMENTS[name], given).fetchall()
        except sqlite3.Error as error:
            if MOVED in str(error):
                raise Moved(str(error)) from error
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the write lock: committed at the end, rolled back on an exception."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


class PostgresStore:
    """One connection to PostgreSQL with an event loop of its own, for a thread that has none."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        try:
            self._connection = self._finish(asyncpg.connect(url))
        except BaseException:
            self._loop.close()
            raise

    def run(self, name: str, *values: Any) -> Rows:
        """Run the named statement and return its rows. Raises Again, asyncpg.PostgresError."""
        try:
            return [
                tuple(r) for r in self._finish(self._connection.fetch(POSTGRES_STATEMENTS[name], *values))
            ]
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError) as error:
            raise Again(str(error)) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold a transaction open: committed at the end, rolled back on an exception."""
        self._finish(self._connection.execute("BEGIN"))
        try:
            yield
        except BaseException:
            if not self._connection.is_closed():
                self._finish(self._connection.execute("ROLLBACK"))
            raise
        self._finish(self._connection.execute("COMMIT"))

    def close(self) -> None:
        """Close the connection."""
        self._finish(self._connection.close(timeout=BUSY_SECONDS))
        self._loop.close()

    def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)
