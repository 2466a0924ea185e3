"""A verification that somebody has asked for: all sources in turn, with progress and a report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from config.errors import CommandRefused, ConfigError, ControlError, CutoverRefused, TargetAway
from config.settings import Settings
from replicator.control.pausing import Halted
from replicator.pipeline import Pipeline
from replicator.postgres.connections import Target
from replicator.state import State
from replicator.status import Checked
from replicator.verification import report
from replicator.verification.bookmarks import COMMAND, REPAIRING
from replicator.verification.findings import TableReport
from replicator.verification.progress import Progress
from replicator.verification.verifier import Verifier, Wish

log = structlog.get_logger("liteferry.verification")

#: What somebody can ask for.
ASKED = ("full", "counts", "incremental")

#: Where rows, or at least the structure, can be compared.
COMPARABLE = (State.STREAMING, State.CATCH_UP, State.CUT_OVER)


class Verification:
    """Compares all sources when asked, one run at a time, and knows of the last."""

    def __init__(
        self, settings: Settings, target: Target, pipelines: Callable[[], Sequence[Pipeline]]
    ) -> None:
        self._settings = settings
        self._target = target
        self._pipelines = pipelines
        self._progress: Progress | None = None
        self._last: dict[str, Any] | None = None

    @property
    def is_running(self) -> bool:
        """Tell whether one is under way."""
        return self._progress is not None

    def as_dict(self) -> dict[str, Any]:
        """Return what the status tells: of the run under way, and of the last that has ended."""
        now, running = time.time(), self._progress
        behind = [p.facts.background for p in self._pipelines() if p.facts.background is not None]
        newest = max(behind, key=lambda one: str(one["finished_at"]), default=None)
        return {
            "running": None if running is None else running.as_dict(),
            "last": None if self._last is None else report.told(self._last, now),
            "background": None if newest is None else report.told(newest, now),
        }

    async def report(self) -> dict[str, Any]:
        """Return the newest report that the target keeps, under `report`, null where there is none.

        Raises TargetAway.
        """
        return {"report": await report.last(self._target, self._known(), None)}

    def _known(self) -> list[UUID]:
        known = [p.registration.source_id for p in self._pipelines()]
        return [one for one in known if one is not None]

    async def recall(self) -> None:
        """Learn of the last one that another daemon has made; what the target does not tell now is left."""
        with contextlib.suppress(TargetAway):
            self._last = await report.last(self._target, self._known(), ASKED)
            for pipeline in self._pipelines():
                if (source := pipeline.registration.source_id) is not None:
                    found = await report.last(self._target, [source], [report.BACKGROUND])
                    pipeline.facts.background = found
        if self._last is not None:
            self._take_up(self._last)

    def _take_up(self, document: dict[str, Any]) -> None:
        """Tell of each table what the report has."""
        at = datetime.fromisoformat(document["finished_at"]).timestamp()
        told = {one["id"]: {t["name"]: t for t in one["tables"]} for one in document["sources"]}
        for pipeline in self._pipelines():
            tables = told.get(str(pipeline.registration.source_id), {})
            for number, plan in pipeline.plans.items():
                checked = Checked.of(tables[plan.name], at) if plan.name in tables else None
                if checked is not None:
                    pipeline.facts.checked[number] = checked

    async def run(
        self,
        *,
        counts_only: bool = False,
        table: str | None = None,
        samples: bool = False,
        repair: bool = False,
        incremental: bool = False,
        resume: bool = False,
        by: str | None = None,
    ) -> dict[str, Any]:
        """Compare both sides and return the report, with `samples` the first differences beside it.

        With `resume` it goes on where the last of all rows was interrupted, where that is right. `by` is who
        has asked. Raises ControlError while another run is under way, CutoverRefused when a
        source does not stream yet, ConfigError for a table that no source has, TargetAway.
        """
        if self._progress is not None:
            raise ControlError(
                "a verification is running already", hint="wait for it, see `liteferry status`; or end it"
            )
        wish = Wish(counts_only, table, samples, repair, incremental)
        if wish.whole and not incremental:
            wish = replace(wish, bookmark=REPAIRING if repair else COMMAND, resume=resume)
        pipelines = self._chosen(table)
        # before the first await: two that are asked for at once must not both begin
        self._progress = _progress(pipelines, wish)
        try:
            return await self._run(pipelines, wish, by)
        finally:
            self._progress = None

    def _chosen(self, table: str | None) -> list[Pipeline]:
        for pipeline in self._pipelines():
            # before it has streamed once, its tables have no keys to compare by
            if not (pipeline.facts.state in COMPARABLE and pipeline.settled.is_set()):
                raise CutoverRefused(
                    f"{pipeline.path} is {pipeline.facts.state.value}: sides are compared while it streams",
                    hint="wait for the state streaming, see `liteferry status`",
                )
        chosen = [p for p in self._pipelines() if table is None or _has(p, table)]
        if table is not None and not chosen:
            raise ConfigError(f"no source has a table {table!r}", hint="give its name as in the source")
        return chosen

    async def _run(self, pipelines: Sequence[Pipeline], wish: Wish, by: str | None) -> dict[str, Any]:
        begun, sources, all_tables = datetime.now(UTC), [], []
        if wish.bookmark and not wish.resume:
            await _forget_bookmarks(pipelines)
        for pipeline in pipelines:
            before = pipeline.facts.position
            try:
                found = await Verifier(pipeline, self._progress).run(wish)
            except Halted:
                hint = "`liteferry resume` lets it go on; then ask again"
                raise CommandRefused(f"{pipeline.path} was paused while it was compared", hint=hint) from None
            all_tables += found
            sources.append(report.tables_of(pipeline, found, before))
        order = report.Order(wish.kind, by or "", wish.table, wish.repair)
        document = report.composed(order, self._settings, begun, sources, all_tables)
        self._last = document
        if wish.bookmark:
            await _forget_bookmarks(pipelines)
        with contextlib.suppress(TargetAway):
            # what was found is known all the same
            kept = self._settings.verification_reports
            await report.keep(self._target, document, [p.source_id for p in pipelines], kept)
        told = {name: document[name] for name in ("kind", "verdict", "seconds", "digest")}
        (log.info if document["equal"] else log.warning)("verified", **told)
        return {**document, "samples": _samples(sources, all_tables)} if wish.samples else document


async def _forget_bookmarks(pipelines: Sequence[Pipeline]) -> None:
    """Let nobody go on with what is at its end, or begun afresh."""
    with contextlib.suppress(TargetAway):
        for pipeline in pipelines:
            for kind in (COMMAND, REPAIRING):
                await pipeline.bookmarks.close(kind)


def _has(pipeline: Pipeline, table: str) -> bool:
    return any(plan.name == table for plan in pipeline.plans.values())


def _progress(pipelines: Sequence[Pipeline], wish: Wish) -> Progress:
    plans = [p for one in pipelines for p in one.plans.values() if wish.table in (None, p.name)]
    return Progress(len(plans), sum(plan.rows for plan in plans), wish.kind)


def _samples(sources: Sequence[dict[str, Any]], reports: Sequence[TableReport]) -> list[dict[str, Any]]:
    paths = [source["path"] for source in sources for _ in source["tables"]]
    return [
        {"path": path, "table": one.name, **sample}
        for path, one in zip(paths, reports, strict=True)
        for sample in one.samples
    ]
