"""Whether the application's writes can be moved now, in either direction, and why not."""

from __future__ import annotations

import time

from config.settings import Settings
from replicator.fallback.readiness import BackGates, differing
from replicator.fallback.readiness import reasons as back_reasons
from replicator.state import State
from replicator.status import Gates, pause_of, reasons

from .roster import Roster
from .verification import Verification


class Readiness:
    """Looks at all sources of one daemon."""

    def __init__(self, settings: Settings, roster: Roster, verification: Verification) -> None:
        self._settings = settings
        self._roster = roster
        self._verification = verification

    def reasons(self) -> list[str]:
        """Return why a cutover cannot begin now."""
        if not self._roster.pipelines:
            return ["no source is known yet"]
        settings = self._settings
        gates = Gates(
            settings.ready_max_pending,
            settings.ready_max_age,
            settings.max_pause,
            settings.heartbeat_interval * 3 + settings.ready_max_age,
            settings.verify_max_age,
        )
        found = reasons((p.facts for p in self._roster.pipelines), gates, time.monotonic())
        found += self._roster.reasons()
        # it reads the target's tables, from which the cutover must take the guard while writers wait
        return [*found, "a verification is running"] if self._verification.is_running else found

    def back_reasons(self) -> list[str]:
        """Return why the writes cannot be given back now."""
        if not self._roster.pipelines:
            return ["no source is known yet"]
        gates = BackGates(self._settings.ready_max_pending, self._settings.ready_max_age)
        found = []
        for pipeline in self._roster.pipelines:
            names = {number: plan.name for number, plan in pipeline.plans.items()}
            state, facts = pipeline.facts.state, pipeline.facts.fallback
            why = [f"is {state.value}, not cut over"]
            if state is State.CUT_OVER and pipeline.facts.paused is not None:
                why = ["its way back is paused: `liteferry resume` lets it go on"]
            elif state is State.CUT_OVER:
                why = back_reasons(facts, names, gates, time.monotonic())
                why += differing(pipeline.facts.differing, names)
            found += [f"{pipeline.path}: {reason}" for reason in why]
        return found

    def left_there(self) -> list[str]:
        """Return what a rollback would leave in PostgreSQL."""
        away = [p.facts for p in self._roster.pipelines if p.facts.state is State.CUT_OVER]
        return list(dict.fromkeys(notice for facts in away for notice in facts.fallback.notices))

    def predicted(self) -> float | None:
        """Return for how many seconds a cutover now would keep writers waiting; None where nobody knows."""
        pauses = [pause_of(p.facts, time.monotonic()) for p in self._roster.pipelines]
        known = [p for p in pauses if p is not None]
        return round(sum(known), 3) if len(known) == len(pauses) and known else None
