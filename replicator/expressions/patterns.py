"""LIKE and GLOB of SQLite in PostgreSQL's words: LIKE folds A to Z there, GLOB is a LIKE or a regex here."""

from __future__ import annotations

import re

from triggers.identifier import fold, literal

from .operands import Kind, Untranslatable, Value, bytewise

#: What a class of GLOB may hold here: single letters, digits, and ranges of them.
_CLASS = re.compile(r"\[(\^?)((?:[A-Za-z0-9](?:-[A-Za-z0-9])?|[ _.:@])+)\]")
_SPECIAL = frozenset("\\^$.|?*+()[]{}")


def like(what: Value, pattern: Value, escape: Value | None = None) -> str:
    """Return a LIKE. Raises Untranslatable for a pattern that is no literal."""
    if what.kind is not Kind.TEXT or pattern.kind is not Kind.TEXT or pattern.literal is None:
        raise Untranslatable("LIKE is carried over for a text and a literal pattern")
    sign = ""
    if escape is not None:
        sign = escape.literal or ""
        if escape.kind is not Kind.TEXT or len(sign) != 1 or sign.isalpha() or sign in "%_":
            raise Untranslatable("ESCAPE is carried over with one character that is no letter")
        if len(re.sub(f"{re.escape(sign)}.", "", pattern.literal, flags=re.DOTALL).split(sign)) > 1:
            raise Untranslatable("the pattern ends in its escape character")
    return f"(lower({bytewise(what)}) LIKE {literal(fold(pattern.literal))} ESCAPE {literal(sign)})"


def glob(what: Value, pattern: Value, *_: Value) -> str:
    """Return a GLOB. Raises Untranslatable for a pattern that is no literal, or has unusual classes."""
    if what.kind is not Kind.TEXT or pattern.kind is not Kind.TEXT or pattern.literal is None:
        raise Untranslatable("GLOB is carried over for a text and a literal pattern")
    if "[" not in pattern.literal:
        text = re.sub(r"([\\%_])", r"\\\1", pattern.literal).replace("*", "%").replace("?", "_")
        return f"({bytewise(what)} LIKE {literal(text)} ESCAPE '\\')"
    return f"({bytewise(what)} ~ {literal(f'^{_regex(pattern.literal)}$')})"


def _regex(pattern: str) -> str:
    made, place = "", 0
    while place < len(pattern):
        sign = pattern[place]
        if sign == "[":
            found = _CLASS.match(pattern, place)
            if found is None or any(a > b for a, b in re.findall(r"(.)-(.)", found[2])):
                raise Untranslatable("GLOB has a class that is not understood")
            made, place = made + found[0], found.end()
            continue
        made += {"*": ".*", "?": "."}.get(sign) or (f"\\{sign}" if sign in _SPECIAL else sign)
        place += 1
    return made
