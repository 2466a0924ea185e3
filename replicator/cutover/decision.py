"""The decision that the target is the application's now, and what a crash in the middle of it leaves."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import structlog

from config.errors import CutoverRefused, LiteferryError, TargetAway
from replicator.backoff import Backoff
from replicator.fallback import arming
from replicator.faults import source_error
from replicator.loading import loader
from replicator.pipeline import Pipeline
from replicator.planning.plan import TablePlan
from replicator.planning.preflight import structure
from replicator.postgres import catalogue
from replicator.postgres.connections import CONTROL, Connection, Target, describe
from replicator.schema import aside, constraints, ddl, names, views
from replicator.schema.ddl import Note
from replicator.state import State
from triggers import fence, select
from triggers.connection import writing
from triggers.identifier import quote
from triggers.session import Session

log = structlog.get_logger("liteferry.cutover")


async def set_sequences(connection: Connection, session: Session, pipeline: Pipeline) -> None:
    """Let every identity column go on behind the source's greatest key, used or once given out."""
    for plan in pipeline.plans.values():
        if plan.adopted:
            await _set_adopted_sequences(connection, session, plan)
            continue
        column = ddl.identity(plan)
        if column is not None:
            greatest = await session.run(_greatest, plan.name, column.source, plan.table.autoincrement)
            await connection.execute(CONTROL["set_sequence"], plan.qualified, column.target, greatest)


async def _set_adopted_sequences(connection: Connection, session: Session, plan: TablePlan) -> None:
    """Let the sequence behind each column that we fill go on behind the greatest value there."""
    there = await catalogue.sequences(connection, plan.qualified)
    for column in plan.record:
        if column.target in there and column.pg_type in ddl.INTEGERS:
            counts = plan.table.autoincrement and column.source in plan.key.columns
            greatest = await session.run(_greatest, plan.name, column.source, counts)
            await connection.execute(catalogue.SQL["advance_sequence"], there[column.target], greatest)


def _greatest(connection: sqlite3.Connection, table: str, column: str, autoincrement: bool) -> int:
    value, sql = quote(column), f"SELECT max({quote(column)}) FROM main.{quote(table)}"
    found = connection.execute(sql).fetchone()[0]
    if type(found) is not int:
        # a text is greater than every number; without the condition an index gives the answer
        found = connection.execute(f"{sql} WHERE typeof({value}) = 'integer'").fetchone()[0]
    greatest = found or 0
    if autoincrement:
        sql = "SELECT coalesce(max(seq), 0) FROM main.sqlite_sequence WHERE name = ?"
        greatest = max(greatest, int(connection.execute(sql, (table,)).fetchone()[0]))
    return greatest


def opening(pipeline: Pipeline) -> list[tuple[TablePlan, list[ddl.Object]]]:
    """Return what the tables of a source are given in the decision: foreign keys, CHECKs, triggers."""
    # of its own file only: a table of the same name in another file is another table
    siblings = list(pipeline.plans.values())
    return [(plan, ddl.opening(plan, siblings)) for plan in siblings]


async def open_target(
    connection: Connection, cutover: UUID, pipelines: Sequence[Pipeline], *, strict: bool = False
) -> list[Note]:
    """Make the target the application's, inside a transaction: guard off, constraints on, fallback armed.

    `close_target` takes all of it back; what is switched on here is to be switched off there.

    Raises CutoverRefused when the cutover was aborted meanwhile by somebody else; with `strict` also when
    something that was put aside cannot be brought back.
    """
    await connection.execute(CONTROL["identify"])
    if await connection.execute(CONTROL["decide_cutover"], cutover) != "UPDATE 1":
        raise CutoverRefused("the cutover was aborted by another liteferry", hint="stop the other daemon")
    notes: list[Note] = []
    await arming.prepare(connection)
    for pipeline in pipelines:
        for plan in pipeline.plans.values():
            await connection.execute(ddl.drop_guard(plan))
        notes += await loader.build_together(connection, opening(pipeline))
        await arming.arm(connection, pipeline)
        await connection.execute(CONTROL["set_state"], pipeline.source_id, State.CUT_OVER.value)
    sources = [pipeline.source_id for pipeline in pipelines]
    return notes + await aside.bring_back(connection, sources, strict=strict)


async def close_target(connection: Connection, pipelines: Sequence[Pipeline]) -> None:
    """Make the target a copy again that changes can be applied to, inside a transaction; guarded it is.

    What PostgreSQL sees stricter than SQLite goes: foreign keys and CHECKs, and the unique indexes that had
    to wait for the cutover; and the triggers that compute columns. Views and the operator's indexes stay.
    """
    for pipeline in pipelines:
        await arming.disarm(connection, pipeline)
        for plan, given in opening(pipeline):
            if plan.adopted:
                await aside.put_aside_again(connection, pipeline.source_id, plan)
                continue
            for wanted in given:
                await connection.execute(ddl.close(plan, wanted))
            late = [one for one in ddl.secondary(plan) if one.late]
            there = await names.indexes_of(connection, plan) if late else []
            for one in late:
                if (name := names.found(one.names, there)) is not None:
                    await connection.execute(ddl.drop(plan, one, name))


async def decide(target: Target, cutover: UUID, pipelines: Sequence[Pipeline]) -> None:
    """Bring a decision through whose fences are all up; tries until the target answers."""
    backoff = Backoff()
    while True:
        try:
            async with target.transaction() as connection:
                # FOR UPDATE: waits for an earlier commit of ours that is still on its way
                state = await connection.fetchval(CONTROL["cutover_state"], cutover)
                if state == "fencing":
                    await open_target(connection, cutover, pipelines)
                elif state != "decided":
                    raise CutoverRefused(
                        "the cutover was aborted on the target while its fences are up",
                        hint="start liteferry again: it lifts them and goes on streaming",
                    )
            return
        except TargetAway as error:
            if backoff.to_be_told(time.monotonic()):
                log.error("both sides are closed until the target answers", reason=str(error))
            await asyncio.sleep(backoff.failed())


async def resolve(target: Target, pipelines: Sequence[Pipeline]) -> None:
    """Finish or undo a cutover that a crash has interrupted, from what both sides have recorded.

    All fences up: it goes forward, for nothing but the decision was missing. Otherwise it is aborted on the
    target first, so that nobody can decide it any more, and then the fences are lifted.
    """
    ids = {p.path: await p.reader.run(fence.fenced_by) for p in pipelines}
    fenced = {UUID(i) for i in ids.values() if i is not None}
    if not fenced:
        async with target.transaction() as connection:
            await connection.execute(CONTROL["abort_stale"], [p.source_id for p in pipelines])
        return
    if len(fenced) > 1:
        raise LiteferryError(
            "the sources are fenced by different cutovers",
            hint="lift them with `liteferry uninstall --lift-fence`",
        )
    cutover = fenced.pop()
    async with target.transaction() as connection:
        state = await connection.fetchval(CONTROL["cutover_state"], cutover)
        wanted = await connection.fetchval(CONTROL["cutover_sources"], cutover)
    if state is None:
        raise LiteferryError(
            "the sources are fenced by a cutover that this target does not know: another target has the "
            "application's writes, or this one was set back to an older state",
            hint="give the target that has the writes; if there is none any more, lift the fence with "
            "`liteferry uninstall --lift-fence`",
        )
    closed = {p.source_id for p in pipelines if ids[p.path] is not None}
    # one that is not here may be open still: then nobody is moved
    if state == "decided" or (state == "fencing" and closed.issuperset(wanted)):
        await _forward(target, cutover, pipelines)
    else:
        await undo(target, cutover, pipelines)


async def _forward(target: Target, cutover: UUID, pipelines: Sequence[Pipeline]) -> None:
    if any(pipeline.facts.state is not State.CUT_OVER for pipeline in pipelines):
        log.warning("finishing an interrupted cutover", cutover=str(cutover))
    for pipeline in pipelines:
        if pipeline.facts.state is State.CUTTING_OVER:
            async with pipeline.tailer.applying:
                while await pipeline.tailer.drain(pipeline.reader):
                    pass
            async with target.transaction() as connection:
                await set_sequences(connection, pipeline.reader, pipeline)
    await decide(target, cutover, pipelines)
    for pipeline in pipelines:
        pipeline.enter(State.CUT_OVER)


async def undo(target: Target, cutover: UUID, pipelines: Sequence[Pipeline]) -> None:
    log.warning("undoing an interrupted cutover", cutover=str(cutover))
    async with target.transaction() as connection:
        await connection.execute(CONTROL["abort_cutover"], cutover)
        state = await connection.fetchval(CONTROL["cutover_state"], cutover)
    if state == "decided":
        return await _forward(target, cutover, pipelines)
    for pipeline in pipelines:
        try:
            if await pipeline.reader.run(fence.is_fenced):
                await pipeline.writer.run(_lift, pipeline.settings.install_timeout)
        except sqlite3.Error as error:
            raise source_error(pipeline.writer, error) from error
        if pipeline.facts.state is State.CUTTING_OVER:
            pipeline.enter(State.CATCH_UP)


def _lift(connection: sqlite3.Connection, budget: float) -> None:
    with writing(connection, budget):
        fence.lift_fence(connection)


async def validate(target: Target, pipelines: Sequence[Pipeline]) -> list[Note]:
    """Make the views, check constraints against all rows, build what had to wait, gather statistics.

    A foreign key or CHECK that fails stays NOT VALID. May be run again.
    """
    notes = await aside.settle(target, [pipeline.source_id for pipeline in pipelines])
    for pipeline in pipelines:
        plans = list(pipeline.plans.values())
        notes += await _make_views(target, pipeline, plans)
        for plan in plans:
            for wanted in constraints.constraints(plan, plans):
                notes += await _validate_one(target, plan.qualified, wanted)
            for wanted in ddl.secondary(plan):
                if wanted.late and not plan.adopted:
                    notes += await _build_late(target, plan, wanted)
            async with target.connection() as connection:
                await connection.execute(f"ANALYZE {plan.qualified}", timeout=loader.DAY)
    return notes


async def _make_views(target: Target, pipeline: Pipeline, plans: Sequence[TablePlan]) -> list[Note]:
    """Make the views that mean the same here; one that is there already stays.

    The notes tell of those that are not made, and of the triggers and virtual tables left in the source.
    """
    try:
        _, skipped = await pipeline.reader.run(structure, pipeline.settings.exclude)
        seen = await pipeline.reader.run(select.views, pipeline.settings.exclude)
    except (sqlite3.Error, LiteferryError) as raised:
        error = source_error(pipeline.reader, raised) if isinstance(raised, sqlite3.Error) else raised
        if error.retryable:
            raise error from raised
        # the file may be gone, and is not needed for anything else any more
        return [Note(pipeline.path.name, "views", f"could not be read: {error}")]
    made, notes = views.translate(views.named(seen, pipeline.naming), plans, pipeline.facts.schema)
    notes += [Note(s.name, s.kind, s.reason) for s in skipped if s.kind in ("trigger", "virtual")]
    async with target.transaction() as connection:
        there = {r["viewname"] for r in await connection.fetch(CONTROL["views"], pipeline.facts.schema)}
        for view in made:
            if view.name not in there:
                notes += await loader.build(connection, plans[0], [view])
    return notes


async def _build_late(target: Target, plan: TablePlan, wanted: ddl.Object) -> list[Note]:
    """Build a unique index beside the application's writes; one that rows violate is a note."""
    async with target.connection() as connection:
        there = names.found(wanted.names, await names.indexes_of(connection, plan))
        if there is not None:
            if await connection.fetchval(CONTROL["valid_index"], plan.schema, there):
                return []
            await connection.execute(ddl.drop(plan, wanted, there))
        one = await names.placed(connection, plan, wanted)
        drop = ddl.drop(plan, one, one.name)
        try:
            sql = one.sql.replace("CREATE UNIQUE INDEX", "CREATE UNIQUE INDEX CONCURRENTLY", 1)
            await connection.execute(sql, timeout=loader.DAY)
        except asyncpg.PostgresError as error:
            if isinstance(error, asyncpg.PostgresConnectionError | asyncpg.OperatorInterventionError):
                raise
            await connection.execute(drop)
            reason = f"PostgreSQL refused it: {describe(error)}"
            return [Note(wanted.table, f"{wanted.kind} {wanted.name}", reason)]
    return []


async def _validate_one(target: Target, table: str, wanted: ddl.Object) -> list[Note]:
    async with target.connection() as connection:
        there = await connection.fetchval(CONTROL["constraint_on"], table, wanted.name)
        if not there:
            return [Note(wanted.table, f"{wanted.kind} {wanted.name}", "could not be created")]
        try:
            await connection.execute(
                f"ALTER TABLE {table} VALIDATE CONSTRAINT {quote(wanted.name)}", timeout=loader.DAY
            )
        except (asyncpg.ForeignKeyViolationError, asyncpg.CheckViolationError):
            reason = "rows of the source violate it; it holds for new rows and stays NOT VALID"
            return [Note(wanted.table, f"{wanted.kind} {wanted.name}", reason)]
    return []
