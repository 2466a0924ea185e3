"""Expressions of SQLite in PostgreSQL's words, where both mean the same; what may not is Untranslatable.

A whitelist: a node that is not known here is refused. "The same" is said of every value that both sides can
hold in the planned types, with one limit: where a sum leaves 64 bits SQLite goes on with rounded doubles, and
numeric is exact here; a sum of reals beyond 1.8e308 is infinite there and an error here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from triggers import expression
from triggers.expression import Node, Unreadable
from triggers.identifier import literal

from . import operands, patterns
from .operands import NUMBERS, Kind, Untranslatable, Value, as_integer, compare, known, truth

_COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
_SAME = "IS NOT DISTINCT FROM"
_TYPEOF = {Kind.INTEGER: "integer", Kind.TRUTH: "integer", Kind.TEXT: "text", Kind.BLOB: "blob"}


class Scope(Protocol):
    """Where names are looked up."""

    def column(self, table: str, name: str) -> Value | None:
        """Return what a name stands for, None when there is no such column."""
        ...


class Nothing:
    """The scope of an expression that may name no column."""

    def column(self, table: str, name: str) -> Value | None:
        """Return None."""
        return None


def condition(sql: str, scope: Scope) -> str:
    """Return a condition, as CHECK and WHERE take one. Raises Untranslatable."""
    return bare(truth(value(sql, scope)))


def value(sql: str, scope: Scope) -> Value:
    """Return what an expression is on the target. Raises Untranslatable."""
    try:
        return Translation(scope).of(expression.parse(sql))
    except Unreadable as error:
        raise Untranslatable(str(error)) from None


def bare(sql: str) -> str:
    """Return an expression without the parentheses around all of it."""
    if not (sql.startswith("(") and sql.endswith(")")):
        return sql
    depth = 0
    for part in re.finditer(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()]", sql):
        depth += (part[0] == "(") - (part[0] == ")")
        if depth == 0 and part.end() < len(sql):
            return sql
    return sql[1:-1]


class Translation:
    """Goes through one tree."""

    def __init__(self, scope: Scope) -> None:
        """Take where names are looked up."""
        self._scope = scope
        self._calls: dict[str, Callable[[Sequence[Node]], Value]] = {
            "length": self._length,
            "lower": self._folded("lower"),
            "upper": self._folded("upper"),
            "trim": self._trimmed("btrim"),
            "ltrim": self._trimmed("ltrim"),
            "rtrim": self._trimmed("rtrim"),
            "abs": self._abs,
            "coalesce": self._coalesce,
            "ifnull": self._coalesce,
            "substr": self._substr,
            "substring": self._substr,
            "instr": self._instr,
            "replace": self._replace,
            "typeof": self._typeof,
            "json_valid": self._json_valid,
        }

    def of(self, node: Node) -> Value:
        """Return what a node is on the target. Raises Untranslatable."""
        make = getattr(self, f"_{node.kind.replace('?', '_asked')}", None)
        if make is None:
            raise Untranslatable(f"{node.kind.upper()} is not carried over")
        made: Value = make(node)
        return made

    def _known(self, node: Node) -> Value:
        return known(self.of(node))

    def _truth(self, node: Node) -> str:
        return truth(self.of(node))

    def _number(self, node: Node) -> Value:
        return operands.number(node.text)

    def _string(self, node: Node) -> Value:
        return operands.text(node.text)

    def _blob(self, node: Node) -> Value:
        return Value(f"'\\x{node.text}'::bytea", Kind.BLOB)

    def _null(self, node: Node) -> Value:
        return operands.NULL

    def _name(self, node: Node) -> Value:
        found = self._scope.column(node.table, node.text)
        if found is not None:
            return found
        if node.quoted and not node.table:
            # SQLite takes a double-quoted word that names no column for a string
            return operands.text(node.text)
        if node.text.upper() in ("TRUE", "FALSE"):
            return Value(node.text.lower(), Kind.TRUTH)
        if node.text.upper().startswith("CURRENT_"):
            raise Untranslatable(f"{node.text.upper()} is a text in SQLite, and changes")
        raise Untranslatable(f"there is no column {node.text!r} on the target")

    def _collate(self, node: Node) -> Value:
        return replace(self._plain(node.parts[0]), collation=node.text.upper(), explicit=True)

    def _plain(self, node: Node) -> Value:
        """Return a value without a COLLATE, whose effect SQLite carries out of an expression's middle."""
        if _collates(node):
            raise Untranslatable("COLLATE stands within an expression")
        return self._known(node)

    def _side(self, node: Node) -> Value:
        """Return one side of a comparison, which may have a COLLATE at its end."""
        return self._collate(node) if node.kind == "collate" else self._plain(node)

    def _not(self, node: Node) -> Value:
        (inner,) = node.parts
        if inner.kind == "null?":
            return Value(f"({self.of(inner.parts[0]).sql} IS NOT NULL)", Kind.TRUTH)
        return Value(f"(NOT {self._truth(inner)})", Kind.TRUTH)

    def _null_asked(self, node: Node) -> Value:
        return Value(f"({self.of(node.parts[0]).sql} IS NULL)", Kind.TRUTH)

    def _negate(self, node: Node) -> Value:
        inner = self._plain(node.parts[0])
        if inner.kind not in NUMBERS:
            raise Untranslatable(f"it takes the negative of {inner.kind.value}")
        return operands.negated(inner)

    def _plus(self, node: Node) -> Value:
        inner = self._plain(node.parts[0])
        if inner.kind not in NUMBERS:
            raise Untranslatable(f"it has a + before {inner.kind.value}")
        return as_integer(inner)

    def _binary(self, node: Node) -> Value:
        sign, (left, right) = node.text, node.parts
        if sign in ("AND", "OR"):
            return Value(f"({self._truth(left)} {sign} {self._truth(right)})", Kind.TRUTH)
        if sign in _COMPARISONS:
            return compare(sign, self._side(left), self._side(right))
        if sign == "||":
            return Value(f"({self._joinable(left)} || {self._joinable(right)})", Kind.TEXT)
        return self._calculated(sign, as_integer(self._plain(left)), as_integer(self._plain(right)))

    def _joinable(self, node: Node) -> str:
        found = as_integer(self._plain(node))
        if found.kind is Kind.INTEGER:
            return f"{found.sql}::text"
        if found.kind is not Kind.TEXT:
            raise Untranslatable(f"|| writes {found.kind.value} in another way")
        return found.sql

    def _calculated(self, sign: str, left: Value, right: Value) -> Value:
        kinds = {left.kind, right.kind}
        if sign in ("+", "-", "*") and kinds <= {Kind.INTEGER, Kind.REAL}:
            if kinds == {Kind.INTEGER}:
                sql = f"({operands.widened(left)} {sign} {operands.widened(right)})"
                return Value(sql, Kind.INTEGER, wide=True)
            return Value(f"({left.sql}::float8 {sign} {right.sql}::float8)", Kind.REAL)
        if kinds == {Kind.INTEGER} and not (left.wide or right.wide):
            if sign in ("&", "|"):
                return Value(f"({left.sql}::bigint {sign} {right.sql}::bigint)", Kind.INTEGER)
            if sign in ("/", "%") and right.literal is not None and int(right.literal) > 0:
                return Value(f"({left.sql}::bigint {sign} {right.sql})", Kind.INTEGER)
        raise Untranslatable(f"{sign} of {left.kind.value} and {right.kind.value} may give something else")

    def _is(self, node: Node) -> Value:
        left, right = node.parts
        said = right.text.upper() if right.kind == "name" and not right.quoted else ""
        if said in ("TRUE", "FALSE") and self._scope.column("", right.text) is None:
            return Value(f"({self._truth(left)} IS {said})", Kind.TRUTH)
        return compare(_SAME, self._side(left), self._side(right))

    def _in(self, node: Node) -> Value:
        left = self._side(node.parts[0])
        right = [replace(self._known(part), affinity=None, explicit=False) for part in node.parts[1:]]
        right = [operands.as_text(item, left) for item in right]
        if not right or any(item.literal is None for item in right):
            raise Untranslatable("IN takes a list of literals only")
        if all(item.kind is Kind.TEXT for item in (left, *right)):
            return Value(self._in_texts(left, right), Kind.TRUTH)
        if left.kind is Kind.TRUTH and all(item.literal in ("0", "1") for item in right):
            items = ["true" if item.literal == "1" else "false" for item in right]
        else:
            left = as_integer(left)
            for item in right:
                compare("=", left, item)
            items = [item.sql for item in right]
        return Value(f"({left.sql} IN ({', '.join(items)}))", Kind.TRUTH)

    def _in_texts(self, left: Value, right: Sequence[Value]) -> str:
        collation = operands.collation_of(left, left)
        for item in right:
            compare("=", left, item)
        items = [operands.collated(item, collation) for item in right]
        return f"({operands.collated(left, collation)} IN ({', '.join(items)}))"

    def _between(self, node: Node) -> Value:
        middle, low, high = map(self._side, node.parts)
        both = compare(">=", middle, low).sql, compare("<=", middle, high).sql
        return Value(f"({both[0]} AND {both[1]})", Kind.TRUTH)

    def _like(self, node: Node) -> Value:
        return Value(patterns.like(*map(self._known, node.parts)), Kind.TRUTH)

    def _glob(self, node: Node) -> Value:
        return Value(patterns.glob(*map(self._known, node.parts)), Kind.TRUTH)

    def _case(self, node: Node) -> Value:
        base, *pairs, otherwise = node.parts
        conditions, results = pairs[::2], [self._plain(part) for part in pairs[1::2]]
        results.append(operands.NULL if otherwise is expression.NONE else self._plain(otherwise))
        first = None if base is expression.NONE else self._side(base)
        tests = [
            self._truth(c) if first is None else compare("=", first, self._side(c)).sql for c in conditions
        ]
        alike, what = unified(results)
        parts = [f"WHEN {test} THEN {one.sql}" for test, one in zip(tests, alike, strict=False)]
        return replace(what, sql=f"(CASE {' '.join(parts)} ELSE {alike[-1].sql} END)")

    def _call(self, node: Node) -> Value:
        make = self._calls.get(node.text)
        if make is None or node.distinct:
            raise Untranslatable(f"the function {node.text} is not carried over")
        return make(node.parts)

    def _arguments(self, parts: Sequence[Node], least: int, most: int) -> list[Value]:
        if not least <= len(parts) <= most:
            raise Untranslatable("a function has another number of arguments")
        return [self._plain(part) for part in parts]

    def _texts(self, parts: Sequence[Node], most: int) -> list[Value]:
        """Return a text and literal texts that are not empty."""
        found = self._arguments(parts, most, most)
        if any(v.kind is not Kind.TEXT for v in found) or not all(v.literal for v in found[1:]):
            raise Untranslatable("a function of texts has something else")
        return found

    def _length(self, parts: Sequence[Node]) -> Value:
        (found,) = self._arguments(parts, 1, 1)
        if found.kind not in (Kind.TEXT, Kind.BLOB):
            raise Untranslatable(f"it takes the length of {found.kind.value}")
        return Value(f"length({found.sql})", Kind.INTEGER, small=True)

    def _folded(self, name: str) -> Callable[[Sequence[Node]], Value]:
        def make(parts: Sequence[Node]) -> Value:
            (found,) = self._texts(parts, 1)
            return Value(f"{name}({operands.bytewise(found)})", Kind.TEXT)

        return make

    def _trimmed(self, name: str) -> Callable[[Sequence[Node]], Value]:
        def make(parts: Sequence[Node]) -> Value:
            found, *which = self._texts(parts, max(1, min(2, len(parts))))
            return Value(f"{name}({found.sql}, {which[0].sql if which else literal(' ')})", Kind.TEXT)

        return make

    def _abs(self, parts: Sequence[Node]) -> Value:
        (found,) = self._arguments(parts, 1, 1)
        found = as_integer(found)
        if found.kind not in NUMBERS or found.literal is not None:
            raise Untranslatable(f"it takes the amount of {found.kind.value}")
        return Value(f"abs({found.sql})", found.kind, wide=found.wide)

    def _coalesce(self, parts: Sequence[Node]) -> Value:
        alike, what = unified(self._arguments(parts, 2, 100))
        return replace(what, sql=f"coalesce({', '.join(v.sql for v in alike)})")

    def _substr(self, parts: Sequence[Node]) -> Value:
        found, *places = self._arguments(parts, 2, 3)
        numbers = [int(p.literal) if p.literal and p.kind is Kind.INTEGER else -1 for p in places]
        if found.kind is not Kind.TEXT or numbers[0] < 1 or min(numbers) < 0 or max(numbers) >= 1 << 30:
            raise Untranslatable("substr is carried over for a text and constant places from 1 on")
        return Value(f"substr({found.sql}, {', '.join(map(str, numbers))})", Kind.TEXT)

    def _instr(self, parts: Sequence[Node]) -> Value:
        found, what = self._texts(parts, 2)
        return Value(f"strpos({found.sql}, {what.sql})", Kind.INTEGER, small=True)

    def _replace(self, parts: Sequence[Node]) -> Value:
        *_, by = found = self._arguments(parts, 3, 3)
        self._texts(parts[:2], 2)
        if by.kind is not Kind.TEXT:
            raise Untranslatable("a function of texts has something else")
        return Value(f"replace({', '.join(v.sql for v in found)})", Kind.TEXT)

    def _typeof(self, parts: Sequence[Node]) -> Value:
        (found,) = self._arguments(parts, 1, 1)
        certain = found.kind is Kind.REAL and found.affinity is not None and found.affinity.value == "real"
        name = "real" if certain else _TYPEOF.get(found.kind)
        if name is None or found.affinity is None:
            raise Untranslatable(f"the storage class of {found.kind.value} is not kept")
        return Value(f"(CASE WHEN {found.sql} IS NULL THEN 'null' ELSE '{name}' END)", Kind.TEXT)

    def _json_valid(self, parts: Sequence[Node]) -> Value:
        found = self.of(parts[0]) if len(parts) == 1 else operands.NULL
        if found.pg_type not in ("jsonb", "json"):
            raise Untranslatable("json_valid needs a column that is jsonb or json on the target")
        return Value(f"(CASE WHEN {found.sql} IS NOT NULL THEN true END)", Kind.TRUTH)


def _collates(node: Node) -> bool:
    return node.kind == "collate" or any(map(_collates, node.parts))


def unified(values: Sequence[Value]) -> tuple[list[Value], Value]:
    """Return values as ones of one kind, and what that is. Raises Untranslatable where there is none."""
    kinds = {v.kind for v in values} - {Kind.NULL}
    if Kind.TRUTH in kinds and all(v.kind in (Kind.TRUTH, Kind.NULL) or _is_bit(v) for v in values):
        return [_bit(v) for v in values], Value("", Kind.TRUTH)
    numbers = [as_integer(v) for v in values]
    kinds = {v.kind for v in numbers} - {Kind.NULL}
    if len(kinds) == 1 and (one := kinds.pop()):
        wide = any(v.wide for v in numbers)
        small = all(v.small or v.kind is Kind.NULL for v in numbers)
        return [_cast(v, one) for v in numbers], Value("", one, wide=wide, small=small)
    if Kind.NUMBER in kinds and all(v.literal is not None for v in numbers if v.kind is Kind.REAL):
        return [replace(v, sql=f"{v.sql}::numeric") for v in numbers], Value("", Kind.NUMBER)
    if kinds == {Kind.INTEGER, Kind.REAL} and all(v.small for v in numbers if v.kind is Kind.INTEGER):
        return [replace(v, sql=f"{v.sql}::float8") for v in numbers], Value("", Kind.REAL)
    raise Untranslatable("it gives " + " or ".join(sorted(k.value for k in kinds)))


def _cast(found: Value, kind: Kind) -> Value:
    # a literal alone has no type that a CASE could go by, or one that is too narrow
    name = {Kind.TEXT: "text", Kind.REAL: "float8", Kind.BLOB: "bytea"}.get(kind)
    return replace(found, sql=f"{found.sql}::{name}") if name and found.affinity is None else found


def _is_bit(found: Value) -> bool:
    return found.kind is Kind.INTEGER and found.literal in ("0", "1")


def _bit(found: Value) -> Value:
    return Value("true" if found.literal == "1" else "false", Kind.TRUTH) if _is_bit(found) else found
