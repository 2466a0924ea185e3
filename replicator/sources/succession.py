"""Another file in a source's place: looked at, and followed when it is the same source.

A restored backup, a copy that VACUUM INTO or `.recover` has made, what an application saves by renaming: it
bears our id. It may hold anything, though its log goes on where the target is. So the target is told first
that all tables are to be read again, and nothing of the file is applied before. Whoever dies before that
finds at the next start that the file is not the one that the target remembers.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from config.errors import LiteferryError, SourceError
from replicator import failpoint
from replicator.faults import ours
from replicator.state import State
from triggers import capture, fence
from triggers.connection import reading

from .access import Access
from .candidate import Sight
from .presence import REASONS, Identity, Presence

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

log = structlog.get_logger("liteferry.succession")

#: A file must stay as it is for so long before it is opened.
SETTLED_SECONDS = 0.5

#: Between two tries of a file that was refused, while it changes and at first.
AGAIN_SECONDS = 2.0
SELDOM_SECONDS = 60.0

#: States in which another file may be gone over to: in a cutover the very file is needed.
OPEN = (State.SNAPSHOT, State.CATCH_UP, State.STREAMING)

ANOTHER = REASONS[Presence.REPLACED]
BACK = "put the right file back"


class Succession:
    """Goes over to the file that has taken the place of a source's."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._seen: tuple[float, Sight] | None = None
        self._refused: Sight | None = None
        self._again = 0.0
        self._pause = AGAIN_SECONDS
        #: Why the file that stands there is not followed, or not yet.
        self.reason = ANOTHER
        #: Whether the new file is open, but not taken up yet.
        self.pending = False

    @property
    def absence(self) -> str | None:
        """Tell why the source is out of reach, None when it is not."""
        access = self._pipeline.access
        presence = access.presence
        if presence is Presence.PRESENT:
            access.note_wal()
            return None if access.entered and not self.pending else "its file is being opened again"
        return self.reason if presence is Presence.REPLACED else REASONS[presence]

    async def attempt(self, taken: Callable[[], Collection[Identity]]) -> None:
        """Do what can be done to have a file again; `taken` are those that other sources have open.

        Raises what taking up the new file does; a target that is away is waited for.
        """
        access = self._pipeline.access
        presence = access.presence
        if presence is not Presence.REPLACED:
            self._seen, self.reason = None, ANOTHER
            if presence is Presence.PRESENT:
                await self._return(access)
        elif self._pipeline.settings.on_schema_change == "halt":
            self.reason = f'{ANOTHER}, and on_schema_change is "halt" ({BACK})'
        elif self._pipeline.facts.state in OPEN:
            sight = self._look(taken)
            if sight is not None:
                await self._go_over(sight)

    async def _return(self, access: Access) -> None:
        """Open the very file again, which has come back after another was looked at in its place."""
        if not access.entered:
            with contextlib.suppress(LiteferryError, sqlite3.Error):
                await access.enter()

    def _look(self, taken: Callable[[], Collection[Identity]]) -> Sight | None:
        """Return what is to be opened, None while there is nothing."""
        path, now = self._pipeline.path, time.monotonic()
        try:
            # closing a file here that a source of this process has open would drop SQLite's locks on it
            if Identity.of(path.lstat()) in taken():
                self._wait("which is another source's")
                return None
            sight = Sight.of(path)
        except OSError:
            return None
        if sight is None:
            self._wait("which is no plain file but a link, a folder or a device")
            return None
        if self._seen is None or self._seen[1].identity != sight.identity:
            self._seen = now, sight
            self.reason = ANOTHER
            return None
        since, before = self._seen
        if now - since < SETTLED_SECONDS:
            return None
        self._seen = now, sight
        return sight if self._may_open(sight, before, now) else None

    def _wait(self, reason: str) -> None:
        self._seen, self.reason = None, f"{ANOTHER}, {reason} ({BACK})"

    def _may_open(self, sight: Sight, before: Sight, now: float) -> bool:
        if self._refused is not None and self._refused.identity == sight.identity and now < self._again:
            return False
        if not sight.has_settled_since(before):
            self.reason = f"{ANOTHER}, which is no whole database, or not yet"
        elif sight.wal is not None and sight.wal[0] == self._pipeline.access.wal:
            self.reason = (
                f"{ANOTHER}, but the WAL beside it is still the old file's: SQLite would take one for the "
                "other's and spoil both (stop the application, move -wal and -shm away, start it again)"
            )
        elif sight.has_left_journal(before):
            self.reason = (
                f"{ANOTHER}, with a rollback journal beside it that may be the old file's: SQLite would play "
                "it back (move -journal away, or open the file once if the journal belongs to it)"
            )
        else:
            return True
        return False

    async def _go_over(self, sight: Sight) -> None:
        pipeline = self._pipeline
        if pipeline.facts.state is State.STREAMING:
            # before anything is awaited: a cutover that is just beginning finds it
            pipeline.enter(State.CATCH_UP)
        await pipeline.access.leave()
        access = Access(pipeline.path)
        try:
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(access)
                reason = await access.reader.run(judge, pipeline.source_id)
                if reason is None:
                    failpoint.reach("succession.before_mark")
                    await pipeline.retrying(partial(self._persist, access))
                    failpoint.reach("succession.after_mark")
                    stack.pop_all()
        except (SourceError, sqlite3.Error, OSError) as error:
            reason = f"which cannot be opened: {ours(error) or type(error).__name__}"
        if reason is None:
            await self._take_up(access)
        else:
            self._refuse(sight, reason)

    def _refuse(self, sight: Sight, reason: str) -> None:
        known = self._refused is not None and self._refused.identity == sight.identity
        self._pause = min(self._pause * 2, SELDOM_SECONDS) if known else AGAIN_SECONDS
        self._refused, self._again = sight, time.monotonic() + self._pause
        self.reason = f"{ANOTHER}, {reason} ({BACK}, or start afresh with this one)"

    async def _persist(self, access: Access) -> None:
        """Have the target know that everything is to be read again, as long as the file is there."""
        access.refuse_absence()
        await self._pipeline.registration.replace_file(access.identity.inode)

    async def _take_up(self, access: Access) -> None:
        """Go on with the new file from where the target is."""
        pipeline = self._pipeline
        self.pending = True
        try:
            old = pipeline.access
            pipeline.go_over(access)
            await old.close()
            await pipeline.retrying(pipeline.take_over)
            pipeline.facts.consistent = False
            failpoint.reach("succession.after_take_over")
            log.warning("another file of the source is followed", source=str(pipeline.path))
        finally:
            self.pending, self._seen, self._refused, self.reason = False, None, None, ANOTHER


def judge(connection: sqlite3.Connection, wanted: UUID) -> str | None:
    """Tell what speaks against following a file as the source with that id, None when nothing does."""
    with reading(connection):
        there = capture.source_id(connection)
        if there is None:
            return "which has no change log of ours: it may be another database, or lacks our tables"
        if there != wanted:
            return "which is another source's by the id in it"
        if fence.is_fenced(connection):
            return "which was cut over before it was put here and refuses writes"
    return None
