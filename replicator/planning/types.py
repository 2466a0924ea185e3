"""Which PostgreSQL type a column gets, from what is declared and what is really in it."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
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


def _shown(number: int | float) -> str:
    return f"{number:,}" if isinstance(number, int) else repr(number)


@dataclass(frozen=True)
class Evidence:
    """What a column holds: how many values of each storage class, and facts about them.

    `beyond_bool` counts integers other than 0 and 1; `longest` is the longest text or blob in bytes.
    """

    rows: int = 0
    classes: Mapping[str, int] = field(default_factory=dict)
    beyond_bool: int = 0
    longest: int = 0
    #: The least and the greatest number; None where there is none.
    least: int | float | None = None
    greatest: int | float | None = None
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

    def extent(self) -> str:
        """Return how far the values reach, as a person reads it; of a column without any, nothing.

        Those are values of the application: for the output of `plan`, which is the operator's own. They are
        not kept on the target.
        """
        parts = []
        if self.least is not None and self.greatest is not None:
            parts.append(f"{_shown(self.least)} to {_shown(self.greatest)}")
        if self.classes.get("text") or self.classes.get("blob"):
            parts.append(f"longest {self.longest:,} {'byte' if self.longest == 1 else 'bytes'}")
        return ", ".join(parts)

    def dissenters(self, held: Collection[str] = ()) -> list[tuple[str, int]]:
        """Return the storage classes that are not `held`, and how many values have them.

        Without any, those that fewer values have than the most frequent one.
        """
        found = sorted(((count, kind) for kind, count in self.classes.items() if count), reverse=True)
        held = held or {kind for _, kind in found[:1]}
        return [(kind, count) for count, kind in found if kind not in held]

    def dissent(self, held: Collection[str] = (), *, excerpts: bool = False) -> str:
        """Return what does not fit in with the rest; `excerpts` show values, for the operator's terminal."""
        told = []
        for kind, count in self.dissenters(held):
            key, value = self.firsts.get(kind, ("", ""))
            first = f", first key {key}" + (f": {value}" if excerpts else "") if key else ""
            told.append(f"{count:,} of {self.rows:,} rows are {kind}{first}")
        return "; ".join(told)


class Mixed(Unsupported):
    """A column holds values that no single type holds all of."""

    def __init__(self, message: str, *, hint: str, evidence: Evidence) -> None:
        super().__init__(message, hint=hint)
        self.evidence = evidence


#: Which storage classes the types hold that are chosen without being asked for; a few of their values may
#: still be refused.
HOLDS: Mapping[str, frozenset[str]] = {
    "boolean": frozenset({"integer"}),
    "bigint": frozenset({"integer"}),
    "double precision": frozenset({"real"}),
    "numeric": frozenset({"integer", "real"}),
    "text": frozenset({"text"}),
    "bytea": frozenset({"blob"}),
}

#: What one type holds together, the most telling first where nothing else decides.
_KINDS = (frozenset({"text"}), frozenset({"integer", "real"}), frozenset({"blob"}))

#: A column of which a smaller part than this is of one kind has no type that can be called right.
CLEAR = 0.9


def choose(table: str, column: Column, evidence: Evidence, *, halt: bool = False) -> str:
    """Return the type that holds every value seen and, as far as the declaration tells, to come.

    Where no type does, the one of most values: the others are refused row by row. Raises Mixed for these
    with `halt`.
    """
    seen = frozenset(kind for kind, count in evidence.classes.items() if count)
    declared = column.declared.upper()
    if not seen:
        return _by_declaration(declared)
    kept = _majority(declared, evidence.classes)
    if halt and not seen <= kept:
        raise _mixed(table, column, evidence)
    if "text" in kept:
        return "text"
    if "blob" in kept:
        return "bytea"
    return _number(declared, seen & kept, evidence)


def _majority(declared: str, classes: Mapping[str, int]) -> frozenset[str]:
    """Return the classes that the column is for: as declared, if half of its values are; else of most."""
    counts = {kind: sum(classes.get(one, 0) for one in kind) for kind in _KINDS}
    said = HOLDS[_by_declaration(declared)] if declared else frozenset()
    for kind, count in counts.items():
        if said & kind and 2 * count >= sum(counts.values()):
            return kind
    return max(counts, key=lambda kind: counts[kind])


def _mixed(table: str, column: Column, evidence: Evidence) -> Mixed:
    way_out = (
        "make the values alike, or leave the table out with `exclude`"
        if evidence.classes.get("blob")
        else f'make the values alike, or set [columns] "{table}.{column.name}" = "text" to carry numbers '
        "as their text"
    )
    return Mixed(
        f"table {table!r}, column {column.name!r} ({column.declared or 'no type'}): no PostgreSQL type "
        f"holds all of {evidence.text()}; {evidence.dissent()}",
        hint=f'{way_out}; with on_bad_value = "quarantine" the rows that do not fit are kept aside',
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
