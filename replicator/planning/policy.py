"""What becomes of values that their columns cannot hold, as the configuration says it for each column."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from config.errors import ConfigError

if TYPE_CHECKING:
    from triggers.schema import Table

    from .plan import ColumnPlan

#: The words that conversions have for them.
_WORDS = {"escape": "escaped", "replace": "replaced"}

#: Those that make another type of a column.
RETYPING = ("bytea", "text")


@dataclass(frozen=True)
class Policy:
    """The rules of one daemon."""

    #: A value that cannot be stored is an error, already where a column is planned.
    halt: bool = False
    #: By "table.column", or by a pattern of that.
    bad_values: Mapping[str, str] = field(default_factory=dict)

    def of(self, table: str, column: str) -> tuple[str, bool]:
        """Return the rule for a column, and whether it is said of this very column."""
        return self.said(table, column) or "quarantine", f"{table}.{column}" in self.bad_values

    def said(self, table: str, column: str) -> str:
        """Return the rule that is said of a column, or of a pattern, empty for none.

        Of several patterns the one that says most applies.
        """
        name = f"{table}.{column}"
        if name in self.bad_values:
            return self.bad_values[name]
        found = [p for p in self.bad_values if fnmatch.fnmatchcase(name, p)]
        best = max(found, key=lambda p: (len(p.replace("*", "")), p), default=None)
        return "" if best is None else self.bad_values[best]

    def halts(self, table: str, column: str) -> bool:
        """Tell whether a column of several classes is an error."""
        return self.halt and self.of(table, column)[0] not in RETYPING

    def applied(self, table: str, column: ColumnPlan, *, key: bool) -> ColumnPlan:
        """Return a column's plan under its rule; a pattern passes over columns that it cannot be done to.

        Raises ConfigError for a rule that names a column which cannot have it.
        """
        wanted, exact = self.of(table, column.source)
        if wanted == "quarantine":
            return column
        made = _applied(column, wanted)
        reason = f"that cannot be done to a column of type {column.conversion or column.pg_type}"
        if made is not None and key and made.conversion != "text escaped":
            made, reason = None, "two rows could become one, and the column is part of the table's key"
        if made is None and exact:
            raise ConfigError(
                f"bad_values.{table}.{column.source}: {wanted!r}: {reason}",
                hint="leave it out: such rows are then kept in quarantine",
            )
        return made or column


def _applied(column: ColumnPlan, wanted: str) -> ColumnPlan | None:
    """Return the column's plan with a rule done to it, None where that means nothing."""
    plain_text = column.pg_type == "text" and not column.conversion
    if wanted in _WORDS and plain_text:
        numbers = "from any " if column.overridden else ""
        return replace(column, conversion=f"text {numbers}{_WORDS[wanted]}")
    if wanted == "replace" and column.conversion == "jsonb":
        return replace(column, conversion="jsonb replaced")
    if wanted == "bytea" and (column.pg_type == "bytea" or plain_text and not column.overridden):
        return replace(column, pg_type="bytea", conversion="bytea from any")
    if wanted == "text" and (plain_text or not column.overridden):
        return replace(column, pg_type="text", overridden=True)
    return None


def check_names(tables: Sequence[Table], bad_values: Mapping[str, str]) -> None:
    """Raise ConfigError for a rule that no column of any table is meant by."""
    known = {f"{t.name}.{c.name}" for t in tables for c in t.columns}
    for name in bad_values:
        if name not in known and not fnmatch.filter(known, name):
            raise ConfigError(
                f"bad_values.{name}: there is no such column in any source",
                hint='write it as "table.column", in the spelling of the source; * stands for anything',
            )
