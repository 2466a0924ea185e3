"""Texts that PostgreSQL cannot hold: escaped so that they come back, replaced so that they do not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.values.conversions import way
from replicator.values.texts import BadText, escape, jsonb_replaced, mark_bad_text, unescape

#: Bytes from which what looks like an escape comes about often.
TRICKY = st.lists(
    st.sampled_from([b"\\", b"x", b"0", b"5c", b"ff", b"\x00", b"\xff", b"\xc3", b"\xa9", b"a"])
)


@given(st.binary())
def test_any_bytes_come_back(raw: bytes) -> None:
    """And what they become is a text that PostgreSQL holds."""
    told = escape(raw)
    assert unescape(told) == raw
    assert "\x00" not in told and told.encode().decode() == told


@given(TRICKY.map(b"".join), TRICKY.map(b"".join))
def test_no_two_texts_become_one(one: bytes, other: bytes) -> None:
    """Also where they hold backslashes, or look as if they were escaped already."""
    assert unescape(escape(one)) == one
    assert (escape(one) == escape(other)) == (one == other)
    assert unescape(escape(escape(one).encode())).decode() == escape(one)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00")))
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    """Those with backslashes, too, unless one is followed by an x and two digits."""
    if not re.search(r"\\x[0-9a-f]{2}", text):
        assert escape(text.encode()) == text


@given(TRICKY.map(b"".join))
def test_a_text_of_a_key_has_an_inverse(raw: bytes) -> None:
    """Whether it is UTF-8 or not."""
    found = way("text escaped", key=True)
    assert found.invert is not None
    value = mark_bad_text(raw)
    assert found.invert(found.convert(value)) == value


@pytest.mark.parametrize(
    ("wanted", "raw", "expected"),
    [
        ("text escaped", b"caf\xe9\xff", "caf\\xe9\\xff"),
        ("text escaped", b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        ("text escaped", b"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"),
        ("text from any escaped", b"\xe9", "\\xe9"),
        ("text replaced", b"caf\xe9\x00!", "caf\ufffd\ufffd!"),
        ("bytea from any", b"\xff\x00", b"\xff\x00"),
    ],
)
def test_a_text_that_is_not_utf_8_has_a_form(wanted: str, raw: bytes, expected: object) -> None:
    """Lone bytes, a surrogate, a character beyond the last."""
    assert way(wanted).convert(BadText(raw)) == expected


def test_json_that_is_not_utf_8_has_a_form() -> None:
    """Its characters are replaced before it is read."""
    assert str(jsonb_replaced(BadText(b'["\xe9"]'))) == '["\ufffd"]'
    with pytest.raises(ValueError, match="not JSON"):
        jsonb_replaced(BadText(b"\xe9"))
