"""Column defaults in PostgreSQL's words; what cannot be said in them is reported, never left out silently."""

from __future__ import annotations

import math
import re
from decimal import Decimal

from replicator.values import conversions
from replicator.values.documents import array_literal
from triggers.identifier import literal

from . import constants

_NUMBER = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")
_STRING = re.compile(r"^'(?:[^']|'')*'$")
_BLOB = re.compile(r"^[xX]'([0-9a-fA-F]*)'$")

#: Types that hold numbers with something behind the point.
_FRACTIONS = ("numeric", "double precision")

#: SQLite's clock gives texts in UTC; columns that hold them stay text.
_CLOCK = {
    "current_timestamp": "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')",
    "current_date": "to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    "current_time": "to_char(now() AT TIME ZONE 'UTC', 'HH24:MI:SS')",
}
#: The same in columns that hold times: whole seconds, as SQLite's clock gives them.
_CLOCK_TYPES = {
    ("current_timestamp", "timestamptz"): "date_trunc('second', now())",
    ("current_timestamp", "timestamp"): "date_trunc('second', now() AT TIME ZONE 'UTC')",
    ("current_date", "date"): "(now() AT TIME ZONE 'UTC')::date",
    ("current_time", "time"): "date_trunc('second', now() AT TIME ZONE 'UTC')::time",
}
#: Types that a column gets only where the user asks for them; what their conversions take is a default, too.
_CONVERTED = frozenset(conversions.base(name) for name in conversions.KNOWN if name not in conversions.PLAIN)
_CLOCK_CALLS = {
    "datetime('now')": "current_timestamp",
    "date('now')": "current_date",
    "time('now')": "current_time",
}


def translate(default: str, pg_type: str) -> str | None:
    """Return the default as PostgreSQL writes it for a column of that type, None when it has no equal."""
    text = _unwrapped(default)
    plain = _plain(text, pg_type)
    if plain is not None:
        return plain
    value = constants.evaluated(text)
    return constants.clock(text, pg_type) if value is None else _plain(value, pg_type)


def _plain(text: str, pg_type: str) -> str | None:
    """Return a literal or one of the clock's words for a column, None for anything else."""
    lower = " ".join(text.lower().split())
    if lower == "null":
        return "NULL"
    if pg_type == "boolean":
        return {"0": "false", "1": "true", "false": "false", "true": "true"}.get(lower)
    clock = _CLOCK_CALLS.get(lower, lower)
    if clock in _CLOCK:
        return _CLOCK[clock] if pg_type == "text" else _CLOCK_TYPES.get((clock, pg_type))
    if conversions.base(pg_type) in _CONVERTED:
        return _converted(text, pg_type)
    return _literal(text, lower, pg_type)


def _literal(text: str, lower: str, pg_type: str) -> str | None:
    numeric = conversions.base(pg_type) in _FRACTIONS
    if lower in ("true", "false"):
        return {"true": "1", "false": "0"}[lower] if numeric or "int" in pg_type else None
    if _NUMBER.match(text):
        return text if _fits(Decimal(text), pg_type) else None
    if _STRING.match(text) and pg_type == "text":
        # With standard_conforming_strings, the default since 9.1, both sides read it alike.
        return text
    if len(text) >= 2 and text[0] == text[-1] == '"' and pg_type == "text":
        # SQLite takes a double-quoted word that names no column for a string.
        return "'" + text[1:-1].replace('""', '"').replace("'", "''") + "'"
    blob = _BLOB.match(text)
    return f"'\\x{blob[1]}'::bytea" if blob and pg_type == "bytea" else None


def _converted(text: str, pg_type: str) -> str | None:
    """Return a string or number that the type's conversion takes, written for that type."""
    content = text[1:-1].replace("''", "'") if _STRING.match(text) else None
    number = float(text) if content is None and _NUMBER.match(text) else None
    # the number of a time needs a unit, which the type alone does not tell
    if content is None and (number is None or pg_type != "real"):
        return None
    try:
        value = conversions.way(pg_type).convert(number if content is None else content)
    except ValueError:
        return None
    if content is None:
        return text
    return literal(array_literal(value) or "" if conversions.is_list(pg_type) else content) + f"::{pg_type}"


def _fits(number: Decimal, pg_type: str) -> bool:
    """Tell whether a column of that type stores the number, and SQLite the same one."""
    if "int" in pg_type:
        bits = {"smallint": 16, "integer": 32}.get(pg_type, 64)
        return number == number.to_integral_value() and -(1 << (bits - 1)) <= number < 1 << (bits - 1)
    if pg_type.startswith("numeric("):
        return _fits(number, "numeric") and _taken(number, pg_type)
    if pg_type == "numeric" and number == number.to_integral_value() and abs(number) < 1 << 63:
        return True
    double = float(number)
    # SQLite stores the nearest double; PostgreSQL refuses one out of range, and its numeric rounds nothing
    exact = pg_type != "numeric" or Decimal(repr(double)) == number
    return pg_type in _FRACTIONS and math.isfinite(double) and (double != 0) == (number != 0) and exact


def _taken(number: Decimal, pg_type: str) -> bool:
    try:
        conversions.way(pg_type).convert(str(number))
    except ValueError:
        return False
    return True


def _unwrapped(text: str) -> str:
    text = text.strip()
    while text.startswith("(") and text.endswith(")") and _balanced(text[1:-1]):
        text = text[1:-1].strip()
    return text


def _balanced(text: str) -> bool:
    depth = 0
    for part in re.findall(r"'(?:[^']|'')*'|[()]", text):
        depth += (part == "(") - (part == ")")
        if depth < 0:
            return False
    return depth == 0
