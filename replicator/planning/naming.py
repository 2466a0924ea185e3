"""The names that tables and columns of a source get on the target: policies, renames, prefixes. Pure.

A name is made of the source's alone, so that every run makes the same one. Where two would be one, the plan
is refused. What comes while the application goes on cannot be refused: it takes its other name, which ends
in a hash of both.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from config.errors import ConfigError
from config.settings import Settings
from triggers.identifier import fold
from triggers.schema import Table

#: PostgreSQL cuts longer names in silence.
NAME_BYTES = 63

#: Side column that carries the rowid of a table without any key until the operator finishes.
ROWID_COLUMN = "_liteferry_rowid"

#: Every table of PostgreSQL has these already, in this very spelling.
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})

#: What SQLite allows to have an empty name, or of whose name a policy leaves nothing.
UNNAMED = "unnamed"


@dataclass(frozen=True)
class Names:
    """What a table and its columns are called on the target."""

    table: str
    #: By the names in the source.
    columns: Mapping[str, str] = field(default_factory=dict)

    def other_than(self, table: str) -> list[tuple[str, str]]:
        """Return what is called otherwise in the source: "table" or "table.column", and the target's name."""
        of_table = [(table, self.table)] if table != self.table else []
        return of_table + [(f"{table}.{name}", to) for name, to in self.columns.items() if name != to]


@dataclass(frozen=True)
class Clash:
    """Two names of a source that would be one on the target; the second one has given way."""

    first: str
    second: str
    name: str


@dataclass(frozen=True)
class Given:
    """Names on the target by those in the source, and which of them had to give way."""

    names: Mapping[str, str]
    clashes: Sequence[Clash] = ()


def snake(name: str) -> str:
    """Return a name as words in lower case with `_` between; one that is so already stays as it is.

    A word begins behind whatever is no letter, digit or `_`, and at a capital: `OrderDetails`, `HTTPServer`
    and `Order Details` become `order_details`, `http_server` and `order_details`. Letters of all alphabets
    stay. Empty where nothing is left.
    """
    parts: list[str] = []
    for place, letter in enumerate(name):
        if not _in_word(letter):
            parts.append(" ")
        else:
            parts.append(f" {letter}" if _begins_word(name, place) else letter)
    words = "".join(parts).split()
    joined = ""
    for word in words:
        # beside a `_` of the name itself no other is wanted
        bound = "" if not joined or joined.endswith("_") or word.startswith("_") else "_"
        joined += bound + word
    lower = joined.lower()
    return f"_{lower}" if lower[:1].isdigit() else lower


def _in_word(letter: str) -> bool:
    # the signs that some scripts put on a letter belong to it
    return letter.isalnum() or letter == "_" or unicodedata.category(letter)[0] == "M"


def _begins_word(name: str, place: int) -> bool:
    if place == 0 or not _is_capital(name[place]):
        return False
    before = next((c for c in reversed(name[:place]) if unicodedata.category(c)[0] != "M"), " ")
    after = name[place + 1 : place + 2]
    return before.islower() or before.isdigit() or (_is_capital(before) and after.islower())


def _is_capital(letter: str) -> bool:
    # some of mathematics are capitals that have no small letter, and would begin a word ever anew
    return letter.isupper() and letter.lower() != letter


#: `lower` is what PostgreSQL makes of a name without quotes: it leaves É as it is.
POLICIES: Mapping[str, Callable[[str], str]] = {"exact": str, "lower": fold, "snake": snake}


@dataclass(frozen=True)
class Naming:
    """How the names of one source are made: by a policy, with a prefix for its tables, some of them said."""

    policy: str = "exact"
    prefix: str = ""
    #: By "table" and "table.column".
    renames: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, prefix: str) -> Naming:
        """Return the way that is set, for a source with a prefix."""
        return cls(settings.names, prefix, settings.rename)

    def tables(
        self, names: Iterable[str], kept: Mapping[str, str] | None = None, taken: Collection[str] = ()
    ) -> Given:
        """Return the names of tables; those that are `kept` have theirs, and none gets one that is taken."""
        wanted = {name: self.table(name) for name in names}
        return _given(wanted, kept or {}, taken, self.renames.keys())

    def table(self, name: str) -> str:
        """Return the name that a table should have."""
        return _mended(self.prefix + (self._called(name, name) or UNNAMED), column=False)

    def columns(self, table: str, names: Iterable[str], kept: Mapping[str, str] | None = None) -> Given:
        """Return the names of a table's columns; those that are `kept` have theirs."""
        called = {name: self._called(f"{table}.{name}", name) for name in names}
        wanted = {name: _mended(target, column=True) for name, target in called.items()}
        # what was mended gives way to what is called so, and is no mistake of anybody's
        given = {name: target for name, target in called.items() if wanted[name] == target}
        said = {name for name in given if f"{table}.{name}" in self.renames}
        first = _given(given, kept or {}, (), said)
        rest = {name: target for name, target in wanted.items() if name not in first.names}
        second = _given(rest, first.names, (), ())
        return Given({name: second.names[name] for name in called}, first.clashes)

    def _called(self, full: str, name: str) -> str:
        said = self.renames.get(full)
        return POLICIES[self.policy](name) if said is None else said


def named(naming: Naming, tables: Sequence[Table]) -> dict[str, Names]:
    """Return the names of a source's tables, by the source's. Raises ConfigError for two that are one."""
    errors = problems(naming, tables)
    if errors:
        raise errors[0]
    names = naming.tables(t.name for t in tables).names
    return {
        t.name: Names(names[t.name], naming.columns(t.name, [c.name for c in t.columns]).names)
        for t in tables
    }


def problems(naming: Naming, tables: Sequence[Table]) -> list[ConfigError]:
    """Return what speaks against the names of a source: each two that would be one on the target."""
    found = [
        _refused(f"tables {clash.first!r} and {clash.second!r}", clash, clash.second)
        for clash in naming.tables(t.name for t in tables).clashes
    ]
    for table in tables:
        for clash in naming.columns(table.name, [c.name for c in table.columns]).clashes:
            what = f"columns {clash.first!r} and {clash.second!r} of table {table.name!r}"
            found.append(_refused(what, clash, f"{table.name}.{clash.second}"))
    return found


def _refused(what: str, clash: Clash, key: str) -> ConfigError:
    return ConfigError(
        f"{what} would both be called {clash.name!r} on the target",
        hint=f'give one of them another name: under [rename], "{key}" = "..."',
    )


def check_renames(tables: Iterable[Table], renames: Mapping[str, str]) -> None:
    """Raise ConfigError for a rename of what does not exist or is two things, or to what cannot be."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for table in tables:
        found.setdefault(table.name, set()).add((table.name,))
        for column in table.columns:
            found.setdefault(f"{table.name}.{column.name}", set()).add((table.name, column.name))
    for key, name in renames.items():
        meant = found.get(key, set())
        if not meant:
            raise ConfigError(
                f"rename.{key}: there is no such table or column in any source",
                hint='write it as "table" or "table.column", in the spelling of the source',
            )
        if len(meant) > 1:
            raise ConfigError(
                f"rename.{key}: this is a table, and a column of another one",
                hint="leave one of them out with `exclude`, or rename it in the source",
            )
        if len(next(iter(meant))) == 2 and _mended(name, column=True) != name:
            raise ConfigError(
                f"rename.{key}: {name!r} is a name that PostgreSQL, or liteferry, keeps for itself",
                hint="choose another one",
            )


def alternative(*names: str) -> str:
    """Return the name for something of a table (first) where its own (second) is taken, by a hash of both."""
    mark = hashlib.sha256("\0".join(names).encode()).hexdigest()[:8]
    return short_name(f"{names[1]}_{mark}")


def short_name(name: str) -> str:
    """Return a name of at most 63 bytes; a longer one keeps its start and ends in a hash of all of it."""
    raw = name.encode()
    if len(raw) <= NAME_BYTES:
        return name
    mark = hashlib.sha256(raw).hexdigest()[:8]
    return raw[: NAME_BYTES - 9].decode(errors="ignore") + "_" + mark


def _mended(name: str, *, column: bool) -> str:
    """Return the name that PostgreSQL can have in place of one that it may not."""
    if column and (name in SYSTEM_COLUMNS or name == ROWID_COLUMN):
        return f"{name}_"
    return short_name(name or UNNAMED)


def _given(
    wanted: Mapping[str, str], kept: Mapping[str, str], taken: Collection[str], said: Collection[str]
) -> Given:
    """Give names out: to what has one already, to what was `said`, to the rest, in their order."""
    names = dict(kept)
    owners = {target: name for name, target in kept.items()}
    clashes = []
    for name in sorted((n for n in wanted if n not in kept), key=lambda n: n not in said):
        target = wanted[name]
        if target in owners or target in taken:
            clashes.append(Clash(owners.get(target, ""), name, target))
            target = _free(name, target, {*owners, *taken})
        names[name], owners[target] = target, name
    return Given(names, tuple(clashes))


def _free(name: str, target: str, used: Collection[str]) -> str:
    number, other = 0, alternative(name, target)
    while other in used:
        number += 1
        other = alternative(name, target, str(number))
    return other
