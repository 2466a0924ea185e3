"""The sources of the running daemon: opened at the start, run, joined by what `Admission` lets in.

At the first start all sources are equal, and what is wrong with one ends the daemon before anything is
touched. Later, whatever lies in a watched folder and is not followed yet is a newcomer: it is taken in if it
can be, and told of if it cannot, while the others go on. That holds after a restart too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from config.errors import ConfigError, LiteferryError, SourceError, SourceMissing
from config.settings import Settings
from config.sources import (
    SourceSpec,
    folders,
    refuse_meetings,
    refuse_troubled,
    refuse_unmatched,
)
from replicator.checking.checks import refuse_meetings as refuse_shared_tables
from replicator.control.throttle import Allowance
from replicator.fallback.homeward import AWAY
from replicator.faults import ours
from replicator.pipeline import Pipeline
from replicator.planning.naming import check_renames
from replicator.planning.plan import check_overrides
from replicator.planning.policy import check_names
from replicator.postgres import ledger
from replicator.postgres.connections import Target
from replicator.sources.presence import Identity
from replicator.state import State, overall
from triggers.schema import Table

from .admission import Admission
from .attendance import back, present, wait
from .followed import Followed
from .schedule import Schedule
from .wakeup import Wakeup
from .work import answered, blamed, of_source

log = structlog.get_logger("liteferry")

#: Between two looks at folders and sources when no file event asks for one.
LOOK_SECONDS = 0.5

#: A newcomer's tables must stay the same for so long: applications make one after the other.
QUIET_SECONDS = 0.5
QUIET_LOOKS = 10

#: States in which nobody can join any more, for the others are not copied any more.
PAST = (*AWAY, State.FINISHED)

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
        self._folders = folders(settings)
        self._notices: list[str] = []
        self._followed = Followed(settings, target)
        self._admission = Admission(self._followed, self._folders, moving)
        self._news = asyncio.Event()

    @property
    def pipelines(self) -> list[Pipeline]:
        """Return those that are followed."""
        return self._followed.pipelines

    @property
    def allowance(self) -> Allowance:
        """Return how many rows per second may be read."""
        return self._followed.allowance

    @property
    def state(self) -> State:
        """Return the state that speaks for all of them."""
        return overall(p.facts.state for p in self.pipelines)

    @property
    def folders(self) -> list[Path]:
        """Return the folders in which newcomers are looked for."""
        return self._folders

    @property
    def notices(self) -> list[str]:
        """Return what the operator should know about files that are missing or not replicated."""
        missing = [f"{p.path}: {p.facts.absence}" for p in self.pipelines if p.facts.absence]
        return [*missing, *self._admission.notices, *self._notices]

    def news(self) -> None:
        """Look at folders and sources soon."""
        self._news.set()

    async def open(self, stack: contextlib.AsyncExitStack) -> None:
        """Open the sources to begin with, and refuse them together. Raises LiteferryError."""
        # closed after whatever is entered later, jobs and file events among them
        stack.push_async_callback(self._admission.aclose)
        errors: list[LiteferryError] = []
        held: list[tuple[SourceSpec, Pipeline, contextlib.AsyncExitStack, bool]] = []
        for spec in self._specs:
            one = await stack.enter_async_context(contextlib.AsyncExitStack())
            try:
                pipeline, known = await self._followed.opened(spec, one)
            except LiteferryError as error:
                await one.aclose()
                if not spec.in_folder:
                    raise
                errors.append(error)
            else:
                held.append((spec, pipeline, one, known))
        restarted = any(known for *_, known in held)
        settled = any(known and not pipeline.registration.unfinished for _, pipeline, _, known in held)
        if errors and not restarted:
            raise errors[0]
        # what had only begun to be copied keeps nobody from what streamed
        later = [
            one
            for spec, pipeline, one, known in held
            if spec.in_folder and ((pipeline.registration.unfinished and settled) if known else restarted)
        ]
        for one in later:
            await one.aclose()
        begin = [(spec, pipeline, known) for spec, pipeline, one, known in held if one not in later]
        if not restarted:
            refuse_troubled(self._specs, self._settings)
        elif not self._folders:
            refuse_unmatched(self._specs, self._settings)
        await self._refuse_together(begin, complete=not later and not errors)
        if restarted:
            await self._miss()

    async def _refuse_together(
        self, begin: Sequence[tuple[SourceSpec, Pipeline, bool]], *, complete: bool
    ) -> None:
        """Raise ConfigError for tables that would meet and types of no column, before anything is touched."""
        settled = {spec.path for spec, _, known in begin if known}
        refuse_meetings((replace(spec, schema=p.schema) for spec, p, _ in begin), settled)
        found = {p: await of_source(p.tables()) for _, p, _ in begin}
        if complete:
            everything = [t for tables in found.values() for t in tables]
            self._check_settings(everything, strict=not settled)
        places = {p: await of_source(p.places()) for p in found}
        refuse_shared_tables(place for some in places.values() for place in some)
        for pipeline, some in places.items():
            self._followed.add(pipeline, some)

    def _check_settings(self, tables: Sequence[Table], *, strict: bool) -> None:
        """Refuse what is set for a column or table that is in no source.

        Not `strict`ly after a restart: the application may have renamed or dropped it since the first one.
        """
        try:
            check_overrides(tables, self._settings.columns)
            check_names(tables, self._settings.bad_values)
            check_renames(tables, self._settings.rename)
        except ConfigError as error:
            if strict:
                raise
            self._notices.append(str(error))
            log.warning("a setting fits nothing", reason=str(error))

    async def _miss(self) -> None:
        """Tell of the files of watched folders that the target follows and that are not there any more."""
        here = {str(p.path) for p in self.pipelines}
        for path in await answered(lambda: followed(self._target)):
            if path not in here and Path(path).parent in self._folders and not _exists(path):
                self._notices.append(f"{path}: the target follows it, but its file is not there any more")
                log.warning("a source is missing since the last run", source=path)

    async def prepare(self) -> None:
        """Set up or take up every source, none before all are known to fit. Raises LiteferryError."""
        for pipeline in self.pipelines:
            await blamed(pipeline, answered(pipeline.foresee))
        for pipeline in self.pipelines:
            await blamed(pipeline, answered(pipeline.prepare))

    async def run(self, wakeup: Wakeup, schedule: Schedule) -> None:
        """Run all sources and let newcomers join, but for after the cutover; until cancelled."""
        async with asyncio.TaskGroup() as group:
            for pipeline in self.pipelines:
                self._start(group, wakeup, schedule, pipeline)
            group.create_task(self._watch(group, wakeup, schedule), name="watch")

    def _start(
        self, group: asyncio.TaskGroup, wakeup: Wakeup, schedule: Schedule, pipeline: Pipeline
    ) -> None:
        schedule.add(pipeline)
        work = self._carry(pipeline, wakeup, schedule)
        group.create_task(work, name=f"source-{pipeline.path.name}")

    async def _carry(self, pipeline: Pipeline, wakeup: Wakeup, schedule: Schedule) -> None:
        """Run a source; a newcomer that fails before it is whole is let go of, any other ends the daemon."""
        try:
            await self._run_one(pipeline, wakeup)
        except Exception as raised:
            error = ours(raised)
            if error is None or not self._admission.may_lose(pipeline, error):
                await blamed(pipeline, _raising(raised))
            else:
                schedule.remove(pipeline)
                await self._admission.lose(pipeline, error)

    async def _run_one(self, pipeline: Pipeline, wakeup: Wakeup) -> None:
        while True:
            try:
                return await pipeline.run(lambda seconds: wait(wakeup, pipeline, seconds))
            except Exception as raised:
                if not _is_absence(pipeline, ours(raised)):
                    raise
                log.warning("source interrupted", source=str(pipeline.path), reason=str(ours(raised)))
            await back(pipeline, partial(self._others, pipeline))

    def _others(self, pipeline: Pipeline) -> set[Identity]:
        """Return the files that this process has open, but for one source's."""
        return self._followed.files(pipeline) | self._admission.joining

    async def _watch(self, group: asyncio.TaskGroup, wakeup: Wakeup, schedule: Schedule) -> None:
        def start(pipeline: Pipeline) -> None:
            wakeup.add(pipeline.path)
            self._start(group, wakeup, schedule, pipeline)

        def admit(path: Path) -> None:
            group.create_task(self._admission.admit(path, start), name=f"join-{path.name}")

        while True:
            for pipeline in self.pipelines:
                present(pipeline)
            if self._may_join():
                await self._admission.look(admit)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()
            # several events are one piece of news
            await asyncio.sleep(LOOK_SECONDS / 10)
            self._news.clear()

    def _may_join(self) -> bool:
        """Tell whether newcomers are let in: not behind the cutover, nor while all that there is rests."""
        if any(p.facts.state in PAST for p in self.pipelines):
            return False
        return not self.pipelines or any(p.facts.paused is None for p in self.pipelines)

    async def decided(self) -> None:
        """Wait, for some seconds at most, until it is clear which files of the folders are sources."""
        await self._admission.decided(self.news)

    def reasons(self, *, strict: bool = False) -> list[str]:
        """Return what speaks against a cutover: newcomers with tables, with `strict` all not decided on."""
        return self._admission.reasons(strict=strict)


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
