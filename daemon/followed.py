"""The sources that the daemon follows now, and what they share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from config.settings import Settings
from config.sources import SourceSpec
from replicator.crew import Slots
from replicator.pipeline import Pipeline
from replicator.presence import Identity
from replicator.target import Target

from .work import answered, of_source


class Followed:
    """Those of the start, and newcomers from when nothing speaks against them any more."""

    def __init__(self, settings: Settings, target: Target) -> None:
        self.settings = settings
        self.target = target
        self.pipelines: list[Pipeline] = []
        self._tables: dict[Pipeline, list[str]] = {}
        self._slots = Slots(asyncio.Semaphore(settings.parallel))

    def add(self, pipeline: Pipeline, tables: Sequence[str]) -> None:
        """Follow one more source, which comes with some tables."""
        self.pipelines.append(pipeline)
        self._tables[pipeline] = list(tables)

    def remove(self, pipeline: Pipeline) -> None:
        """Follow a source no more."""
        self.pipelines.remove(pipeline)
        del self._tables[pipeline]

    def names(self, pipeline: Pipeline) -> set[str]:
        """Return a source's tables: those it came with, and those that it has got since."""
        return {*self._tables.get(pipeline, ()), *(plan.name for plan in pipeline.plans.values())}

    def files(self, but: Pipeline | None = None) -> set[Identity]:
        """Return the files that are followed, but for one source's."""
        return {p.identity for p in self.pipelines if p is not but}

    async def opened(self, spec: SourceSpec, stack: contextlib.AsyncExitStack) -> tuple[Pipeline, bool]:
        """Open a source until the stack is closed, and tell whether the target knows it."""
        if spec.trouble is not None:
            raise spec.trouble
        made = Pipeline(spec.path, spec.schema, self.settings, self.target, self._slots)
        pipeline = await stack.enter_async_context(made)
        return pipeline, await of_source(answered(pipeline.recognise))
