"""JSON texts on their way to jsonb, json and text[]."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

#: Digits that PostgreSQL's numeric has before and behind the point.
_WHOLE_DIGITS = 131_072
_FRACTION_DIGITS = 16_383

_SURROGATE = re.compile("[\ud800-\udfff]")


class Document(str):
    """A JSON text that equals every other text of the same value: jsonb gives back another spelling."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]  # texts of one value differ in theirs

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return NotImplemented
        return str.__eq__(self, other) or _typed(_parsed(self)) == _typed(_parsed(other))

    def __ne__(self, other: object) -> bool:
        return not self == other


def jsonb(value: Any) -> Document:
    """Convert a JSON text, or a number that SQLite made of one. Raises ValueError for what jsonb changes."""
    text = json_text(value)
    _check(json_value(text, strict=True))
    return Document(text)


def json_text(value: Any) -> str:
    """Convert a JSON text, or a number that SQLite made of one, to the text that json keeps."""
    if type(value) in (int, float):
        # a column declared JSON has NUMERIC affinity: SQLite itself has made a number of the text
        if type(value) is float and (not math.isfinite(value) or _is_negative_zero(value)):
            raise ValueError("JSON has no infinity, and its numbers no negative zero on the target")
        return repr(value)
    if type(value) is not str:
        raise ValueError("the column holds JSON texts")
    if "\x00" in value:
        raise ValueError("PostgreSQL text cannot hold a NUL character")
    json_value(value, strict=False)
    return value


def text_list(value: Any) -> list[str | None]:
    """Convert a JSON list of texts, or of null, to the elements of an array."""
    if type(value) is not str:
        raise ValueError("the column holds JSON lists of texts")
    found = json_value(value, strict=True)
    if not isinstance(found, list) or any(one is not None and type(one) is not str for one in found):
        raise ValueError("it is not a JSON list of nothing but texts")
    _check(found)
    return found


def array_literal(elements: list[str | None] | None) -> str | None:
    """Return an array as PostgreSQL reads it: as an element of another array it can only travel as text."""
    if elements is None:
        return None
    quoted = [
        "NULL" if one is None else '"' + one.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for one in elements
    ]
    return "{" + ",".join(quoted) + "}"


def json_value(text: str, *, strict: bool) -> Any:
    """Return the value of a JSON text, numbers as Decimal. Raises ValueError.

    With `strict` an object with one key twice is refused, of which jsonb keeps the last.
    """
    try:
        return json.loads(
            text,
            parse_int=Decimal,
            parse_float=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_object if strict else None,
        )
    except _Twice:
        raise ValueError("an object has the same key twice, and jsonb keeps one of them") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (ValueError, InvalidOperation):
        raise ValueError("it is not JSON") from None


class _Twice(ValueError):
    """An object has one key twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _parsed(text: str) -> Any:
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def _typed(value: Any) -> Any:
    """Tell true from 1, which Python does not."""
    if isinstance(value, dict):
        return {name: _typed(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_typed(one) for one in value]
    return (type(value), value)


def _check(value: Any) -> None:
    """Raise ValueError where the value holds what jsonb cannot."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            _check_text(one)
        elif isinstance(one, Decimal):
            check_numeric(one)
        elif isinstance(one, dict):
            waiting += one.keys()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise ValueError("it holds \\u0000, which PostgreSQL's texts cannot")
    if _SURROGATE.search(text):
        raise ValueError("it holds half of a surrogate pair, which PostgreSQL's texts cannot")


def check_numeric(number: Decimal) -> None:
    """Raise ValueError for a number that PostgreSQL's numeric does not hold exactly."""
    if number.is_zero() and number.is_signed():
        raise ValueError("numeric has no negative zero")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and (
        exponent < -_FRACTION_DIGITS or (not number.is_zero() and number.adjusted() >= _WHOLE_DIGITS)
    ):
        raise ValueError("it has more digits than PostgreSQL's numeric")


def _is_negative_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0
