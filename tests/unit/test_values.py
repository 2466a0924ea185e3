"""Values on their way to PostgreSQL: each arrives equal to what it was, or is refused by name."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ValueRefused
from replicator.values.converter import (
    BadText,
    Converter,
    Form,
    mark_bad_text,
    same_row,
    storage_class,
    strict,
    to_source,
)

MAX = 2**63 - 1
INF = math.inf


@pytest.mark.parametrize(
    ("pg_type", "value", "stored"),
    [
        ("bigint", MAX, MAX),
        ("bigint", -MAX - 1, -MAX - 1),
        ("integer", 2**31 - 1, 2**31 - 1),
        ("integer", -(2**31), -(2**31)),
        ("smallint", -(2**15), -(2**15)),
        ("double precision", 0.1, 0.1),
        ("double precision", INF, INF),
        ("double precision", 5e-324, 5e-324),
        ("double precision", 2**53, float(2**53)),
        ("double precision", -(2**63), -(2.0**63)),
        ("numeric", MAX, Decimal(MAX)),
        ("numeric", 0.1, Decimal("0.1")),
        ("numeric", 2.0**62, Decimal(2**62)),
        ("numeric", -(2.0**63), Decimal(-(2**63))),
        ("numeric", 2.0**63, Decimal("9.223372036854776e18")),
        ("numeric", 1e23, Decimal("1e23")),
        ("numeric", -INF, Decimal("-Infinity")),
        ("numeric", 5e-324, Decimal("5e-324")),
        ("numeric", 0.0, Decimal("0.0")),
        ("boolean", 0, False),
        ("boolean", 1, True),
        ("text", "", ""),
        ("text", "\U0010ffff\ufffe\t\\N", "\U0010ffff\ufffe\t\\N"),
        ("bytea", b"", b""),
        ("bytea", b"\x00\xff", b"\x00\xff"),
    ],
)
def test_a_value_that_fits_goes_through_whole(pg_type: str, value: Any, stored: Any) -> None:
    """The limits themselves fit, and a double keeps every bit."""
    found = strict(pg_type)(value)
    assert (found, type(found)) == (stored, type(stored))


def test_a_negative_zero_stays_one_in_a_double() -> None:
    """The one value that equals another and is not it."""
    assert math.copysign(1, strict("double precision")(-0.0)) == -1


WRONG = [
    ("bigint", MAX + 1, "outside"),
    ("bigint", -MAX - 2, "outside"),
    ("bigint", 1.0, "64-bit integers"),
    ("bigint", 1.5, "64-bit integers"),
    ("bigint", 9.2233720368547758e18, "64-bit integers"),
    ("bigint", INF, "64-bit integers"),
    ("bigint", "1", "64-bit integers"),
    ("bigint", b"\x01", "64-bit integers"),
    ("bigint", True, "64-bit integers"),
    ("integer", 2**31, "outside"),
    ("smallint", -(2**15) - 1, "outside"),
    ("double precision", 2**53 + 1, "floating"),
    ("double precision", MAX, "floating"),
    ("double precision", "0.5", "floating"),
    ("double precision", b"", "floating"),
    ("numeric", -0.0, "negative zero"),
    ("numeric", "1", "numbers"),
    ("numeric", "NaN", "numbers"),
    ("numeric", b"\x01", "numbers"),
    ("boolean", 2, "0 and 1"),
    ("boolean", -1, "0 and 1"),
    ("boolean", 1.0, "0 and 1"),
    ("boolean", 0.0, "0 and 1"),
    ("boolean", "true", "0 and 1"),
    ("boolean", b"\x01", "0 and 1"),
    ("text", "a\x00b", "NUL"),
    ("text", "\x00", "NUL"),
    ("text", BadText(), "UTF-8"),
    ("text", 1, "text"),
    ("text", 1.5, "text"),
    ("text", b"text", "text"),
    ("bytea", "text", "blobs"),
    ("bytea", 1, "blobs"),
]


@pytest.mark.parametrize(("pg_type", "value", "reason"), WRONG)
def test_a_value_that_does_not_fit_is_refused_with_the_reason(pg_type: str, value: Any, reason: str) -> None:
    """Nothing is rounded, cut, coerced or set to NULL."""
    with pytest.raises(ValueError, match=reason):
        strict(pg_type)(value)


@pytest.mark.parametrize(
    ("value", "text"), [(5, "5"), (1.0, "1.0"), (0.1, "0.1"), (1e23, "1e+23"), (INF, "inf"), ("x", "x")]
)
def test_numbers_become_their_text_where_that_was_asked_for(value: Any, text: str) -> None:
    """An override to text takes numbers; the shortest digits that read back as the same double."""
    assert strict("text", numbers_as_text=True)(value) == text


@pytest.mark.parametrize("value", [b"5", "a\x00", BadText()])
def test_an_override_to_text_still_refuses_what_is_no_text(value: Any) -> None:
    """A blob has no characters to carry."""
    with pytest.raises(ValueError, match=r"text|UTF-8|NUL"):
        strict("text", numbers_as_text=True)(value)


@given(st.floats(allow_nan=False).filter(lambda v: v != 0 or math.copysign(1, v) > 0))
def test_every_double_is_read_back_from_its_numeric(value: float) -> None:
    """Its shortest digits, not its fifty; a whole number that SQLite takes for an integer has all of it."""
    decimal = strict("numeric")(value)
    assert float(decimal) == value
    assert len(decimal.as_tuple().digits) <= 17 or decimal == int(value) < 2**63


@given(st.integers(-(2**63), MAX))
def test_an_integer_goes_into_a_double_exactly_or_not_at_all(value: int) -> None:
    """Above 2^53 some have no double of their own."""
    try:
        stored = strict("double precision")(value)
    except ValueError:
        assert int(float(value)) != value
    else:
        assert int(stored) == value


def converter(*types: str, key: tuple[int, ...] = (0,)) -> Converter:
    """Return a converter of columns a, b, c, ..."""
    return Converter("t", [Form(name, kind) for name, kind in zip("abcdef", types, strict=False)], key)


def test_rows_and_columns_are_converted_alike() -> None:
    """For COPY by row, for the arrays of an upsert by column; NULL stays NULL."""
    made = converter("bigint", "boolean", "numeric", "text", "double precision")
    rows = [(1, 1, 0.5, "x", 2), (2, None, None, None, None), (3, 0, 7, "", 1.5)]
    wanted = [
        (1, True, Decimal("0.5"), "x", 2.0),
        (2, None, None, None, None),
        (3, False, Decimal(7), "", 1.5),
    ]
    assert list(map(tuple, made.rows(rows))) == wanted
    assert list(zip(*made.columns(rows), strict=True)) == wanted


def test_no_rows_are_no_rows() -> None:
    """An empty table, or the page behind the last row."""
    assert list(converter("bigint", "boolean").rows([])) == []


@pytest.mark.parametrize("by", ["rows", "columns"])
@pytest.mark.parametrize(
    ("pg_type", "value"), [(t, v) for t, v, _ in WRONG if t not in ("text", "bytea") and type(v) is not int]
)
def test_what_the_driver_would_not_refuse_is_refused_before(by: str, pg_type: str, value: Any) -> None:
    """By rows and by columns; the table, the key, the column and the class are named, the value is not."""
    made = converter("bigint", pg_type)
    with pytest.raises(ValueRefused) as refused:
        getattr(made, by)([(1, None), (42, value)])
    message = str(refused.value)
    assert all(word in message for word in ("'t'", "42", "'b'"))


def test_a_refused_row_is_named_by_its_key_without_showing_it() -> None:
    """A key can be an e-mail address, and messages go into logs."""
    made = converter("text", "boolean")
    with pytest.raises(ValueRefused) as refused:
        made.rows([("someone@example.org", 7)])
    assert "someone" not in str(refused.value)
    assert "text of 19" in str(refused.value)


def test_a_null_in_the_key_is_refused() -> None:
    """SQLite allows it in a primary key, and several times."""
    with pytest.raises(ValueRefused, match="NULL"):
        converter("bigint", "text").refuse([(1, "x"), (None, "y")])


def test_keys_that_cannot_be_on_the_target_are_left_out_of_deletes() -> None:
    """A row with such a key was refused; there is nothing to delete."""
    made = converter("bigint", "numeric", key=(0, 1))
    keys = [(1, 0.5), ("x", 1), (2, "-0.0"), (MAX + 1, 1), (3, 4)]
    assert made.keys(keys) == [(1, Decimal("0.5")), (3, Decimal(4))]


@pytest.mark.parametrize(
    ("raw", "bad"),
    [
        (b"plain", False),
        ("é東🚢".encode(), False),
        (b"caf\xe9", True),
        (b"\xed\xa0\x80", True),
        (b"\xc0\xaf", True),
        (b"\xf4\x90\x80\x80", True),
        (b"a\x00b", False),
    ],
)
def test_a_text_that_is_not_utf8_is_marked(raw: bytes, bad: bool) -> None:
    """Latin-1, lone surrogates, overlong forms and what is above 10FFFF, as SQLite stores them all."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.text_factory = mark_bad_text
        (value,) = connection.execute("SELECT CAST(? AS TEXT)", (raw,)).fetchone()
    assert isinstance(value, BadText) is bad
    assert storage_class(value) == ("text that is not UTF-8" if bad else "text")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ((1, "a", None), (1, "a", None), True),
        ((0.0,), (-0.0,), False),
        ((-0.0,), (-0.0,), True),
        ((1.0, 0.0), (1.0, 0.0), True),
        (("a",), ("A",), False),
        ((None,), (0,), False),
        ((b"a",), (b"a",), True),
        ((Decimal("1.0"),), (Decimal("1.00"),), True),
    ],
)
def test_rows_are_compared_exactly(left: tuple[Any, ...], right: tuple[Any, ...], same: bool) -> None:
    """Verification sees the sign of a zero."""
    assert same_row(left, right) is same


@pytest.mark.parametrize(
    ("value", "source"),
    [(Decimal(5), 5), (Decimal("0.1"), 0.1), (True, 1), ("x", "x"), (b"y", b"y"), (2.5, 2.5)],
)
def test_a_key_of_the_target_is_found_in_the_source(value: Any, source: Any) -> None:
    """As SQLite has it: an integral numeric is an integer there, a boolean is 0 or 1."""
    found = to_source(value)
    assert (found, type(found)) == (source, type(source))


@pytest.mark.parametrize("value", [Decimal("1e300"), Decimal("Infinity"), Decimal(2**63), Decimal(-(2**64))])
def test_a_large_numeric_key_is_looked_up_as_a_real(value: Decimal) -> None:
    """SQLite holds no integer beyond 64 bits: there it can only be a real."""
    found = to_source(value)
    assert type(found) is float
    assert found == float(value)


@pytest.mark.parametrize(
    ("pg_type", "logged", "there"),
    [
        ("bigint", 1.0, [(1,)]),
        ("bigint", 1.5, []),
        ("bigint", "1", []),
        ("boolean", 1.0, [(True,)]),
        ("numeric", -0.0, [(Decimal(0),)]),
        ("numeric", 1e300, [(Decimal("1e300"),)]),
        ("double precision", 2, [(2.0,)]),
        ("double precision", math.inf, [(math.inf,)]),
        ("text", 1, []),
    ],
)
def test_a_key_is_looked_for_as_the_target_has_it(pg_type: str, logged: Any, there: list[Any]) -> None:
    """The log may have 1.0 for the key 1; what no row of the target can have is not looked for."""
    assert Converter("t", [Form("k", pg_type)], [0]).keys([(logged,)]) == there
