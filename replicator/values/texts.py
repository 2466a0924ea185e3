"""Texts that PostgreSQL cannot hold as they are: marked where they are read, and written in another way.

An escaped text has `\\xHH` for each byte that cannot stand there: a NUL, and what is not UTF-8. Wherever the
source's own text has a backslash that would read like that, the backslash itself is written as `\\x5c`. So
no two texts become one, and all others, those with backslashes among them, stay as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from . import documents

#: A NUL, a byte that is not UTF-8 (as `surrogateescape` decodes it), or a backslash that looks like ours.
_TO_ESCAPE = re.compile("\\x00|[\ud800-\udfff]|\\\\(?=x[0-9a-f]{2})")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")

#: A surrogate pair, any other escape with a number, or another escape, in a JSON text.
_JSON_ESCAPE = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u(....)|\\.", re.DOTALL)

REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class BadText:
    """A text that is not UTF-8; stands in for it so that its place can be named."""

    raw: bytes = b""


def mark_bad_text(raw: bytes) -> str | BadText:
    """Decode a text of SQLite, or mark it; for `Connection.text_factory` when a row must be found."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return BadText(raw)


def escape(raw: bytes) -> str:
    """Return the bytes of a text as a text that PostgreSQL holds; `unescape` gives them back."""
    return _TO_ESCAPE.sub(_escaped, raw.decode("utf-8", "surrogateescape"))


def _escaped(found: re.Match[str]) -> str:
    # U+DC80 to U+DCFF stand for the bytes 80 to FF
    return f"\\x{ord(found[0]) & 0xFF:02x}"


def unescape(text: str) -> bytes:
    """Return the bytes that `escape` made a text of."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), text.encode())


def escaped(value: Any) -> str:
    """Convert a text, escaped where that is needed."""
    if type(value) is str:
        return escape(value.encode()) if "\x00" in value or "\\x" in value else value
    if type(value) is BadText:
        return escape(value.raw)
    raise ValueError("the column holds text")


def unescaped(text: str) -> str | BadText:
    """Return the source's text of an escaped one."""
    return mark_bad_text(unescape(text))


def replaced(value: Any) -> str:
    """Convert a text; U+FFFD stands for what PostgreSQL cannot hold."""
    if type(value) is BadText:
        value = value.raw.decode("utf-8", "replace")
    if type(value) is str:
        return value.replace("\x00", REPLACEMENT)
    raise ValueError("the column holds text")


def as_bytes(value: Any) -> bytes:
    """Convert a text to its bytes in UTF-8 as they are stored, a blob to itself."""
    if type(value) is bytes:
        return value
    if type(value) is str:
        return value.encode()
    if type(value) is BadText:
        return value.raw
    raise ValueError("the column holds texts and blobs, as bytes")


def jsonb_replaced(value: Any) -> documents.Document:
    """Convert a JSON text as `jsonb` does; U+FFFD stands for the characters that jsonb cannot hold."""
    if type(value) is BadText:
        value = value.raw.decode("utf-8", "replace")
    if type(value) is str and "\\u" in value:
        value = _JSON_ESCAPE.sub(_replaced_escape, value)
    return documents.jsonb(value)


def _replaced_escape(found: re.Match[str]) -> str:
    number = found[1]
    wrong = number is not None and (number == "0000" or number[0] in "dD" and number[1] in "89abcdefABCDEF")
    return "\\ufffd" if wrong else found[0]
