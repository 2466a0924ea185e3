"""Types that the user asks for: what each takes, what becomes of it, its inverse, and what is refused."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from replicator.conversions import KNOWN, base, parse, way
from replicator.documents import Document, array_literal
from replicator.values import same_row

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def micros(*moment: int) -> int:
    """Return a time of UTC as PostgreSQL counts it."""
    return (datetime(*moment, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)  # type: ignore[misc,arg-type]


NOON = micros(2024, 2, 29, 12, 0, 0)
SECONDS = 1709208000
ID = UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")


def numbered(cases: Sequence[tuple[str, Any, Any]]) -> list[str]:
    """Name each case after its type and its place: 1 and '1' read alike."""
    return [f"{number} {wanted}" for number, (wanted, _, _) in enumerate(cases)]


def test_the_seconds_are_those_of_noon() -> None:
    """The figures that the tables below are built on."""
    assert datetime(2024, 2, 29, 12, tzinfo=UTC).timestamp() == SECONDS


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("int8", "bigint"),
        ("Double  Precision", "double precision"),
        ("BOOL", "boolean"),
        ("decimal(12,2)", "numeric(12,2)"),
        ("NUMERIC ( 12 )", "numeric(12,0)"),
        ("varchar", "text"),
        ("character varying(9)", "varchar(9)"),
        ("char", "char(1)"),
        ("CHARACTER(3) padded", "char(3) padded"),
        ("timestamp with time zone", "timestamptz from iso"),
        ("timestamptz in UTC", "timestamptz from iso in UTC"),
        ("timestamptz from iso in Europe/Berlin rounded", "timestamptz from iso in Europe/Berlin rounded"),
        ("timestamptz FROM EPOCH_MS", "timestamptz from epoch_ms"),
        ("timestamp", "timestamp from iso"),
        ("float4 lossy", "real lossy"),
        ("uuid from hex", "uuid from hex"),
        ("text[]", "text[]"),
    ],
)
def test_a_type_is_known_by_its_other_names(given: str, said: str) -> None:
    """In any case and spacing; what is said of it reads back as the same."""
    assert str(parse(given, "t.c")) == said
    assert parse(said, "t.c") == parse(given, "t.c")


@pytest.mark.parametrize("wanted", ["money", "", "interval", "oid", "integer[]", "text from"])
def test_a_type_that_could_lose_something_is_refused(wanted: str) -> None:
    """Only types whose every value is known to arrive whole may be asked for."""
    with pytest.raises(ConfigError, match="columns.t.c") as refused:
        parse(wanted, "t.c")
    assert all(name in str(refused.value) for name in KNOWN)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("timestamptz from fortnights", "is made from iso, epoch_s"),
        ("bigint from epoch_s", "takes no `from`"),
        ("timestamptz from epoch_s in UTC", "a time zone is stated"),
        ("timestamp in UTC", "a time zone is stated"),
        ("timestamptz in Mars/Olympus", "no such time zone"),
        ("timestamptz in ../../etc/passwd", "no such time zone"),
        ("timestamptz in +25:00", "less than 16"),
        ("bigint rounded", "says nothing"),
        ("real rounded", "says nothing"),
        ("char(5) lossy", "says nothing"),
        ("varchar(0)", "how many"),
        ("numeric(1001,2)", "precision"),
        ("numeric(4,5)", "precision"),
        ("bigint(3)", "takes no numbers"),
        ("uuid(3)", "takes no numbers"),
    ],
)
def test_words_that_contradict_each_other_are_refused(wanted: str, reason: str) -> None:
    """Before anything is opened, with the rule."""
    with pytest.raises(ConfigError, match=reason):
        parse(wanted, "t.c")


BECOMES: list[tuple[str, Any, Any]] = [
    *[("boolean", one, True) for one in (1, "1", "t", "TRUE", "yes", "y", "On")],
    *[("boolean", one, False) for one in (0, "0", "f", "False", "no", "n", "off")],
    ("timestamptz", "2024-02-29T12:00:00Z", NOON),
    ("timestamptz", "2024-02-29 12:00:00 UTC", NOON),
    ("timestamptz", "2024-02-29t12:00z", NOON),
    ("timestamptz", "2024-02-29 13:00:00+01:00", NOON),
    ("timestamptz", "2024-02-29 13:00:00 +0100", NOON),
    ("timestamptz", "2024-02-29 04:00:00.000001-08", NOON + 1),
    ("timestamptz", "2024-02-29 12:00:00.5Z", NOON + 500_000),
    ("timestamptz", "2024-02-29 12:00:00,123456000Z", NOON + 123_456),
    ("timestamptz", "infinity", 2**63 - 1),
    ("timestamptz", "-infinity", -(2**63)),
    ("timestamptz", "0001-01-01 00:00:00Z", micros(1, 1, 1)),
    ("timestamptz", "9999-12-31 23:59:59.999999Z", micros(9999, 12, 31, 23, 59, 59, 999999)),
    ("timestamptz rounded", "2024-02-29 12:00:00.0000015Z", NOON + 2),
    ("timestamptz rounded", "2024-02-29 12:00:00.9999999Z", NOON + 1_000_000),
    ("timestamptz in UTC", "2024-02-29 12:00:00", NOON),
    ("timestamptz in UTC", "2024-02-29", micros(2024, 2, 29)),
    ("timestamptz in UTC", "2024-02-29 13:00:00+01:00", NOON),
    ("timestamptz in -08:00", "2024-02-29 04:00:00", NOON),
    ("timestamptz in Europe/Berlin", "2024-02-29 13:00:00", NOON),
    ("timestamptz in Europe/Berlin", "2024-07-01 14:00:00", micros(2024, 7, 1, 12)),
    ("timestamptz from epoch_s", SECONDS, NOON),
    ("timestamptz from epoch_s", float(SECONDS), NOON),
    ("timestamptz from epoch_s", 1709208000.123456, NOON + 123_456),
    ("timestamptz from epoch_s", 0, micros(1970, 1, 1)),
    ("timestamptz from epoch_s", -0.5, micros(1970, 1, 1) - 500_000),
    ("timestamptz from epoch_s", -62135596800, micros(1, 1, 1)),
    ("timestamptz from epoch_s rounded", 1709208000.1234567, NOON + 123_457),
    ("timestamptz from epoch_ms", SECONDS * 1000 + 5, NOON + 5_000),
    ("timestamptz from epoch_ms", SECONDS * 1000 + 0.5, NOON + 500),
    ("timestamptz from epoch_us", SECONDS * 10**6 + 5, NOON + 5),
    ("timestamptz from epoch_ns", SECONDS * 10**9 + 5000, NOON + 5),
    ("timestamptz from epoch_ns rounded", SECONDS * 10**9 + 5501, NOON + 6),
    ("timestamptz from julian", 2460370.0, NOON),
    ("timestamptz from julian", 2460370, NOON),
    ("timestamptz from julian", 2460370.5, NOON + 43_200_000_000),
    ("timestamp", "2024-02-29 12:00:00", NOON),
    ("timestamp", "2024-02-29", micros(2024, 2, 29)),
    ("timestamp from epoch_s", SECONDS, NOON),
    ("date", "2024-02-29", (datetime(2024, 2, 29) - datetime(2000, 1, 1)).days),
    ("date", "0001-01-01", -730119),
    ("date", "infinity", 2**31 - 1),
    ("time", "23:59:59.5", 86_399_500_000),
    ("time", "00:00", 0),
    ("time rounded", "00:00:00.0000004", 0),
    ("uuid", str(ID), ID),
    ("uuid", str(ID).upper(), ID),
    ("uuid", "{" + str(ID) + "}", ID),
    ("uuid", ID.hex, ID),
    ("uuid", ID.bytes, ID),
    ("uuid from hex", ID.hex, ID),
    ("uuid from blob", ID.bytes, ID),
    ("inet", "192.168.0.1", ipaddress.ip_address("192.168.0.1")),
    ("inet", "192.168.0.1/32", ipaddress.ip_address("192.168.0.1")),
    ("inet", "192.168.0.1/24", ipaddress.ip_interface("192.168.0.1/24")),
    ("inet", "2001:DB8::1", ipaddress.ip_address("2001:db8::1")),
    ("cidr", "10.0.0.0/8", ipaddress.ip_network("10.0.0.0/8")),
    ("cidr", "::", ipaddress.ip_network("::/128")),
    ("macaddr", "08:00:2B:01:02:03", "08:00:2b:01:02:03"),
    ("macaddr", "08-00-2b-01-02-03", "08:00:2b:01:02:03"),
    ("macaddr", "08002b010203", "08:00:2b:01:02:03"),
    ("numeric", "12.50", Decimal("12.50")),
    ("numeric", "-1e3", Decimal("-1e3")),
    ("numeric", 0.1, Decimal("0.1")),
    ("numeric", 7, Decimal(7)),
    ("numeric", math.inf, Decimal("Infinity")),
    ("numeric(6,2)", 9999.99, Decimal("9999.99")),
    ("numeric(6,2)", "12.500", Decimal("12.5")),
    ("numeric(6,2)", 9999, Decimal(9999)),
    ("numeric(3,0)", 900.0, Decimal(900)),
    ("real", 0.5, 0.5),
    ("real", 16777216, 16777216.0),
    ("real", -math.inf, -math.inf),
    ("real lossy", 0.1, 0.10000000149011612),
    ("varchar(3)", "äöü", "äöü"),
    ("varchar(3)", "ab ", "ab "),
    ("char(3)", "abc", "abc"),
    ("char(3) padded", "a", "a  "),
    ("text[]", '["a", null, "b\\"{}\\\\"]', ["a", None, 'b"{}\\']),
    ("text[]", " [ ] ", []),
    ("json", '{"a":1, "a":2}', '{"a":1, "a":2}'),
    ("json", "[\u20ac, 1]".replace("\u20ac", "null"), "[null, 1]"),
    ("json", 1.5, "1.5"),
    ("jsonb", '{"b": [1, 2.50], "a": null}', '{"a": null, "b": [1, 2.50]}'),
    ("jsonb", "1e2", "100"),
    ("jsonb", 5, "5"),
    ("jsonb", '"\\ud83d\\ude00"', '"\U0001f600"'),
]


@pytest.mark.parametrize(("wanted", "value", "becomes"), BECOMES, ids=numbered(BECOMES))
def test_a_value_becomes_what_it_says(wanted: str, value: Any, becomes: Any) -> None:
    """The spellings that applications use."""
    found = way(wanted).convert(value)
    assert same_row((found,), (becomes,))
    assert type(found) in (type(becomes), Document)


REFUSED: list[tuple[str, Any, str]] = [
    *[("boolean", one, "none of 0, 1") for one in (2, -1, 1.0, "", "2", "tru", b"1")],
    *[("timestamptz", one, "no offset") for one in ("2024-02-29 12:00:00", "2024-02-29")],
    ("timestamptz", SECONDS, "state its unit"),
    ("timestamptz", 1.5, "state its unit"),
    ("timestamptz", b"2024-02-29", "ISO 8601 texts"),
    *[
        ("timestamptz in UTC", one, "not written as")
        for one in (
            "",
            "now",
            "29.02.2024",
            "2024-2-9",
            "10000-01-01",
            "2024-02-29 12:00:00+1",
            "2024-02-29 ",
        )
    ],
    ("timestamptz in UTC", "2024-02-29Z", "not written as"),
    ("timestamptz in UTC", "２０２４-02-29", "not written as"),
    ("timestamptz in UTC", "2024-02-30", "no such day"),
    ("timestamptz in UTC", "0000-01-01", "no such day"),
    ("timestamptz in UTC", "2024-02-29 24:00:00", "time of day"),
    ("timestamptz in UTC", "2016-12-31 23:59:60", "time of day"),
    ("timestamptz in UTC", "2024-02-29 12:00:00.1234567", "microseconds"),
    ("timestamptz in UTC", "2024-02-29 12:00:00+16:00", "16 hours"),
    ("timestamptz in UTC", "0001-01-01 00:00:00+01:00", "outside the years"),
    ("timestamptz in Europe/Berlin", "2024-03-31 02:30:00", "twice, or never"),
    ("timestamptz in Europe/Berlin", "2024-10-27 02:30:00", "twice, or never"),
    ("timestamptz from epoch_s", 1709208000.1234567, "does not give back"),
    ("timestamptz from epoch_s", SECONDS * 1000, "really epoch_s"),
    ("timestamptz from epoch_s", math.inf, "infinite"),
    ("timestamptz from epoch_s", -0.0, "negative zero"),
    ("timestamptz from epoch_s", 1e-300, "does not give back"),
    ("timestamptz from epoch_s", 1e300, "outside"),
    ("timestamptz from epoch_s", "1709208000", "numbers"),
    ("timestamptz from epoch_ms", SECONDS * 1000 + 0.0003, "does not give back"),
    ("timestamptz from epoch_ns", SECONDS * 10**9 + 1, "does not give back"),
    ("timestamptz from epoch_us", SECONDS * 1e6 + 0.25, "does not give back"),
    ("timestamptz from julian", 0.1, "outside"),
    ("timestamp", "2024-02-29 12:00:00Z", "has an offset"),
    *[("date", one, "written as") for one in ("2024-02-29 00:00:00", "2024-2-9", 5, "")],
    ("date", "2023-02-29", "no such day"),
    *[("time", one, "written as") for one in ("12", "12:00:00Z", 5, "")],
    ("time", "24:00", "time of day"),
    ("time", "12:00:00.1234567", "microseconds"),
    ("time rounded", "23:59:59.9999999", "next day"),
    *[
        ("uuid", one, "not a UUID")
        for one in ("", "urn:uuid:" + str(ID), str(ID)[:-1], b"1", 5, "{" + str(ID))
    ],
    *[("uuid from hex", one, "not a UUID") for one in (str(ID), ID.hex.upper(), ID.bytes)],
    ("uuid from blob", ID.hex, "16 bytes"),
    *[("inet", one, "IP address") for one in ("", "localhost", "1.2.3", "01.2.3.4", "fe80::1%eth0", 5)],
    ("inet", "1.2.3.4/255.255.255.0", "IP address"),
    ("cidr", "10.0.0.1/8", "not one of a network"),
    *[("macaddr", one, "MAC address") for one in ("", "08:00:2b:01:02", "08:00-2b:01:02:03", 5)],
    *[("numeric", one, "numbers") for one in ("", "1,5", " 1", "0x1f", "NaN", "Infinity", "١", b"1")],
    *[("numeric", one, "negative zero") for one in ("-0", "-0.00", -0.0)],
    *[("numeric", one, "more digits") for one in ("1e-16384", "1e131072")],
    *[("numeric(6,2)", one, "would round") for one in (12.345, 10000, "1e4", 0.001)],
    ("numeric(6,2)", math.inf, "infinity"),
    *[("real", one, "exactly") for one in (0.1, 16777217, 1e300, 1e-46)],
    ("real", "0.5", "numbers"),
    *[("real lossy", one, "nothing near") for one in (1e300, 1e-46)],
    ("varchar(3)", "abcd", "longer"),
    ("varchar(3)", "a\x00", "NUL"),
    ("varchar(3)", 5, "texts"),
    ("char(3)", "ab", "shorter"),
    ("char(3) padded", "ab ", "ends in a space"),
    ("char(3) padded", "abcd", "longer"),
    *[("text[]", one, "nothing but texts") for one in ('{"a": 1}', "[1]", '[["a"]]', '"a"')],
    ("text[]", "a,b", "not JSON"),
    ("text[]", '["\\u0000"]', "u0000"),
    *[("json", one, "not JSON") for one in ("", "{a: 1}", "NaN", "[1,]", "\ufeff1", '"\n"')],
    ("json", b"{}", "JSON texts"),
    ("json", math.inf, "infinity"),
    ("json", "[" * 100_000, "nested"),
    *[("jsonb", one, "not JSON") for one in ("", "Infinity", "[NaN]", "{'a': 1}")],
    ("jsonb", '{"a": {"x": 1, "x": 1}}', "same key twice"),
    ("jsonb", '"\\u0000"', "u0000"),
    ("jsonb", '{"\\ud800": 1}', "surrogate"),
    ("jsonb", "[-0.0]", "negative zero"),
    ("jsonb", "1e-20000", "more digits"),
    ("jsonb", "1e999999999999999999999", "JSON|digits"),
]


@pytest.mark.parametrize(("wanted", "value", "reason"), REFUSED, ids=numbered(REFUSED))
def test_a_value_that_would_not_arrive_whole_is_refused(wanted: str, value: Any, reason: str) -> None:
    """With the rule that it breaks, never with the value."""
    with pytest.raises(ValueError, match=reason) as refused:
        way(wanted).convert(value)
    if isinstance(value, str) and len(value) > 3:
        assert value not in str(refused.value)


KEYS: list[tuple[str, Any]] = [
    ("timestamptz from epoch_s", SECONDS),
    ("timestamptz from epoch_s", 1709208000.123456),
    ("timestamptz from epoch_ms", SECONDS * 1000 + 1),
    ("timestamptz from epoch_us", SECONDS * 10**6 + 1),
    ("timestamptz from epoch_ns", SECONDS * 10**9 + 1000),
    ("timestamptz from julian", 2460370.25),
    ("timestamptz from julian", 2460370.123456789),
    ("date", "2024-02-29"),
    ("date", "-infinity"),
    ("uuid", str(ID)),
    ("uuid from hex", ID.hex),
    ("uuid from blob", ID.bytes),
    ("varchar(9)", "abc "),
    ("char(3)", "abc"),
    ("char(3) padded", "a"),
    ("real", 0.5),
]


@pytest.mark.parametrize(("wanted", "value"), KEYS)
def test_a_key_is_found_again_in_the_source(wanted: str, value: Any) -> None:
    """The inverse gives the very value."""
    there = way(wanted, key=True)
    assert there.invert is not None
    found = there.invert(there.convert(value))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("value", [str(ID).upper(), ID.hex, ID.bytes])
def test_a_uuid_in_a_key_has_one_spelling(value: Any) -> None:
    """Two spellings of one value would be two rows here and one there."""
    with pytest.raises(ValueError, match="small letters"):
        way("uuid", key=True).convert(value)


@pytest.mark.parametrize(
    "wanted",
    ["timestamptz", "timestamptz from epoch_s rounded", "jsonb", "inet", "text[]", "real lossy", "time"],
)
def test_what_has_no_inverse_is_for_no_key(wanted: str) -> None:
    """The plan refuses it for a key's column."""
    assert way(wanted, key=True).invert is None


@given(st.floats(allow_nan=False), st.sampled_from(["epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "julian"]))
def test_a_time_gives_back_its_number_or_is_refused(value: float, unit: str) -> None:
    """Every double there is, most of them no microsecond."""
    there = way(f"timestamptz from {unit}", key=True)
    assert there.invert is not None
    try:
        stored = there.convert(value)
    except ValueError:
        return
    assert there.invert(stored) == value


@given(st.integers(0, 4_000_000_000_000_000), st.sampled_from(["epoch_s", "julian"]))
def test_every_microsecond_that_was_written_as_a_double_arrives(when: int, unit: str) -> None:
    """datetime.timestamp() and julianday() of this century; nothing of it is refused."""
    value = when / 10**6 if unit == "epoch_s" else when / 86_400_000_000 + 2440587.5
    there = way(f"timestamptz from {unit}", key=True)
    assert there.invert is not None
    assert there.invert(there.convert(value)) == value


@given(st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0")))))
def test_an_array_is_written_as_one_text(elements: list[str | None]) -> None:
    """Each element in quotes, but for NULL: an element that reads NULL is none."""
    literal = array_literal(elements) or ""
    assert literal.startswith("{") and literal.endswith("}")
    assert literal.count("NULL") >= elements.count(None)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ('{"a": 1, "b": 2}', '{"b": 2.0, "a": 1}', True),
        ("[1, 2]", "[2, 1]", False),
        ("1", "true", False),
        ("[0]", "[false]", False),
        ("0.1", "0.10000000000000001", False),
        ('"1"', "1", False),
        ("null", "null", True),
    ],
)
def test_documents_are_compared_by_what_they_say(left: str, right: str, same: bool) -> None:
    """In every digit; true is not 1."""
    assert same_row((Document(left),), (right,)) is same


def test_types_are_cast_to_without_their_limits() -> None:
    """A cast to varchar(3) would cut, one to numeric(6,2) round, without a word."""
    assert [base(t) for t in ("varchar(3)", "numeric(6,2)", "char(3)", "timestamptz", "text[]")] == [
        "varchar",
        "numeric",
        "bpchar",
        "timestamptz",
        "text[]",
    ]
