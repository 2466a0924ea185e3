"""What a part of an expression is on both sides: its kind of value, and how it compares.

Only comparisons whose outcome is the same for every value that both sides can hold are made; the others raise
Untranslatable. In SQLite a comparison may convert one operand (affinity) and fold case or spaces (collation).
"""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass, replace

from replicator.planning.types import Affinity
from triggers.identifier import fold, literal, quote


class Untranslatable(Exception):
    """An expression means something else on PostgreSQL, or may; the message says why."""


class Kind(enum.Enum):
    """A kind of values that compare among themselves alike on both sides."""

    INTEGER = "integers"
    #: Doubles, and double precision.
    REAL = "reals"
    #: Integers and doubles in SQLite, numeric on the target.
    NUMBER = "decimals"
    #: 0 and 1 in SQLite, boolean on the target; also the outcome of a comparison.
    TRUTH = "booleans"
    TEXT = "texts"
    BLOB = "blobs"
    NULL = "NULL"
    #: Something that has another form on the target.
    OTHER = "converted values"


NUMBERS = (Kind.INTEGER, Kind.REAL, Kind.NUMBER, Kind.TRUTH)
_NUMERIC_AFFINITY = (Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
#: Decimal digits of which every double keeps as many.
_DIGITS = 15
#: Integers up to here are doubles, too.
_EXACT = 1 << 53


@dataclass(frozen=True)
class Value:
    """A part of an expression in PostgreSQL's words, which can stand anywhere as it is."""

    sql: str
    kind: Kind
    #: Of a column; an expression has none.
    affinity: Affinity | None = None
    collation: str = "BINARY"
    #: The collation was said by COLLATE, so it goes before any column's.
    explicit: bool = False
    #: What a literal stands for.
    literal: str | None = None
    #: An integer of SQLite that is numeric here, so that it cannot overflow.
    wide: bool = False
    #: An integer that a double holds exactly, too.
    small: bool = False
    #: Type on the target, of a column.
    pg_type: str = ""
    #: Why nothing can be said of it, for OTHER.
    why: str = ""


NULL = Value("NULL", Kind.NULL)


def text(content: str) -> Value:
    """Return a text literal."""
    return Value(literal(content), Kind.TEXT, literal=content)


def number(digits: str) -> Value:
    """Return a literal number. Raises Untranslatable for one with more digits than a double keeps."""
    if digits.lower().startswith("0x"):
        whole = int(digits, 16)
        return _integer(whole - (1 << 64) if whole >= 1 << 63 else whole)
    if digits.isdigit() and int(digits) < 1 << 63:
        return _integer(int(digits))
    significant = re.sub(r"[eE].*|\.", "", digits).lstrip("0")
    double = float(digits)
    if len(significant) > _DIGITS or not math.isfinite(double) or (double == 0) != (significant == ""):
        raise Untranslatable(f"the number {digits} has more digits, or is larger, than SQLite keeps")
    return Value(digits, Kind.REAL, literal=digits)


def _integer(whole: int) -> Value:
    sql = str(whole) if whole >= 0 else f"({whole})"
    return Value(sql, Kind.INTEGER, literal=str(whole), small=abs(whole) <= _EXACT)


def negated(value: Value) -> Value:
    """Return the negative of a number."""
    if value.literal is not None and value.kind is Kind.INTEGER:
        return _integer(-int(value.literal))
    if value.literal is not None:
        return replace(value, sql=f"(-{value.sql})", literal=f"-{value.literal}")
    value = as_integer(value)
    if value.kind is Kind.INTEGER:
        return Value(f"(- {widened(value)})", Kind.INTEGER, wide=True)
    return Value(f"(- {value.sql})", value.kind)


def as_integer(value: Value) -> Value:
    """Return a boolean as the 0 or 1 that SQLite has; anything else stays."""
    if value.kind is not Kind.TRUTH:
        return value
    return Value(f"({value.sql})::integer", Kind.INTEGER, small=True)


def widened(value: Value) -> str:
    """Return an integer as numeric, where sums do not overflow: SQLite goes over to doubles there."""
    return value.sql if value.wide else f"{value.sql}::numeric"


def truth(value: Value) -> str:
    """Return a value as a condition."""
    if value.kind is Kind.TRUTH:
        return value.sql
    if value.kind is Kind.NULL:
        return "NULL::boolean"
    if value.kind in NUMBERS:
        return f"({value.sql} <> 0)"
    raise Untranslatable(_about(value) or f"it takes {value.kind.value} for a condition")


def known(value: Value) -> Value:
    """Return a value that has the same form on both sides. Raises Untranslatable."""
    if value.kind is Kind.OTHER:
        raise Untranslatable(_about(value))
    return value


def _about(value: Value) -> str:
    return value.why if value.kind is Kind.OTHER else ""


def compare(sign: str, left: Value, right: Value) -> Value:
    """Return a comparison; `sign` may be IS NOT DISTINCT FROM, too. Raises Untranslatable."""
    known(left), known(right)
    if Kind.NULL in (left.kind, right.kind):
        raise Untranslatable("it compares with NULL")
    left, right = as_text(left, right), as_text(right, left)
    if left.kind in NUMBERS and right.kind in NUMBERS:
        return Value(_numbers(sign, left, right), Kind.TRUTH)
    if left.kind is right.kind is Kind.TEXT:
        one, other = _texts(sign, left, right)
        return Value(f"({one} {sign} {other})", Kind.TRUTH)
    if left.kind is right.kind is Kind.BLOB:
        return Value(f"({left.sql} {sign} {right.sql})", Kind.TRUTH)
    raise Untranslatable(f"it compares {left.kind.value} with {right.kind.value}")


def as_text(value: Value, beside: Value) -> Value:
    """Return an integer literal as the text that SQLite makes of it beside a column declared as text."""
    if value.kind is not Kind.INTEGER or value.literal is None or beside.affinity is not Affinity.TEXT:
        return value
    return text(value.literal)


def _numbers(sign: str, left: Value, right: Value) -> str:
    truths = [v.kind for v in (left, right)].count(Kind.TRUTH)
    if truths and sign not in ("<", "<=", ">", ">="):
        if truths == 2:
            return f"({left.sql} {sign} {right.sql})"
        one, other = (left, right) if left.kind is Kind.TRUTH else (right, left)
        if other.literal in ("0", "1") and sign in ("=", "<>"):
            return one.sql if (other.literal == "1") == (sign == "=") else f"(NOT {one.sql})"
        if other.literal in ("0", "1"):
            return f"({one.sql} {sign} {'true' if other.literal == '1' else 'false'})"
    left, right = as_integer(left), as_integer(right)
    _refuse_inexact(left, right)
    _refuse_inexact(right, left)
    return f"({left.sql} {sign} {right.sql})"


def _refuse_inexact(real: Value, other: Value) -> None:
    """SQLite compares a double with an integer to the last bit, PostgreSQL makes doubles of both."""
    if real.kind is not Kind.REAL or other.kind is Kind.REAL or real.literal is not None:
        return
    if other.kind is Kind.INTEGER and other.small:
        return
    raise Untranslatable(f"it compares reals with {other.kind.value}")


def looks_numeric(content: str) -> bool:
    """Tell whether SQLite makes a number of a text where it stands beside a column of numbers."""
    return _NUMBER.fullmatch(content) is not None


def collation_of(left: Value, right: Value) -> str:
    """Return the collation by which SQLite compares two texts. Raises Untranslatable for another's."""
    said = next((v for v in (left, right) if v.explicit), None)
    column = next((v for v in (left, right) if v.affinity is not None), None)
    name = (said or column or left).collation
    if name not in ("BINARY", "NOCASE", "RTRIM"):
        raise Untranslatable(f"it compares by {name}, which only the application has")
    return name


def _texts(sign: str, left: Value, right: Value) -> tuple[str, str]:
    _refuse_conversion(left, right)
    _refuse_conversion(right, left)
    name = collation_of(left, right)
    if name != "BINARY":
        return collated(left, name), collated(right, name)
    if sign in ("<", "<=", ">", ">="):
        return bytewise(left), right.sql
    return left.sql, right.sql


def _refuse_conversion(column: Value, other: Value) -> None:
    """Beside a column that is declared as numbers, SQLite makes numbers of texts that look like them."""
    if column.affinity not in _NUMERIC_AFFINITY or other.affinity in _NUMERIC_AFFINITY:
        return
    if other.literal is None or looks_numeric(other.literal):
        raise Untranslatable("a column declared as numbers holds texts, and SQLite may compare as numbers")


def bytewise(value: Value) -> str:
    """Return a text that compares by its bytes, whatever the database's collation."""
    return f'{value.sql} COLLATE "C"'


def collated(value: Value, collation: str) -> str:
    """Return what a collation of SQLite's own compares of a text: A to Z fold, or trailing spaces do."""
    if collation == "NOCASE":
        return literal(fold(value.literal)) if value.literal is not None else f"lower({bytewise(value)})"
    return f"rtrim({bytewise(value)}, ' ')" if collation == "RTRIM" else value.sql


def column(name: str, prefix: str = "") -> str:
    """Return a column of the target as it stands in an expression."""
    return prefix + quote(name)
