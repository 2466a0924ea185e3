"""How a source and the target know each other: the id in the source, and what the target keeps under it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from config.errors import (
    CaptureBroken,
    ConfigError,
    SchemaChanged,
    SourceBusy,
    SourceError,
    TargetError,
    Unsupported,
)
from replicator import failpoint
from replicator.drift.changes import stamped
from replicator.faults import source_error
from replicator.loading import loader
from replicator.loading.lanes import bounds
from replicator.planning.asked import Settled, settle
from replicator.planning.plan import SourcePlan, TablePlan
from replicator.planning.preflight import structure, take_up
from replicator.postgres import ledger
from replicator.postgres.ledger import SourceRecord, TableRecord
from replicator.state import State
from triggers import capture, changelog, fence, refit, relations
from triggers.capture import Captured, Known
from triggers.key import Key
from triggers.schema import Table

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

log = structlog.get_logger("liteferry.registration")


class Registration:
    """Installs the capture in one source, registers it with the target, and recognises both later."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._path = pipeline.path
        self._settings = pipeline.settings
        self._source_id: UUID | None = None
        #: What the target knew of the source at the last look, None for nothing.
        self.known_state: State | None = None
        #: What was planned before anything was changed, and for which version of the schema.
        self._foreseen: tuple[int, SourcePlan] | None = None

    @property
    def source_id(self) -> UUID | None:
        """Return the id of the installation in the source, None when none was seen."""
        return self._source_id

    async def look(self) -> SourceRecord | None:
        """Read the id in the source, and return what the target keeps under it. Raises TargetAway."""
        self._source_id = await self._pipeline.reader.run(capture.source_id)
        record = await self.record()
        self.known_state = record.state if record is not None else None
        return record

    async def record(self) -> SourceRecord | None:
        """Return what the target keeps of the source. Raises TargetAway."""
        if self._source_id is None:
            return None
        async with self._pipeline.target.connection() as connection:
            return await ledger.source(connection, self._source_id)

    async def tables(self) -> list[TableRecord]:
        """Return what the target keeps of the source's tables. Raises TargetAway."""
        async with self._pipeline.target.connection() as connection:
            return await ledger.tables(connection, self.required())

    @property
    def unfinished(self) -> bool:
        """Tell whether the target, when it was asked, had never had all rows of this source."""
        return self.known_state is State.SNAPSHOT

    @property
    def fresh(self) -> bool:
        """Tell whether, so far as was looked, no capture is in the source, of this target or of another."""
        return self._source_id is None

    @property
    def stray(self) -> bool:
        """Tell whether a capture is in the source that the target, when it was asked, did not know."""
        return not self.fresh and self.known_state is None

    def is_twin(self, other: Registration) -> bool:
        """Tell whether the other source carries the same id: one of the two files is a copy."""
        return self._source_id is not None and self._source_id == other._source_id

    def is_copy(self, record: SourceRecord) -> bool:
        """Tell whether the record is of another file that still exists: then this one is a copy of it."""
        return record.path != str(self._path) and Path(record.path).exists()

    async def withdraw(self) -> None:
        """Take the capture out again when the target does not know the source; harmless otherwise."""
        if await self.record() is None and not await self._pipeline.reader.run(fence.is_fenced):
            await self._pipeline.writer.run(capture.uninstall, self._settings.install_timeout / 10)

    async def refuse_foreign_fence(self) -> None:
        """Raise SourceError for a source that was cut over to a target that is not this one."""
        if await self._pipeline.reader.run(fence.is_fenced):
            raise SourceError(
                f"source {str(self._path)!r} was cut over to another target and refuses writes",
                hint="give that target, or lift the fence with `liteferry uninstall --lift-fence`",
            )

    async def foresee(self) -> None:
        """Plan the source and refuse what must be refused; changes nothing. Raises as `set_up` does."""
        version = await self._pipeline.reader.run(refit.version)
        try:
            plan = await self._planned(version)
        except SchemaChanged:
            # by then it is planned anew
            return
        await self._refuse(plan)
        self._foreseen = version, plan

    async def set_up(self) -> tuple[SourceRecord, dict[int, TablePlan]]:
        """Plan the source, install the capture, and register with the target.

        All over again when the application changes its schema before the triggers are in. Return the target's
        record and the plans by number. Raises SourceBusy, Unsupported, TargetError, TargetAway.
        """
        reader = self._pipeline.reader
        foreseen, self._foreseen = self._foreseen, None
        while True:
            version = await reader.run(refit.version)
            fitting = foreseen[1] if foreseen is not None and foreseen[0] == version else None
            foreseen = None
            try:
                plan = fitting or await self._planned(version)
                return await self._register(plan, Known(version))
            except SchemaChanged:
                log.info("the schema has changed, planning again", source=str(self._path))

    async def _planned(self, version: int) -> SourcePlan:
        try:
            return await self._pipeline.plan()
        except (sqlite3.Error, SourceError) as error:
            # of a table that is gone, or another, since the schema was looked at
            if await self._pipeline.reader.run(refit.version) != version:
                raise SchemaChanged("the application has changed its schema") from error
            raise

    async def _register(self, plan: SourcePlan, known: Known) -> tuple[SourceRecord, dict[int, TablePlan]]:
        """Install the capture, then register with the target: a crash between leaves nothing to undo."""
        pipeline, target = self._pipeline, self._pipeline.target
        await self._refuse(plan)
        captured = await self._install([(p.table, p.key) for p in plan.tables], known)
        failpoint.reach("install.after")
        self._source_id = await pipeline.reader.run(capture.source_id)
        by_name = {p.name: p for p in plan.tables}
        plans = {c.id: by_name[c.table.name] for c in captured}
        place = await pipeline.reader.run(lambda c: changelog.place(c, changelog.head(c)))
        version = await pipeline.reader.run(refit.version)
        lanes = {n: await pipeline.reader.run(bounds, p, self._settings.lane_rows) for n, p in plans.items()}
        inode = pipeline.identity.inode
        facts = plan.schema, plans, lanes, place, version, inode, plan.adoptions
        await loader.create(target, self.required(), str(self._path), *facts)
        failpoint.reach("register.after")
        for left_out in plan.skipped:
            log.info("left out", source=str(self._path), name=left_out.name, reason=left_out.reason)
        record = await self.record()
        if record is None:
            raise TargetError("the target has forgotten the source that was just registered")
        return record, plans

    async def _refuse(self, plan: SourcePlan) -> None:
        async with self._pipeline.target.connection() as connection:
            made = [p.target for p in plan.tables if not p.adopted]
            await ledger.refuse_existing(connection, plan.schema, made)
        await self._refuse_harm(plan)

    async def _refuse_harm(self, plan: SourcePlan) -> None:
        broken = await self._pipeline.reader.run(relations.harmed, [p.table for p in plan.tables])
        if broken and self._settings.foreign_keys_enforced:
            raise Unsupported(
                f"our triggers would make the application's INSERTs fail: foreign key of {broken[0]}, which "
                "is no key and has no unique index",
                hint=relations.HINT,
            )

    async def take_up(self, record: SourceRecord) -> tuple[dict[int, TablePlan], set[int]]:
        """Return the plans that the target remembers, by number, and which of them fit no table any more.

        Raises SourceError for a copy of a followed file; CaptureBroken for a log that cannot be gone on
        with, where the policy is to halt.
        """
        reader = self._pipeline.reader
        self._refuse_copy(record)
        found, _ = await reader.run(structure, self._settings.exclude)
        if self._settings.on_schema_change == "halt":
            await reader.run(capture.check_log, record.position)
            await reader.run(changelog.checked_head, record.position, record.mark)
        elif record.state is not State.CUT_OVER and not ledger.is_file(record, self._pipeline.identity.inode):
            await self.replace_file(self._pipeline.identity.inode)
        plans, drifted = take_up(found, record.schema, await self.tables())
        closed = record.state in (State.CUT_OVER, State.FINISHED)
        # an interrupted cutover may go forward yet: what the target has was made by these plans
        if not closed and not await reader.run(fence.is_fenced):
            await self._settle(plans, drifted)
        return plans, drifted

    async def _settle(self, plans: dict[int, TablePlan], drifted: set[int]) -> None:
        """Go on under settings that are others than those of the plans. Raises ConfigError, TargetAway.

        Where columns keep their types, the table is read again by the rules that hold now; where they do not,
        it is made anew like one whose structure has changed.
        """
        overrides, policy = self._settings.columns, self._pipeline.policy
        found = {n: settle(p, overrides, policy) for n, p in plans.items() if n not in drifted}
        changed = {n: one for n, one in found.items() if one.plan is not None}
        if not changed:
            return
        if self._settings.on_schema_change == "halt":
            _refuse_afresh(changed.values())
        async with self._pipeline.target.transaction() as connection:
            for number, one in changed.items():
                if one.plan is not None and not one.afresh:
                    await ledger.set_plan(connection, self.required(), number, one.plan)
                    reason = stamped("its settings have changed")
                    await ledger.set_stale(connection, self.required(), [number], reason)
                    plans[number] = one.plan
            failpoint.reach("settle.before_commit")
        failpoint.reach("settle.after_commit")
        for number, one in changed.items():
            if one.afresh:
                drifted.add(number)
            what = "the table is filled afresh" if one.afresh else "the table is read again"
            log.warning("settings have changed", table=plans[number].name, columns=one.told, change=what)

    async def replace_file(self, inode: int) -> None:
        """Note that another file is followed now, and that all tables must be read again. Raises TargetAway.

        To be done before anything of that file is applied: it may hold anything, though its log goes on where
        the target is.
        """
        async with self._pipeline.target.transaction() as connection:
            await ledger.replace_file(connection, self.required(), inode, stamped("its file was replaced"))
        log.warning("another file of the source, all tables are read again", source=str(self._path))

    def required(self) -> UUID:
        """Return the id of the installation. Raises CaptureBroken before there is one."""
        if self._source_id is None:
            raise CaptureBroken(f"source {str(self._path)!r} has no capture installed")
        return self._source_id

    async def _install(self, wanted: list[tuple[Table, Key]], known: Known) -> list[Captured]:
        writer, timeout = self._pipeline.writer, self._settings.install_timeout
        deadline = time.monotonic() + timeout
        while True:
            try:
                return await writer.run(capture.install, wanted, timeout / 10, known)
            except SourceBusy:
                if time.monotonic() > deadline:
                    raise
                # gives a rollback-journal application, all of which waits while we wait, its turn
                await asyncio.sleep(0.1)
            except sqlite3.Error as error:
                raise source_error(writer, error) from error

    def _refuse_copy(self, record: SourceRecord) -> None:
        """A copy of a source carries its id: following both would mix two files' rows in one target."""
        if self.is_copy(record):
            raise SourceError(
                f"source {str(self._path)!r} is a copy of {record.path!r}, which this target follows",
                hint="give the original, or run `liteferry uninstall` on the copy and choose another target",
            )


def _refuse_afresh(changed: Iterable[Settled]) -> None:
    told = [text for one in changed if one.afresh for text in one.told]
    if told:
        raise ConfigError(
            f"columns of tables that are followed are given other types: {'; '.join(told)}",
            hint='set on_schema_change = "follow" to have these tables filled afresh, or set the types back',
        )
