"""Following the application's schema changes: what changed, the triggers again, then the target's tables.

A table that may have missed something is noted as stale before its triggers are mended: a kill in between
leaves nothing worse than a table that is read again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import asyncpg
import structlog

from config.errors import (
    CaptureBroken,
    ConfigError,
    LiteferryError,
    SchemaDrift,
    SourceBusy,
    TargetContents,
    TargetError,
    Unsupported,
)
from replicator import failpoint
from replicator.faults import source_error
from replicator.loading.lanes import Bounds
from replicator.planning.adoption import Adoption
from replicator.planning.naming import Names
from replicator.planning.plan import ColumnPlan, TablePlan, plan_table
from replicator.planning.profiling import profiled
from replicator.planning.renames import Following
from replicator.postgres import ledger
from replicator.postgres.connections import CONTROL, Connection, describe
from replicator.schema import aside, ddl, names
from triggers import capture, refit, relations
from triggers.capture import Captured
from triggers.key import choose
from triggers.refit import Edition, Survey
from triggers.schema import Table

from . import evolution
from .adopted import AdoptedTables
from .changes import Change, Changes, may_be_renumbered, rebuild_swapped, stamped, why_stale
from .evolution import Evolution, Kind

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

P = ParamSpec("P")
R = TypeVar("R")

log = structlog.get_logger("liteferry.follower")


class Follower:
    """Brings plans, triggers and the target after the source's schema."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._facts = pipeline.facts
        self._adopted = AdoptedTables(pipeline)
        #: Set while the target's tables may have been changed without our knowing.
        self._unsure = False

    async def follow(self) -> None:
        """Look at the source's schema and follow what has changed; nothing is read meanwhile.

        Raises SchemaDrift when the policy is to halt, TargetAway, SourceBusy, Unsupported.
        """
        async with self._pipeline.tailer.applying:
            await self._refuse_another()
            if self._unsure and await self._pipeline.take_up_again():
                self._pipeline.healer.suspect("the schema has changed", pressing=True)
            try:
                changes, now = await self._carry_out()
            except TargetContents:
                # somebody took a name on the target since we looked: now we see it there
                changes, now = await self._carry_out()
            failpoint.reach("follow.after_target")
            await self._pipeline.replan(
                {c.number: c.new for c in sorted(changes.tables, key=lambda c: c.number) if c.new}
            )
            self._unsure = False
            if self._has_moved(changes):
                # what was done and undone again since the last look shows in nothing but the rows
                self._pipeline.healer.suspect("the schema has changed", pressing=True)
            self._facts.schema_version = self._pipeline.tailer.schema = now.version
            self._facts.schema_mark = now.mark

    async def _carry_out(self) -> tuple[Changes, Edition]:
        """Bring first the triggers and then the target after what is found, and return it.

        Raises as `follow` does, and TargetContents when a name of a new table was taken meanwhile.
        """
        while True:
            try:
                changes = await self._changes()
                self._refuse(changes)
                await self._note_stale(changes)
                failpoint.reach("follow.before_refit")
                now = await self._refit(changes)
            except refit.Moved:
                continue
            break
        self._refuse_bare(changes)
        failpoint.reach("follow.after_refit")
        self._unsure = True
        await self._alter_target(changes, now.version)
        return changes, now

    def _has_moved(self, changes: Changes) -> bool:
        return self._facts.schema_version not in (None, changes.seen.edition.version)

    async def _refuse_another(self) -> None:
        """A file without our log is not followed: another database may stand there, or an empty one."""
        if await self._ask(capture.source_id) != self._pipeline.source_id:
            raise CaptureBroken(
                "the source is not the one that was captured: our tables in it are gone or another's",
                hint="put the right file back, or run `liteferry uninstall` and start afresh",
            )

    async def _changes(self) -> Changes:
        """Look at everything. Raises Moved when the schema changes meanwhile."""
        pipeline = self._pipeline
        settings = pipeline.settings
        seen = await self._ask(refit.survey, settings.exclude, enforced=settings.foreign_keys_enforced)
        try:
            return await self._changed(seen)
        except (sqlite3.Error, LiteferryError) as error:
            # a migration in several transactions may have taken away a table that was just seen
            if await self._ask(refit.version) != seen.edition.version:
                raise refit.Moved from error
            if isinstance(error, sqlite3.Error):
                raise source_error(pipeline.reader, error) from error
            raise

    async def _changed(self, seen: Survey) -> Changes:
        pipeline = self._pipeline
        changes = Changes(seen)
        await self._adopted.look([pipeline.naming.table(t.name) for t in seen.tables])
        lost = self._adopted.lost
        olds = {**lost, **pipeline.plans}
        there = {n: self._table(seen, n, old) for n, old in olds.items()}
        bearing = {table.name for table in there.values() if table is not None}
        new = [t for t in seen.tables if t.name not in bearing and t.name not in seen.harmed]
        naming = await self._naming(there, new)
        for number, old in olds.items():
            change = await self._change(seen, number, old, there[number], naming)
            if change.new is not None or number not in lost:
                changes.tables.append(change)
        rebuild_swapped(changes.tables)
        following = pipeline.settings.on_schema_change == "follow"
        number = max(seen.free_number, max(olds, default=0) + 1)
        self._facts.objections = [
            f"table {name!r} is not captured, for its INSERTs would fail with triggers: foreign key of {one}"
            for name, one in seen.harmed.items()
        ]
        self._facts.objections += self._adopted.objections
        if not following:
            self._facts.objections += [f"table {t.name!r} appeared after the plan" for t in new]
            new = []
        for table in new:
            try:
                changes.tables.append(await self._new(number, table, naming))
                number += 1
            except (Unsupported, ConfigError, TargetContents) as error:
                # what was there before streams on; the cutover waits for somebody to look at it
                self._facts.objections.append(f"{error}: it is not replicated")
        return changes

    def _table(self, seen: Survey, number: int, old: TablePlan) -> Table | None:
        return seen.table(number) or self._adopted.made_anew(seen, number, old)

    async def _naming(self, there: Mapping[int, Table | None], new: Sequence[Table]) -> Following:
        """Return the target's names of tables after the change."""
        pipeline = self._pipeline
        olds = {**self._adopted.lost, **pipeline.plans}
        before = {t.name: old for n, old in olds.items() if (t := there.get(n)) is not None}
        naming = Following.of(pipeline.naming, before, [t.name for t in new])
        if naming.wanted:
            async with pipeline.target.connection() as connection:
                taken = await names.strangers(connection, self._facts.schema, naming.wanted)
            ours = {old.target for old in pipeline.plans.values() if not old.adopted}
            naming.give(taken - ours - self._adopted.vacant)
        return naming

    async def _change(
        self, seen: Survey, number: int, old: TablePlan, table: Table | None, naming: Following
    ) -> Change:
        if table is None:
            return Change(number, old)
        key = choose(table, await self._ask(refit.holding_null, table))
        step = Evolution(old, table, key)
        change = Change(number, old, kind=step.kind, evolution=step)
        await self._plan_change(change, step, naming)
        if change.new is None:
            change.bare = True
            return change
        if table.name in seen.harmed:
            # when it may bear triggers again, they are missing, and it is read again
            change.bare = True
            return change
        present = seen.state(Captured(number, table, change.new.key))
        change.refit = present is not capture.Installed.INSTALLED
        change.stale = why_stale(change, present)
        if (
            change.stale is None
            and may_be_renumbered(change.new)
            and seen.edition.version != self._facts.schema_version
        ):
            change.stale = "VACUUM may have numbered its rows anew"
        return change

    async def _plan_change(self, change: Change, step: Evolution, naming: Following) -> None:
        if step.old.adopted:
            change.new, change.kind = await self._adopted.follow(change.number, step)
            return
        called, change.notes = naming.names(step.table, step.kept)
        if change.number in self._pipeline.drifted:
            change.kind = Kind.REBUILT
        if change.kind is Kind.REBUILT:
            change.new = await self._planned(step.table, called)
        else:
            change.new = step.plan(await self._added(step, called), called)

    async def _new(self, number: int, table: Table, naming: Following) -> Change:
        called = naming.of_new(table)
        adopted = await self._adopted.new(table, called)
        if adopted is not None:
            plan, made = adopted
            new = Change(number, None, plan, Kind.ALTERED, None, refit=True, stale="the table is new")
            new.adoption = made
            return new
        plan = await self._planned(table, called)
        return Change(number, None, plan, Kind.REBUILT, None, refit=True, stale="the table is new")

    async def _planned(self, table: Table, called: Names) -> TablePlan:
        reader = self._pipeline.reader
        try:
            evidence = await profiled(reader, table, 0.02)
        except sqlite3.Error as error:
            raise source_error(reader, error) from error
        overrides = self._pipeline.settings.columns
        return plan_table(
            table, self._facts.schema, evidence, overrides, names=called, policy=self._pipeline.policy
        )

    async def _added(self, step: Evolution, called: Names) -> Mapping[str, ColumnPlan]:
        """Plan the columns that are new, by what they hold."""
        if not step.added:
            return {}
        whole = await self._planned(step.table, called)
        return {c.source: c for c in whole.columns}

    def _refuse_bare(self, changes: Changes) -> None:
        """Halt, where the policy says so, for a table that cannot be captured; its triggers are out now."""
        if self._facts.objections and any(change.bare for change in changes.tables):
            if self._pipeline.settings.on_schema_change == "halt":
                raise SchemaDrift(self._facts.objections[0], hint=relations.HINT)
            log.warning("not captured", source=self._facts.path, reasons=self._facts.objections)

    def _refuse(self, changes: Changes) -> None:
        """Halt where the policy says so, and name what has changed."""
        if self._pipeline.settings.on_schema_change == "follow":
            return
        for change in changes.told:
            name = change.old.name if change.old else ""
            what = "is gone" if change.new is None else "has another structure"
            raise SchemaDrift(
                f"table {name!r} {what} since it was planned",
                hint='set on_schema_change = "follow", or run `liteferry uninstall` for this source, drop '
                "the target's tables, and start afresh",
            )
        for change in changes.tables:
            if change.stale and change.old is not None:
                raise CaptureBroken(
                    f"the triggers of table {change.old.name!r} are missing: writes since may be lost",
                    hint='set on_schema_change = "follow" to have the table read again',
                )

    async def _note_stale(self, changes: Changes) -> None:
        """Before the triggers are mended: a kill must not leave mended triggers and rows that were missed."""
        stale = [c for c in changes.tables if c.stale and c.old is not None]
        async with self._pipeline.target.transaction() as connection:
            for change in stale:
                reason = stamped(change.stale or "")
                await ledger.set_stale(connection, self._pipeline.source_id, [change.number], reason)
        for change in stale:
            log.warning(
                "table is read again", source=self._facts.path, table=_name(change), reason=change.stale
            )

    async def _refit(self, changes: Changes) -> Edition:
        wanted = [Captured(c.number, c.new.table, c.new.key) for c in changes.tables if c.new and c.refit]
        dead = self._dead(changes)
        gone = [*dead, *(c.number for c in changes.tables if c.new is None)]
        bare = [*dead, *(c.number for c in changes.tables if c.bare and changes.seen.bears(c.number))]
        if not wanted and not gone and not bare:
            return changes.seen.edition
        writer = self._pipeline.writer
        while True:
            try:
                return await writer.run(refit.refit, changes.seen, wanted, gone, bare, 0.05)
            except SourceBusy:
                await asyncio.sleep(0.05)
            except sqlite3.Error as error:
                raise source_error(writer, error) from error

    def _dead(self, changes: Changes) -> list[int]:
        """Return the numbers in the source that the target has never heard of, after a kill between the two.

        A table has got another number since, and triggers under both would log every write twice.
        """
        known = {*self._pipeline.plans, *(c.number for c in changes.tables)}
        return [number for number in changes.seen.names if number not in known]

    async def _alter_target(self, changes: Changes, version: int) -> None:
        told = changes.told
        if version == self._facts.schema_version and not told:
            return
        try:
            async with self._pipeline.target.transaction() as connection:
                for change in told:
                    gone = change.new is None or change.kind is Kind.REBUILT
                    if change.old is not None and gone and not change.old.adopted:
                        await connection.execute(ddl.drop_table(change.old))
                # what is renamed goes before what is made: a name may be wanted that is given up here
                for change in sorted(changes.tables, key=lambda c: c.old is None or c.kind is Kind.REBUILT):
                    await self._apply(connection, change, [c.new for c in changes.tables if c.new])
                moved = self._pipeline.source_id, version, self._has_moved(changes)
                await connection.execute(CONTROL["set_schema"], *moved)
        except (asyncpg.DuplicateTableError, asyncpg.UniqueViolationError) as error:
            # of a name: nothing else is unique that is written here, in a system's table or in ours
            raise TargetContents(f"a name was taken on the target just then: {describe(error)}") from None
        except asyncpg.PostgresError as error:
            if isinstance(error, asyncpg.DependentObjectsStillExistError):
                raise TargetError(
                    f"the target's table cannot follow the source's: {describe(error)}",
                    hint="drop the views or other objects that depend on it, and start liteferry again",
                ) from None
            raise
        for change in told:
            what = "gone" if change.new is None else "new" if change.old is None else change.kind.value
            log.warning("schema followed", source=self._facts.path, table=_name(change), change=what)
            for note in change.notes:
                log.warning("renamed", source=self._facts.path, table=note.table, object=note.what)

    async def _apply(self, connection: Connection, change: Change, all_plans: Sequence[TablePlan]) -> None:
        await self._apply_structure(connection, change, all_plans)
        if change.old is not None and change.new is not None:
            # those of its text too, of which the structure says nothing
            before = ddl.notes(change.old, list(self._pipeline.plans.values()))
            now = ddl.notes(change.new, all_plans)
            if before != now:
                both = ledger.notes_json(before), ledger.notes_json(now)
                place = self._pipeline.source_id, change.number
                await connection.execute(CONTROL["set_notes"], *place, *both)

    async def _apply_structure(
        self, connection: Connection, change: Change, all_plans: Sequence[TablePlan]
    ) -> None:
        source_id, number, new = self._pipeline.source_id, change.number, change.new
        if new is None:
            if change.old is not None and not change.old.adopted:
                await connection.execute(CONTROL["forget_table"], source_id, number)
        elif change.old is None:
            if change.adoption is not None:
                await self._take(connection, new, change.adoption)
                notes = change.adoption.notes
            else:
                await ledger.refuse_existing(connection, new.schema, [new.target])
                await self._create(connection, new)
                notes = ddl.notes(new, all_plans)
            await ledger.add_table(connection, source_id, number, new, [Bounds()], notes)
            await connection.execute(CONTROL["set_copied"], source_id, number)
            await ledger.set_stale(connection, source_id, [number], stamped(change.stale or ""))
        elif change.old.adopted:
            if change.kind is not Kind.SAME:
                await ledger.set_plan(connection, source_id, number, new)
        elif change.kind is Kind.REBUILT:
            await self._create(connection, new)
            await ledger.set_plan(connection, source_id, number, new)
            await connection.execute(CONTROL["set_copied"], source_id, number)
        elif change.evolution is not None and (change.kind is Kind.ALTERED or change.evolution.reindexed):
            old = change.evolution.old
            if old.target != new.target:
                await ledger.refuse_existing(connection, new.schema, [new.target])
                await names.make_way(connection, new.schema, new.target)
            there = await names.indexes_of(connection, old), await names.taken(connection, new.schema)
            for statement in evolution.alter(change.evolution, new, *there):
                await connection.execute(statement)
            await ledger.set_plan(connection, source_id, number, new)
        if change.notes:
            await connection.execute(CONTROL["add_notes"], source_id, number, ledger.notes_json(change.notes))

    async def _take(self, connection: Connection, plan: TablePlan, adoption: Adoption) -> None:
        """Take over a table that is there already."""
        await aside.put_aside(connection, self._pipeline.source_id, plan, adoption.found)
        if (key := await aside.key(connection, self._pipeline.source_id, plan)) is not None:
            await connection.execute(key)
        await connection.execute(ddl.guard(plan))

    async def _create(self, connection: Connection, plan: TablePlan) -> None:
        await names.make_way(connection, plan.schema, plan.target)
        await connection.execute(ddl.create_table(plan))
        await connection.execute(ddl.replica_key(plan, await names.placed_key(connection, plan)))
        await connection.execute(ddl.comment(plan, self._facts.path))
        await connection.execute(ddl.guard(plan))

    async def _ask(
        self, work: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        reader = self._pipeline.reader
        try:
            return await reader.run(work, *args, **kwargs)
        except sqlite3.Error as error:
            raise source_error(reader, error) from error


def _name(change: Change) -> str:
    plan = change.new or change.old
    return plan.name if plan else ""
