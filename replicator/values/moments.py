"""Points in time: from the texts and numbers that applications keep to PostgreSQL's own count.

PostgreSQL counts microseconds (of a date: days) since the year 2000, and so do the values here, as integers.
Python's datetime would not do: the driver takes its first and its last moment for -infinity and infinity.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Convert = Callable[[Any], int]

MICROSECONDS = 1_000_000
DAY = 86_400

#: 2000-01-01 as a day of Python's count, and in seconds since 1970.
_DAYS_2000 = date(2000, 1, 1).toordinal()
_SECONDS_2000 = 946_684_800

#: The years 1 to 9999, in microseconds since 2000.
_FIRST = (1 - _DAYS_2000) * DAY * MICROSECONDS
_BEYOND = (date(9999, 12, 31).toordinal() + 1 - _DAYS_2000) * DAY * MICROSECONDS

_ENDLESS = {"infinity": (1 << 63) - 1, "-infinity": -(1 << 63)}
_ENDLESS_DAYS = {"infinity": (1 << 31) - 1, "-infinity": -(1 << 31)}

#: How many of each there are in a second.
UNITS = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}

#: The Julian day of 1970 began at noon; twice it, to have an integer.
_JULIAN_1970_TWICE = 4_881_175

_CLOCK = r"(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
_OFFSET = r"([Zz]|UTC|([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?)"
_ISO = re.compile(rf"(\d{{4}})-(\d\d)-(\d\d)(?:[Tt ]{_CLOCK}(?: ?{_OFFSET})?)?", re.ASCII)
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_TIME = re.compile(_CLOCK, re.ASCII)

#: PostgreSQL's own limit.
_MOST_OFFSET = 16 * 3600


def zone_offset(zone: str) -> int | ZoneInfo:
    """Return what a zone's name stands for: seconds east of UTC, or the zone. Raises ValueError."""
    if zone.upper() in ("UTC", "Z"):
        return 0
    fixed = re.fullmatch(r"([+-])(\d\d):?(\d\d)", zone, re.ASCII)
    if fixed:
        seconds = int(fixed[2]) * 3600 + int(fixed[3]) * 60
        if seconds >= _MOST_OFFSET or int(fixed[3]) > 59:
            raise ValueError("an offset is less than 16 hours")
        return -seconds if fixed[1] == "-" else seconds
    try:
        return ZoneInfo(zone)
    except (OSError, ValueError, LookupError):
        raise ValueError("there is no such time zone here") from None


def instant(zone: str, *, rounded: bool) -> Convert:
    """Return the converter of ISO 8601 texts to points in time; naive ones are of `zone`, if it is given."""
    known = zone_offset(zone) if zone else None

    def convert(value: Any) -> int:
        if type(value) is str and value in _ENDLESS:
            return _ENDLESS[value]
        days, seconds, micros, offset = _civil(value, rounded)
        if offset is None:
            if known is None:
                raise ValueError(
                    "it has no offset, and the time zone of such values is not stated "
                    '("timestamptz from iso in UTC")'
                )
            offset = known if isinstance(known, int) else _offset(known, days, seconds)
        return _within(((days - _DAYS_2000) * DAY + seconds - offset) * MICROSECONDS + micros)

    return convert


def wall_clock(*, rounded: bool) -> Convert:
    """Return the converter of ISO 8601 texts without an offset to what a clock on the wall shows."""

    def convert(value: Any) -> int:
        if type(value) is str and value in _ENDLESS:
            return _ENDLESS[value]
        days, seconds, micros, offset = _civil(value, rounded)
        if offset is not None:
            raise ValueError("it has an offset, which timestamp does not know: timestamptz does")
        return _within(((days - _DAYS_2000) * DAY + seconds) * MICROSECONDS + micros)

    return convert


def day(value: Any) -> int:
    """Convert a text such as 2024-02-29 to days since 2000. Raises ValueError."""
    if type(value) is str and value in _ENDLESS_DAYS:
        return _ENDLESS_DAYS[value]
    found = _DATE.fullmatch(value) if type(value) is str else None
    if found is None:
        raise ValueError("the column holds dates written as 2024-02-29")
    return _ordinal(found[1], found[2], found[3]) - _DAYS_2000


def day_text(days: int) -> str | None:
    """Return the text that `day` made days of, None for what no such text stands for."""
    endless = {number: text for text, number in _ENDLESS_DAYS.items()}
    if days in endless:
        return endless[days]
    try:
        return date.fromordinal(days + _DAYS_2000).isoformat()
    except (ValueError, OverflowError):
        return None


def clock(*, rounded: bool) -> Convert:
    """Return the converter of texts such as 23:59:59.5 to microseconds since midnight."""

    def convert(value: Any) -> int:
        found = _TIME.fullmatch(value) if type(value) is str else None
        if found is None:
            raise ValueError("the column holds times of day written as 23:59:59.5")
        micros = _seconds(found[1], found[2], found[3]) * MICROSECONDS + _micros(found[4], rounded)
        if micros >= DAY * MICROSECONDS:
            raise ValueError("rounded it is the next day")
        return micros

    return convert


def of_digits(convert: Convert, digits: int, *, rounded: bool) -> Convert:
    """Return a converter to microseconds whose values have at most some digits of a second."""
    step = int(10 ** (6 - digits))
    endless = set(_ENDLESS.values())

    def limited(value: Any) -> int:
        micros: int = convert(value)
        if micros % step == 0 or micros in endless:
            return micros
        if not rounded:
            raise ValueError(
                f"the column keeps {digits} digits of a second (the word `rounded` behind the type accepts "
                "the nearest)"
            )
        return _nearest(micros, step) * step

    return limited


def epoch(unit: str, *, rounded: bool) -> Convert:
    """Return the converter of numbers that count a unit since 1970.

    Unless `rounded`, the microsecond must give back the very number: of time.time()'s doubles, which are
    0.24 microseconds apart these years, one in four does.
    """
    scale = UNITS[unit]

    def convert(value: Any) -> int:
        upper, lower = _ratio(value)
        micros = _nearest(upper * MICROSECONDS, lower * scale)
        if not rounded and not _gives_back(micros * scale, MICROSECONDS, value):
            raise ValueError(_NOT_A_MICROSECOND)
        return _within(micros - _SECONDS_2000 * MICROSECONDS, unit)

    def seconds(value: Any) -> int:
        if type(value) is float and abs(value) < 1e11 and value:
            micros = round(value * MICROSECONDS)
            if micros / MICROSECONDS == value:
                return _within(micros - _SECONDS_2000 * MICROSECONDS, unit)
        return convert(value)

    return seconds if unit == "epoch_s" else convert


def epoch_number(unit: str) -> Callable[[int], int | float]:
    """Return the exact inverse of `epoch`: an integer where it is one."""
    scale = UNITS[unit]

    def invert(micros: int) -> int | float:
        return _divided((micros + _SECONDS_2000 * MICROSECONDS) * scale, MICROSECONDS)

    return invert


def julian(*, rounded: bool) -> Convert:
    """Return the converter of Julian days; their doubles are 40 microseconds apart, so none is ambiguous."""
    half_day = DAY * MICROSECONDS // 2

    def convert(value: Any) -> int:
        upper, lower = _ratio(value)
        micros = _nearest((2 * upper - _JULIAN_1970_TWICE * lower) * half_day, lower)
        if not rounded and not _gives_back(micros + _JULIAN_1970_TWICE * half_day, 2 * half_day, value):
            raise ValueError(_NOT_A_MICROSECOND)
        return _within(micros - _SECONDS_2000 * MICROSECONDS, "Julian days")

    return convert


def julian_number(micros: int) -> int | float:
    """Return the Julian day that `julian` made microseconds of."""
    half_day = DAY * MICROSECONDS // 2
    return _divided(micros + _SECONDS_2000 * MICROSECONDS + _JULIAN_1970_TWICE * half_day, DAY * MICROSECONDS)


_NOT_A_MICROSECOND = (
    "PostgreSQL keeps microseconds, and the nearest does not give back this very number (the word `rounded` "
    "behind the type accepts the nearest)"
)


def _civil(value: Any, rounded: bool) -> tuple[int, int, int, int | None]:
    """Return the day of Python's count, second of the day, microsecond, and offset of an ISO 8601 text."""
    if type(value) is not str:
        if type(value) in (int, float):
            raise ValueError("a number is no ISO 8601 text: state its unit (`from epoch_s`, `epoch_ms`, ...)")
        raise ValueError("the column holds ISO 8601 texts")
    found = _ISO.fullmatch(value)
    if found is None:
        raise ValueError("it is not written as 2024-02-29T23:59:59.5+01:00 (offset, fraction, time optional)")
    year, month, day_, hour, minute, second, fraction, offset, sign, *rest = found.groups()
    days = _ordinal(year, month, day_)
    if hour is None:
        return days, 0, 0, None
    seconds, micros = _seconds(hour, minute, second), _micros(fraction, rounded)
    if offset is None:
        return days, seconds, micros, None
    if sign is None:
        return days, seconds, micros, 0
    if int(rest[0]) > 15 or int(rest[1] or 0) > 59 or int(rest[2] or 0) > 59:
        raise ValueError("its offset is 16 hours or more, or none at all")
    east = int(rest[0]) * 3600 + int(rest[1] or 0) * 60 + int(rest[2] or 0)
    return days, seconds, micros, -east if sign == "-" else east


def _ordinal(year: str, month: str, day_: str) -> int:
    try:
        return date(int(year), int(month), int(day_)).toordinal()
    except ValueError:
        raise ValueError("there is no such day, or its year is 0000") from None


def _seconds(hour: str, minute: str, second: str | None) -> int:
    h, m, s = int(hour), int(minute), int(second or 0)
    if h > 23 or m > 59 or s > 59:
        raise ValueError("there is no such time of day (hour 24 and leap seconds are not taken)")
    return h * 3600 + m * 60 + s


def _micros(fraction: str | None, rounded: bool) -> int:
    if not fraction:
        return 0
    if len(fraction) <= 6:
        return int(fraction.ljust(6, "0"))
    if rounded:
        return _nearest(int(fraction) * MICROSECONDS, 10 ** len(fraction))
    if fraction[6:].strip("0"):
        raise ValueError(
            "PostgreSQL keeps microseconds, and it has more digits (the word `rounded` behind the type "
            "accepts the nearest)"
        )
    return int(fraction[:6])


def _offset(zone: ZoneInfo, days: int, seconds: int) -> int:
    local = datetime.fromordinal(days) + timedelta(seconds=seconds)
    try:
        early, late = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    except OverflowError:
        raise ValueError("it is outside the years 1 to 9999") from None
    if early is None or late is None or early != late:
        raise ValueError(f"in {zone.key} this time was on the clocks twice, or never")
    return int(early.total_seconds())


def _ratio(value: Any) -> tuple[int, int]:
    if type(value) is int:
        return value, 1
    if type(value) is not float:
        raise ValueError("the column holds numbers that count time")
    if not math.isfinite(value):
        raise ValueError("it is infinite")
    if value == 0 and math.copysign(1, value) < 0:
        raise ValueError("a time has no negative zero")
    return value.as_integer_ratio()


def _nearest(upper: int, lower: int) -> int:
    """Return the integer nearest to a fraction, the even one of two."""
    whole, rest = divmod(upper, lower)
    return whole + (2 * rest > lower or (2 * rest == lower and whole % 2 == 1))


def _gives_back(upper: int, lower: int, value: float) -> bool:
    if type(value) is int:
        return upper == value * lower
    # Python divides integers to the nearest double
    return abs(upper) < lower << 1000 and upper / lower == value


def _divided(upper: int, lower: int) -> int | float:
    return upper / lower if upper % lower else upper // lower


def _within(micros: int, unit: str = "") -> int:
    if not _FIRST <= micros < _BEYOND:
        reason = f": are these really {unit}?" if unit else ""
        raise ValueError(f"it is outside the years 1 to 9999{reason}")
    return micros
