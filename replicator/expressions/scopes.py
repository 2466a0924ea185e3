"""The columns of a planned table as they stand in expressions, and which of them have kept their meaning."""

from __future__ import annotations

from replicator.planning import types
from replicator.planning.plan import ColumnPlan, TablePlan
from replicator.planning.types import Affinity
from replicator.values import conversions
from triggers import table_sql
from triggers.identifier import fold
from triggers.schema import Column

from . import operands
from .operands import Kind, Value

_KINDS = {
    "bigint": Kind.INTEGER,
    "integer": Kind.INTEGER,
    "smallint": Kind.INTEGER,
    "double precision": Kind.REAL,
    "numeric": Kind.NUMBER,
    "boolean": Kind.TRUTH,
    "text": Kind.TEXT,
    "varchar": Kind.TEXT,
    "bytea": Kind.BLOB,
}
#: How a column must not be declared where its values are to be what they look like.
_UNFIT = {
    Kind.INTEGER: (Affinity.TEXT,),
    Kind.REAL: (Affinity.TEXT,),
    Kind.NUMBER: (Affinity.TEXT, Affinity.BLOB),
    Kind.TRUTH: (Affinity.TEXT, Affinity.BLOB),
}


class TableScope:
    """The columns of one table; `prefix` stands before each on the target, as NEW. does in a trigger."""

    def __init__(self, plan: TablePlan, prefix: str = "") -> None:
        """Take the table."""
        self._plan, self._prefix = plan, prefix
        self._table = fold(plan.name)
        self._columns = {fold(c.source): c for c in plan.columns}

    def column(self, table: str, name: str) -> Value | None:
        """Return what a name stands for, None when there is no such column."""
        found = self._columns.get(fold(name)) if fold(table) in ("", self._table) else None
        return value_of(self._plan, found, self._prefix) if found is not None else None


def value_of(plan: TablePlan, planned: ColumnPlan, prefix: str = "") -> Value:
    """Return a column as it stands in an expression."""
    column = plan.table.column(planned.source)
    affinity = types.affinity(column.declared)
    kind = kind_of(column, planned)
    return Value(
        operands.column(planned.target, prefix),
        kind,
        affinity,
        collation(plan, planned.source),
        pg_type=planned.pg_type,
        small=planned.pg_type in ("integer", "smallint"),
        why=f"column {planned.source!r} has other values here: {planned.conversion or planned.pg_type}",
    )


def kind_of(column: Column, planned: ColumnPlan) -> Kind:
    """Return the kind of values that a column holds on both sides, OTHER where they differ."""
    kind = _KINDS.get(planned.pg_type.partition("(")[0], Kind.OTHER)
    affinity = types.affinity(column.declared)
    plain = not planned.conversion or planned.conversion.split("(")[0] in ("boolean", "numeric", "varchar")
    if not plain or affinity in _UNFIT.get(kind, ()) and (planned.overridden or planned.conversion):
        return Kind.OTHER
    if kind is Kind.TEXT and planned.overridden and affinity is not Affinity.TEXT:
        # numbers became texts
        return Kind.OTHER
    return kind


def collation(plan: TablePlan, column: str) -> str:
    """Return the collation that a column is declared with."""
    return table_sql.read(plan.table.sql).collations.get(fold(column), "BINARY")


def folds(plan: TablePlan, column: str, collation: str) -> bool:
    """Tell whether an index's collation makes one of different values of a column."""
    planned = next((c for c in plan.columns if fold(c.source) == fold(column)), None)
    if planned is None or collation.upper() == "BINARY":
        return False
    return conversions.base(planned.pg_type) in ("text", "varchar", "bpchar")
