"""The sources that the daemon follows now, and what they share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from config.settings import Settings
from config.sources import SourceSpec
from replicator.checking.checks import Placed
from replicator.control.throttle import Allowance
from replicator.loading.crew import Slots
from replicator.pipeline import Pipeline
from replicator.postgres.connections import Target
from replicator.sources.presence import Identity

from .work import answered, of_source


class Followed:
    """Those of the start, and newcomers from when nothing speaks against them any more."""

    def __init__(self, settings: Settings, target: Target) -> None:
        self.settings = settings
        self.target = target
        self.pipelines: list[Pipeline] = []
        self._places: dict[Pipeline, list[Placed]] = {}
        self._slots = Slots(
            asyncio.Semaphore(settings.parallel),
            allowance=Allowance(lambda: settings.throttle_rows_per_second),
        )

    @property
    def allowance(self) -> Allowance:
        """Return how many rows per second all of them may be read with."""
        return self._slots.allowance

    def add(self, pipeline: Pipeline, places: Sequence[Placed]) -> None:
        """Follow one more source, which comes with tables for some places."""
        self.pipelines.append(pipeline)
        self._places[pipeline] = list(places)

    def remove(self, pipeline: Pipeline) -> None:
        """Follow a source no more."""
        self.pipelines.remove(pipeline)
        del self._places[pipeline]

    def places(self) -> list[Placed]:
        """Return where all tables are: those that sources came with, and those that they got since."""
        come = [place for places in self._places.values() for place in places]
        return come + [
            Placed(p.schema, plan.target, plan.name, str(p.path))
            for p in self.pipelines
            for plan in p.plans.values()
        ]

    def files(self, but: Pipeline | None = None) -> set[Identity]:
        """Return the files that are followed, but for one source's."""
        return {p.identity for p in self.pipelines if p is not but}

    async def opened(self, spec: SourceSpec, stack: contextlib.AsyncExitStack) -> tuple[Pipeline, bool]:
        """Open a source until the stack is closed, and tell whether the target knows it."""
        if spec.trouble is not None:
            raise spec.trouble
        made = Pipeline(spec.path, spec.schema, self.settings, self.target, self._slots, spec.prefix)
        pipeline = await stack.enter_async_context(made)
        return pipeline, await of_source(answered(pipeline.recognise))
