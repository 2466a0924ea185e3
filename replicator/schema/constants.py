"""Defaults that are expressions: SQLite itself evaluates what is constant; its clock in other forms."""

from __future__ import annotations

import math
import re
import sqlite3
from contextlib import closing

from triggers.expression import Node, Unreadable, parse
from triggers.identifier import literal

#: Functions that give the same for the same arguments, in every version and on every connection.
_PURE = frozenset(
    (
        "abs",
        "char",
        "coalesce",
        "hex",
        "ifnull",
        "iif",
        "instr",
        "json",
        "json_array",
        "json_object",
        "length",
    )
    + ("lower", "ltrim", "max", "min", "nullif", "replace", "round", "rtrim", "sign", "substr", "substring")
    + ("trim", "unicode", "upper")
)
_LITERALS = ("number", "string", "blob", "null")
_OPERATORS = ("negate", "plus", "not", "binary", "null?", "between", "in", "case", "cast", "none")
#: Longest value to come of it, in bytes.
_LONGEST = 10_000

_FORMATS = {"Y": "YYYY", "m": "MM", "d": "DD", "H": "HH24", "M": "MI", "S": "SS", "f": "SS.MS"}
_SECONDS = "floor(extract(epoch FROM now()))::bigint"
_UTC = "now() AT TIME ZONE 'UTC'"


def evaluated(text: str) -> str | None:
    """Return the literal that a constant expression comes to, None for what is no such expression."""
    try:
        tree = parse(text)
    except Unreadable:
        return None
    if tree.kind in _LITERALS or not _is_constant(tree):
        return None
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        try:
            return _written(connection.execute(f"SELECT {text}").fetchone()[0])
        except (sqlite3.Error, UnicodeDecodeError):
            return None


def _is_constant(node: Node) -> bool:
    if node.kind == "name":
        return not node.quoted and node.text.lower() in ("true", "false")
    known = node.kind in (*_LITERALS, *_OPERATORS) or (node.kind == "call" and node.text in _PURE)
    return known and all(map(_is_constant, node.parts))


def _written(value: object) -> str | None:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        return literal(value) if "\x00" not in value else None
    return repr(value) if isinstance(value, int) or math.isfinite(float(str(value))) else None


def clock(text: str, pg_type: str) -> str | None:
    """Return a default by SQLite's clock in a form of one's own, None for what is no such default."""
    try:
        tree = parse(text)
    except Unreadable:
        return None
    if tree.kind == "cast" and tree.text in ("INTEGER", "INT", "BIGINT"):
        (tree,) = tree.parts
    arguments = [part.text for part in tree.parts if part.kind == "string"]
    if tree.kind != "call" or len(arguments) != len(tree.parts):
        return None
    if tree.text == "unixepoch" and arguments in ([], ["now"]):
        return _SECONDS if pg_type == "bigint" else None
    if tree.text != "strftime" or len(arguments) == 0 or arguments[1:] not in ([], ["now"]):
        return None
    if arguments[0] == "%s":
        return {"bigint": _SECONDS, "text": f"({_SECONDS})::text"}.get(pg_type)
    return _formatted(arguments[0]) if pg_type == "text" else None


def _formatted(pattern: str) -> str | None:
    made = []
    for sign, plain in re.findall(r"%(.?)|([^%]+)", pattern, re.DOTALL):
        if plain and not set(plain) & {'"', "\\"}:
            made.append(f'"{plain}"')
        elif sign in _FORMATS:
            made.append(_FORMATS[sign])
        else:
            return None
    return f"to_char({_UTC}, {literal(''.join(made))})"
