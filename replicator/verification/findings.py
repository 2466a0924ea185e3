"""What a verification has found: of a table's rows, of its structure, and what of it may be shown to whom."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from replicator.planning.plan import ColumnPlan
from replicator.values.conversions import base
from replicator.values.converter import Row

if TYPE_CHECKING:
    from replicator.values.converter import Converter

    from .matching import Differences

#: Differences named per table.
NAMED = 20

#: Characters or bytes of a value that are shown, on demand.
SHOWN = 40


class Mode(Enum):
    """How a table was compared."""

    #: Every row of both sides.
    ROWS = "rows"
    #: Only how many there are.
    COUNTS = "counts"
    #: The rows that were touched since all were last found equal.
    TOUCHED = "touched"
    #: Its structure only: the application writes to the target by now.
    STRUCTURE = "structure"


@dataclass(frozen=True)
class Finding:
    """Something of a table's structure on the target that is not as planned."""

    table: str
    what: str
    problem: str
    hint: str
    #: Worth knowing, and no difference: the verdict does not depend on it.
    harmless: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON knows it."""
        return {
            "what": self.what,
            "problem": self.problem,
            "hint": self.hint,
            "harmless": self.harmless,
        }


@dataclass
class Checksum:
    """The sum of the hashes of some rows, whatever their order."""

    MODULUS: ClassVar[int] = 1 << 128

    total: int = 0

    @staticmethod
    def of(row: Row) -> int:
        """Return the hash of one row."""
        digest = hashlib.blake2b(repr(row).encode(errors="surrogatepass"), digest_size=16).digest()
        return int.from_bytes(digest)

    def add(self, share: int) -> None:
        """Add the hash of one row."""
        self.total = (self.total + share) % self.MODULUS

    def __str__(self) -> str:
        return f"{self.total:032x}"


@dataclass
class TableReport:
    """What the comparison of one table found."""

    name: str
    mode: Mode = Mode.ROWS
    source_rows: int = 0
    target_rows: int = 0
    compared: int = 0
    missing: int = 0
    different: int = 0
    extra: int = 0
    #: Of these, how many have been made equal.
    repaired: int = 0
    #: Rows that are kept aside because the target cannot hold them.
    quarantined: int = 0
    #: Rows of the target that the source cannot hold, and that are kept aside on their way back.
    unreturned: int = 0
    #: The repair was left to the background, which reads the whole table again.
    handed_over: bool = False
    details: list[str] = field(default_factory=list)
    structure: list[Finding] = field(default_factory=list)
    #: The first differences with the beginnings of values: for the one who asks, never for a log or a report.
    samples: list[dict[str, Any]] = field(default_factory=list)
    source_sum: Checksum = field(default_factory=Checksum)
    target_sum: Checksum = field(default_factory=Checksum)
    #: How far the target had got when the last chunk was compared.
    position: int = 0
    seconds: float = 0.0
    #: Rows that were compared before an interruption, and those compared again, for they were touched since.
    taken_up: int = 0
    rechecked: int = 0

    #: What an interrupted comparison takes up again as it was.
    KEPT: ClassVar[tuple[str, ...]] = (
        "compared",
        "missing",
        "different",
        "extra",
        "repaired",
        "handed_over",
        "source_rows",
        "target_rows",
        "quarantined",
        "taken_up",
        "rechecked",
        "position",
        "seconds",
    )

    def state(self) -> dict[str, Any]:
        """Return what has been found so far, as JSON knows it: all but values of rows."""
        sums = {"source_sum": str(self.source_sum), "target_sum": str(self.target_sum)}
        return {**{name: getattr(self, name) for name in self.KEPT}, **sums, "details": list(self.details)}

    @classmethod
    def of_state(cls, name: str, state: Mapping[str, Any]) -> TableReport:
        """Return the report that `state` has told of."""
        made = cls(name, **{one: state[one] for one in cls.KEPT}, details=list(state["details"]))
        made.source_sum = Checksum(int(state["source_sum"], 16))
        made.target_sum = Checksum(int(state["target_sum"], 16))
        return made

    @property
    def found(self) -> int:
        """Return how many rows were not equal."""
        return self.missing + self.different + self.extra

    @property
    def is_balanced(self) -> bool:
        """Tell whether both sides have as many rows, those that are kept aside counted in."""
        return self.source_rows + self.unreturned == self.target_rows + self.quarantined

    @property
    def rows_equal(self) -> bool:
        """Tell whether nothing was found in the rows that has not been made equal."""
        counted = self.mode in (Mode.TOUCHED, Mode.STRUCTURE)
        counted = counted or self.is_balanced
        return counted and self.found == self.repaired and not self.handed_over

    @property
    def structure_equal(self) -> bool:
        """Tell whether the structure is as planned."""
        return all(one.harmless for one in self.structure)

    @property
    def equal(self) -> bool:
        """Tell whether nothing was found that has not been made equal."""
        return self.rows_equal and self.structure_equal

    def count(self, counts: tuple[int, int, int]) -> None:
        """Take how many rows the source has, the target, and the quarantine."""
        self.source_rows, self.target_rows, self.quarantined = counts

    def sum(self, rows: Sequence[Row], found: Differences) -> None:
        """Add rows of the source, of which some differ on the target, to the checksums of both sides."""
        wrong = {id(row) for row in found.rows}
        for row in rows:
            share = Checksum.of(row)
            self.source_sum.add(share)
            if id(row) not in wrong:
                self.target_sum.add(share)
        for _, other, _ in found.different:
            self.target_sum.add(Checksum.of(other))

    def met(self, converter: Converter, found: Differences) -> None:
        """Count rows that are not as the source has them, and name the first."""
        self.missing += len(found.missing)
        self.different += len(found.different)
        for row in found.missing[:NAMED]:
            self.note(f"missing on the target: key {converter.key_text(row)}")
        for row, _, places in found.different[:NAMED]:
            names = ", ".join(converter.names[i] for i in places)
            self.note(f"different: key {converter.key_text(row)}, columns {names}")

    def note(self, text: str) -> None:
        """Keep one difference, as long as there are few."""
        if len(self.details) < NAMED:
            self.details.append(text)

    def sample(self, kind: str, key: Row, columns: Sequence[tuple[ColumnPlan, Any, Any]]) -> None:
        """Keep one difference with its key, and of the columns both values, as long as there are few."""
        if len(self.samples) < NAMED:
            shown = [_contrast(column, source, target) for column, source, target in columns]
            self.samples.append({"kind": kind, "key": [beginning(v) for v in key], "columns": shown})

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON knows it."""
        summed = self.mode is Mode.ROWS
        return {
            "name": self.name,
            "equal": self.equal,
            "compared_by": self.mode.value,
            "source_rows": self.source_rows,
            "target_rows": self.target_rows,
            "compared": self.compared,
            "missing": self.missing,
            "different": self.different,
            "extra": self.extra,
            "repaired": self.repaired,
            "quarantined": self.quarantined,
            "unreturned": self.unreturned,
            "repair_pending": self.handed_over,
            "taken_up": self.taken_up,
            "rechecked": self.rechecked,
            "source_checksum": str(self.source_sum) if summed else None,
            "target_checksum": str(self.target_sum) if summed else None,
            "position": self.position,
            "seconds": round(self.seconds, 3),
            "details": self.details,
            "structure": [one.as_dict() for one in self.structure],
        }


def _contrast(column: ColumnPlan, source: Any, target: Any) -> dict[str, str]:
    start = _parting(source, target)
    return {
        "name": column.source,
        "source": beginning(readable(source, column.pg_type), start),
        "target": beginning(readable(target, column.pg_type), start),
    }


def _parting(one: Any, other: Any) -> int:
    """Return from where on to show two long values, so that the place where they part is seen."""
    if type(one) is not type(other) or not isinstance(one, str | bytes):
        return 0
    same = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    return max(0, same - SHOWN // 2) if same >= SHOWN else 0


def beginning(value: Any, start: int = 0) -> str:
    """Return a value as an operator reads it, cut to some characters from `start` on."""
    if value is None:
        return "NULL"
    if not isinstance(value, str | bytes):
        return repr(value) if isinstance(value, float | bool | list) else str(value)
    part = value[start : start + SHOWN]
    text = repr(str(part)) if isinstance(part, str) else f"x'{part.hex()}'"
    before, behind = "..." if start else "", "..." if len(value) > start + SHOWN else ""
    unit = "characters" if isinstance(value, str) else "bytes"
    return f"{before}{text}{behind}" + (f" ({len(value)} {unit})" if before or behind else "")


def readable(value: Any, pg_type: str) -> Any:
    """Return a time, which travels as a count, as it is written; anything else as it is."""
    name, epoch = base(pg_type), datetime(2000, 1, 1, tzinfo=UTC)
    if type(value) is not int or name not in ("timestamptz", "timestamp", "date", "time"):
        return value
    try:
        if name == "date":
            return (date(2000, 1, 1) + timedelta(days=value)).isoformat()
        moment = epoch + timedelta(microseconds=value)
        if name == "time":
            return moment.time().isoformat("microseconds")
        return (moment if name == "timestamptz" else moment.replace(tzinfo=None)).isoformat(
            " ", "microseconds"
        )
    except OverflowError:
        return value
