"""Numbers and tables as a person reads them on a terminal. What is unknown is a dash, never a zero."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

UNKNOWN = "-"

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float | None) -> str:
    """Return seconds in the two largest units that say something."""
    if seconds is None:
        return UNKNOWN
    if seconds <= 0:
        return "0 s"
    if seconds < 0.001:
        return "< 1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return _long(round(seconds))


def _long(seconds: int) -> str:
    place = next(i for i, (size, _) in enumerate(_UNITS) if seconds >= size)
    size, unit = _UNITS[place]
    head = f"{seconds // size} {unit}"
    if place + 1 == len(_UNITS):
        return head
    smaller, small_unit = _UNITS[place + 1]
    rest = seconds % size // smaller
    return f"{head} {rest} {small_unit}" if rest else head


def count(value: float | None) -> str:
    """Return a whole number with its thousands apart."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def size(value: float | None) -> str:
    """Return bytes in the largest unit of 1024 that fits."""
    if value is None:
        return UNKNOWN
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1023.5:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def percent(done: int, whole: int) -> str:
    """Return a share; never 100 % while something is missing."""
    if whole <= 0:
        return UNKNOWN
    return "100 %" if done >= whole else f"{min(99.9, 100 * done / whole):.1f} %"


def plural(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 table`, `2 tables`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), indent: str = "  ") -> list[str]:
    """Return rows as lines with their columns aligned, those in `right` to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines


def printable(text: str) -> str:
    """Return a text with what a terminal would obey written out: a table's name may hold anything."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def to_json(value: Any) -> str:
    """Return JSON as every verb prints it; ASCII, so that no terminal and no pipe can object."""
    return json.dumps(value, indent=2)


def to_line(value: Any) -> str:
    """Return JSON on one line, for a stream of objects."""
    return json.dumps(value)
