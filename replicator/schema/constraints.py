"""What is added to the target's tables in the decision, NOT VALID so that no row is read: keys and CHECKs.

Never while streaming: a row that differs must not be lost for a constraint of the target.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from replicator.expressions.operands import Untranslatable
from replicator.expressions.scopes import TableScope, collation, folds
from replicator.expressions.translator import condition
from replicator.planning.naming import alternative, short_name
from replicator.planning.plan import TablePlan
from triggers import table_sql
from triggers.identifier import fold, quote
from triggers.schema import ForeignKey
from triggers.table_sql import Check

from .indexes import secondary
from .objects import Note, Object, key_name


def constraints(plan: TablePlan, planned: Iterable[TablePlan]) -> list[Object]:
    """Return all that a table is given when the application takes it over; none that was there before us."""
    if plan.adopted:
        return []
    keys = foreign_keys(plan, planned)
    return [*keys, *checks(plan, keys)]


def foreign_keys(plan: TablePlan, planned: Iterable[TablePlan]) -> list[Object]:
    """Return the foreign keys, NOT VALID so that adding them reads no row.

    SQLite enforces foreign keys only where the application asks for it, so real files hold violations.
    """
    names = {fold(other.name): other for other in planned}
    made: list[Object] = []
    for key in plan.table.foreign_keys:
        other = names.get(fold(key.other_table))
        if other is None or not key.other_columns or not plan.has(*key.columns) or _folded(key, other):
            continue
        if len(key.other_columns) != len(key.columns) or not other.has(*key.other_columns):
            continue
        name = short_name("_".join([plan.target, *map(plan.on_target, key.columns), "fkey"]))
        if any(one.name == name for one in made):
            name = alternative(plan.target, name, other.target)
        columns, referenced = _list(plan, key.columns), _list(other, key.other_columns)
        sql = (
            f"ALTER TABLE {plan.qualified} ADD CONSTRAINT {quote(name)} FOREIGN KEY ({columns}) "
            f"REFERENCES {other.qualified} ({referenced}){_actions(key)} NOT VALID"
        )
        made.append(Object(plan.name, name, "foreign key", sql))
    return made


def _list(plan: TablePlan, names: Iterable[str]) -> str:
    return ", ".join(quote(plan.on_target(name)) for name in names)


def _actions(key: ForeignKey) -> str:
    deleted = f" ON DELETE {key.on_delete}" if key.on_delete != "NO ACTION" else ""
    return deleted + (f" ON UPDATE {key.on_update}" if key.on_update != "NO ACTION" else "")


def _folded(key: ForeignKey, other: TablePlan) -> str:
    """Return the collation by which a key finds its row in SQLite, empty where it does so by bytes."""
    if not other.has(*key.other_columns):
        return ""
    said = ((column, collation(other, column)) for column in key.other_columns)
    return next((name for column, name in said if folds(other, column, name)), "")


def checks(plan: TablePlan, others: Sequence[Object] = ()) -> list[Object]:
    """Return the CHECKs that mean the same on the target; `others` have their names already."""
    used = {key_name(plan), *(o.name for o in others), *(o.name for o in secondary(plan))}
    made = []
    for check, sql in _conditions(plan):
        if isinstance(sql, Untranslatable):
            continue
        name = _name(plan, check, used)
        used.add(name)
        statement = f"ALTER TABLE {plan.qualified} ADD CONSTRAINT {quote(name)} CHECK ({sql}) NOT VALID"
        made.append(Object(plan.name, name, "check constraint", statement))
    return made


def _conditions(plan: TablePlan) -> list[tuple[Check, str | Untranslatable]]:
    """Return the CHECKs of a table as they are said here, or why they cannot be."""
    if "checks" not in plan.memo:
        scope = TableScope(plan)
        plan.memo["checks"] = [(c, _condition(c, scope)) for c in table_sql.read(plan.table.sql).checks]
    found: list[tuple[Check, str | Untranslatable]] = plan.memo["checks"]
    return found


def _condition(check: Check, scope: TableScope) -> str | Untranslatable:
    try:
        return condition(check.text, scope)
    except Untranslatable as error:
        return error


def _name(plan: TablePlan, check: Check, used: Iterable[str]) -> str:
    column = [plan.on_target(check.column)] if check.column and plan.has(check.column) else []
    name = short_name(check.name or "_".join([plan.target, *column, "check"]))
    return alternative(plan.target, name, check.text) if name in used else name


def notes(plan: TablePlan, planned: Sequence[TablePlan]) -> Iterator[Note]:
    """Yield the constraints that are not carried."""
    for check, sql in _conditions(plan):
        if isinstance(sql, Untranslatable):
            named = f" {check.name}" if check.name else ""
            yield Note(plan.name, f"check{named} ({check.text})", str(sql))
    names = {fold(p.name): p for p in planned}
    for key in plan.table.foreign_keys:
        what, other = f"foreign key ({', '.join(key.columns)})", names.get(fold(key.other_table))
        if other is None:
            yield Note(plan.name, what, f"refers to {key.other_table!r}, which is not replicated")
        elif name := _folded(key, other):
            reason = f"refers to a key that compares by {name} in SQLite, and by bytes on the target"
            yield Note(plan.name, what, reason)
