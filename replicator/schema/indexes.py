"""The target's unique constraints and indexes; for a collation of SQLite's stands an expression like it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from replicator.expressions import operands
from replicator.expressions.operands import Kind, Untranslatable
from replicator.expressions.scopes import TableScope, collation, folds, value_of
from replicator.expressions.translator import bare, condition, value
from replicator.planning.naming import alternative, short_name
from replicator.planning.plan import TablePlan
from triggers.identifier import fold, quote
from triggers.index_sql import IndexText, parse
from triggers.key import COLLATIONS
from triggers.schema import Index, IndexColumn

from .objects import Note, Object, key_name


def secondary(plan: TablePlan) -> list[Object]:
    """Return the unique constraints and indexes to build once the table's rows are consistent."""
    return [one for one in by_index(plan) if one is not None]


def by_index(plan: TablePlan) -> list[Object | None]:
    """Return for each index of the source what it is on the target, None for one that is not carried."""
    if "indexes" not in plan.memo:
        plan.memo["indexes"] = _by_index(plan)
    return list(plan.memo["indexes"])


def _by_index(plan: TablePlan) -> list[Object | None]:
    made: list[Object | None] = []
    used = {key_name(plan)}
    for index in plan.table.indexes:
        one = _carried(plan, index)
        if one is not None:
            # UNIQUE(a_b) and UNIQUE(a, b) would both be t_a_b_key
            names = map(plan.on_target, index.plain_columns or ())
            one = one.under(alternative(plan.target, one.name, *names)) if one.name in used else one
            used.add(one.name)
        made.append(one)
    return made


def _carried(plan: TablePlan, index: Index) -> Object | None:
    try:
        return _made(plan, index)
    except Untranslatable:
        return None


def _made(plan: TablePlan, index: Index) -> Object | None:
    """Return what an index is on the target, None for one that is needless. Raises Untranslatable."""
    missing = [c.name for c in index.columns if c.name is not None and not plan.has(c.name)]
    if missing:
        raise Untranslatable(f"there is no column {missing[0]!r} on the target")
    names = index.plain_columns
    if index.origin == "c" and index.name != plan.key.index:
        return _index(plan, index)
    if names is None:
        return None
    if any(is_folded(plan, c) for c in index.columns):
        # as the key it has its constraint, by bytes; this one keeps that no two are equal by its collation
        return _folded(plan, index, names)
    return _constraint(plan, names) if index.name != plan.key.index else None


def is_folded(plan: TablePlan, column: IndexColumn) -> bool:
    """Tell whether a column stands in an index as an expression, for SQLite compares it by a collation."""
    known = column.collation.upper() in COLLATIONS
    return column.name is not None and known and folds(plan, column.name, column.collation)


def _constraint(plan: TablePlan, names: Sequence[str]) -> Object:
    name = short_name("_".join([plan.target, *map(plan.on_target, names), "key"]))
    columns = ", ".join(quote(plan.on_target(name)) for name in names)
    sql = f"ALTER TABLE {plan.qualified} ADD CONSTRAINT {quote(name)} UNIQUE ({columns})"
    return Object(plan.name, name, "unique constraint", sql, other=alternative(plan.target, name))


def _folded(plan: TablePlan, index: Index, names: Sequence[str]) -> Object:
    """Return the unique index that stands for a UNIQUE, or a key, by a collation of SQLite's."""
    ending = "key" if index.name != plan.key.index else "folded"
    name = short_name("_".join([plan.target, *map(plan.on_target, names), ending]))
    terms = ", ".join(_term(plan, column) for column in index.columns)
    sql = f"CREATE UNIQUE INDEX {quote(name)} ON {plan.qualified} ({terms})"
    return Object(plan.name, name, "unique index", sql, other=alternative(plan.target, name))


def _index(plan: TablePlan, index: Index) -> Object:
    text = parse(index.sql or "")
    terms = []
    for column, term in zip(index.columns, text.terms, strict=True):
        what = _term(plan, column) if column.name is not None else _expression(plan, column, term)
        terms.append(what + (" DESC NULLS LAST" if column.descending else " NULLS FIRST"))
    unique = "UNIQUE " if index.unique else ""
    where = f" WHERE {condition(text.where, TableScope(plan))}" if text.where else ""
    name = short_name(index.name)
    # NULLs sort first in SQLite, last in PostgreSQL: said here, so that ORDER BY ... NULLS FIRST can use it
    sql = f"CREATE {unique}INDEX {quote(name)} ON {plan.qualified} ({', '.join(terms)}){where}"
    # translated to the letter; but a row that has slipped through must not stop the stream
    late = index.unique and bool(text.where or index.plain_columns is None)
    return Object(plan.name, name, f"{unique.lower()}index", sql, late, alternative(plan.target, name))


def _term(plan: TablePlan, column: IndexColumn) -> str:
    name = column.name or ""
    if not is_folded(plan, column):
        return quote(plan.on_target(name))
    planned = next(c for c in plan.columns if fold(c.source) == fold(name))
    return operands.collated(value_of(plan, planned), column.collation.upper())


def _expression(plan: TablePlan, column: IndexColumn, term: str) -> str:
    found = operands.known(value(term, TableScope(plan)))
    if found.kind is Kind.TEXT and column.collation.upper() in COLLATIONS:
        return f"({operands.collated(found, column.collation.upper())})"
    return f"({bare(found.sql)})"


def drop(plan: TablePlan, wanted: Object, name: str) -> str:
    """Return the statement that takes away an index or a unique constraint by the name that it has."""
    if wanted.kind == "unique constraint":
        return f"ALTER TABLE {plan.qualified} DROP CONSTRAINT IF EXISTS {quote(name)}"
    return f"DROP INDEX IF EXISTS {quote(plan.schema)}.{quote(name)}"


def notes(plan: TablePlan) -> Iterator[Note]:
    """Yield the indexes that are not carried, and columns that compare otherwise on the target."""
    for index in plan.table.indexes:
        try:
            _made(plan, index)
        except Untranslatable as error:
            yield Note(plan.name, f"index {index.name}", f"{error}: {_shown(index)}")
        for column in index.columns:
            if column.collation.upper() not in COLLATIONS:
                reason = f"compares by {column.collation}, which only the application has; by bytes here"
                yield Note(plan.name, f"index {index.name}", reason)
    for planned in plan.columns:
        told = collation(plan, planned.source)
        if told in _ADVICE and folds(plan, planned.source, told):
            reason = f"compares by {told} in SQLite; = and ORDER BY on the target do not: {_ADVICE[told]}"
            yield Note(plan.name, f"column {planned.source}", reason)


_ADVICE = {
    "NOCASE": 'compare lower(column COLLATE "C"), or give the column a nondeterministic collation',
    "RTRIM": "compare rtrim(column, ' ')",
}


def _shown(index: Index) -> str:
    text = parse(index.sql) if index.sql else IndexText((), "")
    where = f" WHERE {text.where}" if text.where else ""
    return f"({', '.join(text.terms)}){where}"
