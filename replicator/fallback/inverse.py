"""Values on their way back from PostgreSQL to SQLite: each becomes one that goes forth as what it was.

The converters that take values forth are the judges: what is tried is converted, and taken when that gives
the very value. So nothing is coerced in silence, whatever is tried.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from replicator.planning.plan import ColumnPlan, TablePlan
from replicator.values import conversions, moments, texts
from replicator.values.conversions import Conversion
from replicator.values.converter import Row, same_row

from . import spelling

#: What may be tried for a value, given another of its column.
Tries = Callable[[Any, Any], Iterator[Any]]

NO_VALUE = "SQLite has no value that PostgreSQL would take for this one again"


class Unspeakable(ValueError):
    """A value of the target has no equal in the source."""

    def __init__(self, column: str, reason: str = NO_VALUE) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


class Inverse:
    """Makes rows of one source's table of the target's."""

    def __init__(self, plan: TablePlan) -> None:
        self._plan = plan
        self._forth = plan.converter.converters
        self._tries = [tries(column) for column in plan.record]
        names = {c.name for c in plan.table.columns if c.generated}
        #: Places of the columns that SQLite computes by itself: not brought back, and not compared.
        self.computed = frozenset(i for i, c in enumerate(plan.record) if c.source in names)
        #: Places where a value has several spellings, so that it is good to know another of the column.
        self.varied = tuple(
            i for i, c in enumerate(plan.record) if (c.conversion or c.overridden) and i not in self.computed
        )

    def key(self, key: Row) -> Row:
        """Return a key as the source has it. Raises Unspeakable."""
        places = self._plan.key_places
        return tuple(self._value(i, value, None) for i, value in zip(places, key, strict=True))

    def row(self, row: Row, old: Row | None, samples: Sequence[Any]) -> Row:
        """Return a row as the source shall have it; a value that need not change keeps its spelling.

        `old` is the source's row of this key, `samples` another value for each column. Raises Unspeakable.
        """
        made = []
        for i, value in enumerate(row):
            before = old[i] if old is not None else None
            if i in self.computed or before is not None and self._gives(i, before, value):
                made.append(before)
            else:
                made.append(self._value(i, value, samples[i] if before is None else before))
        return tuple(made)

    def is_same(self, source: Row, target: Row) -> bool:
        """Tell whether a row of the source goes forth as this row of the target."""
        return all(
            i in self.computed or self._gives(i, mine, value)
            for i, (mine, value) in enumerate(zip(source, target, strict=True))
        )

    def differing(self, source: Row, target: Row) -> str:
        """Return the name of the first column that is not the same, empty when all are."""
        for i, (mine, value) in enumerate(zip(source, target, strict=True)):
            if i not in self.computed and not self._gives(i, mine, value):
                return self._plan.record[i].target
        return ""

    def _value(self, place: int, value: Any, like: Any) -> Any:
        if value is None:
            return None
        for tried in self._tried(place, value, like):
            if self._gives(place, tried, value):
                return tried
        raise Unspeakable(self._plan.record[place].target)

    def _tried(self, place: int, value: Any, like: Any) -> Iterator[Any]:
        try:
            yield from self._tries[place](value, like)
        except (ValueError, TypeError, ArithmeticError, OverflowError):
            return

    def _gives(self, place: int, mine: Any, value: Any) -> bool:
        if mine is None or value is None:
            return mine is None and value is None
        if isinstance(value, float) and math.isnan(value):
            # SQLite stores NULL for it; and Python takes the very same object for equal
            return False
        try:
            return same_row((self._forth[place](mine),), (value,))
        except (ValueError, TypeError, ArithmeticError, OverflowError):
            return False


def tries(column: ColumnPlan) -> Tries:
    """Return what may be tried for a column's values."""
    wanted = conversions.parse(column.conversion, "") if column.conversion else None
    name = wanted.name if wanted is not None else column.pg_type
    if wanted is not None and wanted.name in ("timestamptz", "timestamp"):
        return _of_moments(wanted)
    if name == "text" and wanted is not None and wanted.word == "escaped":
        return _unescaped
    if name == "text" and column.overridden:
        return _text_or_number
    if name == "bytea" and wanted is not None:
        return _text_or_blob
    return _TRIES.get(name, _itself)


def _of_moments(wanted: Conversion) -> Tries:
    if wanted.source in moments.UNITS:
        return partial(_counted, moments.epoch_number(wanted.source))
    if wanted.source == "julian":
        return partial(_counted, moments.julian_number)
    instant = wanted.name == "timestamptz"
    return lambda value, like: spelling.stamp(value, like, wanted.zone, instant=instant)


def _counted(invert: Callable[[int], int | float], value: Any, like: Any) -> Iterator[Any]:
    number = invert(value)
    if isinstance(like, float):
        yield float(number)
    yield number


def _itself(value: Any, like: Any) -> Iterator[Any]:
    yield value


def _text_or_number(value: Any, like: Any) -> Iterator[Any]:
    for kind in (int, float):
        if type(like) is kind:
            yield kind(value)
    yield value


def _unescaped(value: Any, like: Any) -> Iterator[Any]:
    yield texts.unescaped(value)
    yield from _text_or_number(value, like)


def _text_or_blob(value: Any, like: Any) -> Iterator[Any]:
    if isinstance(like, str):
        yield texts.mark_bad_text(value)
    yield value


def _date(value: Any, like: Any) -> Iterator[Any]:
    yield moments.day_text(value)


def _padded(value: Any, like: Any) -> Iterator[Any]:
    yield value.rstrip(" ")
    yield value


def _uuid(value: Any, like: Any) -> Iterator[Any]:
    # the driver's own class is not the library's
    yield from spelling.identifier(uuid.UUID(int=value.int), like)


_TRIES: dict[str, Tries] = {
    "boolean": spelling.truth,
    "numeric": spelling.numeral,
    "uuid": _uuid,
    "inet": spelling.address,
    "cidr": spelling.address,
    "macaddr": spelling.hardware,
    "jsonb": spelling.document,
    "text[]": spelling.texts,
    "date": _date,
    "time": spelling.clock,
    "char": _padded,
}
