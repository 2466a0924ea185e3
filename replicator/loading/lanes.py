"""Lanes: the ranges of a large table's rows that its snapshot copies side by side."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from replicator.planning.plan import TablePlan
from replicator.postgres.ledger import LaneRecord, TableRecord
from replicator.sources.paging import encode
from triggers.identifier import quote

#: More would only be rows in liteferry.lane.
MOST_LANES = 64


@dataclass(frozen=True)
class Bounds:
    """The range of a lane: behind `after`, up to and with `upto`, both encoded; None for no bound."""

    after: str | None = None
    upto: str | None = None


def split(low: int, high: int, rows: int, lane_rows: int) -> list[Bounds]:
    """Cut the rowids from `low` to `high` into lanes of about `lane_rows` rows each. Pure.

    The first lane has no lower bound and the last no upper one: rows come in at both ends meanwhile.
    Rowids with gaps make uneven lanes, which is why there may be more lanes than workers.
    """
    span = high - low + 1
    count = max(1, min(rows // lane_rows, MOST_LANES, span))
    edges = [encode((low - 1 + span * i // count,)) for i in range(1, count)]
    return [Bounds(after, upto) for after, upto in zip([None, *edges], [*edges, None], strict=True)]


def bounds(connection: sqlite3.Connection, plan: TablePlan, lane_rows: int) -> list[Bounds]:
    """Return the lanes of a table: one, unless it is large and walked along its rowid."""
    if not plan.walks_rowid or plan.rows < 2 * lane_rows:
        return [Bounds()]
    column, table = quote(plan.paging.columns[0]), quote(plan.name)
    # two subqueries, for both at once would read the whole table
    least, most = (f"SELECT {f}(t.{column}) FROM main.{table} AS t" for f in ("min", "max"))
    query = f"SELECT ({least}), ({most})"
    low, high = connection.execute(query).fetchone()
    return [Bounds()] if low is None else split(low, high, plan.rows, lane_rows)


@dataclass
class Lane:
    """A lane on its way; `at` is what the target remembers of it."""

    plan: TablePlan
    at: LaneRecord
    active: bool = False

    def moved(self, cursor: str | None, rows: int, copied: bool) -> None:
        """Note that a chunk is stored."""
        self.at = replace(self.at, cursor=cursor, rows_copied=self.at.rows_copied + rows, copied=copied)


@dataclass
class CopyProgress:
    """How far one table's snapshot has got."""

    plan: TablePlan
    lanes: Sequence[Lane] = field(default_factory=list)

    @classmethod
    def of(cls, record: TableRecord, plan: TablePlan) -> CopyProgress:
        """Take up what the target remembers."""
        return cls(plan, [Lane(plan, at) for at in record.lanes])

    @property
    def rows(self) -> int:
        """Return how many rows are stored."""
        return sum(lane.at.rows_copied for lane in self.lanes)

    @property
    def copied(self) -> bool:
        """Tell whether all of it is."""
        return all(lane.at.copied for lane in self.lanes)

    @property
    def active(self) -> bool:
        """Tell whether it is being copied just now."""
        return any(lane.active for lane in self.lanes)
