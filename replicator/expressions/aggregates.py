"""Aggregates of SQLite in PostgreSQL's words: count, and min, max and sum where they are exact."""

from __future__ import annotations

from collections.abc import Collection

from triggers.expression import Node

from . import operands
from .operands import Kind, Untranslatable, Value
from .translator import Translation

_NAMES = ("count(*)", "count", "min", "max", "sum", "total", "avg", "group_concat", "string_agg")


class Aggregating(Translation):
    """Goes through one tree in which aggregates may stand."""

    def _call(self, node: Node) -> Value:
        if not _is_aggregate(node):
            return super()._call(node)
        if node.text == "count(*)":
            return Value("count(*)", Kind.INTEGER)
        if len(node.parts) != 1:
            raise Untranslatable(f"the function {node.text} is not carried over")
        (found,) = self._arguments(node.parts, 1, 1)
        if any(map(self.aggregates, node.parts)):
            raise Untranslatable("an aggregate stands in another")
        return self._aggregate(node.text, found, "DISTINCT " if node.distinct else "")

    def _aggregate(self, name: str, found: Value, distinct: str) -> Value:
        folds = found.kind is Kind.TEXT and found.collation != "BINARY"
        if name == "count" and not (distinct and folds):
            return Value(f"count({distinct}{found.sql})", Kind.INTEGER)
        found = operands.as_integer(found)
        if name == "sum" and found.kind is Kind.INTEGER and not distinct:
            return Value(f"sum({operands.widened(found)})", Kind.INTEGER, wide=True)
        if name in ("min", "max") and found.kind in operands.NUMBERS:
            return Value(f"{name}({found.sql})", found.kind, wide=found.wide)
        if name in ("min", "max") and found.kind is Kind.TEXT and not folds:
            return Value(f"{name}({operands.bytewise(found)})", Kind.TEXT)
        raise Untranslatable(f"{name} of {found.kind.value} may give something else")

    def aggregates(self, node: Node) -> bool:
        """Tell whether an aggregate stands in an expression."""
        return _is_aggregate(node) or any(map(self.aggregates, node.parts))

    def covered(self, node: Node, keys: Collection[str]) -> bool:
        """Tell whether an expression is made of aggregates and of what is grouped by alone."""
        if _is_aggregate(node) or node.kind in ("number", "string", "blob", "null", "none"):
            return True
        if node.kind == "name":
            return self.of(node).sql in keys or self.of(node).literal is not None
        return self.of(node).sql in keys or all(self.covered(part, keys) for part in node.parts)


def _is_aggregate(node: Node) -> bool:
    plain = node.text not in ("min", "max") or len(node.parts) == 1
    return node.kind == "call" and node.text in _NAMES and plain
