"""What becomes of a source's tables on the target: names, types, keys, and the evidence for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from config.errors import ConfigError, Unsupported
from replicator.sources.paging import Paging, paging
from replicator.values import conversions
from replicator.values.converter import Converter, Form
from triggers.identifier import fold, quote
from triggers.key import Key, KeyKind, choose
from triggers.schema import Column, Skipped, Table
from triggers.select import View

from . import types
from .asked import Asked, asked
from .naming import ROWID_COLUMN, Names, Naming, named
from .policy import Policy
from .types import Affinity, Evidence

#: PostgreSQL's limit of columns in a table; SQLite's is 2,000 unless it was built with another.
MOST_COLUMNS = 1_600
if TYPE_CHECKING:
    from .adoption import Adoption


@dataclass(frozen=True)
class ColumnPlan:
    """A column: how it is read, what it is called and which type it has on the target."""

    source: str
    target: str
    pg_type: str
    evidence: Evidence = field(default_factory=Evidence)
    overridden: bool = False
    #: How values become the type, in the words of the configuration; empty where the type says all.
    conversion: str = ""
    #: The target's own enum type that values of text are cast to, quoted, and its labels.
    enum: str = ""
    labels: tuple[str, ...] = ()
    #: What the settings said of it when it was planned; None where nobody has noted it.
    asked: Asked | None = None

    @property
    def held(self) -> frozenset[str]:
        """Return the storage classes that the column takes, but for single values; all where none is told."""
        if self.conversion == "bytea from any":
            return frozenset({"text", "blob"})
        if self.overridden and self.pg_type == "text":
            return frozenset({"text", "integer", "real"})
        if self.conversion and not self.conversion.startswith("text "):
            return frozenset(self.evidence.classes)
        return types.HOLDS.get(self.pg_type, frozenset(self.evidence.classes))

    @property
    def dissenting(self) -> int:
        """Return how many of the values that were looked at the column does not take."""
        return sum(count for _, count in self.evidence.dissenters(self.held))

    @property
    def unclear(self) -> bool:
        """Tell whether the type is a poor choice: too large a part of the values does not fit."""
        known = sum(self.evidence.classes.values())
        return self.dissenting > (1 - types.CLEAR) * known


@dataclass(frozen=True)
class TablePlan:
    """A table: its structure in the source, its key, and its columns on the target."""

    table: Table
    key: Key
    schema: str
    columns: tuple[ColumnPlan, ...]
    rows: int = 0
    #: Its name on the target; the source's where nothing else is said.
    target: str = ""
    #: Whether the target's table was there before us: then it is filled, and never dropped or made anew.
    adopted: bool = False

    def __post_init__(self) -> None:
        if not self.target:
            # PostgreSQL knows no empty name, so an empty one cannot have been meant
            object.__setattr__(self, "target", self.table.name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process without what can be made anew there."""
        facts = self.table, self.key, self.schema, self.columns, self.rows, self.target, self.adopted
        return TablePlan, facts

    @property
    def name(self) -> str:
        """Return the table's name in the source, by which messages call it."""
        return self.table.name

    @cached_property
    def qualified(self) -> str:
        """Return the quoted name on the target."""
        return f"{quote(self.schema)}.{quote(self.target)}"

    def on_target(self, column: str) -> str:
        """Return the name on the target of a column of the source. Raises KeyError."""
        return self._targets[fold(column)]

    def has(self, *columns: str) -> bool:
        """Tell whether it has all of some columns of the source."""
        return all(fold(column) in self._targets for column in columns)

    @cached_property
    def _targets(self) -> dict[str, str]:
        return {fold(c.source): c.target for c in self.record}

    @cached_property
    def memo(self) -> dict[str, Any]:
        """Return what was worked out from the plan already: the cutover wants it while writers wait."""
        return {}

    @cached_property
    def record(self) -> tuple[ColumnPlan, ...]:
        """Return the columns as they travel: the side column first where the key is the rowid."""
        if self.key.kind is not KeyKind.ROWID:
            return self.columns
        return (ColumnPlan(self.key.columns[0], ROWID_COLUMN, "bigint"), *self.columns)

    @cached_property
    def key_places(self) -> tuple[int, ...]:
        """Return the places of the key's columns in the record."""
        names = [c.source for c in self.record]
        return tuple(names.index(c) for c in self.key.columns)

    @cached_property
    def paging(self) -> Paging:
        """Return the order in which the table is walked."""
        return paging(self.table, self.key)

    @property
    def walks_rowid(self) -> bool:
        """Tell whether that is the order of its rowids."""
        return self.table.rowid_alias is not None or self.table.rowid_name is not None

    @cached_property
    def converter(self) -> Converter:
        """Return what turns rows of the record into rows for the target."""
        return Converter(self.name, [self._form(c) for c in self.record], self.key_places)

    @cached_property
    def takes_bad_text(self) -> bool:
        """Tell whether texts that are not UTF-8 have a form on the target."""
        return any(conversions.takes_bad_text(c.conversion) for c in self.columns)

    @property
    def row_bytes(self) -> int:
        """Return the size that a row may have, in bytes, from the longest values seen."""
        return 16 * len(self.columns) + sum(c.evidence.longest for c in self.columns)

    @property
    def is_measured(self) -> bool:
        """Tell whether it is known how long the values are that can be long."""
        return all(
            c.evidence.longest for c in self.columns if c.pg_type in ("text", "bytea", "jsonb", "json")
        )

    def _form(self, column: ColumnPlan) -> Form:
        declared = "" if column.target == ROWID_COLUMN else self.table.column(column.source).declared
        alias = self.table.rowid_alias
        is_rowid = column.target == ROWID_COLUMN or (alias is not None and alias.name == column.source)
        real = column.pg_type == "double precision" and types.affinity(declared) is Affinity.REAL
        certain = not column.conversion and (real or (is_rowid and column.pg_type == "bigint"))
        as_text = column.pg_type == "text" and column.overridden
        return Form(column.source, column.pg_type, as_text, certain, column.conversion, column.labels)

    def structure(self) -> str:
        """Return a hash of all that the plan relies on in the source's structure."""
        facts = [[c.name, c.declared, c.not_null, c.hidden, c.pk] for c in self.table.columns]
        told = json.dumps([self.name, facts, self.table.without_rowid], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        """Return what must be remembered of the plan so that a restart goes on with the same one."""
        return {
            "structure": self.structure(),
            "target": self.target,
            "adopted": self.adopted,
            "rows": self.rows,
            "key": {"kind": self.key.kind.value, "columns": list(self.key.columns)},
            "columns": [
                {
                    "name": c.source,
                    "target": c.target,
                    "type": c.pg_type,
                    "overridden": c.overridden,
                    "conversion": c.conversion,
                    "enum": c.enum,
                    "labels": list(c.labels),
                    "evidence": c.evidence.text(),
                    "longest": c.evidence.longest,
                    "asked": None if c.asked is None else [c.asked.type, c.asked.rule],
                }
                for c in self.columns
            ],
        }


@dataclass(frozen=True)
class SourcePlan:
    """All tables of one source, and what is left out."""

    schema: str
    tables: tuple[TablePlan, ...]
    skipped: tuple[Skipped, ...] = ()
    #: All that are not left out by name; `views.translate` tells which of them are carried.
    views: tuple[View, ...] = ()
    #: What is to be known of those that are on the target already, by their names in the source.
    adoptions: Mapping[str, Adoption] = field(default_factory=dict)


def plan_table(
    table: Table,
    schema: str,
    evidence: Sequence[Evidence],
    overrides: Mapping[str, str],
    rows: int | None = None,
    names: Names | None = None,
    policy: Policy = Policy(),  # noqa: B008  # a constant
) -> TablePlan:
    """Plan one table from its structure, from what it holds, and from the user's types and rules.

    `rows` is the estimate for tables that were not counted; without `names` the target has the source's
    wherever it can. Raises Unsupported for a column that no type holds, ConfigError for a type that is not
    known.
    """
    with_null = [c.name for c, e in zip(table.columns, evidence, strict=True) if e.nulls]
    columns = tuple(
        _plan_column(table.name, column, seen, overrides, policy)
        for column, seen in zip(table.columns, evidence, strict=True)
    )
    key = choose(table, with_null)
    _refuse_wide(table, key)
    columns = tuple(for_key(table.name, c) if c.source in key.columns else c for c in columns)
    columns = tuple(policy.applied(table.name, c, key=c.source in key.columns) for c in columns)
    refuse_blurred_key(table, key, columns)
    counted = evidence[0].rows if evidence else 0
    names = names or named(Naming(), [table])[table.name]
    columns = tuple(
        replace(c, target=names.columns[c.source], asked=asked(overrides, policy, table.name, c.source))
        for c in columns
    )
    return TablePlan(table, key, schema, columns, counted if rows is None else rows, names.table)


def _refuse_wide(table: Table, key: Key) -> None:
    """Raise Unsupported for a table of more columns than PostgreSQL takes."""
    width = len(table.columns) + (key.kind is KeyKind.ROWID)
    if width > MOST_COLUMNS:
        raise Unsupported(
            f"table {table.name!r} has {width:,} columns, PostgreSQL takes {MOST_COLUMNS:,}",
            hint="leave the table out with `exclude`",
        )


def refuse_blurred_key(table: Table, key: Key, columns: Sequence[ColumnPlan]) -> None:
    """As text the keys 1 and '1' would be one, and one of the two rows would be lost."""
    for column in columns:
        declared = table.column(column.source).declared
        as_text = column.overridden and column.pg_type == "text" and not column.conversion
        blurs = as_text and types.affinity(declared) is not Affinity.TEXT
        if blurs and column.source in key.columns:
            raise ConfigError(
                f"columns.{table.name}.{column.source}: a key that can hold numbers cannot become text: "
                "1 and '1' would be the same row",
                hint="leave the type of the key to liteferry",
            )


def for_key(table: str, column: ColumnPlan) -> ColumnPlan:
    """Return the column as part of a key: each of its values must have an exact inverse."""
    if not column.conversion or conversions.way(column.conversion, key=True).invert is not None:
        return column
    if column.conversion == column.pg_type and column.pg_type in conversions.PLAIN:
        return replace(column, conversion="")
    raise ConfigError(
        f"columns.{table}.{column.source}: {column.conversion!r} has no exact inverse, and the column is "
        "part of the table's key: two rows could become one",
        hint="leave the type of the key to liteferry, or take one with an inverse, such as uuid from hex",
    )


def _plan_column(
    table: str, column: Column, seen: Evidence, overrides: Mapping[str, str], policy: Policy
) -> ColumnPlan:
    wanted = overrides.get(f"{table}.{column.name}")
    if wanted is not None:
        conversion = conversions.parse(wanted, f"{table}.{column.name}")
        # these two take more from a user's column than from one that they were chosen for
        said = "" if conversion.plain and conversion.name not in ("boolean", "numeric") else str(conversion)
        return ColumnPlan(column.name, column.name, conversion.pg_type, seen, True, said)
    chosen = types.choose(table, column, seen, halt=policy.halts(table, column.name))
    return ColumnPlan(column.name, column.name, chosen, seen)


def check_overrides(tables: Sequence[Table], overrides: Mapping[str, str]) -> None:
    """Raise ConfigError for a type that is set for a column which does not exist."""
    known = {f"{t.name}.{c.name}" for t in tables for c in t.columns}
    for name in overrides:
        if name not in known:
            raise ConfigError(
                f"columns.{name}: there is no such column in any source",
                hint='write it as "table.column", in the spelling of the source',
            )


def remembered(table: Table, schema: str, stored: Mapping[str, Any]) -> TablePlan | None:
    """Return the plan that was stored for a table, None when the table's structure is another now."""
    by_name = {c["name"]: c for c in stored["columns"]}
    adopted = stored.get("adopted", False)
    known = {c.name for c in table.columns}
    if not set(by_name) <= known or (set(by_name) != known and not adopted):
        return None
    columns = tuple(_remembered_column(by_name[c.name]) for c in table.columns if c.name in by_name)
    wanted = tuple(stored["key"]["columns"])
    for nulls in ((), [c.name for c in table.columns]):
        key = choose(table, nulls)
        if key.kind.value == stored["key"]["kind"] and key.columns == wanted:
            facts = stored["rows"], stored.get("target", ""), adopted
            plan = TablePlan(table, key, schema, columns, *facts)
            return plan if plan.structure() == stored["structure"] else None
    return None


def _remembered_column(stored: Mapping[str, Any]) -> ColumnPlan:
    return ColumnPlan(
        stored["name"],
        stored.get("target", stored["name"]),
        stored["type"],
        Evidence(longest=stored["longest"]),
        stored["overridden"],
        stored.get("conversion", ""),
        stored.get("enum", ""),
        tuple(stored.get("labels", ())),
        Asked(*stored["asked"]) if stored.get("asked") else None,
    )


def names_alone(name: str, schema: str, stored: Mapping[str, Any]) -> TablePlan:
    """Return of a stored plan that fits its table no more what is on the target, and nothing else."""
    columns = tuple(map(_remembered_column, stored["columns"]))
    table = Table(name, tuple(Column(c.source, "", False, None, 0) for c in columns))
    if not (adopted := stored.get("adopted", False)):
        return TablePlan(
            table, Key(KeyKind.ROWID, ("rowid",)), schema, columns, target=stored.get("target", "")
        )
    key = Key(KeyKind(stored["key"]["kind"]), tuple(stored["key"]["columns"]))
    return TablePlan(table, key, schema, columns, stored["rows"], stored.get("target", ""), adopted)
