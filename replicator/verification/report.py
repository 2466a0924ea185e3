"""What a verification leaves: one document with a digest over it, kept in the target as well."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from config.errors import TargetAway
from config.secret import without_secrets
from replicator.postgres.connections import CONTROL, Target
from replicator.postgres.ledger import add_verification
from replicator.state import State
from replicator.whoami import whoami

from .findings import Mode, TableReport

if TYPE_CHECKING:
    from config.settings import Settings
    from replicator.pipeline import Pipeline

FORMAT = "liteferry verification 1"

#: What is not covered by the digest, for it is made of all the rest.
DIGEST = "digest"

#: What the background leaves: of all rows, and of those written since where some were not equal.
BACKGROUND = "background"
RECHECK = "recheck"

#: Who asks there.
NOBODY = "the schedule"

#: One sentence each; the page and the document have the same.
CATCHES = {
    Mode.ROWS: (
        "a row of the source that is missing on the target, or differs there in any value",
        "a row of the target that somebody else has changed, deleted or added",
    ),
    Mode.TOUCHED: (
        "a row written since all rows of its table were last found equal, and brought over wrongly",
    ),
    Mode.COUNTS: ("a table that has more or fewer rows on one side, rows in quarantine counted apart",),
    Mode.STRUCTURE: (),
}

ALWAYS = (
    "a column, key, unique constraint, index, foreign key or sequence that is missing or not as planned",
    "a table that others may write to before the cutover",
)

MISSES = {
    Mode.ROWS: (
        "what was changed on the target behind the comparison: chunks are compared one after the other",
        "what a type, or a rule for bad values, does not keep, such as the order of keys in jsonb",
    ),
    Mode.TOUCHED: (
        "a row that somebody else has changed on the target: only a comparison of all rows finds it",
        "a write to the source that fired no trigger and did not give itself away",
    ),
    Mode.COUNTS: ("rows that differ, and as many missing as there are too many",),
    Mode.STRUCTURE: ("any row: they could not be compared",),
}

#: Behind the cutover the sides have changed places.
CATCHES_AWAY = {
    **CATCHES,
    Mode.ROWS: (
        "a row of PostgreSQL that is missing in SQLite or differs there, and one that is only there",
    ),
    Mode.TOUCHED: ("a row that was brought back wrongly since all rows of its table were last found equal",),
}

MISSES_AWAY = {
    **MISSES,
    Mode.ROWS: (
        "what was changed in the SQLite file behind the comparison: chunks are compared one after the other",
        "rows that SQLite cannot hold: they are kept aside and counted, as are those PostgreSQL never got",
        "columns that SQLite computes by itself",
    ),
    Mode.TOUCHED: ("a row that was changed in the SQLite file and not brought back since",),
}

NEVER = (
    "the text of index expressions and conditions, of defaults and of check constraints",
    "what the application makes of equal rows: sort order of texts, LIKE, functions and views",
)


def tables_of(pipeline: Pipeline, reports: Sequence[TableReport], before: int) -> dict[str, Any]:
    """Return what a run has found in one source."""
    facts = pipeline.facts
    return {
        "path": str(pipeline.path),
        "id": str(pipeline.source_id),
        "schema": facts.schema,
        "state": facts.state.value,
        "journal_mode": facts.journal_mode,
        "position_before": before,
        "position_after": facts.position,
        "quarantined": sum(facts.quarantined.values()),
        "tables": [report.as_dict() for report in reports],
    }


def judged(reports: Sequence[TableReport], *, away: bool = False) -> dict[str, Any]:
    """Return the verdict on all tables, and what such a run can and cannot catch, `away` or before."""
    catches, misses = (CATCHES_AWAY, MISSES_AWAY) if away else (CATCHES, MISSES)
    different = [report for report in reports if not report.equal]
    repaired = sum(report.repaired for report in reports)
    tables = f"{len(reports)} table{'' if len(reports) == 1 else 's'}"
    verdict = f"different: {len(different)} of {tables}" if different else f"equal: {tables}"
    modes = [mode for mode in Mode if any(report.mode is mode for report in reports)]
    return {
        "equal": not different,
        "verdict": verdict + (f" ({repaired} rows repaired)" if repaired else ""),
        "catches": [*(text for mode in modes for text in catches[mode]), *ALWAYS],
        "misses": [*(text for mode in modes for text in misses[mode]), *_unwatched(reports), *NEVER],
    }


def _unwatched(reports: Sequence[TableReport]) -> list[str]:
    if not any(report.taken_up for report in reports):
        return []
    return ["in rows compared before an interruption: what fired no trigger while no daemon was there to see"]


def digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a report's content, whatever the order and the white space it is written in."""
    content = {name: value for name, value in document.items() if name != DIGEST}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report with its digest."""
    return {**document, DIGEST: digest(document)}


def is_intact(document: Mapping[str, Any]) -> bool:
    """Tell whether a report is what its digest was made of."""
    return document.get(DIGEST) == digest(document)


@dataclass(frozen=True)
class Order:
    """Who has asked for what."""

    kind: str
    by: str = ""
    table: str | None = None
    repair: bool = False


def composed(
    order: Order,
    settings: Settings,
    begun: datetime,
    sources: Sequence[dict[str, Any]],
    reports: Sequence[TableReport],
) -> dict[str, Any]:
    """Return the sealed report of a run that has just ended; `reports` are those of all sources' tables."""
    ended = datetime.now(UTC)
    away = any(source["state"] == State.CUT_OVER.value for source in sources)
    return sealed(
        {
            "format": FORMAT,
            "id": str(uuid4()),
            "kind": order.kind,
            "table": order.table,
            "repair": order.repair,
            **judged(reports, away=away),
            "started_at": begun.isoformat(timespec="milliseconds"),
            "finished_at": ended.isoformat(timespec="milliseconds"),
            "seconds": round((ended - begun).total_seconds(), 3),
            "version": version("liteferry"),
            "asked_by": order.by,
            "run_by": whoami(),
            "target": without_secrets(settings.target_url()),
            "sources": list(sources),
        }
    )


def told(document: Mapping[str, Any], now: float) -> dict[str, Any]:
    """Return what the status tells of a report at a Unix time."""
    shown = {name: document[name] for name in ("id", "kind", "equal", "verdict", "finished_at", "digest")}
    finished = datetime.fromisoformat(document["finished_at"]).timestamp()
    return {**shown, "age_seconds": round(max(0.0, now - finished), 1)}


async def keep(target: Target, document: Mapping[str, Any], sources: Sequence[UUID], kept: int) -> None:
    """Keep a report in the target, and of its kind only the newest `kept`. Raises TargetAway."""
    async with target.transaction() as connection:
        await add_verification(connection, document, sources, kept)


async def leave(
    pipeline: Pipeline, order: Order, begun: datetime, before: int, reports: Sequence[TableReport]
) -> None:
    """Keep the report of a run in the background over one source; what was found is known all the same."""
    source = tables_of(pipeline, reports, before)
    document = composed(order, pipeline.settings, begun, [source], reports)
    with contextlib.suppress(TargetAway):
        kept = pipeline.settings.verification_reports
        await keep(pipeline.target, document, [pipeline.source_id], kept)
    pipeline.facts.background = document


async def last(target: Target, sources: Sequence[UUID], kinds: Sequence[str] | None) -> dict[str, Any] | None:
    """Return the newest report about some source, of some kinds or of any; None without one.

    Raises TargetAway.
    """
    async with target.connection() as connection:
        if not await connection.fetchval(CONTROL["knows_verifications"]):
            return None
        kinds = None if kinds is None else list(kinds)
        text = await connection.fetchval(CONTROL["last_verification"], list(sources), kinds)
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found
