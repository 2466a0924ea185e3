"""The target's names after a change of the source's schema: what is there keeps its own. Pure.

What was renamed or added and whose name is taken gets its other name, and a note: it cannot be left out
without losing what it holds. A new table is left out until the operator gives it another name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from config.errors import Unsupported
from replicator.schema.ddl import Note
from triggers.schema import Table

from .naming import Given, Names, Naming, problems
from .plan import TablePlan

RENAME = "give it another name under [rename] and start liteferry again"


@dataclass
class Following:
    """The names of all tables of one source, as its schema is now."""

    naming: Naming
    #: The target's names of tables that are there under the same name, by the source's.
    kept: Mapping[str, str]
    #: Tables that have another name than before, and those that are new.
    moved: Sequence[str]
    new: Sequence[str]
    #: What has a name on the target already, and is none of this source's.
    there: Collection[str] = ()
    _given: Given = field(default_factory=lambda: Given({}))

    @classmethod
    def of(cls, naming: Naming, before: Mapping[str, TablePlan], new: Sequence[str]) -> Following:
        """Make one of the plans of tables by the names that they have now, and of the new ones' names."""
        kept = {name: old.target for name, old in before.items() if old.name == name}
        made = cls(naming, kept, [name for name in before if name not in kept], new)
        made.give(())
        return made

    @property
    def wanted(self) -> set[str]:
        """Return the names that are to be given."""
        return {self.naming.table(name) for name in [*self.moved, *self.new]}

    def give(self, there: Collection[str]) -> None:
        """Give the renamed tables their names, but none that is `there`."""
        self.there = there
        self._given = self.naming.tables(self.moved, self.kept, there)

    def names(self, table: Table, kept: Mapping[str, str]) -> tuple[Names, list[Note]]:
        """Return the names of a table that was there before, and what did not get the one that it should.

        `kept` has the target's names of columns that are there under the same name.
        """
        columns = self.naming.columns(table.name, [c.name for c in table.columns], kept)
        target = self._given.names[table.name]
        notes = [
            Note(table.name, "name", f"{target!r} on the target, for {clash.name!r} is taken")
            for clash in self._given.clashes
            if clash.second == table.name
        ]
        notes += [
            Note(
                table.name,
                f"column {clash.second}",
                f"{columns.names[clash.second]!r} on the target, for {clash.name!r} is taken",
            )
            for clash in columns.clashes
        ]
        return Names(target, columns.names), notes

    def of_new(self, table: Table) -> Names:
        """Return the names of a new table. Raises Unsupported where they are taken."""
        target = self.naming.table(table.name)
        others = {self.naming.table(name) for name in self.new[: self.new.index(table.name)]}
        if target in others or target in self.there or target in self._given.names.values():
            raise Unsupported(f"table {table.name!r} would be called {target!r}, which is taken", hint=RENAME)
        clashing = problems(self.naming, [table])
        if clashing:
            raise Unsupported(str(clashing[0]), hint=clashing[0].hint)
        return Names(target, self.naming.columns(table.name, [c.name for c in table.columns]).names)
