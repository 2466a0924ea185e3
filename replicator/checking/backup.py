"""A copy of a source that is known to be good, made beside the application with SQLite's backup API."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from config.errors import LiteferryError, SourceError
from triggers.connection import journal_mode, reading
from triggers.identifier import quote

MIB = 1 << 20

#: Pages of one step, and the pause behind it as a share of the step's time: the disk is the application's.
STEP_PAGES = 256
REST = 0.5
LONGEST_REST_SECONDS = 0.1

#: Without WAL a step keeps writers waiting: it is shorter, and the pause as long again several times.
STEP_PAGES_ROLLBACK = 32
REST_ROLLBACK = 3.0

#: Instructions of SQLite between two looks whether the backup is still wanted: some milliseconds.
PATIENCE = 500_000

#: How often a backup may begin anew because the application has written; only without WAL.
MOST_RESTARTS = 20


@dataclass(frozen=True)
class Backup:
    """A backup that was made and checked."""

    path: Path
    size: int
    rows: Mapping[str, int]
    sha256: str
    seconds: float


class Stopped(Exception):
    """Whoever wanted the backup does so no more."""


@dataclass
class _Progress:
    """Paces the steps and ends a backup that would harm the application; called after each step."""

    source: Path
    wal: bool
    most_wal: int
    begun: float
    stop: threading.Event
    restarts: int = 0
    remaining: int | None = None

    def __call__(self, status: int, remaining: int, total: int) -> None:
        now = time.monotonic()
        if self.stop.is_set():
            raise Stopped
        if self.remaining is not None and remaining > self.remaining:
            self.restarts += 1
        self.remaining = remaining
        if self.wal and wal_size(self.source) > self.most_wal:
            raise SourceError(
                f"the backup of {str(self.source)!r} was given up: the WAL has grown to "
                f"{self.most_wal // MIB} MiB while it was read",
                hint="make it at a quieter hour, or allow more with wal_warn_mb",
            )
        if self.restarts > MOST_RESTARTS:
            raise SourceError(
                f"the backup of {str(self.source)!r} was given up: the application has written "
                f"{self.restarts} times while it was read, and without WAL each time it begins anew",
                hint="make it at a quieter hour, or PRAGMA journal_mode = WAL first",
            )
        if remaining:
            rest = (now - self.begun) * (REST if self.wal else REST_ROLLBACK)
            time.sleep(min(rest, LONGEST_REST_SECONDS))
        self.begun = time.monotonic()


def name_of(path: Path, now: datetime) -> str:
    """Return what a backup is called: the source's name with the time in it."""
    return f"{path.stem}-{now:%Y%m%dT%H%M%SZ}{path.suffix}"


def wal_size(path: Path) -> int:
    """Return the bytes of a database's WAL, 0 where there is none."""
    try:
        return os.stat(f"{path}-wal").st_size
    except OSError:
        return 0


def make(
    connection: sqlite3.Connection,
    path: Path,
    folder: Path,
    stop: threading.Event,
    *,
    most_wal_mb: int,
    keep_free_mb: int,
) -> Backup:
    """Copy a source into a folder under a name with the time, and check the copy.

    In WAL mode it is one state of the source, and no writer waits; otherwise writers wait for some
    milliseconds at a time. Nothing is overwritten, and what fails leaves no file behind. Raises SourceError,
    LiteferryError for the folder, and Stopped once `stop` is set.
    """
    begun = time.monotonic()
    wal = journal_mode(connection) == "wal"
    most_wal = wal_size(path) + most_wal_mb * MIB
    final = folder / name_of(path, datetime.now(UTC))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_little_space(path, folder, keep_free_mb)
        with _partial(final) as partial:
            counted = _copy(connection, partial, _Progress(path, wal, most_wal, time.monotonic(), stop))
            rows = _check(partial, counted, stop)
            sha256 = _digest(partial)
            _publish(partial, final, path, sha256)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LiteferryError(
            f"no backup could be made in {str(folder)!r}: {reason}",
            hint="give a folder with room that this user may write to",
        ) from error
    except sqlite3.Error as error:
        raise SourceError(
            f"the backup of {str(path)!r} failed: {error}",
            hint="look at the file with PRAGMA integrity_check",
        ) from error
    return Backup(final, final.stat().st_size, rows, sha256, time.monotonic() - begun)


def _refuse_little_space(path: Path, folder: Path, keep_free_mb: int) -> None:
    needed = (os.stat(path).st_size + wal_size(path)) * 11 // 10
    free = shutil.disk_usage(folder).free
    if free - needed < keep_free_mb * MIB:
        raise LiteferryError(
            f"no backup was made: it needs {needed // MIB:,} MiB in {str(folder)!r}, {free // MIB:,} are "
            f"free and {keep_free_mb:,} must stay so (disk_min_free_mb)",
            hint="give a folder on another disk",
        )


@contextlib.contextmanager
def _partial(final: Path) -> Iterator[Path]:
    """Make the file that becomes the backup, nobody else's to read yet; it is gone afterwards."""
    partial = final.with_name(f".{final.name}.partial")
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield partial
    finally:
        for name in (partial, *(Path(f"{partial}{end}") for end in ("-wal", "-shm", "-journal"))):
            name.unlink(missing_ok=True)


def _copy(connection: sqlite3.Connection, partial: Path, progress: _Progress) -> Mapping[str, int] | None:
    """Copy all pages; return the rows of the tables in the very state that was copied, None without WAL."""
    pages = STEP_PAGES if progress.wal else STEP_PAGES_ROLLBACK
    with closing(sqlite3.connect(partial, isolation_level=None)) as target:
        target.execute("PRAGMA synchronous = OFF")
        if not progress.wal:
            connection.backup(target, pages=pages, progress=progress)
            return None
        # one read transaction for all steps: otherwise each write of the application would begin it anew
        with reading(connection), _stoppable(connection, progress.stop):
            counted = _rows(connection)
            progress.begun = time.monotonic()
            connection.backup(target, pages=pages, progress=progress)
        return counted


@contextlib.contextmanager
def _stoppable(connection: sqlite3.Connection, stop: threading.Event) -> Iterator[None]:
    """Have statements that take long end once `stop` is set. Raises Stopped."""
    connection.set_progress_handler(lambda: int(stop.is_set()), PATIENCE)
    try:
        yield
    except sqlite3.OperationalError:
        if stop.is_set():
            raise Stopped from None
        raise
    finally:
        connection.set_progress_handler(None, 0)


def _rows(connection: sqlite3.Connection) -> dict[str, int]:
    found: Sequence[tuple[str]] = connection.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name"
    ).fetchall()
    names = [name for (name,) in found if name != "sqlite_schema"]
    count = "SELECT count(*) FROM main.{}"
    return {name: int(connection.execute(count.format(quote(name))).fetchone()[0]) for name in names}


def _check(partial: Path, counted: Mapping[str, int] | None, stop: threading.Event) -> dict[str, int]:
    """Check a copy as a whole, and its rows against the source's where these are known."""
    with closing(sqlite3.connect(partial, isolation_level=None)) as copy, _stoppable(copy, stop):
        told = [line for (line,) in copy.execute("PRAGMA integrity_check(3)")]
        if told != ["ok"]:
            raise SourceError(
                f"the copy is damaged, and so is the source: {'; '.join(told)}",
                hint="mend the source first: sqlite3 FILE .recover",
            )
        rows = _rows(copy)
    if counted is not None and rows != counted:
        raise SourceError(
            "the copy has other rows than the source had", hint="look at the disk, and try again"
        )
    return rows


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return found


def _publish(partial: Path, final: Path, source: Path, sha256: str) -> None:
    """Give a checked copy the source's mode, a digest, and last its name; a link never overwrites."""
    found = os.stat(source)
    if os.geteuid() == 0:
        os.chown(partial, found.st_uid, found.st_gid)
    os.chmod(partial, found.st_mode & 0o777)
    digest = Path(f"{final}.sha256")
    descriptor = os.open(digest, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{sha256}  {final.name}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, final)
    except OSError:
        digest.unlink(missing_ok=True)
        raise
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
