"""The comparison that the other tests rely on tells apart what must be told apart."""

from __future__ import annotations

import datetime
import math
import uuid
from decimal import Decimal

import pytest

from tests.compare import from_postgres, from_sqlite, shorten


@pytest.mark.parametrize(
    ("stored", "arrived"),
    [
        (1, True),
        (0, False),
        (12345678901234567, Decimal("12345678901234567")),
        (100, Decimal("1E+2")),
        (0.1, Decimal("0.1")),
        (1e300, Decimal(10) ** 300),
        (math.inf, math.inf),
        (math.inf, Decimal("Infinity")),
        ("text", "text"),
        (b"\x00\xff", b"\x00\xff"),
        (None, None),
    ],
)
def test_a_value_equals_itself_after_the_way_through_a_driver(stored: object, arrived: object) -> None:
    """Each PostgreSQL type's Python class is brought back to the one that SQLite gives."""
    assert shorten([from_sqlite(stored, "")]) == shorten([from_postgres(arrived)])


@pytest.mark.parametrize(
    ("stored", "kind", "arrived"),
    [
        ("2026-01-02 03:04:05", "timestamp without time zone", datetime.datetime(2026, 1, 2, 3, 4, 5)),
        (
            "2026-01-02T03:04:05Z",
            "timestamp with time zone",
            datetime.datetime(2026, 1, 2, 3, 4, 5, 0, datetime.UTC),
        ),
        ("2026-01-02", "date", datetime.date(2026, 1, 2)),
        ("03:04:05", "time without time zone", datetime.time(3, 4, 5)),
        ('{"b": 1, "a": 2}', "jsonb", '{"a": 2, "b": 1}'),
        ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "uuid", uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
    ],
)
def test_text_equals_the_typed_value_made_of_it(stored: str, kind: str, arrived: object) -> None:
    """Text that a column's type takes in is compared by meaning."""
    assert shorten([from_sqlite(stored, kind)]) == shorten([from_postgres(arrived)])


@pytest.mark.parametrize(
    ("stored", "arrived"),
    [
        (1, 2),
        (1, 1.0),
        (1, "1"),
        (0.3, 0.1 + 0.2),
        (-0.0, 0.0),
        (None, ""),
        (None, b""),
        (None, 0),
        ("", b""),
        ("abc", b"abc"),
        ("abc", "abc "),
        ("é", "e\u0301"),
        (2**63 - 1, float(2**63)),
        (Decimal("0.1"), Decimal("0.1000000000000000055511151231257827")),
        ("x" * 1000 + "a", "x" * 1000 + "b"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_values_that_differ_in_anything_differ(stored: object, arrived: object) -> None:
    """Neither Python's loose equality nor the shortening of long rows hides a difference."""
    assert shorten([stored]) != shorten([from_postgres(arrived)])
