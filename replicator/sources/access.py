"""One file under a source's name: the claim on it, and the sessions that read and write it.

The claim holds the file open, so its inode cannot come back as another file's; sessions come and go under it.
Two files that stand under one name at different times have one access each, and never sessions at the same
time: in WAL mode both would have the shared memory beside the name, where closing it once drops all locks.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from config.errors import SourceMissing
from triggers.claim import claimed
from triggers.session import Session

from .presence import Identity, Presence, look, refuse_absence


class Access:
    """Claims the file that stands under a name while open; its sessions work only while it stays there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: What a session asks before it touches anything. Raises SourceMissing.
        self.refuse_absence = self._refuse_absence
        self.reader = self.session()
        self.writer = self.session(writable=True)
        #: Lag is measured on a session of its own, so that it is never late behind a batch.
        self.watcher = self.session()
        self.identity = Identity(0, 0)
        #: The WAL that belongs to this file; None before one was seen.
        self.wal: Identity | None = None
        self._closed = False
        self._claim = contextlib.ExitStack()
        self._open = False

    async def __aenter__(self) -> Self:
        self.identity = Identity.of(self._claim.enter_context(claimed(self.path)))
        try:
            await self.enter()
        except BaseException:
            self._claim.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the sessions, then let go of the file; harmless when done already."""
        self._closed = True
        await self.leave()
        self._claim.close()

    @property
    def entered(self) -> bool:
        """Tell whether there are sessions."""
        return self._open

    async def enter(self) -> None:
        """Open the sessions. Raises SourceMissing when the file does not stand under its name."""
        async with contextlib.AsyncExitStack() as stack:
            for session in (self.reader, self.writer, self.watcher):
                await stack.enter_async_context(session)
            self.refuse_absence()
            stack.pop_all()
        self._open = True
        self.note_wal()

    async def leave(self) -> None:
        """Close the sessions and keep the claim."""
        self._open = False
        for session in (self.watcher, self.writer, self.reader):
            await session.close()

    def session(self, *, writable: bool = False) -> Session:
        """Return one more session, not opened yet, that works only on this file."""
        return Session(self.path, writable=writable, guard=self.refuse_absence)

    @property
    def presence(self) -> Presence:
        """Tell whether the file still stands under its name."""
        return look(self.path, self.identity)

    def note_wal(self) -> None:
        """Remember which WAL is this file's: under its name another may find it later."""
        if self.wal is None:
            with contextlib.suppress(OSError):
                found = Identity.of(os.lstat(f"{self.path}-wal"))
                # asked afterwards: what came with another file is not ours
                self.wal = found if self.presence is Presence.PRESENT else None

    def _refuse_absence(self) -> None:
        if self._closed:
            raise SourceMissing(f"source {str(self.path)!r} is not worked on any more")
        refuse_absence(self.path, self.identity)
