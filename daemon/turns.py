"""The turns of a migration at which the operator's commands are run, and what these are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from config.fields.hooks import HookName
from config.settings import Settings
from replicator.cutover import afterwards
from replicator.pipeline import Pipeline
from replicator.postgres.connections import Target

from .hooks import Hooks, Outcome
from .work import answered


class Turns:
    """Runs the hooks of one daemon at their time."""

    def __init__(
        self, settings: Settings, target: Target, pipelines: Callable[[], Sequence[Pipeline]]
    ) -> None:
        self._settings = settings
        self._target = target
        self._pipelines = pipelines
        #: Those that nobody waits for.
        self._running: set[asyncio.Task[Outcome | None]] = set()
        self._announced = False

    @property
    def _hooks(self) -> Hooks:
        # of the settings as they are by now
        return Hooks(self._settings.hooks, self._settings.hook_timeout)

    def _facts(self, cutover: UUID | None = None, **more: object) -> dict[str, object]:
        pipelines = self._pipelines()
        return {
            "sources": "\n".join(str(p.path) for p in pipelines),
            "schemas": "\n".join(p.schema for p in pipelines),
            "target_host": self._settings.masked_target,
            "control": self._settings.control,
            "cutover_id": cutover,
            **more,
        }

    async def before(self, cutover: UUID, *, rehearse: bool) -> None:
        """Ask whether a cutover may begin. Raises CutoverRefused."""
        await self._hooks.ask("before_cutover", self._facts(cutover, rehearsal=int(rehearse)))

    def fenced(self, cutover: UUID) -> None:
        """Tell that the sources refuse writes; the decision does not wait for it."""
        self._start("after_fence", cutover)

    async def after(self, cutover: UUID, report: dict[str, Any]) -> Outcome | None:
        """Tell that the target has the writes, once, and note that it was told, however long that takes."""
        facts = self._facts(cutover, pause_seconds=report.get("pause_seconds"), report=json.dumps(report))
        outcome = await self._hooks.run("after_cutover", facts)
        await answered(lambda: afterwards.told(self._target, cutover))
        return outcome

    async def make_up(self) -> None:
        """Tell of a decision that a kill has kept from being told. Raises TargetAway."""
        ids = [p.source_id for p in self._pipelines()]
        for cutover, report in (await afterwards.untold(self._target, ids)).items():
            await self.after(cutover, report)

    def ready(self) -> None:
        """Tell once that a cutover is possible; again only after `unsettled`."""
        if not self._announced:
            self._announced = True
            self._start("on_ready", None)

    def unsettled(self) -> None:
        """Let the next readiness be told again."""
        self._announced = False

    async def failed(self, reason: str) -> None:
        """Tell that a cutover, or the daemon, has failed."""
        await self._hooks.run("on_failed", self._facts(reason=reason))

    async def rolled_back(self, cutover: UUID) -> Outcome | None:
        """Tell that the sources have the writes again."""
        return await self._hooks.run("after_rollback", self._facts(cutover))

    def _start(self, event: HookName, cutover: UUID | None) -> None:
        task = asyncio.create_task(self._hooks.run(event, self._facts(cutover)), name=f"hook-{event}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
