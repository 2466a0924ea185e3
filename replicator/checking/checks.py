"""One finding of `liteferry check`, and what its two halves and `plan` share."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from config.errors import ConfigError, LiteferryError
from config.settings import Settings
from config.sources import SourceSpec
from replicator.planning.plan import SourcePlan
from replicator.postgres.connections import CONTROL, Target
from triggers.schema import Table

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


@dataclass(frozen=True, order=True)
class Placed:
    """Where a table of a source goes: a schema and a name on the target."""

    schema: str
    target: str
    table: str
    path: str


@dataclass(frozen=True)
class Survey:
    """What the checks of one source found, and what the target's checks need of it."""

    spec: SourceSpec
    checks: list[Check]
    tables: list[Placed]
    #: As they are in the source.
    structure: Sequence[Table] = ()
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


SEPARATE = (
    "send each file to a schema of its own with --schema-map FILE=NAME, or put a prefix before its tables' "
    "names with --prefix-map FILE=PREFIX"
)


def meetings(tables: Iterable[Placed]) -> list[tuple[Placed, Placed]]:
    """Return the first two of each name that tables of several sources would have in one schema."""
    there: dict[tuple[str, str], dict[str, Placed]] = {}
    for one in sorted(tables):
        there.setdefault((one.schema, one.target), {}).setdefault(one.path, one)
    pairs = [list(those.values())[:2] for those in there.values() if len(those) > 1]
    return [(first, second) for first, second in pairs]


def refuse_meetings(tables: Iterable[Placed]) -> None:
    """Raise ConfigError when tables of two sources would meet in one schema."""
    met = meetings(tables)
    if met:
        first, second = met[0]
        raise ConfigError(
            f"table {first.table!r} of {first.path!r} and table {second.table!r} of {second.path!r} would "
            f"meet in schema {first.schema!r} as {first.target!r} ({counted(len(met), 'such name')})",
            hint=SEPARATE,
        )


def check_meetings(surveys: Sequence[Survey]) -> list[Check]:
    """Look for tables of two sources in one schema."""
    if len(surveys) < 2:
        return []
    met = {(one.schema, one.target) for one, _ in meetings(p for survey in surveys for p in survey.tables)}
    found = []
    for survey in surveys:
        mine = [one.target for one in survey.tables if (one.schema, one.target) in met]
        if mine:
            text = f"tables of two sources would meet in schema {survey.spec.schema!r}: {shown(mine)}"
            found.append(Check("schema", Level.FAIL, str(survey.spec.path), text, SEPARATE))
    return found


async def existing_tables(target: Target, plan: SourcePlan) -> list[str]:
    """Return the planned tables that the target has already."""
    async with target.connection() as connection:
        rows = await connection.fetch(
            CONTROL["existing"], plan.schema, [t.target for t in plan.tables if not t.adopted]
        )
    return sorted(row["relname"] for row in rows)
