"""What a changed table of the source means for the target's: pure functions from two plans to statements."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from replicator.planning.naming import Names, alternative
from replicator.planning.plan import ColumnPlan, TablePlan
from replicator.schema import comments, ddl, names
from replicator.schema.defaults import translate
from triggers.identifier import quote
from triggers.key import Key
from triggers.schema import Column, Index, Table


class Kind(enum.Enum):
    """How far a table of the source has moved from its plan."""

    #: As planned; at most its indexes differ.
    SAME = "same"
    #: Renamed, or columns came, went or were renamed: the target's table is altered.
    ALTERED = "altered"
    #: Another key, or a column of another type: the target's table is made anew.
    REBUILT = "rebuilt"


@dataclass(frozen=True)
class Evolution:
    """A table's old plan beside its structure now."""

    old: TablePlan
    table: Table
    key: Key

    @property
    def renamed(self) -> Mapping[str, str]:
        """Return old and new names of columns that were renamed.

        SQLite keeps no trace of it: as many columns as before and one of another name where another was,
        alike in all else, is a rename. Where that is wrong, rows are still right, for they are read again.
        """
        before, after = self.old.table.columns, self.table.columns
        if len(before) != len(after):
            return {}
        pairs = [(a, b) for a, b in zip(before, after, strict=True) if a.name != b.name]
        kept = {c.name for c in before} & {c.name for c in after}
        if any(a.name in kept or b.name in kept or replace(a, name=b.name) != b for a, b in pairs):
            return {}
        return {a.name: b.name for a, b in pairs}

    @property
    def kind(self) -> Kind:
        """Return how far the table has moved."""
        renamed = self.renamed
        key_now = tuple(renamed.get(c, c) for c in self.old.key.columns)
        if (self.old.key.kind, key_now) != (self.key.kind, self.key.columns):
            return Kind.REBUILT
        for column, _ in self._kept():
            before = next(c for c in self.old.table.columns if renamed.get(c.name, c.name) == column.name)
            if before.declared.upper() != column.declared.upper() or before.hidden != column.hidden:
                return Kind.REBUILT
        same = replace(self.old, table=self.table).structure() == self.old.structure()
        return Kind.SAME if same and self.table.name == self.old.name else Kind.ALTERED

    def _kept(self) -> Iterator[tuple[Column, ColumnPlan]]:
        planned = {self.renamed.get(c.source, c.source): c for c in self.old.columns}
        for column in self.table.columns:
            if column.name in planned:
                yield column, planned[column.name]

    @property
    def added(self) -> list[Column]:
        """Return the columns that are new."""
        known = {column.name for column, _ in self._kept()}
        return [c for c in self.table.columns if c.name not in known]

    @property
    def reindexed(self) -> bool:
        """Tell whether its indexes are others than those of the plan."""
        return self.old.table.indexes != self.table.indexes

    @property
    def new_uniques(self) -> bool:
        """Tell whether an index is unique that was not: what it replaced until now, nobody has logged."""
        before = {_definition_of(i) for i in _table_as_renamed(self).indexes if i.unique}
        return not before.issuperset(_definition_of(i) for i in self.table.indexes if i.unique)

    @property
    def kept(self) -> dict[str, str]:
        """Return the target's names of columns that are there under the same name, by the source's."""
        there = {c.name for c in self.table.columns} - set(self.renamed.values())
        return {c.source: c.target for c in self.old.columns if c.source in there}

    def plan(self, new: Mapping[str, ColumnPlan], names: Names) -> TablePlan:
        """Return the plan for the altered table: old columns keep their types, `new` has the others."""
        kept = {c.name: replace(planned, source=c.name) for c, planned in self._kept()}
        columns = tuple(
            replace(kept.get(c.name) or new[c.name], target=names.columns[c.name]) for c in self.table.columns
        )
        return TablePlan(self.table, self.key, self.old.schema, columns, self.old.rows, names.table)


def alter(
    evolution: Evolution, new: TablePlan, present: Collection[str], taken: Collection[str]
) -> list[str]:
    """Return the statements that make the target's table one for the altered plan, but for its indexes.

    `present` are the names of its indexes, `taken` all names in the schema. Columns that are new accept NULL
    until their values have come, see `tighten`. Raises TargetContents when no name is left.
    """
    old = evolution.old
    statements = list(_drop_objects(evolution, new, present))
    if old.target != new.target:
        statements.append(f"ALTER TABLE {old.qualified} RENAME TO {quote(new.target)}")
    statements += _rename_objects(evolution, new, present, {*taken, new.target})
    change = f"ALTER TABLE {new.qualified}"
    here = {c.name for c in new.table.columns}
    gone = [c.target for c in old.columns if evolution.renamed.get(c.source, c.source) not in here]
    statements += [f"{change} DROP COLUMN {quote(name)}" for name in sorted(gone)]
    statements += [f"{change} RENAME COLUMN {quote(a)} TO {quote(b)}" for a, b in _moves(evolution, new)]
    for column in evolution.added:
        statements.append(f"{change} ADD COLUMN {_definition(new, column)}")
    statements += comments.columns(new, {column.name for column in evolution.added})
    statements += _loosen(evolution, new)
    return statements


def _moves(evolution: Evolution, new: TablePlan) -> list[tuple[str, str]]:
    """Return the columns to rename on the target, by way of another name where one takes another's."""
    targets = {before: new.on_target(after) for before, after in evolution.renamed.items()}
    moves = {evolution.old.on_target(before): target for before, target in targets.items()}
    moves = {before: after for before, after in moves.items() if before != after}
    aside = {name: alternative(new.target, name, "aside") for name in moves if name in moves.values()}
    return [*aside.items(), *((aside.get(before, before), after) for before, after in moves.items())]


def _definition(plan: TablePlan, column: Column) -> str:
    planned = next(c for c in plan.columns if c.source == column.name)
    default = None
    if column.default is not None and not column.generated:
        default = translate(column.default, planned.pg_type)
    return f"{quote(planned.target)} {planned.pg_type}" + (f" DEFAULT {default}" if default else "")


def _loosen(evolution: Evolution, new: TablePlan) -> Iterator[str]:
    """Columns that may hold NULL now, and defaults that are others."""
    before = {evolution.renamed.get(c.name, c.name): c for c in evolution.old.table.columns}
    for column in new.table.columns:
        was = before.get(column.name)
        if was is None:
            continue
        change = f"ALTER TABLE {new.qualified} ALTER COLUMN {quote(new.on_target(column.name))}"
        if was.not_null and not column.not_null and column.name not in new.key.columns:
            yield f"{change} DROP NOT NULL"
        if was.default != column.default and column.name not in new.key.columns:
            planned = next(c for c in new.columns if c.source == column.name)
            default = translate(column.default, planned.pg_type) if column.default is not None else None
            yield f"{change} SET DEFAULT {default}" if default is not None else f"{change} DROP DEFAULT"


def tighten(plan: TablePlan) -> list[str]:
    """Return the statements that give columns their NOT NULL once all values are there."""
    return [
        f"ALTER TABLE {plan.qualified} ALTER COLUMN {quote(c.target)} SET NOT NULL"
        for c in plan.columns
        if plan.table.column(c.source).not_null
    ]


def _definition_of(index: Index) -> Index:
    text = index.sql if index.partial or index.plain_columns is None else None
    return replace(index, name="", origin="", sql=text)


def _table_as_renamed(evolution: Evolution) -> Table:
    """Return the old table under the new names of table and columns."""
    old, others = evolution.old, evolution.renamed
    rename = {c.name: others.get(c.name, c.name) for c in old.table.columns}
    indexes = tuple(
        replace(
            index,
            columns=tuple(
                replace(c, name=rename.get(c.name, c.name)) if c.name else c for c in index.columns
            ),
        )
        for index in old.table.indexes
    )
    columns = tuple(replace(c, name=rename[c.name]) for c in old.table.columns)
    return replace(old.table, name=evolution.table.name, columns=columns, indexes=indexes)


def _as_renamed(evolution: Evolution, new: TablePlan) -> TablePlan:
    """Return the old plan under the new names of table and columns, on both sides."""
    old, others = evolution.old, evolution.renamed
    planned = []
    for column in old.columns:
        name = others.get(column.source, column.source)
        target = new.on_target(name) if new.has(name) else column.target
        planned.append(replace(column, source=name, target=target))
    key = replace(old.key, columns=tuple(others.get(c, c) for c in old.key.columns))
    table = _table_as_renamed(evolution)
    return TablePlan(table, key, old.schema, tuple(planned), old.rows, new.target)


def _drop_objects(evolution: Evolution, new: TablePlan, present: Collection[str]) -> Iterator[str]:
    """Indexes and constraints that the source has no longer, under the names they have on the target."""
    wanted = {o.sql for o in ddl.secondary(new)}
    before, renamed = ddl.by_index(evolution.old), ddl.by_index(_as_renamed(evolution, new))
    for was, would_be in zip(before, renamed, strict=True):
        there = names.found(was.names, present) if was is not None else None
        if was is not None and there is not None and (would_be is None or would_be.sql not in wanted):
            yield ddl.drop(evolution.old, was, there)


def _rename_objects(
    evolution: Evolution, new: TablePlan, present: Collection[str], taken: set[str]
) -> Iterator[str]:
    wanted = {o.sql for o in ddl.secondary(new)}
    before, renamed = ddl.by_index(evolution.old), ddl.by_index(_as_renamed(evolution, new))
    both = zip(before, renamed, strict=True)
    pairs = [(a.names, b.names) for a, b in both if a is not None and b is not None and b.sql in wanted]
    pairs.append((names.key_names(evolution.old), names.key_names(new)))
    for was, now in pairs:
        there = names.found(was, present)
        if there is None or there in now:
            continue
        to = names.free(now, taken, new.schema)
        taken.add(to)
        # of a constraint too: its index bears its name, and the constraint follows
        yield f"ALTER INDEX {quote(new.schema)}.{quote(there)} RENAME TO {quote(to)}"
