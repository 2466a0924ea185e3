"""Views on the target: a plain SELECT of carried tables whose every part means the same on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from replicator.expressions import operands
from replicator.expressions.aggregates import Aggregating
from replicator.expressions.operands import Kind, Untranslatable, Value
from replicator.expressions.scopes import value_of
from replicator.expressions.translator import bare
from replicator.planning.naming import Naming
from replicator.planning.plan import TablePlan
from triggers import select
from triggers.expression import Node, Unreadable
from triggers.identifier import fold, quote
from triggers.select import Item, Order, Select, View

from .objects import Note, Object


@dataclass(frozen=True)
class Relation:
    """A table of the target or a view that is carried: its name and its columns by the source's names."""

    qualified: str
    columns: Mapping[str, Column]


@dataclass(frozen=True)
class Column:
    """A column of a relation: its name in the source and on the target, and what it holds."""

    name: str
    target: str
    value: Value


def named(views: Iterable[View], naming: Naming) -> list[View]:
    """Return views with their names and those of their columns on the target."""
    return [
        replace(
            view,
            target=naming.table(view.name),
            targets=tuple(naming.columns(view.name, view.columns).names[c] for c in view.columns),
        )
        for view in views
    ]


def translate(
    views: Sequence[View], plans: Iterable[TablePlan], schema: str
) -> tuple[list[Object], list[Note]]:
    """Return the views that are carried, each behind those that it reads, and why others are not."""
    known = {fold(plan.name): _of_table(plan) for plan in plans}
    made: list[Object] = []
    waiting = {fold(view.name): view for view in views}
    notes: list[Note] = []
    while waiting:
        ready = [name for name, view in waiting.items() if not _reads(view) & set(waiting) - {name}]
        for name in ready or list(waiting):
            view = waiting.pop(name)
            try:
                one, known[name] = _View(view, known, schema).made()
                made.append(one)
            except (Untranslatable, Unreadable) as error:
                notes.append(Note(view.name, "view", f"{error}: {' '.join(view.sql.split())}"))
    return made, notes


def _reads(view: View) -> set[str]:
    try:
        return {fold(source.name) for source in select.parse(view.sql).sources}
    except Unreadable:
        return set()


def _of_table(plan: TablePlan) -> Relation:
    columns = {fold(c.source): Column(c.source, c.target, value_of(plan, c)) for c in plan.columns}
    return Relation(plan.qualified, columns)


class _Sources:
    """The columns of all that a SELECT reads."""

    def __init__(self, selected: Select, known: Mapping[str, Relation]) -> None:
        self.relations: dict[str, Relation] = {}
        for source in selected.sources:
            relation = known.get(fold(source.name))
            if relation is None:
                raise Untranslatable(f"it reads {source.name!r}, which is not on the target")
            if fold(source.alias) in self.relations:
                raise Untranslatable(f"{source.alias!r} stands for two tables")
            self.relations[fold(source.alias)] = relation
        self._aliases = {fold(item.alias) for item in selected.items if item.alias}

    def column(self, table: str, name: str) -> Value | None:
        """Return what a name stands for, None when there is no such column."""
        found = self.all(table, name)
        if not found and not table and fold(name) in self._aliases:
            raise Untranslatable(f"it uses its own column {name!r}")
        if len(found) > 1:
            raise Untranslatable(f"{name!r} is a column of two tables")
        return found[0][1] if found else None

    def all(self, table: str, name: str = "") -> list[tuple[Column, Value]]:
        """Return the columns of one table, or of all, or those of a name."""
        found = []
        for alias, relation in self.relations.items():
            for column in relation.columns.values():
                if fold(table) in ("", alias) and fold(name) in ("", fold(column.name)):
                    sql = f"{quote(alias)}.{quote(column.target)}"
                    found.append((column, replace(column.value, sql=sql)))
        return found


class _View:
    """One view on its way."""

    def __init__(self, view: View, known: Mapping[str, Relation], schema: str) -> None:
        self._view = view
        self._known = known
        self._schema = schema
        self._select = select.parse(view.sql)
        self._scope = _Sources(self._select, known)
        self._translation = Aggregating(self._scope)

    def made(self) -> tuple[Object, Relation]:
        """Return the statement, and what others see of the view. Raises Untranslatable."""
        chosen, name = self._select, self._view.target or self._view.name
        items = self._items()
        if len(items) != len(self._view.columns):
            raise Untranslatable("SQLite itself cannot read it, or gives it other columns")
        group = self._grouped([node for node, *_ in items])
        others = self._view.targets or self._view.columns
        names = [target or other for (_, target, _), other in zip(items, others, strict=True)]
        values = [_given(value) for *_, value in items]
        if chosen.distinct:
            _refuse_folding(value for *_, value in items)
        listed = [f"{bare(v.sql)} AS {quote(n)}" for v, n in zip(values, names, strict=True)]
        parts = [f"SELECT {'DISTINCT ' if chosen.distinct else ''}{', '.join(listed)}", self._from()]
        parts += [f"WHERE {self._condition(chosen.where)}"] if chosen.where else []
        parts += [f"GROUP BY {', '.join(group)}"] if group else []
        parts += [f"HAVING {self._condition(chosen.having, rows=False)}"] if chosen.having else []
        parts += [f"ORDER BY {self._ordered(items)}"] if chosen.order else []
        qualified = f"{quote(self._schema)}.{quote(name)}"
        sql = f"CREATE VIEW {qualified} AS {' '.join(parts)}"
        columns = {
            fold(c): Column(c, n, v) for c, n, v in zip(self._view.columns, names, values, strict=True)
        }
        return Object(self._view.name, name, "view", sql), Relation(qualified, columns)

    def _items(self) -> list[tuple[Node | None, str, Value]]:
        """Return what is selected: the expression, the target's name if it is a column's, the value."""
        found: list[tuple[Node | None, str, Value]] = []
        for item in self._select.items:
            if item.node is None:
                columns = self._scope.all(item.table)
                found += [(Node("name", c.name, table=item.table), c.target, v) for c, v in columns]
            else:
                found.append((item.node, self._target_name(item), self._translation.of(item.node)))
        return found

    def _target_name(self, item: Item) -> str:
        """Return the target's name of a column that keeps its name in the view, empty for anything else."""
        node = item.node
        if node is None or node.kind != "name" or fold(item.alias) not in ("", fold(node.text)):
            return ""
        found = self._scope.all(node.table, node.text)
        return found[0][0].target if found else ""

    def _from(self) -> str:
        parts = []
        for source, relation in zip(self._select.sources, self._scope.relations.items(), strict=True):
            alias, there = relation
            if source.join:
                condition = self._condition(source.condition) if source.condition else "true"
                parts.append(f"{source.join} {there.qualified} AS {quote(alias)} ON {condition}")
            else:
                parts.append(f"FROM {there.qualified} AS {quote(alias)}")
        return " ".join(parts)

    def _condition(self, node: Node, *, rows: bool = True) -> str:
        if rows and self._translation.aggregates(node):
            raise Untranslatable("an aggregate stands in a condition of rows")
        return bare(operands.truth(self._translation.of(node)))

    def _grouped(self, items: Sequence[Node | None]) -> list[str]:
        """Return the GROUP BY. Raises Untranslatable where an item is neither in it nor an aggregate."""
        group = [self._translation.of(node) for node in self._select.group]
        if any(node.kind == "number" for node in self._select.group):
            raise Untranslatable("it groups by the number of a column")
        _refuse_folding(group)
        every = [*items, self._select.having]
        if group or any(node is not None and self._translation.aggregates(node) for node in every):
            keys = {value.sql for value in group}
            if not all(node is None or self._translation.covered(node, keys) for node in every):
                raise Untranslatable("it shows columns of any one row of a group")
        return [value.sql for value in group]

    def _ordered(self, items: Sequence[tuple[Node | None, str, Value]]) -> str:
        if self._select.distinct or self._select.group:
            raise Untranslatable("it sorts what it has made one")
        return ", ".join(self._term(order, items) for order in self._select.order)

    def _term(self, order: Order, items: Sequence[tuple[Node | None, str, Value]]) -> str:
        nulls = order.nulls or ("LAST" if order.descending else "FIRST")
        return f"{_sorted(self._sorted_by(order, items))}{' DESC' if order.descending else ''} NULLS {nulls}"

    def _sorted_by(self, order: Order, items: Sequence[tuple[Node | None, str, Value]]) -> Value:
        node = order.node
        if node.kind == "number":
            if not node.text.isdigit() or not 1 <= int(node.text) <= len(items):
                raise Untranslatable("it sorts by a number")
            return items[int(node.text) - 1][-1]
        if node.kind == "name" and not node.table:
            for column, (*_, value) in zip(self._view.columns, items, strict=True):
                if fold(column) == fold(node.text):
                    return value
        return self._translation.of(node)


def _sorted(value: Value) -> str:
    operands.known(value)
    if value.kind is not Kind.TEXT:
        return operands.as_integer(value).sql
    name = operands.collation_of(value, value)
    return operands.bytewise(value) if name == "BINARY" else operands.collated(value, name)


def _given(value: Value) -> Value:
    """Return a value as a column of a view: 0 and 1 for what SQLite has computed."""
    if value.kind is Kind.TRUTH and value.affinity is None:
        value = operands.as_integer(value)
    types = {Kind.TEXT: "text", Kind.REAL: "float8", Kind.NULL: "text"}
    cast = "bigint" if value.wide else types.get(value.kind, "") if value.affinity is None else ""
    sql = f"{value.sql}::{cast}" if cast and not value.pg_type else value.sql
    return replace(value, sql=sql, wide=False, literal=None, explicit=False)


def _refuse_folding(values: Iterable[Value]) -> None:
    """Which of several equal spellings stands for a group nobody can tell."""
    for value in values:
        compared = value.kind is Kind.TEXT and (value.affinity is not None or value.explicit)
        if compared and value.collation != "BINARY":
            raise Untranslatable(f"it groups by {value.collation}")
