"""Connections to a source that another application is using."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote as quote_uri

from config.errors import NotADatabase, SourceBusy, SourceError, Unsupported

from . import pulse

#: PRAGMA table_list, which tells shadow tables from real ones, came with this version.
MINIMUM_SQLITE = (3, 37, 0)

#: Pause between two tries for the write lock. SQLite's own busy handler backs off to 100 ms and loses
#: for seconds against a hot writer; asking every half millisecond gets in within tens of milliseconds.
SPIN_SECONDS = 0.0005

#: How long an ordinary commit of ours waits for readers in rollback-journal mode.
COMMIT_SECONDS = 0.02

#: How long a read waits for a rollback-journal writer that is just committing.
READ_BUSY_SECONDS = 10.0


def connect(path: Path, *, writable: bool = False) -> sqlite3.Connection:
    """Open an existing database file in autocommit mode.

    A reading connection is query-only rather than mode=ro, so that it can recover a hot journal as any
    other SQLite user would. Ours never checkpoint: the application, or a backup tool beside it, may rely
    on doing that itself.

    Raises NotADatabase when the file is missing or no database, Unsupported for a SQLite older than 3.37.
    """
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        raise Unsupported(
            f"this Python's sqlite library is {sqlite3.sqlite_version}, 3.37 or newer is needed",
            hint="use the container image, or a Python built with a newer SQLite",
        )
    uri = f"file:{quote_uri(str(path))}?mode=rw"
    try:
        connection = sqlite3.connect(
            uri,
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=READ_BUSY_SECONDS,
            cached_statements=512,
        )
    except sqlite3.OperationalError as error:
        raise _unopenable(path, error) from error
    try:
        _prepare(connection, writable)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _unopenable(path, error) from error
    return connection


def _prepare(connection: sqlite3.Connection, writable: bool) -> None:
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    mode = journal_mode(connection)
    # NORMAL is durable enough in WAL, where a lost tail loses our heartbeat or prune and nothing else;
    # in a rollback journal anything below FULL could damage the application's file on a power cut.
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'FULL'}")
    if writable:
        # only now: the statements above read, and a rollback-journal writer may just be committing
        connection.execute("PRAGMA busy_timeout = 0")
    else:
        connection.execute("PRAGMA query_only = ON")


def make_durable(connection: sqlite3.Connection) -> None:
    """Have commits of this connection survive a power cut: for a fence, and for rows that nobody else has."""
    connection.execute("PRAGMA synchronous = FULL")


def _unopenable(path: Path, error: sqlite3.Error) -> SourceError:
    if is_busy(error):
        return SourceBusy(f"source {str(path)!r} stayed locked for {READ_BUSY_SECONDS:g} s")
    return NotADatabase(
        f"source {str(path)!r} cannot be opened as a SQLite database: {error}",
        hint="give the path of an existing database file that this user may read and write",
    )


def is_busy(error: BaseException) -> bool:
    """Tell whether an error only says that somebody else holds a lock."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def journal_mode(connection: sqlite3.Connection) -> str:
    """Return the journal mode in lower case: `wal`, `delete`, `truncate`, `persist`, ..."""
    return str(connection.execute("PRAGMA journal_mode").fetchone()[0]).lower()


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Hold one read transaction, in which every statement sees the same state of the source."""
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def lock(
    connection: sqlite3.Connection, budget: float, *, clock: Callable[[], float] = time.monotonic
) -> float:
    """Take the write lock by asking again every half millisecond; return the seconds it took.

    Raises SourceBusy after `budget` seconds; nothing is held then.
    """
    begun = clock()
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            if clock() - begun >= budget:
                raise SourceBusy(
                    f"the write lock of the source was not free within {budget:g} s",
                    hint="an application holds a long write transaction; try again when it is done",
                ) from error
            pulse.beat()
            time.sleep(SPIN_SECONDS)
        else:
            return clock() - begun


def lock_wait(connection: sqlite3.Connection, budget: float) -> float:
    """Take the write lock and give it back at once; return the seconds it took.

    Raises SourceBusy after `budget` seconds.
    """
    waited = lock(connection, budget)
    connection.execute("ROLLBACK")
    return waited


@contextmanager
def writing(connection: sqlite3.Connection, budget: float) -> Iterator[sqlite3.Connection]:
    """Hold one short write transaction: commit at the end, roll back on an error.

    Raises SourceBusy when the lock is not had within `budget` seconds, or in rollback-journal mode when a
    reader stays longer than a moment: our waiting commit keeps every new reader out.
    """
    lock(connection, budget)
    try:
        yield connection
        commit(connection, min(budget, COMMIT_SECONDS))
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def commit(
    connection: sqlite3.Connection, budget: float, *, clock: Callable[[], float] = time.monotonic
) -> None:
    """Commit, waiting for readers where a rollback journal makes the commit wait for them.

    Raises SourceBusy after `budget` seconds with the transaction still open.
    """
    begun = clock()
    while True:
        try:
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            if clock() - begun >= budget:
                raise SourceBusy(
                    f"readers of the source kept a commit of ours waiting for {budget:g} s",
                    hint="a long read transaction is open in rollback-journal mode; try again later",
                ) from error
            pulse.beat()
            time.sleep(SPIN_SECONDS)
        else:
            return
