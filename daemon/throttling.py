"""The operator's order how fast rows may be copied and compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog

from config.errors import ConfigError
from replicator.control import orders
from replicator.control.throttle import summed
from replicator.postgres.connections import Target

from .noting import noting
from .roster import Roster

log = structlog.get_logger("liteferry")

#: The greatest limit that is taken for one.
LARGEST = 1_000_000_000


class Throttling:
    """Carries the order out; the target keeps it, so that a restart does not lift it."""

    def __init__(self, target: Target, roster: Roster, clock: Callable[[], float] = time.time) -> None:
        self._target = target
        self._roster = roster
        self._clock = clock

    async def throttle(self, *, rows_per_second: int | None = None, reset: bool = False) -> dict[str, Any]:
        """Limit the rows per second of all sources together, 0 for no limit; tell what holds now.

        With `reset` the setting counts again, with neither nothing is changed. Raises ConfigError for a
        number that is no limit, TargetAway when the order cannot be kept.
        """
        if rows_per_second is not None and not 0 <= rows_per_second <= LARGEST:
            raise ConfigError(
                f"{rows_per_second} rows per second is no limit", hint=f"give 1 to {LARGEST}, or --off"
            )
        if reset or rows_per_second is not None:
            await self._order(None if reset else rows_per_second)
        throttles = [p.facts.throttle.as_dict() for p in self._roster.pipelines]
        sources = [
            {"path": str(p.path), "throttle": told}
            for p, told in zip(self._roster.pipelines, throttles, strict=True)
        ]
        return {"throttle": summed(throttles), "sources": sources}

    async def _order(self, rate: int | None) -> None:
        known = [p.source_id for p in self._roster.pipelines if p.tailing]
        if not known:
            raise ConfigError("no source is known yet", hint="ask again when `liteferry status` shows one")
        async with noting(self._target) as connection:
            await orders.prepare(connection)
            await orders.limit(connection, known, rate)
        self._roster.allowance.order(rate, self._clock())
        log.info("throttle", rows_per_second=self._roster.allowance.rate)
