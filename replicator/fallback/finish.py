"""Giving the way back up: everything of ours is taken off both sides, and a report says what was.

The target is told first, in the transaction that stops the key log: whatever dies later, a restart goes on
from there. Then the sources are cleaned, then what the target remembers of them is dropped.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from config.errors import CutoverRefused, SourceBusy, TargetAway
from replicator import failpoint
from replicator.backoff import Backoff
from replicator.pipeline import Pipeline
from replicator.planning.naming import ROWID_COLUMN
from replicator.planning.plan import TablePlan
from replicator.postgres.connections import CONTROL, Connection, Target
from replicator.schema import aside, ddl, dml
from replicator.state import State
from replicator.uninstall import has_capture, installed, take_out_of
from triggers.identifier import quote
from triggers.key import KeyKind
from triggers.statements import load

from . import arming

log = structlog.get_logger("liteferry.finish")

SQL = load("replicator", "fallback.sql")

#: How long a step on the target waits for a lock before it lets others through, in milliseconds.
LOCK_MS = 1_000

#: How our comment on a table begins.
COMMENT = "replicated by liteferry"

#: Longest count of one table's rows, in seconds.
COUNT_SECONDS = 3_600


class Finish:
    """Takes everything of ours off all sources and their target."""

    def __init__(self, target: Target, pipelines: Sequence[Pipeline]) -> None:
        self._target = target
        self._pipelines = sorted(pipelines, key=lambda p: str(p.path))

    async def run(self) -> dict[str, Any]:
        """Carry it out and return the report. Raises CutoverRefused where a source is not cut over."""
        for pipeline in self._pipelines:
            if pipeline.facts.state is not State.CUT_OVER:
                raise CutoverRefused(f"{pipeline.path.name} is {pipeline.facts.state.value}, not cut over")
        report = await self._report()
        for pipeline in self._pipelines:
            async with pipeline.homeward.applying:
                # nothing is brought home any more, whatever comes
                pipeline.enter(State.FINISHED)
        await _until_done(self._release_target)
        failpoint.reach("finish.after_target")
        await self.complete()
        return report

    async def complete(self) -> None:
        """Do what is left once the target has noted that the way back was given up."""
        for pipeline in self._pipelines:
            await pipeline.homeward.close()
            await _until_done(lambda p=pipeline: _release_source(p))
        failpoint.reach("finish.after_source")
        await _until_done(lambda: forget(self._target, [p.source_id for p in self._pipelines]))
        log.info("finished", sources=len(self._pipelines))

    async def _release_target(self) -> None:
        async with self._target.transaction() as connection:
            await connection.execute(f"SET LOCAL lock_timeout = {LOCK_MS}")
            await aside.bring_back(connection, [p.source_id for p in self._pipelines], whole=True)
            for pipeline in self._pipelines:
                await arming.disarm(connection, pipeline)
                for plan in pipeline.plans.values():
                    await _strip(connection, plan)
                await connection.execute(CONTROL["set_state"], pipeline.source_id, State.FINISHED.value)

    async def _report(self) -> dict[str, Any]:
        sources = []
        async with self._target.connection() as connection:
            cutovers = await connection.fetch(SQL["cutovers"], [p.source_id for p in self._pipelines])
            for pipeline in self._pipelines:
                facts = pipeline.facts
                sources.append(
                    {
                        "path": str(pipeline.path),
                        "schema": pipeline.schema,
                        "changes_applied": facts.changes,
                        "rows_left_behind": sum(facts.quarantined.values()),
                        "changes_not_brought_back": facts.fallback.pending,
                        "notes": facts.notes,
                        "tables": [await _counted(connection, p) for p in pipeline.plans.values()],
                    }
                )
        return {
            "outcome": "finished",
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "cutovers": [json.loads(row["report"]) for row in cutovers],
            "sources": sources,
        }


async def _counted(connection: Connection, plan: TablePlan) -> dict[str, Any]:
    rows = await connection.fetchval(dml.count(plan), timeout=COUNT_SECONDS)
    return {"name": plan.name, "target": plan.qualified, "rows": rows}


async def _strip(connection: Connection, plan: TablePlan) -> None:
    """Take off a table what only we have put there: guard, side column, the comment."""
    await connection.execute(ddl.drop_guard(plan))
    if plan.key.kind is KeyKind.ROWID:
        await connection.execute(
            f"ALTER TABLE IF EXISTS {plan.qualified} DROP COLUMN IF EXISTS {quote(ROWID_COLUMN)}"
        )
    if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", plan.qualified):
        comment = await connection.fetchval(
            "SELECT obj_description(to_regclass($1), 'pg_class')", plan.qualified
        )
        if (comment or "").startswith("replicated by liteferry"):
            await connection.execute(f"COMMENT ON TABLE {plan.qualified} IS NULL")


async def _release_source(pipeline: Pipeline) -> None:
    if await pipeline.reader.run(installed):
        await pipeline.writer.run(take_out_of, pipeline.settings.install_timeout / 10)


async def forget(target: Target, sources: Sequence[UUID]) -> None:
    """Drop what the target remembers of some sources, and all of our schema with the last one."""
    async with target.transaction() as connection:
        if not await connection.fetchval("SELECT to_regclass('liteferry.source') IS NOT NULL"):
            return
        await connection.execute(f"SET LOCAL lock_timeout = {LOCK_MS}")
        for source_id in sources:
            await connection.execute(CONTROL["forget"], source_id)
            await connection.execute(SQL["forget_kept"], source_id)
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM liteferry.source)"):
            await connection.execute("DROP SCHEMA liteferry CASCADE")


async def forgotten(target: Target, paths: Sequence[str]) -> None:
    """Complete a finish whose sources are clean already: a kill has come before the target forgot them."""
    async with target.connection() as connection:
        if not await connection.fetchval("SELECT to_regclass('liteferry.source') IS NOT NULL"):
            return
        rows = await connection.fetch(SQL["finished"], list(paths))
    clean = [row["source_id"] for row in rows if not await has_capture(Path(row["path"]))]
    if clean:
        await forget(target, clean)


async def _until_done(work: Any) -> None:
    backoff = Backoff()
    while True:
        try:
            await work()
            return
        except (TargetAway, SourceBusy) as error:
            log.warning("finishing waits", reason=str(error))
            await asyncio.sleep(backoff.failed())
