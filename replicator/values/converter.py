"""Values on their way from SQLite to PostgreSQL: each arrives equal to what it was, or is refused."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeAlias

from config.errors import ValueRefused

from . import conversions, scalars, sizes
from .documents import array_literal
from .texts import BadText as BadText
from .texts import mark_bad_text as mark_bad_text

#: What SQLite's driver returns.
Value: TypeAlias = int | float | str | bytes | None
Row: TypeAlias = tuple[Any, ...]
Convert: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True)
class Refusal:
    """A row of the source that cannot be stored: in which column, if that is known, and why."""

    row: Row
    column: str
    reason: str


def storage_class(value: object) -> str:
    """Return SQLite's name for the class of a value."""
    names = {type(None): "null", int: "integer", float: "real", str: "text", bytes: "blob"}
    return names.get(type(value), "text that is not UTF-8")


def _integer(bits: int) -> Convert:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def convert(value: Value) -> Value:
        if type(value) is not int:
            raise ValueError(f"the column holds {bits}-bit integers")
        if not low <= value <= high:
            raise ValueError(f"it is outside {low} to {high}")
        return value

    return convert


def _double(value: Value) -> float:
    if type(value) is float:
        return value
    if type(value) is int and int(float(value)) == value:
        return float(value)
    raise ValueError("the column holds 64-bit floating point numbers")


def whole(value: Any) -> Any:
    """Return the 64-bit integer that a real is equal to, where there is one."""
    found = type(value) is float and value.is_integer() and -(1 << 63) <= value < 1 << 63
    return int(value) if found else value


def _numeric(value: Value) -> Decimal:
    if type(value) is int:
        return Decimal(value)
    if type(value) is float:
        if value == 0 and math.copysign(1, value) < 0:
            raise ValueError("numeric has no negative zero")
        if abs(value) > 1 << 53 and type(integer := whole(value)) is int:
            # SQLite takes 2^62 for equal to its real: as a key it must be one on the target as well
            return Decimal(integer)
        # The shortest text that reads back as this very double; Decimal(value) would show its 50 digits.
        return Decimal(repr(value))
    raise ValueError("the column holds numbers")


def _boolean(value: Value) -> bool:
    if type(value) is int and value in (0, 1):
        return value == 1
    raise ValueError("the column holds the integers 0 and 1 as booleans")


def _text(value: Value) -> str:
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError("PostgreSQL text cannot hold a NUL character")
        return value
    if isinstance(value, BadText):
        raise ValueError("PostgreSQL text must be valid UTF-8")
    raise ValueError("the column holds text")


def _number_as_text(value: Value) -> str:
    return repr(value) if type(value) in (int, float) else _text(value)


def _bytes(value: Value) -> bytes:
    if type(value) is bytes:
        return value
    raise ValueError("the column holds blobs")


_STRICT: dict[str, Convert] = {
    "bigint": _integer(64),
    "integer": _integer(32),
    "smallint": _integer(16),
    "double precision": _double,
    "numeric": _numeric,
    "boolean": _boolean,
    "text": _text,
    "bytea": _bytes,
}

#: asyncpg refuses whatever the strict converters of these types refuse, so values go to it as they are.
#: Not so for integers: it takes 1.5 for a bigint and stores 1 (found by experiment, and tested).
_DRIVER_CHECKS = frozenset({"text", "bytea"})
_INTEGERS = frozenset({"bigint", "integer", "smallint"})
#: After a look at their types; 1.0 would find True as well.
_EXACT_DOUBLES = 1 << 53
_BOOLEANS = {0: False, 1: True, None: None}
_INTEGER_OR_NULL = frozenset({int, type(None)})


def of_key(convert: Convert) -> Convert:
    """Return the converter of a key to look for; it raises ValueError for one that cannot be there.

    The log may have it as 1.0 where the row has 1, which to SQLite is the same key.
    """

    def look_for(value: Value) -> Any:
        try:
            return convert(value)
        except ValueError:
            return convert(whole(value))

    return look_for


def strict(pg_type: str, numbers_as_text: bool = False) -> Convert:
    """Return the converter of one non-null value; it raises ValueError with the reason."""
    return _number_as_text if numbers_as_text else _STRICT[pg_type]


@dataclass(frozen=True)
class Form:
    """How the values of one column are stored: a type, and what is known of its values beforehand."""

    name: str
    pg_type: str
    #: Render integers and reals as text: asked for by the user.
    numbers_as_text: bool = False
    #: The column cannot hold another number than the type's: a rowid, or a real in a REAL column.
    certain: bool = False
    #: How values become the type, in the words of the configuration; empty where the type says all.
    conversion: str = ""
    #: Of an enum type of the target: the only texts that it knows.
    labels: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Tell whether the driver, or SQLite, already refuses all that must be refused."""
        plain = not self.numbers_as_text and not self.conversion and not self.labels
        return (self.pg_type in _DRIVER_CHECKS and plain) or self.certain

    def converter(self, key: bool) -> Convert:
        """Return the converter of one non-null value, which raises ValueError with the reason."""
        if self.labels:
            return scalars.label(self.labels)
        if self.conversion:
            return conversions.way(self.conversion, key).convert
        return strict(self.pg_type, self.numbers_as_text)

    @cached_property
    def to_source(self) -> Convert:
        """Return what turns a value of the target's key into the one that SQLite has; None for none."""
        invert = conversions.way(self.conversion, True).invert if self.conversion else None
        return invert or to_source


class Converter:
    """Converts whole rows of one table, fast where types are certain, and names what is refused."""

    def __init__(self, table: str, forms: Sequence[Form], key: Sequence[int]) -> None:
        """Take the form of each column and the places of the key."""
        self._table = table
        #: The columns as the source calls them.
        self.names = [form.name for form in forms]
        self.key = tuple(key)
        self._strict = [form.converter(i in self.key) for i, form in enumerate(forms)]
        self._lists = [i for i, form in enumerate(forms) if conversions.is_list(form.pg_type)]
        self._to_source = [forms[i].to_source for i in self.key]
        self._of_key = [of_key(self._strict[i]) for i in self.key]
        open_ = [i for i, form in enumerate(forms) if not form.passes]
        self._checked = [i for i in open_ if forms[i].pg_type in _INTEGERS]
        self._converted = [(i, self._strict[i]) for i in open_ if forms[i].pg_type not in _INTEGERS]
        booleans = [i for i in open_ if self._strict[i] is _boolean]
        self._whole = [*self._checked, *booleans]
        self._made = _row_maker(len(forms), dict(self._converted)) if self._converted else None

    @property
    def converters(self) -> Sequence[Convert]:
        """Return the converter of each column's values but NULL; they raise ValueError."""
        return self._strict

    def rows(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the rows as the driver takes them. Raises ValueRefused."""
        for i in self._whole:
            if not _INTEGER_OR_NULL.issuperset(map(type, map(operator.itemgetter(i), rows))):
                self.refuse(rows)
        if self._made is None:
            return rows
        try:
            return self._made(rows)
        except (ValueError, KeyError):
            self.refuse(rows)
            raise

    def _column(self, values: Sequence[Any], convert: Convert, rows: Sequence[Row]) -> list[Any]:
        try:
            if convert is _boolean and _INTEGER_OR_NULL.issuperset(map(type, values)):
                return list(map(_BOOLEANS.__getitem__, values))
            return [None if v is None else convert(v) for v in values]
        except (ValueError, KeyError):
            self.refuse(rows)
            raise

    def columns(self, rows: Sequence[Row]) -> list[Sequence[Any]]:
        """Return the rows, one or more, as one sequence per column. Raises ValueRefused."""
        out: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for i in self._checked:
            if not _INTEGER_OR_NULL.issuperset(map(type, out[i])):
                self.refuse(rows)
        for i, convert in self._converted:
            out[i] = self._column(out[i], convert, rows)
        return self._sendable(out)

    def parameters(self, converted: Sequence[Row]) -> list[Sequence[Any]]:
        """Return rows that are converted already as `columns` returns rows that are not."""
        return self._sendable(list(zip(*converted, strict=True)))

    def _sendable(self, columns: list[Sequence[Any]]) -> list[Sequence[Any]]:
        for i in self._lists:
            columns[i] = list(map(array_literal, columns[i]))
        return columns

    def refuse(self, rows: Iterable[Row]) -> None:
        """Look for a value that cannot be stored and raise ValueRefused for the first; else return."""
        for row in rows:
            if (found := self._wrong(row)) is not None:
                i, reason = found
                raise self._error(row, i, reason) from None

    def error(self, refusal: Refusal) -> ValueRefused:
        """Return the error for a row that `sift` has refused."""
        i, reason = self._wrong(refusal.row) or (0, refusal.reason)
        return self._error(refusal.row, i, reason)

    def _error(self, row: Row, place: int, reason: str) -> ValueRefused:
        kind = storage_class(row[place])
        return ValueRefused(self._table, self.key_text(row), self.names[place], kind, reason)

    def sift(self, rows: Iterable[Row]) -> tuple[list[tuple[Row, Row]], list[Refusal]]:
        """Return the rows that can be stored, each with what the driver takes, and those that cannot."""
        good: list[tuple[Row, Row]] = []
        refused = []
        for row in rows:
            ready, found = self._tried(row)
            if found is not None:
                i, reason = found
                refused.append(Refusal(row, self.names[i], f"{storage_class(row[i])}: {reason}"))
            else:
                good.append((row, ready))
        return good, refused

    def _wrong(self, row: Row) -> tuple[int, str] | None:
        """Return the place of the first value that cannot be stored, and why."""
        return self._tried(row)[1]

    def _tried(self, row: Row) -> tuple[Row, tuple[int, str] | None]:
        """Return a row as the driver takes it, or the place of what cannot be stored, and why."""
        ready = []
        for i, value in enumerate(row):
            try:
                ready.append(None if value is None else self._strict[i](value))
                if value is None and i in self.key:
                    return (), (i, "a key of PostgreSQL cannot be NULL")
            except ValueError as reason:
                return (), (i, str(reason))
        if sizes.too_large(ready):
            return (), (sizes.largest(ready), sizes.reason(ready))
        return tuple(ready), None

    def key_text(self, row: Row) -> str:
        """Return the key of a row for a message: integers as they are, anything else by class and size.

        A key can be an e-mail address; logs and error messages never show such a value.
        """
        return self.shown([row[i] for i in self.key])

    def shown(self, key: Iterable[object]) -> str:
        """Return a key for a message, as `key_text` does."""
        return ", ".join(map(_shown, key))

    def source_key(self, key: Row) -> Row:
        """Return the key that SQLite has where the target has this one."""
        return tuple(invert(value) for invert, value in zip(self._to_source, key, strict=True))

    def keys(self, keys: Iterable[Row]) -> list[Row]:
        """Return the keys that can be on the target at all, converted; the rest never got there."""
        kept = []
        for key in keys:
            try:
                kept.append(tuple(c(v) for c, v in zip(self._of_key, key, strict=True)))
            except ValueError:
                continue
        return kept


def row_maker_source(width: int, converted: Mapping[int, bool]) -> str:
    """Return the text of a function that converts whole rows; pure.

    `converted` holds the places to convert, and whether by looking the value up. One comprehension written
    for the table takes a third of the time of taking rows apart column by column (measured).
    """
    names = ", ".join(f"v{i}" for i in range(width)) + ","
    values = ", ".join(
        f"v{i}"
        if i not in converted
        else f"c{i}[v{i}]"
        if converted[i]
        else f"None if v{i} is None else c{i}(v{i})"
        for i in range(width)
    )
    return f"lambda rows: [({values},) for {names} in rows]"


def _row_maker(width: int, converts: Mapping[int, Convert]) -> Callable[[Sequence[Row]], list[Row]]:
    looked_up = {i: convert is _boolean for i, convert in converts.items()}
    known = {f"c{i}": _BOOLEANS if looked_up[i] else convert for i, convert in converts.items()}
    made: Callable[[Sequence[Row]], list[Row]] = eval(row_maker_source(width, looked_up), known)
    return made


def _shown(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str | bytes):
        return f"<{storage_class(value)} of {len(value)}>"
    known = value is None or type(value) in (float, BadText)
    return f"<{storage_class(value) if known else type(value).__name__.lower()}>"


def same_row(left: Row, right: Row) -> bool:
    """Tell whether two rows of one table, both as the target's types have them, are equal in every value.

    The types of both sides are the column's, so Python's equality is exact but for one case: it takes -0.0
    for 0.0.
    """
    if left != right:
        return False
    return all(
        math.copysign(1, a) == math.copysign(1, b)
        for a, b in zip(left, right, strict=True)
        if type(a) is float and a == 0
    )


def to_source(value: Any) -> Value:
    """Return a value of the target's key as SQLite knows it."""
    if isinstance(value, Decimal):
        # beyond 64 bits it was a real there
        whole = -(1 << 63) <= value < 1 << 63 and value == value.to_integral_value()
        return int(value) if whole else float(value)
    return int(value) if isinstance(value, bool) else value
