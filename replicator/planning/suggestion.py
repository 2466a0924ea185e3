"""What `plan` says of a column beside its type: values that its type refuses, and types that would hold all.

Each value goes through the very converter that the copy would use, so that nothing is promised by its looks.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from replicator.sources.paging import Cursor, Pace
from replicator.streaming.reader import marking_bad_text, read_page
from replicator.values import conversions
from replicator.values.converter import BadText, Form
from triggers.session import Session

from .plan import ColumnPlan, TablePlan

#: A type is no longer thought of when so many values were tried and more than this part of them refused.
ENOUGH = 50
MOST_REFUSED = 0.05

#: Characters of a value that are shown, in the output of `plan` and nowhere else.
SHOWN = 40

PAGE_BYTES = 8 << 20

#: From this length on a key may be too long for an index.
LONG_KEY = 2_600

#: Numbers are taken for times, and 0 and 1 for truth, only where the name says so as well.
_TIME_NAME = re.compile(r"(^|_)(at|ts|ms|us|ns|on|when)$|stamp|time|date|created|expire", re.IGNORECASE)
_TRUTH_NAME = re.compile(
    r"^(is|has|can|was|are|use|needs|allow|show|should)(_|[A-Z])|(abl|ctiv|eted|ified|rived|shed|cked|licked|"
    r"flag|public|privat|hidden|success|done|bool|default|optional|required|paid|seen|read$)",
    re.IGNORECASE,
)

#: The years 2000 to 2100: other numbers may be anything.
_SECONDS = (946_684_800, 4_102_444_800)
_JULIAN = (2_451_544, 2_488_070)


@dataclass
class Trial:
    """One type on trial for one column."""

    conversion: str
    #: What each value that it takes is, for the sentence.
    what: str
    convert: Callable[[Any], Any]
    #: It is the column's own type, not a thought.
    own: bool = False
    tried: int = 0
    refused: int = 0
    #: Key, excerpt of the value, and reason of the first that was refused.
    first: tuple[str, str, str] | None = None

    def take(self, value: Any, key: Callable[[], str]) -> None:
        """Try one value."""
        self.tried += 1
        try:
            self.convert(value)
        except ValueError as reason:
            self.refused += 1
            if self.first is None:
                self.first = (key(), excerpt(value), str(reason))

    @property
    def lost(self) -> bool:
        """Tell whether it need not be tried any further."""
        return not self.own and self.tried >= ENOUGH and self.refused > self.tried * MOST_REFUSED

    def text(self) -> str:
        """Return the result as a sentence."""
        if not self.refused:
            return f"every one of {self.tried:,} values is {self.what}: `{self.conversion}` would hold them"
        assert self.first is not None
        key, value, reason = self.first
        told = f"{self.refused:,} of {self.tried:,} values, first key {key}: {value} ({reason})"
        if self.own:
            return f"`{self.conversion}` refuses {told}"
        return f"{self.tried - self.refused:,} of {self.tried:,} values are {self.what}, but not {told}"


@dataclass
class Opinion:
    """All that is to be said of one column."""

    refused: Trial | None = None
    suggestions: list[Trial] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass
class Opinions:
    """All that is to be said of one table."""

    columns: dict[str, Opinion] = field(default_factory=dict)
    #: Rows that would go into quarantine, counted where some were likely to.
    quarantined: int = 0

    def of(self, column: str) -> Opinion:
        """Return what is to be said of a column."""
        return self.columns.get(column, Opinion())


async def opinions(session: Session, plan: TablePlan, seconds: float, rows: int = 0) -> Opinions:
    """Return what is to be said of a table's columns, from reads of about `seconds`; 0 rows: all of them."""
    trials = {i: list(_trials(plan, column)) for i, column in enumerate(plan.record)}
    trials = {i: some for i, some in trials.items() if some}
    made = Opinions()
    doubtful = any(column.dissenting or column.overridden or column.conversion for column in plan.columns)
    if trials or doubtful:
        await _try(session, plan, trials, seconds, rows, made if doubtful else None)
    made.columns = {c.source: _opinion(plan, c, trials.get(i, [])) for i, c in enumerate(plan.record)}
    return made


async def _try(
    session: Session,
    plan: TablePlan,
    trials: dict[int, list[Trial]],
    seconds: float,
    rows: int,
    counting: Opinions | None,
) -> None:
    pace = Pace(seconds)
    pace.bound(plan.row_bytes, PAGE_BYTES)
    after: Cursor | None = None
    last, seen = False, 0
    while not last and not (rows and seen >= rows) and (counting or any(trials.values())):
        after, last, count = await session.run(_step, plan, after, pace, trials, counting)
        seen += count


def _step(
    connection: sqlite3.Connection,
    plan: TablePlan,
    after: Cursor | None,
    pace: Pace,
    trials: dict[int, list[Trial]],
    counting: Opinions | None,
) -> tuple[Cursor | None, bool, int]:
    begun = time.monotonic()
    with marking_bad_text(connection):
        page = read_page(connection, plan, after, pace.rows)
    pace.took(len(page.rows), time.monotonic() - begun)
    for place, some in trials.items():
        for row in page.rows:
            value = row[place]
            if value is not None:
                for trial in some:
                    trial.take(value, lambda row=row: plan.converter.key_text(row))  # type: ignore[misc]
        trials[place] = [trial for trial in some if not trial.lost]
    if counting is not None:
        counting.quarantined += len(plan.converter.sift(page.rows)[1])
    return page.cursor, page.last, len(page.rows)


def _trials(plan: TablePlan, column: ColumnPlan) -> Iterator[Trial]:
    place = plan.record.index(column)
    key = place in plan.key_places
    if column.overridden or column.conversion:
        as_text = column.pg_type == "text"
        form = Form(column.source, column.pg_type, as_text, conversion=column.conversion)
        yield Trial(column.conversion or column.pg_type, "", form.converter(key), own=True)
        return
    seen = {kind for kind, count in column.evidence.classes.items() if count}
    if key or len(seen) != 1:
        return
    for conversion, what, test in _THOUGHTS.get(min(seen), ()):
        if conversion != column.pg_type and _named_for(conversion, seen, column.source):
            yield Trial(conversion, what, _both(test, conversions.way(conversion).convert))


def _named_for(conversion: str, seen: set[str], name: str) -> bool:
    if "text" in seen:
        return True
    return (_TRUTH_NAME if conversion == "boolean" else _TIME_NAME).search(name) is not None


def _both(test: Callable[[Any], bool] | None, convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def tried(value: Any) -> None:
        if type(value) is BadText:
            raise ValueError("it is not valid UTF-8")
        if test is not None and not test(value):
            raise ValueError("it is something else")
        convert(value)

    return tried


def _between(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: low <= value < high


def _shortest(text: str) -> bool:
    """Tell whether a text is a number in its own spelling: 007 is a name."""
    return re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", text, re.ASCII) is not None


#: By storage class: the conversion, what its values are, and what they must be besides.
_THOUGHTS: dict[str, tuple[tuple[str, str, Callable[[Any], bool] | None], ...]] = {
    "text": (
        ("date", "a date", None),
        ("timestamptz from iso", "an ISO 8601 time with offset", None),
        (
            "timestamp from iso",
            "an ISO 8601 time without offset (`timestamptz from iso in UTC` where UTC is meant)",
            lambda text: len(text) > len("2024-02-29"),
        ),
        ("time", "a time of day", None),
        ("uuid", "a UUID", None),
        ("text[]", "a JSON list of texts", lambda text: text[:1] == "["),
        ("jsonb", "a JSON object or list", lambda text: text.lstrip()[:1] in ("[", "{")),
        ("inet", "an IP address", lambda text: "." in text or ":" in text),
        ("macaddr", "a MAC address", None),
        ("numeric", "a number", _shortest),
        ("boolean", "a truth value", lambda text: not text.isdigit()),
    ),
    "integer": (
        ("boolean", "0 or 1", None),
        ("timestamptz from epoch_s", "a Unix time of 2000 to 2100", _between(*_SECONDS)),
        *(
            (
                f"timestamptz from epoch_{unit}",
                f"a Unix time in {name}",
                _between(*(s * size for s in _SECONDS)),
            )
            for unit, name, size in (
                ("ms", "milliseconds", 10**3),
                ("us", "microseconds", 10**6),
                ("ns", "nanoseconds", 10**9),
            )
        ),
    ),
    "real": (
        ("timestamptz from epoch_s", "a Unix time of whole microseconds", _between(*_SECONDS)),
        ("timestamptz from epoch_s rounded", "a Unix time, to be rounded", _between(*_SECONDS)),
        ("timestamptz from julian", "a Julian day", _between(*_JULIAN)),
    ),
}


def _opinion(plan: TablePlan, column: ColumnPlan, trials: list[Trial]) -> Opinion:
    made = Opinion(warnings=list(_warnings(plan, column)))
    done = [trial for trial in trials if trial.tried]
    made.refused = next((trial for trial in done if trial.own and trial.refused), None)
    thoughts = [trial for trial in done if not trial.own]
    whole = [trial for trial in thoughts if not trial.refused]
    # with few values nothing can be said of most of them
    nearly = [t for t in thoughts if t.tried >= ENOUGH and t.refused <= t.tried * MOST_REFUSED]
    # a rounding one is worth a word only where the exact one does not do
    made.suggestions = _best(whole) or _best(nearly)
    return made


def _best(trials: list[Trial]) -> list[Trial]:
    exact = [trial for trial in trials if not trial.conversion.endswith("rounded")]
    return (exact or trials)[:2]


def _warnings(plan: TablePlan, column: ColumnPlan) -> Iterator[str]:
    if column.dissenting:
        dissent = column.evidence.dissent(column.held, excerpts=True)
        yield f"{column.pg_type} does not hold all of it: {dissent}; these rows go into quarantine"
    if column.unclear:
        yield (
            f"THE TYPE IS UNCLEAR: only {_part(column)} of the values are what {column.pg_type} holds; say "
            "under [columns] or [bad_values] what is meant, or many rows stay behind"
        )
    if column.evidence.longest > LONG_KEY and column.source in plan.key.columns:
        yield (
            f"part of the key, up to {column.evidence.longest:,} long: what PostgreSQL's index cannot hold "
            "(about 2,700 bytes, compressed) goes into quarantine"
        )
    if not column.overridden and not column.conversion:
        return
    if column.pg_type in ("integer", "smallint"):
        yield f"{column.pg_type}: a later value beyond its range stops the daemon"
    numbers = {"integer", "real"} & {k for k, n in column.evidence.classes.items() if n}
    if column.pg_type == "text" and column.overridden and numbers:
        yield "text: numbers arrive as their text, and cannot be told from texts any more"
    if column.conversion:
        yield from _losses(plan, column)


def _part(column: ColumnPlan) -> str:
    known = sum(column.evidence.classes.values())
    return f"{(known - column.dissenting) / known:.0%}"


def _losses(plan: TablePlan, column: ColumnPlan) -> Iterator[str]:
    how = column.conversion
    loses = conversions.way(how, plan.record.index(column) in plan.key_places).loses
    if not loses:
        return
    yield f"{how}: not kept: {loses}"
    for index in plan.table.indexes:
        among = any(c.name == column.source for c in index.columns)
        if index.unique and among and conversions.SPELLING in loses:
            yield f"{how}: two spellings of one value would collide in the unique index {index.name}"


def excerpt(value: Any) -> str:
    """Return the start of a value for the operator's own terminal."""
    if type(value) is BadText:
        return "<text that is not UTF-8>"
    if isinstance(value, str | bytes) and len(value) > SHOWN:
        return repr(value[:SHOWN]) + "..."
    return repr(value)
