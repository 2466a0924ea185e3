"""Values on their way back: what goes forth again is the same, and what is not changed keeps its spelling."""

from __future__ import annotations

import ipaddress
import math
import random
import uuid
from decimal import Decimal
from typing import Any

import pytest

from replicator.fallback.inverse import Inverse, Unspeakable
from replicator.planning.plan import TablePlan, plan_table
from replicator.planning.types import Evidence
from replicator.values import conversions
from triggers.schema import Column, Table


def plan(wanted: str, declared: str = "") -> TablePlan:
    """Plan a table of a key and one column of that type."""
    columns = (Column("id", "INTEGER", False, None, 1), Column("v", declared, False, None, 0))
    overrides = {"t.v": wanted} if wanted else {}
    return plan_table(Table("t", columns), "public", [Evidence()] * 2, overrides)


def back(wanted: str, value: Any, old: Any = None, like: Any = None, declared: str = "") -> Any:
    """Return what becomes of a value of the target."""
    row = (1, old) if old is not None else None
    return Inverse(plan(wanted, declared)).row((1, value), row, [None, like])[1]


def forth(wanted: str, value: Any, declared: str = "") -> Any:
    """Return what a value of the source is on the target."""
    return plan(wanted, declared).converter.converters[1](value)


#: A type, a value of the source, and another of the column that is spelled alike.
ALIKE = [
    ("boolean", "true", "false"),
    ("boolean", "NO", "YES"),
    ("boolean", 0, 1),
    ("numeric", "12.5", "0.25"),
    ("numeric", 12, 3),
    ("numeric(10,2)", 9.99, 0.5),
    ("timestamptz", "2024-02-29T23:59:59.500+01:00", "2020-01-01T00:00:00.000+01:00"),
    ("timestamptz", "2024-02-29 23:59:59Z", "2020-01-01 00:00:00Z"),
    ("timestamptz", "2024-02-29 23:59 +0530", "2020-01-01 00:00 +0530"),
    ("timestamptz from iso in UTC", "2024-02-29 23:59:59.123456", "2020-01-01 00:00:00.000000"),
    ("timestamptz from iso in Europe/Berlin", "2024-07-01 12:00:00", "2020-01-01 00:00:00"),
    ("timestamptz from epoch_s", 1700000000, 5),
    ("timestamptz from epoch_s", 1700000000.25, 5.5),
    ("timestamptz from epoch_ms", 1700000000123, 5),
    ("timestamptz from julian", 2460000.5, 2450000.25),
    ("timestamp", "2024-02-29T23:59:59", "2020-01-01T00:00:00"),
    ("timestamp", "2024-02-29", "2020-01-01"),
    ("timestamp", "0001-01-01 00:00:00", "0002-01-01 00:00:00"),
    ("timestamp", "infinity", "2020-01-01 00:00:00"),
    ("date", "2024-02-29", "2020-01-01"),
    ("time", "23:59:59.5", "00:00:00.1"),
    ("time", "23:59", "00:00"),
    ("uuid", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "00000000-0000-0000-0000-00000000000a"),
    ("uuid", "{6F9619FF-8B86-D011-B42D-00C04FC964FF}", "{00000000-0000-0000-0000-00000000000A}"),
    ("uuid from hex", "6f9619ff8b86d011b42d00c04fc964ff", "0" * 31 + "a"),
    ("uuid from blob", bytes(range(16)), bytes(16)),
    ("jsonb", '{"a": [1, 2.50]}', "{}"),
    ("json", '{"a":[1,2.50]}', "{}"),
    ("inet", "192.168.0.1", "10.0.0.1"),
    ("inet", "192.168.0.1/24", "10.0.0.1/8"),
    ("cidr", "192.168.0.0/24", "10.0.0.0/8"),
    ("macaddr", "AA-BB-CC-00-11-22", "0A-00-00-00-00-01"),
    ("text[]", '["a","b",null]', '["x","y"]'),
    ("text[]", '["a", "b"]', '["x", "y"]'),
    ("varchar(5)", "abc", "x"),
    ("char(3) padded", "a", "b"),
    ("real", 0.5, 1.5),
    ("text", "plain", "x"),
    ("text", 12, 3),
    ("text", 1.5, 0.5),
    ("bytea", b"\x00\xff", b""),
]


@pytest.mark.parametrize(("wanted", "value", "other"), ALIKE, ids=lambda one: repr(one)[:24])
def test_a_new_row_is_spelled_like_the_others(wanted: str, value: Any, other: Any) -> None:
    """What the application would have written itself, as far as another value tells."""
    assert back(wanted, forth(wanted, value), like=other) == value


@pytest.mark.parametrize(("wanted", "value", "other"), ALIKE, ids=lambda one: repr(one)[:24])
def test_what_has_not_changed_stays_as_it_was(wanted: str, value: Any, other: Any) -> None:
    """Another column of the row was changed: this one is written as it stands."""
    made = back(wanted, forth(wanted, value), old=value, like=other)
    assert (made, type(made)) == (value, type(value))


@pytest.mark.parametrize(("wanted", "value", "other"), ALIKE, ids=lambda one: repr(one)[:24])
def test_without_an_example_the_value_is_right_all_the_same(wanted: str, value: Any, other: Any) -> None:
    """Some spelling that goes forth as the very value, or a refusal; never another value."""
    found = forth(wanted, value)
    assert forth(wanted, back(wanted, found)) == found


@pytest.mark.parametrize(
    ("wanted", "declared", "value"),
    [
        ("", "DECIMAL(30,20)", Decimal("0.1000000000000000055511151231257827")),
        ("", "DECIMAL", Decimal("NaN")),
        ("", "DECIMAL", Decimal("1e400")),
        ("", "REAL", math.nan),
        ("timestamptz from epoch_s", "", 9_300_000_000_000_000_000),
        ("timestamp", "", 10**18),
        ("text[]", "", [["a", "b"], ["c", "d"]]),
        ("date", "", 10**8),
    ],
)
def test_what_sqlite_has_no_value_for_is_refused(wanted: str, declared: str, value: Any) -> None:
    """More digits than a double, not a number, years beyond 9999, lists of lists."""
    with pytest.raises(Unspeakable) as refused:
        back(wanted, value, declared=declared)
    assert refused.value.column == "v"


def test_negative_zero_is_not_zero() -> None:
    """A real keeps its sign."""
    assert math.copysign(1, back("", -0.0, old=0.0, declared="REAL")) == -1


@pytest.mark.parametrize("seed", range(20))
def test_instants_come_back_whatever_they_are_spelled_like(seed: int) -> None:
    """Any microsecond of the years 1 to 9999, in any spelling of another value."""
    chance = random.Random(seed)
    likes = [value for wanted, value, _ in ALIKE if wanted.startswith("timestamp") and isinstance(value, str)]
    for _ in range(50):
        for wanted in ("timestamptz from iso in Europe/Berlin", "timestamptz", "timestamp"):
            # a year from both ends, where an offset would lead out of them
            micros = chance.randrange(-63_000_000_000_000_000, 252_000_000_000_000_000)
            micros -= micros % chance.choice([1, 1000, 1_000_000, 86_400_000_000])
            assert forth(wanted, back(wanted, micros, like=chance.choice([*likes, None]))) == micros


def test_every_type_that_can_be_asked_for_is_tried() -> None:
    """A new conversion is not forgotten here."""
    tried = {conversions.parse(wanted, "").name for wanted, *_ in ALIKE}
    assert tried >= set(conversions.KNOWN) - {"bigint", "integer", "smallint", "double precision"}


def test_the_drivers_own_objects_come_back() -> None:
    """Addresses and UUIDs arrive as objects that are not the library's."""
    assert back("inet", ipaddress.ip_address("::1")) == "::1"
    assert back("uuid", uuid.UUID(int=5)) == str(uuid.UUID(int=5))
