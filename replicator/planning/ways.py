"""The ways in which a column's values could become the type that the target's column has. Pure.

Each is tried with every value; which one is taken is for the adoption to say, and never a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from config.errors import ConfigError
from replicator.postgres.catalogue import TargetColumn
from replicator.values import conversions, moments
from replicator.values.conversions import Conversion
from replicator.values.converter import BadText, Form
from triggers.key import Key, KeyKind
from triggers.schema import Column, Table

from .plan import ColumnPlan, for_key, refuse_blurred_key
from .types import Affinity, Evidence, affinity

#: Numbers are taken for times without being asked only between the years 2000 and 2100.
_FROM, _UPTO = 946_684_800, 4_102_444_800
_JULIAN = (2_451_544, 2_488_070)

_MOMENTS = ("timestamptz", "timestamp")


@dataclass
class Way:
    """One way in which values may become the type of the target's column, and what it refuses."""

    column: ColumnPlan
    convert: Callable[[Any], Any]
    tried: int = 0
    refused: int = 0
    #: Key and reason of the first that was refused.
    first: tuple[str, str] | None = None

    def take(self, value: Any, key: Callable[[], str]) -> None:
        """Try one value."""
        self.tried += 1
        try:
            if type(value) is BadText:
                raise ValueError("it is not valid UTF-8")
            self.convert(value)
        except ValueError as reason:
            self.refused += 1
            if self.first is None:
                self.first = (key(), str(reason))

    @property
    def said(self) -> str:
        """Return it in the words of the configuration."""
        return self.column.conversion or self.column.pg_type

    def told(self) -> str:
        """Return what is refused as a sentence; never a value."""
        key, reason = self.first or ("", "")
        return f"{self.refused:,} of {self.tried:,} values, first key {key}: {reason}"


@dataclass
class Pair:
    """A column of the source, the target's, and the ways between them."""

    column: Column
    target: TargetColumn
    evidence: Evidence
    #: The first that refuses nothing is taken.
    ways: list[Way] = field(default_factory=list)
    #: Those that only the user may ask for.
    asked: list[Way] = field(default_factory=list)

    @property
    def chosen(self) -> Way:
        """Return the way that refuses the fewest, the first of several."""
        return min(self.ways, key=lambda way: way.refused)


Test = Callable[[Any], bool] | None
Options = tuple[list[tuple[str, Test]], list[str]]


def ways_of(table: Table, pair: Pair, override: str | None) -> Options:
    """Return the conversions to try, with what must hold of each value besides, and those to be asked for."""
    wanted = pair.target.pg_type
    assert wanted is not None, "others are refused before"
    where = f"{table.name}.{pair.column.name}"
    if override is not None:
        return [(_agreed(conversions.parse(override, where), wanted, where, pair.target), None)], []
    name = wanted.partition("(")[0]
    if name in _MOMENTS:
        return _moments(wanted, name, pair)
    asked = {
        "real": ["real lossy"],
        "char": [f"{wanted} padded"],
        "time": [f"{wanted} rounded"],
    }
    ways = ["uuid", "uuid from hex", "uuid from blob"] if name == "uuid" else [wanted]
    return [(one, None) for one in ways], asked.get(name, [])


def _agreed(said: Conversion, wanted: str, where: str, target: TargetColumn) -> str:
    """Return what the settings say, with the limits that the target's type has."""
    there = conversions.parse(wanted, where)
    if said.name != there.name or (said.arguments and said.arguments != there.arguments):
        raise ConfigError(
            f"columns.{where}: {str(said)!r} does not agree with the target's type, {target.declared}",
            hint=f"write a way to become {wanted}, or leave it out",
        )
    return str(replace(said, arguments=there.arguments))


def _moments(wanted: str, name: str, pair: Pair) -> Options:
    seen = {kind for kind, count in pair.evidence.classes.items() if count}
    numbers = seen & {"integer", "real"}
    if not seen and affinity(pair.column.declared) not in (Affinity.TEXT, Affinity.BLOB, Affinity.NUMERIC):
        numbers = {"integer"} if pair.evidence.rows else set()
    ways: list[tuple[str, Test]] = []
    asked = []
    if numbers:
        units = [(unit, _between(_FROM * size, _UPTO * size)) for unit, size in moments.UNITS.items()]
        if "real" in numbers:
            units.append(("julian", _between(*_JULIAN)))
        ways += [(f"{wanted} from {unit}", test) for unit, test in units]
        asked += [f"{wanted} from {unit} rounded" for unit, _ in units]
    if "text" in seen or not numbers:
        ways.append((f"{wanted} from iso", None))
        zones = ["", " in UTC"] if name == "timestamptz" else [""]
        asked += [f"{wanted} from iso{zone}{word}" for zone in zones for word in ("", " rounded")][1:]
    return ways, asked


def _between(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and low <= value < high


def way(table: Table, pair: Pair, said: str, test: Test, key: bool) -> Way:
    column = _column_plan(table, pair, said, key)
    form = Form(
        column.source,
        column.pg_type,
        column.pg_type == "text" and column.overridden,
        conversion=column.conversion,
        labels=column.labels,
    )
    convert = form.converter(key)

    def tried(value: Any) -> None:
        if test is not None and not test(value):
            raise ValueError("its unit cannot be told from its size")
        convert(value)

    return Way(column, tried)


def _column_plan(table: Table, pair: Pair, said: str, key: bool) -> ColumnPlan:
    source, target, seen = pair.column.name, pair.target, pair.evidence
    if target.enum:
        return ColumnPlan(source, target.name, "text", seen, enum=target.enum, labels=target.labels)
    conversion = conversions.parse(said, f"{table.name}.{source}")
    if conversion.name == "text" and not conversion.arguments:
        made = ColumnPlan(source, target.name, "text", seen, _holds_numbers(pair))
        if key:
            refuse_blurred_key(table, Key(KeyKind.PRIMARY, (source,)), [made])
        return made
    # boolean and numeric take more where they were asked for, and here the target asks for them
    plain = conversion.plain and conversion.name not in ("boolean", "numeric")
    made = ColumnPlan(source, target.name, conversion.pg_type, seen, True, "" if plain else str(conversion))
    return for_key(table.name, made) if key else made


def _holds_numbers(pair: Pair) -> bool:
    """Numbers go to a text column as their text, where nothing but numbers of one kind would be found."""
    seen = {kind for kind, count in pair.evidence.classes.items() if count}
    if not seen:
        return affinity(pair.column.declared) in (Affinity.INTEGER, Affinity.REAL)
    return seen in ({"integer"}, {"real"})
