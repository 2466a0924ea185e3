"""The program that copies lanes in a process of its own, and the daemon's end of it.

Rows become Python's objects on their way, and Python makes objects on one core of a process only. A copier
does nothing but the plain case. Whatever goes wrong, it ends; the daemon then finds out what the target has
got, copies the rest of the lane itself, and meets what went wrong where it can be named and waited for.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import sqlite3
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from config.errors import LiteferryError, PositionConflict
from replicator import failpoint
from replicator.control.throttle import Throttle
from replicator.postgres import ledger
from replicator.postgres.connections import CONNECT_SECONDS, Target, describe
from replicator.postgres.pooler import Pooler
from replicator.sources.paging import Pace, decode, encode
from replicator.sources.presence import Identity, refuse_absence
from replicator.streaming.reader import read_page
from replicator.values import sizes
from replicator.values.converter import Row
from triggers.connection import connect

from .lanes import Lane

#: Rows per read: few enough to stay in the processor's cache until they are encoded.
PAGE_ROWS = 1_000

#: Chunks of the daemon's size in one transaction: while it commits, nothing else is done here.
CHUNKS = 5

#: Bytes per transaction, where rows are large; nothing of it is held here.
CHUNK_BYTES = 64 << 20

PROGRAM = f"from {__name__} import main; main()"

#: How long a copier may say nothing of a chunk: one that hangs is ended, and the daemon copies itself.
SILENT_SECONDS = CONNECT_SECONDS + sizes.seconds(sizes.LARGEST_ROW)

_LENGTH = struct.Struct(">I")


class CopierFailed(Exception):
    """A copier ended, or says that it cannot go on."""


class Stopped(Exception):
    """Reading failed in the middle of a COPY; carries no text of SQLite's, which can quote a value."""


@dataclass(frozen=True)
class Work:
    """What all lanes of one copier share."""

    url: str
    pooler: Pooler
    path: Path
    #: The file that is copied, whatever stands under its name by the time that somebody opens that.
    identity: Identity
    source_id: UUID
    chunk_rows: int
    read_seconds: float

    def refuse_absence(self) -> None:
        """Raise SourceMissing unless the file stands under its name."""
        refuse_absence(self.path, self.identity)


class Copier:
    """The daemon's end: starts the process, gives it lanes of one source, and ends it."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._told: Work | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def copy(self, work: Work, lane: Lane, throttle: Throttle) -> None:
        """Copy what is left of a lane as fast as the throttle lets, noting its progress. Raises CopierFailed.

        Afterwards no process is working on the lane, though a commit of its last chunk may be on its way.
        """
        try:
            await self._copy(work, lane, throttle)
        except (OSError, ValueError, CopierFailed) as error:
            # silent for too long, or a key that is longer than a line may be
            await self.close()
            raise CopierFailed(str(error) or type(error).__name__) from error
        except BaseException:
            await self.close()
            raise

    async def _copy(self, work: Work, lane: Lane, throttle: Throttle) -> None:
        await self.start()
        process = self._process
        assert process and process.stdin and process.stdout
        if self._told != work:
            # neither the command line nor the environment is a place for a password
            process.stdin.write(_framed(work))
            self._told = work
        process.stdin.write(_framed((lane.plan, lane.at)))
        granted, begun = 0, time.monotonic()
        while not lane.at.copied:
            # each chunk is granted: a limit that changes meanwhile counts from the next one on. Without any
            # the next is granted ahead, for our loop may be busy just when the copier could go on
            while granted < (1 if throttle.active else 2):
                process.stdin.write(_framed(throttle.most(work.chunk_rows * CHUNKS)))
                granted += 1
            async with asyncio.timeout(SILENT_SECONDS):
                line = await process.stdout.readline()
            if not line:
                raise CopierFailed(f"its process ended with status {await process.wait()}")
            told = json.loads(line)
            if "failed" in told:
                raise CopierFailed(told["failed"])
            lane.moved(**told)
            granted -= 1
            if not lane.at.copied:
                await throttle.rest(told["rows"], time.monotonic() - begun)
            begun = time.monotonic()

    async def start(self) -> None:
        """Start the process if there is none, so that it is ready when work comes. Raises OSError."""
        if self._process is not None:
            return
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            # Ctrl-C is the daemon's to handle
            start_new_session=True,
        )

    async def close(self) -> None:
        """End the process; harmless when there is none."""
        process, self._process, self._told = self._process, None, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        if process.stdin:
            process.stdin.close()
        await process.wait()


def _framed(message: object) -> bytes:
    body = pickle.dumps(message)
    return _LENGTH.pack(len(body)) + body


def main() -> None:
    """Copy the lanes that come on standard input until it is closed; tell each chunk on standard output."""
    try:
        asyncio.run(_serve())
    except asyncio.IncompleteReadError:
        return
    except Exception as error:
        _tell(failed=str(error) if isinstance(error, LiteferryError | Stopped) else describe(error))
        sys.exit(1)


async def _serve() -> None:
    stream = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), sys.stdin)
    work: Work = await _receive(stream)
    work.refuse_absence()
    with closing(connect(work.path)) as connection:
        work.refuse_absence()
        async with Target(work.url, size=1, pooler=work.pooler) as target:
            inbox = Inbox(stream)
            while True:
                message = await inbox.take()
                # a number is a grant that the last lane had no rows for
                if not isinstance(message, int):
                    await _copy_lane(connection, target, work, Lane(*message), inbox)


class Inbox:
    """What the daemon says, one message after the other; when it says no more, whatever is done then ends."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self._next = asyncio.ensure_future(_receive(stream))

    async def take(self) -> Any:
        """Return the next message. Raises IncompleteReadError when nobody is at the other end any more."""
        # between two transactions the end is no emergency
        self._next.remove_done_callback(_end_with_daemon)
        message = await self._next
        self._next = asyncio.ensure_future(_receive(self._stream))
        self._next.add_done_callback(_end_with_daemon)
        return message


async def _receive(stream: asyncio.StreamReader) -> Any:
    (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
    return pickle.loads(await stream.readexactly(length))


def _end_with_daemon(incoming: asyncio.Future[object]) -> None:
    """End at once, in whatever transaction, when nobody is at the other end any more."""
    if not incoming.cancelled() and isinstance(incoming.exception(), asyncio.IncompleteReadError):
        os._exit(1)


async def _copy_lane(
    connection: sqlite3.Connection, target: Target, work: Work, lane: Lane, inbox: Inbox
) -> None:
    plan = lane.plan
    pace = Pace(work.read_seconds, most=PAGE_ROWS)
    pace.bound(plan.row_bytes, CHUNK_BYTES)
    most = max(1, CHUNK_BYTES // max(1, plan.row_bytes))
    while not lane.at.copied:
        chunk = Chunk(connection, work, lane, min(await inbox.take(), most), pace)
        await _store(target, work.source_id, chunk)
        lane.moved(chunk.cursor, chunk.rows, chunk.last)
        _tell(cursor=chunk.cursor, rows=chunk.rows, copied=chunk.last)


async def _store(target: Target, source_id: UUID, chunk: Chunk) -> None:
    plan, lane = chunk.lane.plan, chunk.lane.at
    async with target.transaction(adopted=plan.adopted) as connection:
        # locks the lane, so that nobody else copies the same rows meanwhile
        if await ledger.lane(connection, source_id, lane.table_id, lane.lane) != lane:
            raise PositionConflict("the lane is no longer where it was")
        await connection.copy_records_to_table(
            plan.target, schema_name=plan.schema, columns=[c.target for c in plan.record], records=chunk
        )
        await ledger.advance(connection, source_id, lane, chunk.cursor, chunk.rows, chunk.last)
        failpoint.reach("copier.before_commit")
    failpoint.reach("copier.after_commit")


class Chunk:
    """The next rows of a lane, read while they are sent: each read is short, none is held for long."""

    def __init__(
        self, connection: sqlite3.Connection, work: Work, lane: Lane, limit: int, pace: Pace
    ) -> None:
        self.lane = lane
        self._work = work
        self._connection, self._limit, self._pace = connection, limit, pace
        self.cursor = lane.at.cursor
        self.rows = 0
        self.last = False

    def __iter__(self) -> Iterator[Row]:
        plan, at = self.lane.plan, self.lane.at
        upto = decode(at.upto) if at.upto is not None else None
        cursor = decode(at.cursor) if at.cursor is not None else None
        while not self.last and self.rows < self._limit:
            begun = time.monotonic()
            wanted = min(self._pace.rows, self._limit - self.rows)
            try:
                self._work.refuse_absence()
                page = read_page(self._connection, plan, cursor, wanted, upto)
                ready = plan.converter.rows(page.rows)
            except (sqlite3.Error, LiteferryError) as error:
                raise Stopped(type(error).__name__) from None
            self._pace.took(len(page.rows), time.monotonic() - begun)
            cursor, self.last = page.cursor, page.last
            self.rows += len(page.rows)
            yield from ready
        self.cursor = encode(cursor) if cursor is not None else None


def _tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()
