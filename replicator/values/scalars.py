"""Single values in the spellings that applications give them: numbers, truth, addresses, names."""

from __future__ import annotations

import ipaddress
import math
import re
import struct
import uuid
from collections.abc import Callable, Collection
from decimal import Context, Decimal
from typing import Any

from .documents import check_numeric

Convert = Callable[[Any], Any]

_TRUE = ("1", "t", "true", "y", "yes", "on")
_FALSE = ("0", "f", "false", "n", "no", "off")
_TRUTH = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,6})?", re.ASCII)
_UUID = re.compile(r"\{?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?", re.ASCII)
_UUID_PLAIN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_UUID_HEX = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}|[0-9a-f]{10})", re.ASCII)
_ADDRESS = re.compile(r"[0-9a-fA-F.:]+(?:/\d{1,3})?", re.ASCII)

#: Normalizing in the usual one would round to 28 digits.
_EXACT = Context(prec=200_000)


def boolean(value: Any) -> bool:
    """Convert 0, 1, and the words that PostgreSQL itself takes, in any case."""
    if type(value) is int and value in (0, 1):
        return value == 1
    found = _TRUTH.get(value.lower()) if type(value) is str else None
    if found is None:
        raise ValueError("it is none of 0, 1, true, false, t, f, yes, no, y, n, on, off")
    return found


def numeric(value: Any) -> Decimal:
    """Convert a number, or a text that is one."""
    if type(value) is int:
        return Decimal(value)
    if type(value) is float:
        # the shortest digits that read back as this double; all of them where SQLite takes it for an integer
        whole = abs(value) < 1 << 63 and value.is_integer()
        number = Decimal(value) if whole else Decimal(repr(value))
        if number.is_infinite():
            return number
    elif type(value) is str and _NUMBER.fullmatch(value):
        number = Decimal(value)
    else:
        raise ValueError("the column holds numbers, and texts that are numbers")
    check_numeric(number)
    return number


def numeric_of(precision: int, scale: int) -> Convert:
    """Return the converter of numbers that numeric(p,s) holds without rounding."""

    def convert(value: Any) -> Decimal:
        number = numeric(value)
        if number.is_infinite():
            raise ValueError("numeric of limited digits has no infinity")
        sign, digits, exponent = number.normalize(_EXACT).as_tuple()
        assert isinstance(exponent, int)
        if number and (-exponent > scale or len(digits) + exponent > precision - scale):
            raise ValueError(f"numeric({precision},{scale}) would round it, or has no room for it")
        return number

    return convert


def real(value: Any) -> float:
    """Convert a number that 32 bits hold exactly."""
    found = _number(value)
    if _rounded(found) != value:
        raise ValueError("32 bits do not hold it exactly (`real lossy` accepts the nearest)")
    return found


def real_lossy(value: Any) -> float:
    """Convert a number to the nearest that 32 bits hold; none becomes 0 or infinite."""
    found = _number(value)
    nearest = _rounded(found)
    if (nearest == 0) != (found == 0) or math.isinf(nearest) != math.isinf(found):
        raise ValueError("32 bits hold nothing near it")
    return nearest


def _number(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    raise ValueError("the column holds numbers")


def _rounded(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def number_or(convert: Convert) -> Convert:
    """Return the converter that has numbers as their text, and everything else as `convert` has it."""
    return lambda value: repr(value) if type(value) in (int, float) else convert(value)


def limited(characters: int) -> Convert:
    """Return the converter of texts that varchar(n) holds."""

    def convert(value: Any) -> str:
        text = _text(value)
        if len(text) > characters:
            raise ValueError(f"it is longer than {characters} characters")
        return text

    return convert


def label(labels: Collection[str]) -> Convert:
    """Return the converter of texts that are labels of an enum type."""
    known = frozenset(labels)

    def convert(value: Any) -> str:
        if (text := _text(value)) not in known:
            raise ValueError("it is no label of the target's enum type")
        return text

    return convert


def fixed(characters: int, *, padded: bool) -> Convert:
    """Return the converter of texts that char(n) holds: filled with spaces only if that was asked for."""

    def convert(value: Any) -> str:
        text = _text(value)
        if len(text) > characters:
            raise ValueError(f"it is longer than {characters} characters")
        if padded and text.endswith(" "):
            raise ValueError("it ends in a space, which could not be told from the filling")
        if not padded and len(text) < characters:
            raise ValueError(
                f"it is shorter than {characters} characters, and PostgreSQL would fill it with spaces "
                "(the word `padded` behind the type accepts that)"
            )
        return text.ljust(characters)

    return convert


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("the column holds texts")
    if "\x00" in value:
        raise ValueError("PostgreSQL text cannot hold a NUL character")
    return value


def any_uuid(value: Any) -> uuid.UUID:
    """Convert a text in any spelling, or 16 bytes."""
    if type(value) is bytes and len(value) == 16:
        return uuid.UUID(bytes=value)
    if type(value) is str and _UUID.fullmatch(value) and value.startswith("{") == value.endswith("}"):
        return uuid.UUID(value)
    raise ValueError("it is not a UUID: 32 hexadecimal digits, or 16 bytes")


def plain_uuid(value: Any) -> uuid.UUID:
    """Convert a text in the spelling that PostgreSQL gives back."""
    if type(value) is str and _UUID_PLAIN.fullmatch(value):
        return uuid.UUID(value)
    raise ValueError("it is not a UUID in small letters with hyphens, the one spelling that a key may have")


def hex_uuid(value: Any) -> uuid.UUID:
    """Convert 32 hexadecimal digits in small letters, as Django and SQLAlchemy keep them."""
    if type(value) is str and _UUID_HEX.fullmatch(value):
        return uuid.UUID(value)
    raise ValueError("it is not a UUID of 32 hexadecimal digits in small letters without hyphens")


def blob_uuid(value: Any) -> uuid.UUID:
    """Convert 16 bytes."""
    if type(value) is bytes and len(value) == 16:
        return uuid.UUID(bytes=value)
    raise ValueError("it is not a UUID of 16 bytes")


def inet(value: Any) -> Any:
    """Convert an address, with or without the size of its network."""
    found = _address(value, ipaddress.ip_interface)
    # as the driver gives it back
    return found.ip if found.network.prefixlen == found.max_prefixlen else found


def cidr(value: Any) -> Any:
    """Convert a network; bits behind its size must not be set."""
    return _address(value, ipaddress.ip_network)


def _address(value: Any, make: Callable[[str], Any]) -> Any:
    if type(value) is not str or not _ADDRESS.fullmatch(value):
        raise ValueError("it is not an IP address as PostgreSQL writes it")
    try:
        return make(value)
    except ValueError:
        raise ValueError("it is not an IP address, or not one of a network") from None


def macaddr(value: Any) -> str:
    """Convert six bytes in hexadecimal, with : or - between them or nothing."""
    if type(value) is not str or not _MAC.fullmatch(value.lower()):
        raise ValueError("it is not a MAC address of six bytes")
    digits = re.sub("[:-]", "", value.lower())
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))
