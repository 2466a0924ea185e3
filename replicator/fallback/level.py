"""Both sides held at one state behind the cutover: a snapshot of the target, and the source brought to it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from config.errors import CutoverRefused, SchemaChanged
from replicator.faults import source_error
from replicator.postgres.connections import CONTROL, Connection
from replicator.state import State
from replicator.values.converter import Row
from triggers import homecoming
from triggers.session import Session
from triggers.statements import load

from . import keylog

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

SQL = load("replicator", "fallback.sql")

R = TypeVar("R")


@asynccontextmanager
async def level(pipeline: Pipeline) -> AsyncIterator[Connection]:
    """Bring home all that a snapshot of the target has, and lend that snapshot to read from.

    The caller holds `applying`: for as long as he does, the source is what the snapshot is, but for rows in
    quarantine. Raises SchemaChanged when the source must be looked at first, CutoverRefused when the
    application is just moved, Halted while a pause is ordered, and what `Homeward.bring` raises.
    """
    pipeline.pausing.give_way()
    if pipeline.facts.state is not State.CUT_OVER:
        raise CutoverRefused(
            f"{pipeline.path.name} is {pipeline.facts.state.value}: the comparison has ended",
            hint="compare again when the application's writes are at rest on one side",
        )
    async with (
        pipeline.target.connection() as frozen,
        frozen.transaction(isolation="repeatable_read", readonly=True),
    ):
        await frozen.execute(SQL["exact"])
        await pipeline.homeward.bring_as_of(await frozen.fetchval(SQL["share"]))
        yield frozen


@asynccontextmanager
async def aligned(
    pipeline: Pipeline, session: Session, look: Callable[[sqlite3.Connection], R]
) -> AsyncIterator[tuple[R, Connection]]:
    """Look at the source, and lend a snapshot of the target in which it has the very same rows."""

    def looked(connection: sqlite3.Connection) -> R:
        # a VACUUM may have numbered keyless rows anew, also when nothing waits
        homecoming.refuse_changed(connection, pipeline.homeward.accepted)
        return look(connection)

    async with pipeline.homeward.applying, AsyncExitStack() as stack:
        try:
            frozen = await stack.enter_async_context(level(pipeline))
            seen = await _ask(session, looked)
        except SchemaChanged:
            # another snapshot is needed: in this one nothing tells that tables must be read as a whole
            await stack.aclose()
            await pipeline.homeward.look_at_source()
            frozen = await stack.enter_async_context(level(pipeline))
            seen = await _ask(session, looked)
        yield seen, frozen


async def _ask(session: Session, look: Callable[[sqlite3.Connection], R]) -> R:
    try:
        return await session.run(look)
    except sqlite3.Error as error:
        raise source_error(session, error) from error


async def requeue(pipeline: Pipeline, number: int, keys: Sequence[Row]) -> None:
    """Have rows of a table brought home once more, by their keys on the target; without keys all of them.

    Raises TargetAway.
    """
    async with pipeline.target.connection() as connection, connection.transaction():
        await connection.execute(CONTROL["identify"])
        await connection.execute(SQL["exact"])
        if not keys:
            await connection.execute(SQL["mark_whole"], pipeline.source_id, [number])
            return
        columns = [list(column) for column in zip(*keys, strict=True)]
        statement = keylog.requeue_sql(pipeline.plans[number])
        await connection.execute(statement, pipeline.source_id, number, *columns)
