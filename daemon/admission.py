"""How files that appear in watched folders become sources: looked at, refused or taken in, given up.

Whatever is wrong with one is told of, while the others go on. One that fails while its rows are copied for
the first time is let go of with all that was done: its triggers go on logging, the target keeps what it has
got, and the next try goes on there. Until then no cutover begins, for it would leave the rest behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from config.errors import LiteferryError, SourceBusy, SourceError
from config.sources import SourceSpec, newcomer, refuse_meetings
from replicator import failpoint
from replicator.checking.checks import Placed
from replicator.checking.checks import refuse_meetings as refuse_shared_tables
from replicator.faults import ours
from replicator.pipeline import Pipeline
from replicator.sources.presence import Identity
from replicator.state import State

from .followed import Followed
from .newcomers import Newcomers, files
from .work import answered, of_source

log = structlog.get_logger("liteferry")

#: A newcomer's tables must stay the same for so long: applications make one after the other.
QUIET_SECONDS = 0.5
QUIET_LOOKS = 10

#: How long a cutover waits for the verdict on a file that has just appeared, and how often it asks.
VERDICT_SECONDS = 3.0
ASK_SECONDS = 0.02


class Admission:
    """Looks for newcomers, and lets them join or tells why not."""

    def __init__(self, followed: Followed, folders: Sequence[Path], moving: asyncio.Lock) -> None:
        """Take where they are to join, where to look, and the lock that is held while writes are moved."""
        self._followed = followed
        self._folders = folders
        self._moving = moving
        self._newcomers = Newcomers()
        #: Newcomers whose fate is not decided yet.
        self._joining: dict[Path, Identity] = {}
        #: Those of them that have tables.
        self._coming: set[Path] = set()
        #: Files of which the target has rows, but which cannot be followed as they are.
        self._lost: set[Path] = set()
        #: What is to be closed with a newcomer that has joined.
        self._open: dict[Pipeline, contextlib.AsyncExitStack] = {}
        #: Looks at the folders that were begun, and the last that is over.
        self._looks_begun = 0
        self._looks_over = 0

    @property
    def notices(self) -> list[str]:
        """Return what the operator should know about files that are not replicated."""
        return self._newcomers.notices

    @property
    def joining(self) -> set[Identity]:
        """Return the files that are being looked into."""
        return set(self._joining.values())

    async def aclose(self) -> None:
        """Close those that have joined."""
        while self._open:
            await self._open.popitem()[1].aclose()

    async def look(self, admit: Callable[[Path], object]) -> None:
        """Look at the folders, and have `admit` begin with each file that is to be tried now."""
        for pipeline in self._open:
            if pipeline.settled.is_set():
                self._newcomers.settled(pipeline.path)
                self._lost.discard(pipeline.path)
        if not self._folders or self._moving.locked():
            return
        self._looks_begun += 1
        taken = self._followed.files() | self.joining
        paths = {p.path for p in self._followed.pipelines} | self._joining.keys()
        there = await asyncio.to_thread(files, self._folders, paths)
        self._lost &= there.keys() | paths
        for path in self._newcomers.choose(there, taken, paths):
            with contextlib.suppress(OSError):
                self._joining[path] = Identity.of(os.stat(path))
                admit(path)
        self._looks_over = self._looks_begun

    async def decided(self, ask: Callable[[], None]) -> None:
        """Have the folders looked at by `ask` and wait, for some seconds at most, for all verdicts."""
        deadline, begun = time.monotonic() + VERDICT_SECONDS, self._looks_begun
        ask()
        while self._folders and (self._looks_over <= begun or self._joining):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(ASK_SECONDS)

    def reasons(self, *, strict: bool = False) -> list[str]:
        """Return what speaks against a cutover: newcomers with tables, with `strict` all not decided on."""
        listed = {p.path for p in self._followed.pipelines}
        coming = sorted((set(self._joining) if strict else self._coming) - listed)
        lost = sorted(self._lost - listed)
        return [
            *(f"{path}: has just appeared and is about to join" for path in coming),
            *(f"{path}: the target has some of its rows, but it cannot be followed now" for path in lost),
        ]

    async def admit(self, path: Path, start: Callable[[Pipeline], None]) -> None:
        """Try a newcomer, and start it or note why not."""
        try:
            pipeline = await self._joined(path)
        except Exception as raised:
            error = ours(raised)
            if error is None and not isinstance(raised, OSError):
                raise
            self._newcomers.failed(path, error or SourceBusy(f"{type(raised).__name__}"))
        else:
            if pipeline is not None:
                self._newcomers.joined(path)
                start(pipeline)
                log.info("a new source has joined", source=str(pipeline.path), schema=pipeline.schema)
        finally:
            self._joining.pop(path, None)
            self._coming.discard(path)

    def may_lose(self, pipeline: Pipeline, error: LiteferryError) -> bool:
        """Tell whether an error concerns only a newcomer that was not whole on the target yet."""
        moving = self._moving.locked() or pipeline.facts.state is State.CUTTING_OVER
        return pipeline in self._open and not pipeline.settled.is_set() and not moving and not error.retryable

    async def lose(self, pipeline: Pipeline, error: LiteferryError) -> None:
        """Let go of a newcomer that has failed; it is tried again, and goes on where the target is."""
        # no await before: a cutover must find it here or there
        self._followed.remove(pipeline)
        self._lost.add(pipeline.path)
        self._newcomers.lost(pipeline.path, error)
        await self._open.pop(pipeline).aclose()

    async def _joined(self, path: Path) -> Pipeline | None:
        """Open and prepare a newcomer; None while it has no tables. Raises LiteferryError, OSError."""
        async with contextlib.AsyncExitStack() as stack:
            spec = newcomer(path, self._followed.settings)
            pipeline, known = await self._followed.opened(spec, stack)
            if known:
                self._lost.add(path)
            elif not await of_source(pipeline.tables()):
                self._newcomers.waits(path, "has no tables yet; it joins with the first")
                return None
            self._coming.add(path)
            await of_source(_quiet(pipeline))
            places = await of_source(pipeline.places())
            with _telling_of_strays(pipeline):
                self._refuse(replace(spec, schema=pipeline.schema), pipeline, places, known)
                # no await since the question: what is in the list can meet nothing that joins after it
                self._followed.add(pipeline, places)
                failpoint.reach("join.begun")
                try:
                    await self._prepared(pipeline)
                except BaseException:
                    self._followed.remove(pipeline)
                    raise
            failpoint.reach("join.prepared")
            self._open[pipeline] = stack.pop_all()
            return pipeline

    def _refuse(self, spec: SourceSpec, pipeline: Pipeline, places: Iterable[Placed], known: bool) -> None:
        """Raise LiteferryError for what speaks against a newcomer, given the sources that are there."""
        present = self._followed.pipelines
        if self._moving.locked():
            raise SourceBusy("a cutover is under way")
        if any(p.facts.state is State.CUT_OVER for p in present):
            raise SourceError(
                "it appeared after the cutover",
                hint="move it with another `liteferry run` that is given this file alone",
            )
        twin = next((p for p in present if pipeline.registration.is_twin(p.registration)), None)
        if twin is not None:
            raise SourceError(f"it is a copy of {str(twin.path)!r}, which is followed already")
        others = [SourceSpec(p.path, p.schema) for p in present]
        settled = {p.path for p in present} | ({spec.path} if known else set())
        refuse_meetings([*others, spec], settled)
        refuse_shared_tables([*self._followed.places(), *places])

    async def _prepared(self, pipeline: Pipeline) -> None:
        fresh = pipeline.registration.fresh
        try:
            await answered(pipeline.prepare)
        except Exception as raised:
            error = ours(raised)
            if fresh and error is not None and not error.retryable:
                # triggers that nobody reads after would fill the file
                with contextlib.suppress(LiteferryError, sqlite3.Error):
                    await answered(pipeline.registration.withdraw)
            raise


@contextlib.contextmanager
def _telling_of_strays(pipeline: Pipeline) -> Iterator[None]:
    """Have the refusal of a file tell of a capture in it that this target knows nothing of.

    A daemon that died between installing and registering leaves one, and so does every other target's daemon:
    taking it out by ourselves could lose what that one has not read yet.
    """
    stray = pipeline.registration.stray
    try:
        yield
    except LiteferryError as error:
        if stray and not error.retryable:
            left = (
                f"the capture of id {pipeline.source_id} in it, which this target does not know, logs every "
                "write: unless another target follows the file, take it out with `liteferry uninstall`"
            )
            error.hint = f"{error.hint}; {left}" if error.hint else left
        raise


async def _quiet(pipeline: Pipeline) -> None:
    """Return once no more tables are being made in a newcomer."""
    before: list[str] = []
    for _ in range(QUIET_LOOKS):
        now = [table.name for table in await pipeline.tables()]
        if now == before:
            break
        before = now
        await asyncio.sleep(QUIET_SECONDS)
