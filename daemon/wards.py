"""The operator's hand on the quarantine: what is in it, another try, and the leave to go without."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from config.errors import ConfigError
from replicator.pipeline import Pipeline
from replicator.postgres.connections import CONTROL, Target
from replicator.status import FALLBACK_STATES
from triggers.statements import load

#: The same questions about the rows that are to come back.
BACK = load("replicator", "fallback.sql")

#: Rows that are told at once, unless more are asked for.
LISTED = 100


class Wards:
    """The quarantined rows of all sources."""

    def __init__(self, target: Target, pipelines: Sequence[Pipeline]) -> None:
        self._target = target
        self._pipelines = [p for p in pipelines if p.tailing]

    async def listed(self, *, table: str | None = None, limit: int = LISTED) -> dict[str, Any]:
        """Return the rows, oldest first. Raises ConfigError for a table that no source has."""
        self._refuse_unknown(table)
        rows: list[dict[str, Any]] = []
        async with self._target.connection() as connection:
            for pipeline in self._pipelines:
                queries = BACK if _is_away(pipeline) else CONTROL
                found = await connection.fetch(
                    queries["quarantine_rows"], pipeline.source_id, table, limit - len(rows)
                )
                rows += [{"path": str(pipeline.path), **_told(dict(record))} for record in found]
        return {"total": self._total(table), "rows": rows}

    async def retry(self, *, table: str | None = None) -> dict[str, Any]:
        """Have tables with quarantined rows read again. Raises ConfigError for a table that no source has."""
        self._refuse_unknown(table)
        tables = 0
        for pipeline in self._pipelines:
            numbers = self._with_rows(pipeline, table)
            if numbers and _is_away(pipeline):
                async with self._target.connection() as connection:
                    await connection.execute(BACK["retry"], pipeline.source_id, numbers)
                tables += len(numbers)
            elif numbers:
                await pipeline.healer.mark(numbers, "its quarantined rows are tried again")
                tables += len(numbers)
        return {"tables": tables}

    async def accept(self, *, table: str) -> dict[str, Any]:
        """Let the cutover go on without the rows of a table that are in quarantine now."""
        self._refuse_unknown(table)
        for pipeline in self._pipelines:
            queries = BACK if _is_away(pipeline) else CONTROL
            async with self._target.connection() as connection:
                await connection.execute(queries["accept"], pipeline.source_id, table)
                if _is_away(pipeline):
                    await pipeline.homeward.count(connection)
            await pipeline.quarantine.count(self._target)
        return {"accepted": self._total(table)}

    def _refuse_unknown(self, table: str | None) -> None:
        if table is not None and not any(p.name == table for s in self._pipelines for p in s.plans.values()):
            raise ConfigError(f"no source has a table {table!r}", hint="give its name as in the source")

    def _with_rows(self, pipeline: Pipeline, table: str | None) -> list[int]:
        counts = _counts(pipeline)
        return [n for n, p in pipeline.plans.items() if counts.get(n) and table in (None, p.name)]

    def _total(self, table: str | None) -> int:
        found = ((p, n) for p in self._pipelines for n in self._with_rows(p, table))
        return sum(_counts(pipeline)[number] for pipeline, number in found)


def _is_away(pipeline: Pipeline) -> bool:
    """Tell whether rows are on their way back, and kept aside because the source cannot hold them."""
    return pipeline.facts.state in FALLBACK_STATES and bool(pipeline.facts.fallback.armed)


def _counts(pipeline: Pipeline) -> dict[int, int]:
    facts = pipeline.facts
    return facts.fallback.quarantined if _is_away(pipeline) else facts.quarantined


def _told(record: dict[str, Any]) -> dict[str, Any]:
    return {
        "table": record["name"],
        # of a row of the target they are texts
        "key": record["key"]
        if isinstance(record["key"], list)
        else [value for _, value in json.loads(record["key"])],
        "column": record["column_name"],
        "reason": record["reason"],
        "accepted": record["accepted"],
        "since": record["since"],
        "row": json.loads(record["row"]),
    }
