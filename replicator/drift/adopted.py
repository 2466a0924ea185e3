"""Following the source's schema where the target's tables were there before us: filled, and never altered.

What the target has no place for is an objection to the cutover, and streams on without it; a table that is
gone from the source, or has another key there, is let go of as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from replicator.faults import source_error
from replicator.planning import adopting, adoption
from replicator.planning.adopting import Looking
from replicator.planning.adoption import Adoption
from replicator.planning.naming import Names
from replicator.planning.plan import TablePlan
from replicator.planning.profiling import profiled
from replicator.postgres.catalogue import TargetTable
from triggers.refit import Survey
from triggers.schema import Table

from .evolution import Evolution, Kind

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

log = structlog.get_logger("liteferry.adopted")

#: How long one read of a source may be while it streams.
READ_SECONDS = 0.02


class AdoptedTables:
    """The adopted tables of one source while it streams."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._present: dict[str, TargetTable] = {}
        #: Why tables are not followed any more, by number, and how they were.
        self._lost: dict[int, str] = {}
        self._plans: dict[int, TablePlan] = {}
        self._told: list[str] = []

    @property
    def lost(self) -> dict[int, TablePlan]:
        """Return tables that are not followed any more, by number: they may come back as they were.

        A migration in several transactions may have dropped one, and make it anew only then.
        """
        return dict(self._plans)

    @property
    def objections(self) -> list[str]:
        """Return what was found against a cutover."""
        return [*self._lost.values(), *self._told]

    async def look(self, new: Sequence[str]) -> None:
        """Look at what the target has, of adopted tables and under the names of `new` ones."""
        pipeline = self._pipeline
        self._told = []
        names = [plan.target for plan in pipeline.plans.values() if plan.adopted]
        names += new if pipeline.adopts else []
        target = pipeline.target if names else None
        self._present = await adopting.present(target, pipeline.facts.schema, names)

    @property
    def vacant(self) -> set[str]:
        """Return the target's names of tables that a new one of the source may go to."""
        held = {plan.target for plan in self._pipeline.plans.values()}
        return self._present.keys() - held if self._pipeline.adopts else set()

    def made_anew(self, seen: Survey, number: int, old: TablePlan) -> Table | None:
        """Return the table that has taken the place of an adopted one; None where there is none.

        Of a table that was renamed before the source has noted another name: here its own is known.
        """
        if not old.adopted:
            return None
        plans = self._pipeline.plans
        owned = {table.name for n in plans if n != number and (table := seen.table(n)) is not None}
        found = next((t for t in seen.tables if t.name == old.name and t.name not in owned), None)
        if found is None:
            self.lose(number, old, "is gone from the source")
        return found

    def lose(self, number: int, plan: TablePlan, why: str) -> None:
        """Follow a table no more; the target's stays as it is, with its guard."""
        text = f"table {plan.name!r} {why}: {plan.qualified} was there before liteferry and is left as it is"
        if number not in self._lost:
            log.error("not followed any more", source=self._pipeline.facts.path, table=plan.name, reason=why)
        self._lost[number] = f"{text}; `liteferry uninstall`, empty it, and start afresh"
        self._plans[number] = plan

    async def follow(self, number: int, step: Evolution) -> tuple[TablePlan | None, Kind]:
        """Return the plan for a table that may have changed, and how far it has; None to let go of it."""
        drifted = number in self._pipeline.drifted
        there = self._present.get(step.old.target)
        if there is None:
            self.lose(number, step.old, "is not on the target any more")
            return None, Kind.SAME
        renamed: Mapping[str, str] = {} if drifted else step.renamed
        names = self._pipeline.naming.columns(step.table.name, [c.name for c in step.table.columns]).names
        made = await self._matched(step, renamed, there, names)
        plan = adoption.follow(step.old, step.table, step.key, renamed, made)
        if plan is None:
            self.lose(number, step.old, "has another key in the source now")
            return None, Kind.SAME
        if self._lost.pop(number, None) is not None:
            del self._plans[number]
            log.warning("followed again", source=self._pipeline.facts.path, table=plan.name)
        self._told += adoption.objections(plan, names, there, self._pipeline.settings.leave_out)
        same = plan.as_json() == step.old.as_json() and not drifted
        return plan, Kind.SAME if same else Kind.ALTERED

    async def _matched(
        self, step: Evolution, renamed: Mapping[str, str], there: TargetTable, names: Mapping[str, str]
    ) -> Adoption:
        """Look at columns that are new in the source and that the target has a place for."""
        kept = {renamed.get(c.source, c.source) for c in step.old.columns}
        taken = {c.target for c in step.old.columns}
        new = [c for c in step.table.columns if c.name not in kept]
        found = {c.name: there.column(names[c.name]) for c in new}
        wanted = [name for name, t in found.items() if t is not None and t.name not in taken]
        if not wanted:
            return Adoption(there)
        table = step.table
        _, made = await self._adopt(table, there, Names(there.name, names))
        pairs = []
        for pair in made.pairs:
            if pair.column.name in wanted:
                wrong = [
                    text for text in made.problems if text.startswith(f"{table.name}.{pair.column.name}:")
                ]
                self._told += wrong
                pairs += [] if wrong else [pair]
        return Adoption(there, pairs)

    async def _adopt(self, table: Table, there: TargetTable, names: Names) -> tuple[TablePlan, Adoption]:
        reader, settings = self._pipeline.reader, self._pipeline.settings
        try:
            evidence = await profiled(reader, table, READ_SECONDS)
            looking = Looking(reader, settings.columns, settings.leave_out, READ_SECONDS)
            # it is being filled already, which is no obstacle here
            bare = replace(there, obstacles=())
            return await looking.adopt(table, self._pipeline.facts.schema, evidence, None, bare, names)
        except sqlite3.Error as error:
            raise source_error(reader, error) from error

    async def new(self, table: Table, called: Names) -> tuple[TablePlan, Adoption] | None:
        """Plan a new table of the source for one that the target has; None where it has none.

        Raises TargetContents for one that cannot be filled.
        """
        there = self._present.get(called.table)
        if there is None or not self._pipeline.adopts:
            return None
        adoption.refuse({table.name: Adoption(there, problems=list(there.obstacles))})
        plan, made = await self._adopt(table, there, called)
        adoption.refuse({table.name: made})
        return plan, replace(made, found=there)
