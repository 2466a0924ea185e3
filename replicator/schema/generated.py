"""Generated columns: plain while rows stream in, computed by a trigger from the cutover on.

PostgreSQL's GENERATED ... STORED would refuse the values that are copied, and making a plain column one
rewrites the table while the application waits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from replicator.expressions.operands import NULL, Kind, Untranslatable, Value
from replicator.expressions.scopes import TableScope, kind_of
from replicator.expressions.translator import bare, value
from replicator.planning import types
from replicator.planning.naming import short_name
from replicator.planning.plan import ColumnPlan, TablePlan
from replicator.planning.types import Affinity
from triggers import table_sql
from triggers.identifier import fold, literal, quote
from triggers.schema import Column

from .objects import Note, Object

#: What these objects are, in notes.
KIND = "generated columns"


def objects(plan: TablePlan) -> list[Object]:
    """Return the function and trigger that compute a table's generated columns, none where nothing is."""
    if "generated" not in plan.memo:
        plan.memo["generated"] = _objects(plan)
    return list(plan.memo["generated"])


def _objects(plan: TablePlan) -> list[Object]:
    assignments = [f"    NEW.{quote(c.target)} := {sql};" for c, sql in _computed(plan)]
    if not assignments:
        return []
    name, function = _names(plan)
    body = "\n".join(["BEGIN", *assignments, "    RETURN NEW;", "END"])
    sql = (
        f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql "
        f"SET search_path = pg_catalog AS {literal(body)};\n"
        f"CREATE TRIGGER {quote(name)} BEFORE INSERT OR UPDATE ON {plan.qualified} "
        f"FOR EACH ROW EXECUTE FUNCTION {function}()"
    )
    return [Object(plan.name, name, KIND, sql)]


def drop(plan: TablePlan) -> str:
    """Return the statements that take the function and its trigger away."""
    name, function = _names(plan)
    # the trigger goes with a table that is gone
    return f"DROP TRIGGER IF EXISTS {quote(name)} ON {plan.qualified};\nDROP FUNCTION IF EXISTS {function}()"


def _names(plan: TablePlan) -> tuple[str, str]:
    """Return the trigger's name, and the qualified one of its function."""
    name = short_name(f"{plan.target}_generated")
    return name, f"{quote(plan.schema)}.{quote(name)}"


def _computed(plan: TablePlan) -> list[tuple[ColumnPlan, str]]:
    """Return the columns that can be computed, and by what."""
    found = []
    for planned in _generated(plan):
        with contextlib.suppress(Untranslatable):
            found.append((planned, _expression(plan, planned)))
    return found


def _generated(plan: TablePlan) -> list[ColumnPlan]:
    return [c for c in plan.columns if plan.table.column(c.source).generated]


def _expression(plan: TablePlan, planned: ColumnPlan) -> str:
    """Return what a column is computed by. Raises Untranslatable."""
    text = table_sql.read(plan.table.sql).generated.get(fold(planned.source))
    if text is None:
        raise Untranslatable("its expression is not found")
    column = plan.table.column(planned.source)
    return _stored(value(text, _Plain(plan)), column, planned)


class _Plain(TableScope):
    """The columns of a new row that are not generated themselves: their order would have to be found out."""

    def __init__(self, plan: TablePlan) -> None:
        super().__init__(plan, prefix="NEW.")
        self._generated = {fold(c.source) for c in _generated(plan)}

    def column(self, table: str, name: str) -> Value | None:
        """Return what a name stands for. Raises Untranslatable for a generated column."""
        if fold(name) in self._generated:
            raise Untranslatable(f"it is computed from {name!r}, which is generated, too")
        return super().column(table, name)


def _stored(found: Value, column: Column, planned: ColumnPlan) -> str:
    """Return a value as the column stores it. Raises Untranslatable where SQLite would make another of it."""
    kind, affinity = kind_of(column, planned), types.affinity(column.declared)
    if found == NULL:
        return "NULL"
    if kind is found.kind and not (kind is Kind.TEXT and affinity not in (Affinity.TEXT, Affinity.BLOB)):
        return bare(found.sql)
    if found.kind is Kind.TRUTH and kind is Kind.INTEGER:
        return f"({found.sql})::integer"
    exact = kind is Kind.NUMBER or (kind is Kind.REAL and found.small)
    if found.kind is Kind.INTEGER and exact:
        return bare(found.sql)
    raise Untranslatable(f"it gives {found.kind.value}, and the column holds {kind.value} here")


def notes(plan: TablePlan) -> Iterator[Note]:
    """Yield how generated columns are carried, and which are not."""
    for planned in _generated(plan):
        try:
            _expression(plan, planned)
        except Untranslatable as error:
            text = table_sql.read(plan.table.sql).generated.get(fold(planned.source), "")
            reason = f"generated in SQLite, plain and not computed on the target: {error}: {text}"
            yield Note(plan.name, f"column {planned.source}", reason)
