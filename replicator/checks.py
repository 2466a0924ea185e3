"""One finding of `liteferry check`, and what its two halves and `plan` share."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from config.errors import ConfigError, LiteferryError
from config.settings import Settings
from config.sources import SourceSpec

from .plan import SourcePlan
from .target import CONTROL, Target

SHOWN = 5


class Level(enum.Enum):
    """How much a finding matters."""

    #: As it must be, or worth knowing.
    PASS = "pass"
    #: It will work, but not as one may think, or not as well as it could.
    WARN = "warn"
    #: `run` would refuse it, or it would go wrong.
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """What was looked at (`name`), where (`subject`: a source's path or the target), and what was found."""

    name: str
    level: Level
    subject: str
    text: str
    hint: str = ""


@dataclass(frozen=True)
class Survey:
    """What the checks of one source found, and what the target's checks need of it."""

    spec: SourceSpec
    checks: list[Check]
    tables: list[str]
    source_id: UUID | None = None


@dataclass
class Findings:
    """Collects what is found about one source."""

    subject: str
    checks: list[Check] = field(default_factory=list)

    def add(self, name: str, level: Level, text: str, hint: str = "") -> None:
        """Note one finding."""
        self.checks.append(Check(name, level, self.subject, text, hint))

    def refused(self, name: str, error: LiteferryError) -> None:
        """Note an error that `run` would end with."""
        self.add(name, Level.FAIL, str(error), error.hint)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 table`, `2 tables`."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def shown(names: Sequence[str], most: int = SHOWN, *, as_they_are: bool = False) -> str:
    """Return names for a message, the first few of many; in quotes where they are not already."""
    more = len(names) - most
    return ", ".join(names[:most] if as_they_are else map(repr, names[:most])) + (
        f" and {more} more" if more > 0 else ""
    )


def read_seconds(settings: Settings, journal_mode: str) -> float:
    """Return how long one read of a source may take, by its journal mode."""
    slice_ms = settings.read_slice_ms if journal_mode == "wal" else settings.read_slice_ms_rollback
    return slice_ms / 1000


def meetings(tables: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pairs of schema and table that come from more than one source."""
    return sorted(pair for pair, number in Counter(tables).items() if number > 1)


def refuse_meetings(tables: Iterable[tuple[str, str]]) -> None:
    """Raise ConfigError when tables of two sources would meet in one schema."""
    met = meetings(tables)
    if met:
        schema, table = met[0]
        raise ConfigError(
            f"table {table!r} of two sources would meet in schema {schema!r} ({len(met)} such tables)",
            hint="send each file to a schema of its own with --schema-map FILE=NAME",
        )


def check_meetings(surveys: Sequence[Survey]) -> list[Check]:
    """Look for tables of two sources in one schema."""
    if len(surveys) < 2:
        return []
    met = meetings((survey.spec.schema, table) for survey in surveys for table in survey.tables)
    found = []
    for survey in surveys:
        mine = [table for schema, table in met if schema == survey.spec.schema and table in survey.tables]
        if mine:
            found.append(
                Check(
                    "schema",
                    Level.FAIL,
                    str(survey.spec.path),
                    f"tables of two sources would meet in schema {survey.spec.schema!r}: {shown(mine)}",
                    "send each file to a schema of its own with --schema-map FILE=NAME",
                )
            )
    return found


async def existing_tables(target: Target, plan: SourcePlan) -> list[str]:
    """Return the planned tables that the target has already."""
    async with target.connection() as connection:
        rows = await connection.fetch(
            CONTROL["existing"], plan.schema, [t.target for t in plan.tables if not t.adopted]
        )
    return sorted(row["relname"] for row in rows)
