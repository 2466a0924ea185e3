"""What a survey of the source's schema has found for each table, and what it means for its rows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from replicator.planning.adoption import Adoption
from replicator.planning.plan import TablePlan
from replicator.schema.ddl import Note
from triggers import capture
from triggers.key import KeyKind
from triggers.refit import Survey

from .evolution import Evolution, Kind


@dataclass
class Change:
    """What has become of one table of the plan, or a table that is new."""

    number: int
    #: The target's table, None for a new one.
    old: TablePlan | None
    #: What it is to be, None when it is gone.
    new: TablePlan | None = None
    kind: Kind = Kind.SAME
    evolution: Evolution | None = None
    #: Whether its triggers must be put in again.
    refit: bool = False
    #: Why its rows must be read again, if they must.
    stale: str | None = None
    #: Whether it may bear no triggers for now.
    bare: bool = False
    #: Of a new table that the target has already.
    adoption: Adoption | None = None
    #: What the target gets in another form than wanted.
    notes: Sequence[Note] = ()

    @property
    def renamed(self) -> bool:
        """Tell whether the table or a column of it has another name now."""
        if self.evolution is None:
            return False
        return self.evolution.table.name != self.evolution.old.name or bool(self.evolution.renamed)

    @property
    def grown(self) -> bool:
        """Tell whether columns are carried over that were not before."""
        if self.evolution is None or self.new is None:
            return False
        if self.evolution.old.adopted:
            return not {c.target for c in self.new.columns} <= {c.target for c in self.evolution.old.columns}
        return bool(self.evolution.added)


@dataclass
class Changes:
    """All changes of one survey."""

    seen: Survey
    tables: list[Change] = field(default_factory=list)

    @property
    def told(self) -> list[Change]:
        """Return those that mean work on the target."""
        return [c for c in self.tables if c.kind is not Kind.SAME or c.new is None or c.old is None]


def rebuild_swapped(changes: Sequence[Change]) -> None:
    """Have a table made anew whose new name another table of the target still has."""
    kept = {c.old.target for c in changes if c.old and c.new and c.kind is not Kind.REBUILT}
    for change in changes:
        if change.old and change.old.adopted:
            continue
        if change.old and change.new and change.old.target != change.new.target and change.new.target in kept:
            change.kind, change.stale = Kind.REBUILT, "it was made anew"


def stamped(reason: str) -> str:
    """Return a reason with its time, so that a repair can tell it from one that has come since."""
    return f"{reason} ({datetime.now(UTC).isoformat(timespec='milliseconds')})"


def why_stale(change: Change, present: capture.Installed) -> str | None:
    """Return why the rows of a table that is still there must be read again, None when they need not."""
    assert change.new is not None
    if present in (capture.Installed.MISSING, capture.Installed.ABSENT):
        return "its triggers were lost"
    # SQLite itself edits them when something is renamed, and they go on logging
    if present is capture.Installed.FOREIGN and not change.renamed:
        return "its triggers were edited"
    if change.kind is Kind.REBUILT:
        return "it was made anew"
    if change.grown:
        return "it has new columns"
    if change.evolution is not None and change.evolution.new_uniques:
        return "it has a new unique index"
    return None


def may_be_renumbered(plan: TablePlan) -> bool:
    """Tell whether VACUUM numbers the rows anew: no key of their own, and no index at all."""
    return plan.key.kind is KeyKind.ROWID and not plan.table.indexes
