"""Taking everything of ours out again: of a source, and of what the target remembers of it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from config.errors import SourceBusy, SourceError
from triggers import capture, fence
from triggers.connection import writing
from triggers.identifier import quote
from triggers.session import Session

from .fallback import arming
from .postgres import ledger
from .postgres.connections import CONTROL, Connection, Target
from .postgres.ledger import SourceRecord
from .schema import aside
from .schema.ddl import GUARD
from .state import State
from .streaming.tailer import source_error

#: Share of the whole time for one try: a rollback-journal writer, who waits while we do, gets its turn.
TRY_SHARE = 0.1
PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Installed:
    """What is in a source: the id of its installation, and whether it refuses writes."""

    source_id: UUID | None
    fenced: bool


async def look(path: Path) -> Installed:
    """Return what of ours a source holds. Raises SourceError."""
    async with Session(path) as session:
        try:
            source_id = await session.run(capture.source_id)
            return Installed(source_id, await session.run(fence.is_fenced))
        except sqlite3.Error as error:
            raise source_error(session, error) from error


def is_copy(recorded: str, path: Path) -> bool:
    """Tell whether a file only carries the id of the source at the recorded path, being a copy of it.

    The same file under another path (a container's) is none: the recorded path leads nowhere here.
    """
    return recorded != str(path) and Path(recorded).exists()


async def forget(target: Target, source_id: UUID, path: Path) -> int | None:
    """Open a source's tables on the target to everybody and forget the source; the tables stay.

    Returns how many tables that were, None when this target does not know the source. A cutover that was
    cut short can no longer be finished afterwards. Raises SourceError when the file is only a copy.
    """
    async with target.transaction() as connection:
        record = await ledger.source(connection, source_id)
        if record is None:
            return None
        _refuse_copy(record, path)
        tables = await ledger.tables(connection, source_id)
        await connection.execute(CONTROL["abort_stale"], [source_id])
        named = {t.table_id: f"{quote(record.schema)}.{quote(t.target)}" for t in tables}
        await arming.forget(connection, source_id, named)
        for name in named.values():
            # also when somebody has dropped the table: IF EXISTS covers it
            await connection.execute(f"DROP TRIGGER IF EXISTS {quote(GUARD)} ON {name}")
        await _bring_back(connection, record)
        await connection.execute(CONTROL["forget"], source_id)
        return len(tables)


async def _bring_back(connection: Connection, record: SourceRecord) -> None:
    """Leave tables that were there before us as they were, but for their rows."""
    await aside.bring_back(connection, [record.source_id], whole=record.state is not State.CUT_OVER)
    await aside.validate(connection, [record.source_id])


def _refuse_copy(record: SourceRecord, path: Path) -> None:
    # what the target has belongs to the original
    if is_copy(record.path, path):
        raise SourceError(
            f"source {str(path)!r} is a copy of {record.path!r}, which this target follows",
            hint="give the original; or, for the copy alone, no target",
        )


async def take_out(path: Path, patience: float, *, lift_fence: bool = False) -> bool:
    """Take triggers, change log and, if asked, the fence out of a source; return whether there was any.

    Asks for the write lock for up to `patience` seconds, letting others through. Raises SourceBusy then
    (what is left can be taken out later), SourceError when the source is fenced and that is to stay.
    """
    deadline = time.monotonic() + patience
    async with Session(path, writable=True) as session:
        while True:
            try:
                return await session.run(take_out_of, patience * TRY_SHARE, lift_fence=lift_fence)
            except SourceBusy:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(PAUSE_SECONDS)
            except sqlite3.Error as error:
                raise source_error(session, error) from error


def installed(connection: sqlite3.Connection) -> bool:
    """Tell whether there is anything of ours in a source."""
    return capture.source_id(connection) is not None or fence.is_fenced(connection)


def take_out_of(connection: sqlite3.Connection, budget: float, *, lift_fence: bool = True) -> bool:
    """Take everything of ours out of a source; return whether there was anything. Raises SourceBusy."""
    fenced = fence.is_fenced(connection)
    if fenced and lift_fence:
        with writing(connection, budget):
            fence.lift_fence(connection)
    return capture.uninstall(connection, budget) or fenced


async def has_capture(path: Path) -> bool:
    """Tell whether there is anything of ours in a source; false where it cannot be opened."""
    try:
        async with Session(path) as session:
            return await session.run(installed)
    except (SourceError, sqlite3.Error):
        return False
