"""Types that the user asks for: what each takes, what becomes of it, its inverse, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from replicator.values.conversions import KNOWN, base, parse, way
from replicator.values.converter import same_row
from replicator.values.documents import Document, array_literal
from tests.conversion_cases import BECOMES, ID, KEYS, REFUSED, SECONDS


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


@pytest.mark.parametrize(("wanted", "value", "becomes"), BECOMES, ids=numbered(BECOMES))
def test_a_value_becomes_what_it_says(wanted: str, value: Any, becomes: Any) -> None:
    """The spellings that applications use."""
    found = way(wanted).convert(value)
    assert same_row((found,), (becomes,))
    assert type(found) in (type(becomes), Document)


@pytest.mark.parametrize(("wanted", "value", "reason"), REFUSED, ids=numbered(REFUSED))
def test_a_value_that_would_not_arrive_whole_is_refused(wanted: str, value: Any, reason: str) -> None:
    """With the rule that it breaks, never with the value."""
    with pytest.raises(ValueError, match=reason) as refused:
        way(wanted).convert(value)
    if isinstance(value, str) and len(value) > 3:
        assert value not in str(refused.value)


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
