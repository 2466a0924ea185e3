"""What only the text of a CREATE TABLE tells: its CHECKs, the collations of columns, generated columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from .identifier import fold
from .tokens import Token, closing, joined, split, tokens

#: What begins another constraint, so that a name given before is no longer meant.
_CONSTRAINTS = ("PRIMARY", "UNIQUE", "NOT", "NULL", "DEFAULT", "REFERENCES", "FOREIGN", "GENERATED", "AS")


@dataclass(frozen=True)
class Check:
    """A CHECK as it is written, without its parentheses; `name` and `column` are empty where none is said."""

    name: str
    column: str
    text: str


@dataclass(frozen=True)
class TableText:
    """What the text of a table says; columns by their folded names."""

    checks: tuple[Check, ...] = ()
    #: Those that are said; the others are BINARY.
    collations: Mapping[str, str] = field(default_factory=dict)
    #: The expressions of generated columns.
    generated: Mapping[str, str] = field(default_factory=dict)


@lru_cache(maxsize=1024)
def read(sql: str) -> TableText:
    """Read the text of a table as SQLite stored it; nothing is found in one that is not understood.

    SQLite has accepted the statement, so only quoting, comments, parentheses and keywords matter here.
    """
    found = tokens(sql)
    start = next((place for place, token in enumerate(found) if token.says("(")), None)
    if start is None:
        return TableText()
    made = _Making()
    for part in split(found[start + 1 : closing(found, start)]):
        made.take(part)
    return TableText(tuple(made.checks), made.collations, made.generated)


class _Making:
    """Collects what the definitions of a table's columns and constraints say."""

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.collations: dict[str, str] = {}
        self.generated: dict[str, str] = {}

    def take(self, part: Sequence[Token]) -> None:
        """Take one definition: of a column, or of one constraint or more."""
        words = [t for t in part if t.kind != "space"]
        if not words:
            return
        table_wide = words[0].says("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")
        column = "" if table_wide else words[0].name
        name, before = "", Token("sign", "")
        for token, group in _walk(part if table_wide else part[part.index(words[0]) + 1 :]):
            if group is not None:
                if before.says("CHECK"):
                    self.checks.append(Check(name, column, joined(group)))
                    name = ""
                elif before.says("AS") and column:
                    self.generated[fold(column)] = joined(group)
            elif before.says("CONSTRAINT"):
                name = token.name
                token = Token("quoted", token.text)  # a name, whatever it says
            elif before.says("COLLATE") and column:
                self.collations[fold(column)] = token.name.upper()
            elif token.says(*_CONSTRAINTS):
                name = ""
            before = token


def _walk(part: Sequence[Token]) -> Iterator[tuple[Token, list[Token] | None]]:
    """Yield the pieces; what stands in parentheses as one."""
    place = 0
    while place < len(part):
        if part[place].says("("):
            end = closing(part, place)
            yield Token("sign", ""), list(part[place + 1 : end])
            place = end
        elif part[place].kind != "space":
            yield part[place], None
        place += 1
