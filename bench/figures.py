"""Figures with their bars, and the table of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_FORMATS = {"x": "{:.2f} x", "ms": "{:.1f} ms", "s": "{:.1f} s", "MB": "{:.0f} MB"}


@dataclass(frozen=True)
class Bar:
    """What a value must reach, or stay below."""

    limit: float
    at_least: bool

    def holds(self, value: float) -> bool:
        """Tell whether a value is good enough."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Figure:
    """One line of the table; without a value it was not measured, and the note says why."""

    bench: str
    name: str
    value: float | None
    unit: str
    bar: Bar | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Return ok, below, not measured, or nothing where there is no bar."""
        if self.value is None:
            return "not measured"
        if self.bar is None:
            return ""
        return "ok" if self.bar.holds(self.value) else "below"

    @property
    def bar_text(self) -> str:
        """Return the bar as a person reads it."""
        if self.bar is None:
            return ""
        return f"{'>=' if self.bar.at_least else '<='} {shown(self.bar.limit, self.unit)}"

    def as_dict(self) -> dict[str, Any]:
        """Return the figure as JSON knows it."""
        value = None if self.value is None else round(self.value, 4)
        return {
            "bench": self.bench,
            "figure": self.name,
            "value": value,
            "unit": self.unit,
            "bar": self.bar_text or None,
            "verdict": self.verdict or None,
            "note": self.note,
        }


def at_least(limit: float) -> Bar:
    """Return the bar that a value must reach."""
    return Bar(limit, at_least=True)


def at_most(limit: float) -> Bar:
    """Return the bar that a value must not exceed."""
    return Bar(limit, at_least=False)


def shown(value: float | None, unit: str) -> str:
    """Return a value with its unit."""
    if value is None:
        return "-"
    return _FORMATS.get(unit, "{:,.0f} " + unit).format(value)


def spread(values: Sequence[float], unit: str) -> str:
    """Return what lies behind a median: how many values, from where to where."""
    if len(values) == 1:
        return "one run"
    return f"{len(values)} runs, {shown(min(values), unit)} to {shown(max(values), unit)}"


def median_figure(
    bench: str, name: str, values: Sequence[float], unit: str, bar: Bar | None = None, note: str = ""
) -> Figure:
    """Return the median of some runs as a figure, the spread in its note."""
    notes = [note, spread(values, unit)] if note else [spread(values, unit)]
    return Figure(bench, name, statistics.median(values), unit, bar, "; ".join(notes))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0 to 1) of all values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as lines of text under a heading."""
    heading = ("bench", "figure", "value", "bar", "verdict", "note")
    lines = [(f.bench, f.name, shown(f.value, f.unit), f.bar_text, f.verdict, f.note) for f in figures]
    widths = [max(len(line[i]) for line in [heading, *lines]) for i in range(len(heading))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(_line(line, widths) for line in [heading, rule, *lines])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    # the values to the right, so that they can be compared
    placed = [
        cell.rjust(width) if i == 2 else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(placed).rstrip()
