"""One connection to a source on a thread of its own, so that SQLite never blocks the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from . import pulse
from .connection import connect

#: Steps of SQLite's machine after which a statement under way gives a sign: a hundredth of a second, where
#: no disk is waited for.
SIGN_STEPS = 200_000

#: How long a writing session may give none: a commit waits for the disk to have written everything.
WRITE_PATIENCE = 120.0

P = ParamSpec("P")
R = TypeVar("R")


class Session:
    """A connection whose work runs on one thread, in the order in which it was asked for."""

    def __init__(
        self, path: Path, *, writable: bool = False, guard: Callable[[], None] | None = None
    ) -> None:
        """Take the file, and what is asked before each work, on its thread; it raises to keep from it."""
        self.path = path
        self._writable = writable
        self._guard = guard or _let_pass
        self._executor: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        #: Whose work the thread has in hand, and the lock to ask and tell.
        self._in_hand: object | None = None
        self._turn = threading.Lock()

    async def __aenter__(self) -> Self:
        name = f"sqlite-{'write' if self._writable else 'read'}-{self.path.name}"
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        try:
            opened = self._executor.submit(self._connect)
            self._connection = await asyncio.wrap_future(opened)
        except BaseException:
            self._executor.shutdown(wait=True)
            self._executor = None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def another(self) -> Session:
        """Return one more on the same file, to be opened by the caller; it only reads."""
        return Session(self.path, guard=self._guard)

    async def run(
        self, work: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run `work(connection, ...)` on this session's thread.

        A cancelled caller interrupts the statement in hand, if it is its own, and waits until its work is
        over, so that no transaction is left behind with nobody to end it.
        """
        if self._executor is None or self._connection is None:
            self._guard()
            msg = f"the session on {self.path.name!r} is closed"
            raise RuntimeError(msg)
        connection, ticket, asking = self._connection, object(), pulse.current()

        def turn() -> R:
            self._take(ticket)
            try:
                with self._in_sight(connection, asking):
                    # at the last moment: a file may be taken away while its turn is waited for
                    self._guard()
                    return work(connection, *args, **kwargs)
            finally:
                self._take(None)

        submitted = self._executor.submit(turn)
        running = asyncio.wrap_future(submitted)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # what waits its turn never begins: the statement in hand is another caller's
            while not (submitted.cancel() or running.done()):
                self._interrupt(ticket, connection)
                await asyncio.wait([running], timeout=0.05)
            if running.done() and not running.cancelled():
                running.exception()
            raise

    @contextmanager
    def _in_sight(self, connection: sqlite3.Connection, asking: pulse.Work | None) -> Iterator[None]:
        """Have a turn noticed that is stuck, be it in the file system or in our own code."""
        what, patience = ("writing to", WRITE_PATIENCE) if self._writable else ("reading", 0.0)
        with pulse.work(f"{what} {str(self.path)!r}", patience, behind=asking) as one:
            connection.set_progress_handler(one.beat, SIGN_STEPS)
            try:
                yield
            finally:
                connection.set_progress_handler(None, 0)

    def _take(self, ticket: object | None) -> None:
        with self._turn:
            self._in_hand = ticket

    def _interrupt(self, ticket: object, connection: sqlite3.Connection) -> None:
        with self._turn:
            if self._in_hand is ticket:
                connection.interrupt()

    def _connect(self) -> sqlite3.Connection:
        self._guard()
        return connect(self.path, writable=self._writable)

    async def close(self) -> None:
        """Close the connection and end its thread; harmless when closed already."""
        if self._executor is None:
            return
        executor, self._executor = self._executor, None
        connection, self._connection = self._connection, None
        if connection is not None:
            await asyncio.shield(asyncio.wrap_future(executor.submit(connection.close)))
        executor.shutdown(wait=True)

    def __del__(self) -> None:
        if self._executor is not None:
            warnings.warn(f"unclosed session on {self.path.name!r}", ResourceWarning, stacklevel=2)


def _let_pass() -> None:
    """Have nothing against it."""
