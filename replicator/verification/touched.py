"""Which rows the stream has touched since a table was last found equal: only these are compared again.

Kept in memory only, on purpose, but for comparisons that are not at their end (see bookmarks). Nobody watches
the source while the daemon is down, so after a restart all rows are compared anyway, and a record that
outlived it would be trusted where it must not be. What it cannot tell is dropped with it: another plan for
the table, a change that fired no trigger, a table that was stale.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from replicator.planning.plan import TablePlan
from replicator.values.converter import Row

#: Memory for the keys of all tables of a source, in bytes; beyond it the table with the most has no record.
BUDGET = 16 << 20

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
    #: What they take, roughly.
    size: int = 0
    #: Of a record that is kept in the target as well: what that has not got yet. None for any other.
    unsaved: list[Row] | None = None

    def add(self, keys: Collection[Row]) -> int:
        """Add keys as the source has them; return by how many bytes it has grown."""
        if self.keys is None:
            return 0
        fresh = [key for key in keys if key not in self.keys]
        self.keys.update(fresh)
        if self.unsaved is not None:
            self.unsaved += fresh
        texts = sum(len(v) for key in fresh for v in key if isinstance(v, str | bytes))
        grown = len(fresh) * KEY_BYTES + texts
        self.size += grown
        return grown

    def drop(self) -> int:
        """Give the keys up; return how many bytes they took."""
        freed, self.keys, self.size = self.size, None, 0
        self.unsaved = None
        return freed


class Touched:
    """The records of one source: one for each table found equal, and those of comparisons under way."""

    def __init__(self, budget: int = BUDGET) -> None:
        """Take the memory for all keys, in bytes."""
        self._budget = budget
        self._clean: dict[int, Record] = {}
        self._open: list[Record] = []
        self._size = 0

    def note(self, number: int, keys: Collection[Row]) -> None:
        """Note keys of a table that a batch brings, before its commit, whose answer may get lost."""
        if number in self._clean:
            self._size += self._clean[number].add(keys)
        for begun in self._open:
            if begun.number == number:
                self._size += begun.add(keys)
        self._keep_within()

    def add(self, record: Record, keys: Collection[Row]) -> None:
        """Add keys to one record only, which knows of them from elsewhere."""
        self._size += record.add(keys)
        self._keep_within()

    def _keep_within(self) -> None:
        while self._size > self._budget:
            # what only saves work after an interruption goes first
            records = [one for one in (*self._clean.values(), *self._open) if one.size]
            self._size -= max(records, key=lambda one: (one.unsaved is not None, one.size)).drop()

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
        over = record
        if equal:
            over = self._clean.get(record.number, Record(record.number, record.plan, 0))
            self._clean[record.number] = record
        self._size -= over.drop()

    def since(self, number: int, plan: TablePlan, doubts: int) -> list[Row] | None:
        """Return the keys touched since all rows were equal; None when all must be looked at."""
        record = self._clean.get(number)
        if record is None or record.keys is None or record.plan is not plan or record.doubts != doubts:
            return None
        return list(record.keys)

    def forget(self, number: int) -> None:
        """Have all rows of a table looked at, also by what is under way."""
        for record in [*self._clean.values(), *self._open]:
            if record.number == number:
                self._size -= record.drop()
