"""A table of the source and one that is on the target already: which column goes where, and how. Pure.

Types are the target's, so what is chosen is the way in which values become them: by what the column holds,
and never by a guess that could change a value. All that stands against it is collected, to be told at once.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from config.errors import ConfigError, TargetContents
from replicator.postgres.catalogue import TargetColumn, TargetTable
from replicator.schema.ddl import Note
from triggers.key import Key, KeyKind, choose
from triggers.schema import Column, Table

from .naming import ROWID_COLUMN, Names
from .plan import TablePlan
from .types import Affinity, Evidence, affinity
from .ways import Pair, Way, way, ways_of


@dataclass
class Adoption:
    """How one table of the source goes into one of the target."""

    found: TargetTable
    pairs: list[Pair] = field(default_factory=list)
    #: Why it cannot be done.
    problems: list[str] = field(default_factory=list)
    #: What would go into quarantine.
    warnings: list[str] = field(default_factory=list)
    #: What is left as it is, or put aside.
    notes: list[Note] = field(default_factory=list)


def match(
    table: Table,
    names: Names,
    evidence: Sequence[Evidence],
    found: TargetTable,
    overrides: Mapping[str, str],
    leave_out: Collection[str],
) -> Adoption:
    """Pair the columns of both sides, with every way in which one's values could become the other's."""
    made = Adoption(found, problems=list(found.obstacles))
    if made.problems:
        return made
    used: set[str] = set()
    key = _key(table, evidence)
    for column, seen in zip(table.columns, evidence, strict=True):
        target = _target_of(made, table, column, names.columns[column.name], leave_out)
        if target is None:
            continue
        if target.name in used:
            made.problems.append(
                f"{table.name}.{column.name}: another column goes to {target.name!r} already"
            )
            continue
        used.add(target.name)
        _pair(made, table, Pair(column, target, seen), column.name in key.columns, overrides)
    made.problems += [
        f"{found.qualified}.{c.name} is NOT NULL without a default, and the source has no column for it: "
        f"ALTER TABLE {found.qualified} ALTER COLUMN {c.name} SET DEFAULT ..., or DROP NOT NULL"
        for c in found.columns
        if c.needed and c.name not in used and c.name != ROWID_COLUMN
    ]
    made.notes += [
        Note(table.name, f"column {c.name}", "only on the target: left to its default")
        for c in found.columns
        if c.name not in used and not c.needed and not c.generated
    ]
    return made


def _key(table: Table, evidence: Sequence[Evidence]) -> Key:
    return choose(table, [c.name for c, e in zip(table.columns, evidence, strict=True) if e.nulls])


def is_left_out(table: str, column: str, patterns: Collection[str]) -> bool:
    """Tell whether the settings leave a column out."""
    return any(fnmatch.fnmatchcase(f"{table}.{column}", pattern) for pattern in patterns)


def _target_of(
    made: Adoption, table: Table, column: Column, wanted: str, leave_out: Collection[str]
) -> TargetColumn | None:
    where, found = f"{table.name}.{column.name}", made.found
    if is_left_out(table.name, column.name, leave_out):
        made.notes.append(Note(table.name, f"column {column.name}", "left out, as the settings say"))
        return None
    target = found.column(wanted)
    setting = f'leave_out = ["{where}"]'
    if target is None:
        made.problems.append(f"{where}: {found.qualified} has no column for it: add one, or set {setting}")
    elif target.generated and column.generated:
        made.notes.append(Note(table.name, f"column {column.name}", "generated on both sides"))
        return None
    elif target.generated:
        made.problems.append(f"{where}: PostgreSQL computes its column itself: set {setting}")
        return None
    elif target.pg_type is None:
        made.problems.append(f"{where}: {target.declared} is no type that liteferry can fill: set {setting}")
        return None
    return target


def _pair(made: Adoption, table: Table, pair: Pair, key: bool, overrides: Mapping[str, str]) -> None:
    where = f"{table.name}.{pair.column.name}"
    try:
        ways, asked = ways_of(table, pair, overrides.get(where))
        pair.ways = [way(table, pair, said, test, key) for said, test in ways]
        pair.asked = [way(table, pair, said, None, key) for said in asked]
    except ConfigError as error:
        made.problems.append(f"{error}" + (f" ({error.hint})" if error.hint else ""))
        return
    made.pairs.append(pair)
    if pair.target.not_null and pair.evidence.nulls:
        nulls = f"{pair.evidence.nulls:,} of {pair.evidence.rows:,} rows hold NULL"
        made.warnings.append(f"{where}: NOT NULL: would be quarantined: {nulls}")


def judge(made: Adoption, table: Table) -> None:
    """Say what the ways refuse, once every value was tried."""
    for pair in made.pairs:
        best, where = pair.chosen, f"{table.name}.{pair.column.name}"
        if not best.tried:
            made.warnings += _unknown(pair, where, best)
        if not best.refused:
            continue
        asked = min(pair.asked, key=lambda way: way.refused, default=None)
        if asked is not None and asked.refused < best.refused:
            made.problems.append(
                f"{where}: {pair.target.declared}: {best.told()}: say in [columns] what is meant, such as "
                f'"{where}" = "{asked.said}"'
            )
        elif best.refused == best.tried:
            made.problems.append(f"{where}: nothing in it becomes {pair.target.declared}: {best.told()}")
        else:
            made.warnings.append(f"{where}: {pair.target.declared}: would be quarantined: {best.told()}")


def _unknown(pair: Pair, where: str, best: Way) -> Iterator[str]:
    numbers = affinity(pair.column.declared) in (Affinity.INTEGER, Affinity.REAL)
    if best.said.endswith("from iso") and numbers:
        yield (
            f"{where}: no values to tell a unit from: numbers that come later would be quarantined, unless "
            f'[columns] says "{where}" = "{best.column.pg_type} from epoch_s" (or epoch_ms, ...)'
        )


def plan(made: Adoption, table: Table, schema: str, evidence: Sequence[Evidence], rows: int) -> TablePlan:
    """Return the plan of a matched table; a key that the target cannot tell rows by is noted.

    Problems come before: a plan of a table that has any must not be used.
    """
    key = _key(table, evidence)
    columns = tuple(pair.chosen.column for pair in made.pairs)
    planned = TablePlan(table, key, schema, columns, rows, made.found.name, adopted=True)
    made.problems += [
        f"{table.name}.{c}: it is part of the key, and cannot be left out"
        for c in key.columns
        if not planned.has(c) and not made.problems
    ]
    made.problems += [
        f"{table.name}.{pair.column.name}: it is part of the key, and by the collation of the target's "
        "column two texts can be one"
        for pair in made.pairs
        if pair.column.name in key.columns and not pair.target.exact
    ]
    if key.kind is KeyKind.ROWID:
        reason = f"column {ROWID_COLUMN} is added, for the table has no key of its own in the source"
        made.notes.append(Note(table.name, "key", reason))
    elif not made.problems and not made.found.is_unique([planned.on_target(c) for c in key.columns]):
        names = ", ".join(planned.on_target(c) for c in key.columns)
        reason = f"no unique index on ({names}) that can be used: one is added until the cutover"
        made.notes.append(Note(table.name, "key", reason))
    return planned


def refuse(adoptions: Mapping[str, Adoption]) -> None:
    """Raise TargetContents with all problems of all tables, if there are any."""
    problems = [
        f"{name}: {text}" if name not in text else text
        for name, one in adoptions.items()
        for text in one.problems
    ]
    if problems:
        raise TargetContents(
            f"{len(problems)} things keep tables that are on the target already from being filled:\n  "
            + "\n  ".join(problems),
            hint="nothing was changed; see docs/howto/existing-schema.md",
        )


def follow(
    old: TablePlan, table: Table, key: Key, renamed: Mapping[str, str], found: Adoption
) -> TablePlan | None:
    """Return the plan for a table whose source has changed; None where its key is another now.

    What is planned stays as it is; a column that is new is taken where the target has one for it (`found`, a
    match of the table as it is now), and left out otherwise. The target's table is never altered.
    """
    if (old.key.kind, tuple(renamed.get(c, c) for c in old.key.columns)) != (key.kind, key.columns):
        return None
    kept = {renamed.get(c.source, c.source): c for c in old.columns}
    taken = {c.target for c in old.columns}
    new = {p.column.name: p.chosen.column for p in found.pairs if p.target.name not in taken}
    columns = []
    for column in table.columns:
        if column.name in kept:
            columns.append(replace(kept[column.name], source=column.name))
        elif column.name in new:
            columns.append(new[column.name])
    return TablePlan(table, key, old.schema, tuple(columns), old.rows, old.target, adopted=True)


def objections(
    plan: TablePlan, names: Mapping[str, str], found: TargetTable, leave_out: Collection[str]
) -> list[str]:
    """Return what of a changed source the target's table has no place for: reasons against a cutover.

    `names` are those that columns should have on the target.
    """
    targets = {c.target for c in plan.columns}
    told = [
        f"column {c.name!r} of table {plan.name!r} has no column on the target, whose table is not altered: "
        f"add it to {plan.qualified}, or name it in leave_out"
        for c in plan.table.columns
        if not plan.has(c.name)
        and not is_left_out(plan.name, c.name, leave_out)
        and not (c.generated and _is_generated(found, names[c.name]))
    ]
    return told + [
        f"column {c.name!r} of {plan.qualified} is NOT NULL without a default, and the source has none for it"
        for c in found.columns
        if c.needed and c.name not in targets and c.name != ROWID_COLUMN
    ]


def _is_generated(found: TargetTable, name: str) -> bool:
    there = found.column(name)
    return there is not None and there.generated
