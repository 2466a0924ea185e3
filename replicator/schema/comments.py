"""Comments on the target's tables and columns that say where each came from."""

from __future__ import annotations

from collections.abc import Collection

from replicator.planning.naming import ROWID_COLUMN
from replicator.planning.plan import ColumnPlan, TablePlan
from triggers.identifier import literal, quote


def table(plan: TablePlan, source: str) -> str:
    """Return the comment that says where a table came from."""
    return f"COMMENT ON TABLE {plan.qualified} IS {literal(f'replicated by liteferry from {source}')}"


def columns(plan: TablePlan, only: Collection[str] | None = None) -> list[str]:
    """Return the comments on a table's columns, or on those that are named as in the source."""
    return [
        f"COMMENT ON COLUMN {plan.qualified}.{quote(column.target)} IS {literal(_origin(plan, column))}"
        for column in plan.record
        if only is None or column.source in only
    ]


def _origin(plan: TablePlan, planned: ColumnPlan) -> str:
    if planned.target == ROWID_COLUMN:
        return "the rowid that SQLite kept: the table has no key of its own"
    column = plan.table.column(planned.source)
    name = f"{planned.source} " if planned.source != planned.target else ""
    told = [f"from SQLite {name}{column.declared or 'without a type'}"]
    told += [planned.conversion or planned.pg_type] if planned.overridden else []
    told += ["generated"] if column.generated else []
    # line breaks of a declared type are no news to the reader
    return " ".join("; ".join(told).split())
