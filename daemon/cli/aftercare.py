"""The report on the target after the cutover, as lines to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .text import count, size, table

#: Tables that are listed, the largest first; `--json` has all.
LARGEST = 10


def describe(report: dict[str, Any]) -> list[str]:
    """Return the report as lines."""
    return [
        *_findings(report["findings"]),
        *_activity(report["activity"]),
        *_tables(report),
        *_statements(report),
    ]


def _findings(findings: list[str]) -> Iterator[str]:
    yield "look at:" if findings else "nothing to look at"
    yield from (f"  {finding}" for finding in findings)
    yield ""


def _activity(activity: dict[str, Any]) -> Iterator[str]:
    since = activity["since"] or "the server's beginning"
    yield from table(
        [
            ("database", size(activity["bytes"])),
            ("connections", f"{activity['connections']} of {activity['most_connections']}"),
            ("commits", f"{count(activity['commits'])} since {since}"),
            ("rollbacks", count(activity["rollbacks"])),
            ("deadlocks", count(activity["deadlocks"])),
            ("temporary files", size(activity["temp_bytes"])),
        ]
    )


def _tables(report: dict[str, Any]) -> Iterator[str]:
    there = [facts for facts in report["tables"] if not facts.get("gone")]
    largest = sorted(there, key=lambda facts: -facts["bytes"])[:LARGEST]
    if largest:
        yield ""
        head = ("table", "rows", "size", "of it indexes", "scans", "by index")
        rows = [
            (f["table"], count(f["rows"]), size(f["bytes"]), size(f["index_bytes"]), count(f["scans"]),
             count(f["index_scans"] or 0))
            for f in largest
        ]  # fmt: skip
        yield from table([head, *rows], right=(1, 2, 3, 4, 5))


def _statements(report: dict[str, Any]) -> Iterator[str]:
    yield ""
    if report["statements"] is None:
        yield "statements are not counted: the extension pg_stat_statements tells the slow ones"
        return
    rows = [(f"{s['mean_ms']:g} ms", count(s["calls"]), s["query"]) for s in report["statements"]]
    yield from table([("mean", "calls", "statement"), *rows], right=(0, 1))
