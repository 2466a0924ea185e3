"""Identifiers and literals in SQL text; SQLite and PostgreSQL quote them alike."""

from __future__ import annotations

#: Prefix of every object of ours inside the source.
PREFIX = "_liteferry_"


def quote(name: str) -> str:
    """Quote an identifier for SQLite or PostgreSQL.

    Raises ValueError for a NUL, which neither of them can hold in a name.
    """
    if "\x00" in name:
        msg = f"identifier {name!r} holds a NUL character"
        raise ValueError(msg)
    return '"' + name.replace('"', '""') + '"'


def fold(name: str) -> str:
    """Return a name as SQLite compares it: it takes A for a, but not É for é."""
    return name.lower() if name.isascii() else "".join(c.lower() if c.isascii() else c for c in name)


def literal(text: str) -> str:
    """Quote a text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def is_ours(name: str) -> bool:
    """Tell whether a table, index or trigger of the source was made by liteferry."""
    return name.lower().startswith(PREFIX)
