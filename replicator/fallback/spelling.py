"""Texts for values that have several: spelled like another value of the column where there is one. Pure.

What is given back need not be right: whoever asks converts it again and compares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from replicator.values import moments

#: The words for true and false that go together.
_TRUTHS = (("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("on", "off"), ("1", "0"))

_2000 = datetime(2000, 1, 1)
_ENDLESS = {(1 << 63) - 1: "infinity", -(1 << 63): "-infinity"}

_STAMP = re.compile(
    r"\d{4}-\d\d-\d\d(?:(?P<between>[Tt ])\d\d:\d\d(?P<seconds>:\d\d(?:(?P<point>[.,])(?P<fraction>\d+))?)?"
    r"(?P<gap> ?)(?P<offset>[Zz]|UTC|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?",
    re.ASCII,
)
_CLOCK = re.compile(r"\d\d:\d\d(?P<seconds>:\d\d(?:(?P<point>[.,])(?P<fraction>\d+))?)?", re.ASCII)


def truth(value: bool, like: Any) -> Iterator[Any]:
    """Spell a truth value: as the other value of the pair that `like` is of, else as a number or a word."""
    if isinstance(like, str):
        for pair in _TRUTHS:
            if like.lower() in pair:
                word = pair[0] if value else pair[1]
                yield word.upper() if like.isupper() else word.title() if like.istitle() else word
    yield int(value)
    yield "true" if value else "false"


def numeral(value: Decimal, like: Any) -> Iterator[Any]:
    """Spell a number: as a text where `like` is one, else as an integer, a real, or a text at last."""
    text = format(value, "f") if value.is_finite() else str(value)
    if isinstance(like, str):
        yield text
    if value.is_finite() and value == value.to_integral_value() and -(1 << 63) <= value < 1 << 63:
        if isinstance(like, float):
            yield float(value)
        yield int(value)
    yield float(value)
    yield text


def identifier(value: Any, like: Any) -> Iterator[Any]:
    """Spell a UUID."""
    if isinstance(like, bytes):
        yield value.bytes
    if isinstance(like, str):
        text = str(value) if "-" in like else value.hex
        text = "{" + text + "}" if like.startswith("{") else text
        yield text.upper() if like != like.lower() else text
    yield str(value)
    yield value.hex
    yield value.bytes


def address(value: Any, like: Any) -> Iterator[Any]:
    """Spell an address of the Internet."""
    text = str(value)
    size = getattr(value, "max_prefixlen", None)
    if isinstance(like, str) and "/" in like and "/" not in text and size:
        yield f"{text}/{size}"
    yield text


def hardware(value: str, like: Any) -> Iterator[Any]:
    """Spell a MAC address."""
    if isinstance(like, str):
        text = value.replace(":", "-" if "-" in like else ":" if ":" in like else "")
        yield text.upper() if like != like.lower() else text
    yield value


def document(value: Any, like: Any) -> Iterator[Any]:
    """Spell a JSON document; one that is a number may be one in SQLite as well."""
    yield str(value)


def texts(value: Any, like: Any) -> Iterator[Any]:
    """Spell an array of texts as a JSON list."""
    between = (",", ":") if isinstance(like, str) and '", ' not in like and '","' in like else None
    yield json.dumps(value, ensure_ascii=False, separators=between)


def stamp(micros: int, like: Any, zone: str, *, instant: bool) -> Iterator[Any]:
    """Spell microseconds since 2000 as ISO 8601, an instant with an offset where `like` has one."""
    if micros in _ENDLESS:
        yield _ENDLESS[micros]
        return
    try:
        moment = _2000 + timedelta(microseconds=micros)
    except OverflowError:
        return
    found = _STAMP.fullmatch(like) if isinstance(like, str) else None
    if instant:
        yield from _instant(moment, found, zone)
    else:
        yield _written(moment, found, "")
        yield moment.isoformat(" ")


def _instant(moment: datetime, like: re.Match[str] | None, zone: str) -> Iterator[str]:
    written = like["offset"] if like is not None and like["between"] else None
    if written is not None or (like is None and not zone):
        yield from _with_offset(moment, like, written or "+00:00")
    if zone:
        yield from _in_zone(moment, like, zone)
    yield from _with_offset(moment, None, "+00:00")


def _with_offset(moment: datetime, like: re.Match[str] | None, written: str) -> Iterator[str]:
    digits = re.fullmatch(r"([+-])(\d\d):?(\d\d)?:?(\d\d)?", written, re.ASCII)
    east = timedelta(0)
    if digits is not None:
        east = timedelta(hours=int(digits[2]), minutes=int(digits[3] or 0), seconds=int(digits[4] or 0))
        east = -east if digits[1] == "-" else east
    gap = like["gap"] if like is not None and like["between"] else ""
    try:
        yield _written(moment + east, like, gap + written)
    except OverflowError:
        return


def _in_zone(moment: datetime, like: re.Match[str] | None, zone: str) -> Iterator[str]:
    known = moments.zone_offset(zone)
    try:
        if isinstance(known, ZoneInfo):
            local = moment.replace(tzinfo=UTC).astimezone(known).replace(tzinfo=None)
        else:
            local = moment + timedelta(seconds=known)
    except OverflowError:
        return
    yield _written(local, like, "")


def _written(moment: datetime, like: re.Match[str] | None, end: str) -> str:
    if like is not None and not like["between"]:
        # a date alone; more is said where there is more
        midnight = moment.time() == moment.time().min
        return f"{moment:%Y-%m-%d}".rjust(10, "0") if midnight else moment.isoformat(" ") + end
    between = like["between"] if like is not None else " "
    day = f"{moment.year:04}-{moment.month:02}-{moment.day:02}"
    return f"{day}{between}{_time(moment.hour, moment.minute, moment.second, moment.microsecond, like)}{end}"


def clock(micros: int, like: Any) -> Iterator[Any]:
    """Spell microseconds since midnight."""
    found = _CLOCK.fullmatch(like) if isinstance(like, str) else None
    seconds, rest = divmod(micros, 1_000_000)
    yield _time(seconds // 3600, seconds // 60 % 60, seconds % 60, rest, found)


def _time(hour: int, minute: int, second: int, micros: int, like: re.Match[str] | None) -> str:
    text = f"{hour:02}:{minute:02}"
    if like is not None and not like["seconds"] and not second and not micros:
        return text
    text += f":{second:02}"
    digits = f"{micros:06}".rstrip("0")
    wanted = len(like["fraction"] or "") if like is not None else 0
    if not digits and not wanted:
        return text
    point = (like["point"] if like is not None else None) or "."
    return f"{text}{point}{digits.ljust(wanted, '0')}"
