"""Which rows the stream has touched since a table was last found equal: only these are compared again.

Kept in memory only, on purpose. Nobody watches the source while the daemon is down, so after a restart all
rows are compared anyway, and a record that outlived it would be trusted where it must not be. What it cannot
tell is dropped with it: another plan for the table, a change that fired no trigger, a table that was stale.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from .plan import TablePlan
from .values import Row

#: Memory for the keys of one table, in bytes; beyond it the whole table counts as touched.
BUDGET = 2 << 20

#: What a key of integers takes in a set, roughly.
KEY_BYTES = 160


@dataclass(eq=False)
class Record:
    """The keys of one table that the stream has touched since the record was begun."""

    number: int
    plan: TablePlan
    #: Changes that no trigger had told of by then.
    doubts: int
    #: None for too many to remember.
    keys: set[Row] | None = field(default_factory=set)
    _bytes: int = 0

    def add(self, keys: Collection[Row]) -> None:
        """Add keys as the source has them."""
        if self.keys is None or not keys:
            return
        before = len(self.keys)
        self.keys.update(keys)
        self._bytes += (len(self.keys) - before) * KEY_BYTES
        self._bytes += sum(len(v) for key in keys for v in key if isinstance(v, str | bytes))
        if self._bytes > BUDGET:
            self.keys = None


class Touched:
    """The records of one source: one for each table found equal, and those of comparisons under way."""

    def __init__(self) -> None:
        self._clean: dict[int, Record] = {}
        self._open: list[Record] = []

    def note(self, number: int, keys: Collection[Row]) -> None:
        """Note keys of a table that a batch brings, before its commit, whose answer may get lost."""
        record = self._clean.get(number)
        if record is not None:
            record.add(keys)
        for begun in self._open:
            if begun.number == number:
                begun.add(keys)

    def begin(self, number: int, plan: TablePlan, doubts: int) -> Record:
        """Begin the record of a comparison, while no batch is on its way."""
        record = Record(number, plan, doubts)
        self._open.append(record)
        return record

    def end(self, record: Record, *, equal: bool) -> None:
        """End a comparison; when it has found all equal, the next may go on from where it began."""
        if record not in self._open:
            return
        self._open.remove(record)
        if equal:
            self._clean[record.number] = record

    def since(self, number: int, plan: TablePlan, doubts: int) -> list[Row] | None:
        """Return the keys touched since all rows were equal; None when all must be looked at."""
        record = self._clean.get(number)
        if record is None or record.keys is None or record.plan is not plan or record.doubts != doubts:
            return None
        return list(record.keys)

    def forget(self, number: int) -> None:
        """Have all rows of a table looked at, also by what is under way."""
        self._clean.pop(number, None)
        self._open = [record for record in self._open if record.number != number]
