"""What a verification leaves: one document with a digest over it, kept in the target as well."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from .findings import Mode, TableReport
from .ledger import add_verification
from .target import CONTROL, Target

if TYPE_CHECKING:
    from .pipeline import Pipeline

FORMAT = "liteferry verification 1"

#: What is not covered by the digest, for it is made of all the rest.
DIGEST = "digest"

#: Reports of one kind that the target keeps.
KEPT = 20

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
    Mode.STRUCTURE: ("any row: the application writes to PostgreSQL by now, and SQLite stands still",),
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


def judged(reports: Sequence[TableReport]) -> dict[str, Any]:
    """Return the verdict on all tables, and what such a run can and cannot catch."""
    different = [report for report in reports if not report.equal]
    repaired = sum(report.repaired for report in reports)
    tables = f"{len(reports)} table{'' if len(reports) == 1 else 's'}"
    verdict = f"different: {len(different)} of {tables}" if different else f"equal: {tables}"
    modes = [mode for mode in Mode if any(report.mode is mode for report in reports)]
    return {
        "equal": not different,
        "verdict": verdict + (f" ({repaired} rows repaired)" if repaired else ""),
        "catches": [*(text for mode in modes for text in CATCHES[mode]), *ALWAYS],
        "misses": [*(text for mode in modes for text in MISSES[mode]), *NEVER],
    }


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


async def keep(target: Target, document: Mapping[str, Any], sources: Sequence[UUID]) -> None:
    """Keep a report in the target, and forget the oldest of its kind. Raises TargetAway."""
    async with target.transaction() as connection:
        await add_verification(connection, document, sources, KEPT)


async def last(target: Target, sources: Sequence[UUID]) -> dict[str, Any] | None:
    """Return the newest report that is about some source, None without one. Raises TargetAway."""
    async with target.connection() as connection:
        if not await connection.fetchval(CONTROL["knows_verifications"]):
            return None
        text = await connection.fetchval(CONTROL["last_verification"], list(sources))
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found
