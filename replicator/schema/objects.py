"""Indexes, constraints and other objects beside the target's tables, and notes on what it does not get."""

from __future__ import annotations

from dataclasses import dataclass, replace

from replicator.planning.naming import short_name
from replicator.planning.plan import TablePlan
from triggers.identifier import quote
from triggers.key import KeyKind

#: What stands before the name of an object that shares its schema's space of names.
KEYWORDS = {"unique constraint": "ADD CONSTRAINT", "unique index": "INDEX", "index": "INDEX"}


@dataclass(frozen=True)
class Object:
    """An index or a constraint: its statement and what it is, for notes."""

    table: str
    name: str
    kind: str
    sql: str
    #: PostgreSQL may see it stricter than SQLite does: built behind the cutover, lest it stop the stream.
    late: bool = False
    #: The name that it takes where the first is taken; empty for what is named within its table.
    other: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names that it may have on the target, the first choice first."""
        return (self.name, self.other) if self.other else (self.name,)

    def under(self, name: str) -> Object:
        """Return it under another name."""
        before, after = self.sql.split(f" {KEYWORDS[self.kind]} {quote(self.name)} ", 1)
        return replace(self, name=name, sql=f"{before} {KEYWORDS[self.kind]} {quote(name)} {after}")


@dataclass(frozen=True)
class Note:
    """Something of the source that the target does not get, or not quite, and why."""

    table: str
    what: str
    reason: str


def key_name(plan: TablePlan) -> str:
    """Return the name of the constraint that carries the table's key on the target."""
    if plan.key.kind is KeyKind.UNIQUE:
        return short_name("_".join([plan.target, *map(plan.on_target, plan.key.columns), "key"]))
    return short_name(f"{plan.target}_{'liteferry_key' if plan.key.kind is KeyKind.ROWID else 'pkey'}")
