"""What a value of SQLite must be on the target under a type that the configuration asks for.

For the independent comparison: it shares no code with the product. Both sides are brought into one form here,
the source's value from its own spelling, the target's from what PostgreSQL prints.
"""

from __future__ import annotations

import ctypes
import datetime
import ipaddress
import json
import re
import uuid
import zoneinfo
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

EPOCH = datetime.datetime(1970, 1, 1)
PER_SECOND = {"epoch_s": 1, "epoch_ms": 1000, "epoch_us": 1_000_000, "epoch_ns": 1_000_000_000}
WORDS = {True: {"1", "t", "true", "y", "yes", "on"}, False: {"0", "f", "false", "n", "no", "off"}}
#: Types that the driver's own objects do not hold to the last value.
PRINTED = ("date", "time", "inet", "cidr", "macaddr")


def selected(column: str, wanted: str) -> str:
    """Return the expression that reads a column of the target, exactly."""
    if wanted.startswith("timestamp"):
        return f"extract(epoch FROM {column})"
    return f"{column}::text" if wanted.startswith(PRINTED) else column


def from_source(value: Any, wanted: str) -> Any:
    """Return what the source's value is to be compared as; the value itself where it cannot be one."""
    if value is None:
        return None
    try:
        return _from_source(value, wanted)
    except (ValueError, ArithmeticError, AttributeError, TypeError):
        return ("no", wanted, value)


def _from_source(value: Any, wanted: str) -> Any:
    if wanted.startswith("timestamp"):
        return _moment(value, wanted)
    if wanted.startswith("boolean"):
        return next(truth for truth, words in WORDS.items() if str(value).lower() in words)
    if wanted.startswith("uuid"):
        return str(uuid.UUID(bytes=value) if isinstance(value, bytes) else uuid.UUID(value))
    if wanted == "real lossy":
        return ctypes.c_float(value).value
    if wanted.startswith(("real", "double")):
        return float(value) if isinstance(value, float) or int(float(value)) == value else ("no", value)
    if wanted.startswith("numeric"):
        if isinstance(value, float) and not (value.is_integer() and -(2**63) < value < 2**63):
            return _number(Decimal(repr(value)))
        return _number(Decimal(value))
    if wanted in ("json", "text"):
        return value if isinstance(value, str) else repr(value)
    if wanted == "jsonb":
        return _document(value if isinstance(value, str) else repr(value))
    if wanted in ("jsonb replaced", "bytea from any") or wanted.startswith("text "):
        return _held_otherwise(value, wanted)
    return from_target(json.loads(value) if wanted == "text[]" else value, wanted)


def from_target(value: Any, wanted: str) -> Any:
    """Return what the target's value is to be compared as."""
    if value is None:
        return None
    if wanted.startswith("timestamp"):
        return _counted(value, wanted)
    if wanted.startswith("numeric"):
        return _number(value)
    if wanted.startswith("time"):
        return _clock(value)
    if wanted.startswith("inet"):
        return str(ipaddress.ip_interface(value))
    if wanted.startswith("cidr"):
        return str(ipaddress.ip_network(value))
    if wanted == "macaddr":
        return re.sub("[-:]", "", value).lower()
    if wanted.startswith("jsonb"):
        return _document(value)
    if wanted.startswith("uuid"):
        return str(value)
    return value.rstrip(" ") if wanted.startswith("char") else value


def _held_otherwise(value: Any, wanted: str) -> Any:
    """Return what stands for a text that the type cannot hold; bytes that are no UTF-8 are surrogates."""
    if isinstance(value, int | float) and wanted.startswith(("text from any", "jsonb")):
        return _document(repr(value)) if wanted.startswith("jsonb") else repr(value)
    if isinstance(value, bytes):
        return value if wanted == "bytea from any" else ("no", value)
    raw = value.encode("utf-8", "surrogateescape")
    if wanted == "bytea from any":
        return raw
    if wanted.endswith(" escaped"):
        return _escaped(raw)
    text = raw.decode("utf-8", "replace")
    if not wanted.startswith("jsonb"):
        return text.replace("\0", "\ufffd")
    return repr(_replaced(_ordered(json.loads(text, parse_int=Decimal, parse_float=Decimal))))


def _escaped(raw: bytes) -> str:
    """Return a text with a backslash, x and two digits for each byte that cannot stand there."""
    made, place = "", 0
    while place < len(raw):
        length = next((n for n in (1, 2, 3, 4) if _is_character(raw[place : place + n])), 0)
        digits = raw[place + 2 : place + 4]
        looks = (
            raw[place : place + 2] == b"\\x" and len(digits) == 2 and not digits.strip(b"0123456789abcdef")
        )
        if length and raw[place] and not looks:
            made += raw[place : place + length].decode()
        else:
            length = 1
            made += "\\x" + raw[place : place + 1].hex()
        place += length
    return made


def _is_character(raw: bytes) -> bool:
    try:
        return len(raw.decode()) == 1
    except UnicodeDecodeError:
        return False


def _replaced(value: Any) -> Any:
    if isinstance(value, str):
        return "".join("\ufffd" if one == "\0" or "\ud800" <= one <= "\udfff" else one for one in value)
    if isinstance(value, list | tuple):
        return type(value)(_replaced(one) for one in value)
    return value


def _moment(value: Any, wanted: str) -> Any:
    unit = re.search(r"from (epoch_\w+|julian)", wanted)
    if unit is None:
        return _instant(value, wanted)
    if not isinstance(value, int | float):
        raise ValueError
    if not wanted.endswith("rounded"):
        return float(value)
    exact = Fraction(value) * _seconds_per(unit[1]) - _offset(unit[1])
    return _number(Decimal(round(exact * 1_000_000)) / 1_000_000)


def _counted(seconds: Decimal, wanted: str) -> Any:
    unit = re.search(r"from (epoch_\w+|julian)", wanted)
    if unit is None or wanted.endswith("rounded"):
        return _number(seconds)
    return float((Fraction(seconds) + _offset(unit[1])) / _seconds_per(unit[1]))


def _seconds_per(unit: str) -> Fraction:
    return Fraction(86400) if unit == "julian" else Fraction(1, PER_SECOND[unit])


def _offset(unit: str) -> Fraction:
    return Fraction(4881175, 2) * 86400 if unit == "julian" else Fraction(0)


def _instant(value: str, wanted: str) -> Any:
    """Return the seconds since 1970 that a text stands for."""
    if value.strip("-") == "infinity":
        return _number(Decimal(value))
    text = re.sub(r" ?(UTC|Z|z)$", "+00:00", value)
    text = re.sub(r" ([+-]\d\d)", r"\1", text).replace("t", "T")
    fraction = re.search(r"[.,](\d+)", text)
    when = datetime.datetime.fromisoformat(re.sub(r"[.,]\d+", "", text))
    zone = re.search(r" in (\S+)", wanted)
    if when.tzinfo is None and wanted.startswith("timestamptz"):
        if zone is None:
            raise ValueError
        when = when.replace(tzinfo=_zone(zone[1]))
    offset = when.utcoffset() or datetime.timedelta(0)
    whole = (when.replace(tzinfo=None) - EPOCH - offset) // datetime.timedelta(seconds=1)
    exact = whole + (Fraction(int(fraction[1]), 10 ** len(fraction[1])) if fraction else 0)
    return _number(Decimal(round(exact * 1_000_000)) / 1_000_000)


def _clock(text: str) -> int:
    """Return the microseconds since midnight."""
    hours, minutes, seconds = (*text.replace(",", ".").split(":"), "0")[:3]
    exact = (int(hours) * 60 + int(minutes)) * 60 + Fraction(seconds)
    return round(exact * 1_000_000)


def _zone(name: str) -> datetime.tzinfo:
    if name[0] in "+-":
        return datetime.datetime.strptime(name, "%z").tzinfo or datetime.UTC
    return datetime.UTC if name == "UTC" else zoneinfo.ZoneInfo(name)


def _number(value: Decimal | int) -> Any:
    found = Decimal(value)
    return "0" if found.is_zero() else str(found.normalize(Context(prec=200_000)))


def _document(text: str) -> str:
    """Return a JSON text in one spelling: keys in order, numbers by their value."""
    return repr(_ordered(json.loads(text, parse_int=Decimal, parse_float=Decimal)))


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return [(name, _ordered(value[name])) for name in sorted(value)]
    if isinstance(value, list):
        return ["list", *map(_ordered, value)]
    return ("number", _number(value)) if isinstance(value, Decimal) else value
