"""The names that tables and columns of a source get on the target. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Names:
    """What a table and its columns are called on the target."""

    table: str
    #: By the names in the source.
    columns: Mapping[str, str] = field(default_factory=dict)


def named(table: str, columns: Iterable[str], kept: Mapping[str, str]) -> Names:
    """Return the names of a table; columns that are `kept` have theirs already."""
    return Names(table, {name: kept.get(name, name) for name in columns})
