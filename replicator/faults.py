"""Errors of drivers and of the system, in our words; the last stop before a task ends with them."""

from __future__ import annotations

import errno
import sqlite3

import asyncpg

from config.errors import CaptureBroken, DiskFull, LiteferryError, SourceBusy, SourceError, TargetError
from triggers.connection import is_busy
from triggers.identifier import PREFIX
from triggers.session import Session

from .postgres.connections import describe

#: What SQLite says on a full disk: of the file, of the shared memory beside it, and where a quota is used up.
FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE")


def ours(error: BaseException) -> LiteferryError | None:
    """Return what to tell the operator of an error, or of the first in a group; None for a bug of ours.

    Texts of drivers can quote a row's values, so only names and codes are kept.
    """
    if isinstance(error, LiteferryError):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = [ours(e) for e in error.exceptions]
        return None if None in found else found[0]
    if isinstance(error, asyncpg.PostgresError):
        return TargetError(
            f"the target refused a statement: {describe(error)}",
            hint="look into PostgreSQL's log; liteferry goes on where it was when started again",
        )
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        return SourceError(f"the source cannot be used: {name}", hint="check the file, the disk, permissions")
    return _system(error)


def _system(error: BaseException) -> LiteferryError | None:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            "the folder for temporary files is full: a large batch waits there on its way",
            hint="make room, or let TMPDIR name a folder with more",
        )
    return None


def source_error(session: Session, error: sqlite3.Error) -> SourceError:
    """Return our error for one of SQLite's; its text may quote a value, so only its name is kept."""
    if is_busy(error):
        return SourceBusy(f"source {str(session.path)!r} is locked by others")
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if name in FULL:
        # the application suffers more than we do; what we wanted to write can wait
        return SourceBusy(f"the disk of source {str(session.path)!r} is full")
    if "no such table" in str(error) and PREFIX in str(error):
        return CaptureBroken(
            f"the change log is gone from source {str(session.path)!r}: somebody has dropped it",
            hint="take our triggers out at once with `liteferry uninstall`: with them every write fails",
        )
    if "decode to UTF-8" in str(error):
        # texts in rows are read in another way then
        return SourceError(
            f"source {str(session.path)!r} has a name of a table, column or index that is not valid UTF-8",
            hint="rename it: no statement to PostgreSQL could say it",
        )
    return SourceError(
        f"source {str(session.path)!r} cannot be read: {name}",
        hint="check the file with PRAGMA integrity_check, the disk, and the permissions",
    )
