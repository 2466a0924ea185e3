"""Which PostgreSQL type a column gets, from what is declared and what is really in it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from config.errors import Unsupported
from triggers.schema import Column


class Affinity(enum.Enum):
    """What SQLite makes of a declared type; section 3.1 of its datatype3 page gives the rules in order."""

    INTEGER = "integer"
    TEXT = "text"
    BLOB = "blob"
    REAL = "real"
    NUMERIC = "numeric"


def affinity(declared: str) -> Affinity:
    """Return the affinity of a declared type."""
    name = declared.upper()
    if "INT" in name:
        return Affinity.INTEGER
    if any(word in name for word in ("CHAR", "CLOB", "TEXT")):
        return Affinity.TEXT
    if not name or "BLOB" in name:
        return Affinity.BLOB
    if any(word in name for word in ("REAL", "FLOA", "DOUB")):
        return Affinity.REAL
    return Affinity.NUMERIC


@dataclass(frozen=True)
class Evidence:
    """What a column holds: how many values of each storage class, and facts about them.

    `beyond_bool` counts integers other than 0 and 1; `longest` is the longest text or blob in bytes or
    characters.
    """

    rows: int = 0
    classes: Mapping[str, int] = field(default_factory=dict)
    beyond_bool: int = 0
    longest: int = 0
    #: By storage class, where a column holds several: the key of the first row, and how its value begins,
    #: which is for the output of `plan` alone.
    firsts: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def nulls(self) -> int:
        """Return how many rows hold NULL."""
        return self.rows - sum(self.classes.values())

    def text(self) -> str:
        """Return the evidence as a person reads it."""
        if not self.rows:
            return "no rows"
        found = sorted(self.classes.items(), key=lambda item: -item[1])
        parts = [f"{count:,} {kind}" for kind, count in found if count]
        if self.nulls:
            parts.append(f"{self.nulls:,} null")
        return f"{self.rows:,} rows: " + ", ".join(parts)

    @property
    def dissenters(self) -> list[tuple[str, int]]:
        """Return the storage classes that fewer values have than the most frequent one, and how many."""
        found = sorted(((count, kind) for kind, count in self.classes.items() if count), reverse=True)
        return [(kind, count) for count, kind in found[1:]]

    def dissent(self, *, excerpts: bool = False) -> str:
        """Return what does not fit in with the rest; `excerpts` show values, for the operator's terminal."""
        told = []
        for kind, count in self.dissenters:
            key, value = self.firsts.get(kind, ("", ""))
            first = f", first key {key}" + (f": {value}" if excerpts else "") if key else ""
            told.append(f"{count:,} of {self.rows:,} rows are {kind}{first}")
        return "; ".join(told)


class Mixed(Unsupported):
    """A column holds values that no single type holds all of."""

    def __init__(self, message: str, *, hint: str, evidence: Evidence) -> None:
        super().__init__(message, hint=hint)
        self.evidence = evidence


def choose(table: str, column: Column, evidence: Evidence) -> str:
    """Return the type that holds every value seen and, as far as the declaration tells, to come.

    Raises Unsupported when no single type holds all that was seen without changing some of it.
    """
    seen = frozenset(kind for kind, count in evidence.classes.items() if count)
    declared = column.declared.upper()
    if not seen:
        return _by_declaration(declared)
    if seen == {"text"}:
        return "text"
    if seen == {"blob"}:
        return "bytea"
    if seen <= {"integer", "real"}:
        return _number(declared, seen, evidence)
    raise Mixed(
        f"table {table!r}, column {column.name!r} ({column.declared or 'no type'}): no PostgreSQL type "
        f"holds all of {evidence.text()}; {evidence.dissent()}",
        hint="make the values alike, or leave the table out with `exclude`"
        if "blob" in seen
        else f'make the values alike, or set [columns] "{table}.{column.name}" = "text" to carry numbers '
        "as their text",
        evidence=evidence,
    )


def _number(declared: str, seen: frozenset[str], evidence: Evidence) -> str:
    kind = affinity(declared)
    if "BOOL" in declared and seen == {"integer"} and not evidence.beyond_bool:
        return "boolean"
    if seen == {"integer"} and (kind is not Affinity.NUMERIC or _is_time(declared)):
        # A REAL column returns its values as real, so integers here mean another affinity.
        return "bigint"
    if seen == {"real"} and (kind is not Affinity.NUMERIC or _is_time(declared)):
        return "double precision"
    # DECIMAL(10,2) holds 10 as an integer and 9.99 as a real: numeric holds both exactly.
    return "numeric"


def _by_declaration(declared: str) -> str:
    if "BOOL" in declared:
        return "boolean"
    if _is_time(declared) or "JSON" in declared or "UUID" in declared:
        # Applications keep these as text nearly always, though SQLite gives them NUMERIC affinity.
        return "text"
    return {
        Affinity.INTEGER: "bigint",
        Affinity.TEXT: "text",
        Affinity.BLOB: "bytea" if "BLOB" in declared else "text",
        Affinity.REAL: "double precision",
        Affinity.NUMERIC: "numeric",
    }[affinity(declared)]


def _is_time(declared: str) -> bool:
    return "DATE" in declared or "TIME" in declared
