"""The sources of the running daemon: opened at the start, joined by files that appear in watched folders.

At the first start all sources are equal, and what is wrong with one ends the daemon before anything is
touched. Later, whatever lies in a watched folder and is not followed yet is a newcomer: it is taken in if it
can be, and told of if it cannot, while the others go on. That holds after a restart too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from config.errors import LiteferryError, SourceBusy, SourceError, SourceMissing
from config.settings import Settings
from config.sources import (
    SourceSpec,
    folders,
    newcomer,
    refuse_meetings,
    refuse_troubled,
    refuse_unmatched,
)
from replicator import failpoint, ledger
from replicator.checks import refuse_meetings as refuse_shared_tables
from replicator.crew import Slots
from replicator.faults import ours
from replicator.pipeline import Pipeline
from replicator.plan import check_overrides
from replicator.presence import Identity
from replicator.state import State
from replicator.target import Target

from .attendance import back, present, wait
from .newcomers import Newcomers, files
from .schedule import Schedule
from .wakeup import Wakeup
from .work import answered, blamed, of_source

log = structlog.get_logger("liteferry")

#: Between two looks at folders and sources when no file event asks for one.
LOOK_SECONDS = 0.5

#: A newcomer's tables must stay the same for so long: applications make one after the other.
QUIET_SECONDS = 0.5
QUIET_LOOKS = 10

#: How long a cutover waits for the verdict on a file that has just appeared.
VERDICT_SECONDS = 3.0


class Roster:
    """Opens, prepares and runs the sources, and lets newcomers join."""

    def __init__(
        self,
        settings: Settings,
        specs: Sequence[SourceSpec],
        target: Target,
        moving: asyncio.Lock,
    ) -> None:
        """Take what is to be moved where, and the lock that is held while writes are moved."""
        self._settings = settings
        self._specs = specs
        self._target = target
        self._moving = moving
        self._slots = Slots(asyncio.Semaphore(settings.parallel))
        self._folders = folders(settings)
        self._newcomers = Newcomers()
        self._notices: list[str] = []
        #: Those that are followed, and newcomers from when nothing speaks against them any more.
        self.pipelines: list[Pipeline] = []
        self._tables: dict[Pipeline, list[str]] = {}
        #: Newcomers whose fate is not decided yet.
        self._joining: dict[Path, Identity] = {}
        #: Those of them that have tables.
        self._coming: set[Path] = set()
        #: Looks at the folders that were begun, and the last that is over.
        self._looks_begun = 0
        self._looks_over = 0
        self._news = asyncio.Event()
        self._stack = contextlib.AsyncExitStack()

    @property
    def folders(self) -> list[Path]:
        """Return the folders in which newcomers are looked for."""
        return self._folders

    @property
    def notices(self) -> list[str]:
        """Return what the operator should know about files that are missing or not replicated."""
        missing = [f"{p.path}: {p.facts.absence}" for p in self.pipelines if p.facts.absence]
        return [*missing, *self._newcomers.notices, *self._notices]

    def news(self) -> None:
        """Look at folders and sources soon."""
        self._news.set()

    async def open(self, stack: contextlib.AsyncExitStack) -> None:
        """Open the sources to begin with, and refuse them together. Raises LiteferryError."""
        # closed after whatever is entered later, jobs and file events among them
        self._stack = await stack.enter_async_context(contextlib.AsyncExitStack())
        errors: list[LiteferryError] = []
        held: list[tuple[SourceSpec, Pipeline, contextlib.AsyncExitStack, bool]] = []
        for spec in self._specs:
            one = await stack.enter_async_context(contextlib.AsyncExitStack())
            try:
                pipeline, known = await self._opened(spec, one)
            except LiteferryError as error:
                await one.aclose()
                if not spec.in_folder:
                    raise
                errors.append(error)
            else:
                held.append((spec, pipeline, one, known))
        restarted = any(known for *_, known in held)
        if errors and not restarted:
            raise errors[0]
        later = [one for spec, _, one, known in held if restarted and spec.in_folder and not known]
        for one in later:
            await one.aclose()
        begin = [(spec, pipeline, known) for spec, pipeline, one, known in held if one not in later]
        if not restarted:
            refuse_troubled(self._specs, self._settings.schema_map)
        elif not self._folders:
            refuse_unmatched(self._specs, self._settings.schema_map)
        await self._refuse_together(begin, complete=not later and not errors)
        self.pipelines = [pipeline for _, pipeline, _ in begin]
        if restarted:
            await self._miss()

    async def _opened(self, spec: SourceSpec, stack: contextlib.AsyncExitStack) -> tuple[Pipeline, bool]:
        if spec.trouble is not None:
            raise spec.trouble
        pipeline = await stack.enter_async_context(self._made(spec))
        return pipeline, await of_source(answered(pipeline.recognise))

    def _made(self, spec: SourceSpec) -> Pipeline:
        return Pipeline(spec.path, spec.schema, self._settings, self._target, self._slots)

    async def _refuse_together(
        self, begin: Sequence[tuple[SourceSpec, Pipeline, bool]], *, complete: bool
    ) -> None:
        """Raise ConfigError for tables that would meet and types of no column, before anything is touched."""
        settled = {spec.path for spec, _, known in begin if known}
        refuse_meetings((replace(spec, schema=p.schema) for spec, p, _ in begin), settled)
        found = {p: await of_source(p.tables()) for _, p, _ in begin}
        if complete:
            check_overrides([t for tables in found.values() for t in tables], self._settings.columns)
        self._tables = {p: [t.name for t in tables] for p, tables in found.items()}
        refuse_shared_tables((p.schema, name) for p, names in self._tables.items() for name in names)

    async def _miss(self) -> None:
        """Tell of the files of watched folders that the target follows and that are not there any more."""
        here = {str(p.path) for p in self.pipelines}
        for path in await answered(lambda: followed(self._target)):
            if path not in here and Path(path).parent in self._folders and not _exists(path):
                self._notices.append(f"{path}: the target follows it, but its file is not there any more")
                log.warning("a source is missing since the last run", source=path)

    async def prepare(self) -> None:
        """Set up or take up every source. Raises LiteferryError."""
        for pipeline in self.pipelines:
            await blamed(pipeline, answered(pipeline.prepare))

    async def run(self, wakeup: Wakeup, schedule: Schedule) -> None:
        """Run all sources and let newcomers join; returns when every source has been cut over."""
        async with asyncio.TaskGroup() as group:
            for pipeline in self.pipelines:
                self._start(group, wakeup, schedule, pipeline)
            group.create_task(self._watch(group, wakeup, schedule), name="watch")

    def _start(
        self, group: asyncio.TaskGroup, wakeup: Wakeup, schedule: Schedule, pipeline: Pipeline
    ) -> None:
        schedule.add(pipeline)
        work = self._run_one(pipeline, wakeup)
        group.create_task(work, name=f"source-{pipeline.path.name}")

    async def _run_one(self, pipeline: Pipeline, wakeup: Wakeup) -> None:
        while True:
            try:
                return await pipeline.run(lambda seconds: wait(wakeup, pipeline, seconds))
            except Exception as raised:
                if not _is_absence(pipeline, ours(raised)):
                    await blamed(pipeline, _raising(raised))
                log.warning("source interrupted", source=str(pipeline.path), reason=str(ours(raised)))
            await blamed(pipeline, back(pipeline, partial(self._others, pipeline)))

    def _others(self, pipeline: Pipeline) -> set[Identity]:
        """Return the files that this process has open, but for one source's."""
        others = {p.identity for p in self.pipelines if p is not pipeline}
        return others | set(self._joining.values())

    async def _watch(self, group: asyncio.TaskGroup, wakeup: Wakeup, schedule: Schedule) -> None:
        def admit(path: Path) -> None:
            group.create_task(self._admit(path, group, wakeup, schedule), name=f"join-{path.name}")

        while True:
            for pipeline in self.pipelines:
                present(pipeline)
            await self._look(admit)
            if all(p.facts.state is State.CUT_OVER for p in self.pipelines):
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()
            # several events are one piece of news
            await asyncio.sleep(LOOK_SECONDS / 10)
            self._news.clear()

    async def _look(self, admit: Callable[[Path], None]) -> None:
        if not self._folders or self._moving.locked():
            return
        self._looks_begun += 1
        taken = {p.identity for p in self.pipelines} | set(self._joining.values())
        paths = {p.path for p in self.pipelines} | self._joining.keys()
        there = await asyncio.to_thread(files, self._folders, paths)
        for path in self._newcomers.choose(there, taken):
            with contextlib.suppress(OSError):
                self._joining[path] = Identity.of(os.stat(path))
                admit(path)
        self._looks_over = self._looks_begun

    async def decided(self) -> None:
        """Wait, for some seconds at most, until it is clear which files of the folders are sources."""
        deadline, begun = time.monotonic() + VERDICT_SECONDS, self._looks_begun
        self.news()
        while self._folders and (self._looks_over <= begun or self._joining):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(LOOK_SECONDS / 25)

    def reasons(self, *, strict: bool = False) -> list[str]:
        """Return what speaks against a cutover: newcomers with tables, with `strict` all not decided on."""
        listed = {p.path for p in self.pipelines}
        coming = sorted((set(self._joining) if strict else self._coming) - listed)
        return [f"{path}: has just appeared and is about to join" for path in coming]

    async def _admit(self, path: Path, group: asyncio.TaskGroup, wakeup: Wakeup, schedule: Schedule) -> None:
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
                wakeup.add(pipeline.path)
                self._start(group, wakeup, schedule, pipeline)
                log.info("a new source has joined", source=str(pipeline.path), schema=pipeline.schema)
        finally:
            self._joining.pop(path, None)
            self._coming.discard(path)

    async def _joined(self, path: Path) -> Pipeline | None:
        """Open and prepare a newcomer; None while it has no tables. Raises LiteferryError, OSError."""
        async with contextlib.AsyncExitStack() as stack:
            spec = newcomer(path, self._settings)
            pipeline, known = await self._opened(spec, stack)
            if not known and not await of_source(pipeline.tables()):
                self._newcomers.waits(path, "has no tables yet; it joins with the first")
                return None
            self._coming.add(path)
            tables = await of_source(_quiet(pipeline))
            self._refuse(replace(spec, schema=pipeline.schema), pipeline, tables, known)
            # no await since the question: what is in the list can meet nothing that joins after it
            self.pipelines.append(pipeline)
            self._tables[pipeline] = tables
            failpoint.reach("join.begun")
            try:
                await self._prepared(pipeline)
            except BaseException:
                self.pipelines.remove(pipeline)
                del self._tables[pipeline]
                raise
            failpoint.reach("join.prepared")
            self._stack.push_async_callback(stack.pop_all().aclose)
            return pipeline

    def _refuse(self, spec: SourceSpec, pipeline: Pipeline, tables: Iterable[str], known: bool) -> None:
        """Raise LiteferryError for what speaks against a newcomer, given the sources that are there."""
        if self._moving.locked():
            raise SourceBusy("a cutover is under way")
        if any(p.facts.state is State.CUT_OVER for p in self.pipelines):
            raise SourceError(
                "it appeared after the cutover",
                hint="move it with another `liteferry run` that is given this file alone",
            )
        twin = next((p for p in self.pipelines if pipeline.is_twin(p)), None)
        if twin is not None:
            raise SourceError(f"it is a copy of {str(twin.path)!r}, which is followed already")
        others = [SourceSpec(p.path, p.schema) for p in self.pipelines]
        settled = {p.path for p in self.pipelines} | ({spec.path} if known else set())
        refuse_meetings([*others, spec], settled)
        names = Counter((p.schema, name) for p in self.pipelines for name in self._names(p))
        names.update((spec.schema, name) for name in set(tables))
        refuse_shared_tables(names.elements())

    def _names(self, pipeline: Pipeline) -> set[str]:
        """Return a source's tables: those it came with, and those that it has got since."""
        return {*self._tables.get(pipeline, ()), *(plan.name for plan in pipeline.plans.values())}

    async def _prepared(self, pipeline: Pipeline) -> None:
        fresh = pipeline.fresh
        try:
            await answered(pipeline.prepare)
        except Exception as raised:
            error = ours(raised)
            if fresh and error is not None and not error.retryable:
                # triggers that nobody reads after would fill the file
                with contextlib.suppress(LiteferryError, sqlite3.Error):
                    await answered(pipeline.withdraw)
            raise


def _is_absence(pipeline: Pipeline, error: LiteferryError | None) -> bool:
    """Tell whether an error only says that a source's file is not there."""
    if isinstance(error, SourceMissing):
        return True
    moving = pipeline.facts.state is State.CUTTING_OVER
    # SQLite may complain of a file that was taken away from under it: then that is the news
    return isinstance(error, SourceError) and not moving and not present(pipeline)


def _exists(path: str) -> bool:
    return os.path.lexists(path)


async def followed(target: Target) -> list[str]:
    """Return the paths of the sources that the target follows."""
    async with target.connection() as connection:
        return await ledger.followed(connection)


async def _raising(error: Exception) -> None:
    raise error


async def _quiet(pipeline: Pipeline) -> list[str]:
    """Return a newcomer's tables once no more are being made."""
    before: list[str] = []
    for _ in range(QUIET_LOOKS):
        now = [table.name for table in await pipeline.tables()]
        if now == before:
            break
        before = now
        await asyncio.sleep(QUIET_SECONDS)
    return before
