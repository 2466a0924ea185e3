"""Hypothesis strategies for SQLite schemas, rows and statements that are hard on a move to PostgreSQL.

Everything is drawn as SQL text, so that an example that fails can be run by hand. Many statements fail in
SQLite itself, as an application's may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn as Draw

from .hostile import (
    ACTIONS,
    COLLATIONS,
    COLUMNS,
    DEFAULTS,
    EVERYTHING,
    HARD_COLUMNS,
    HARD_TABLES,
    LONG,
    STRICT_TYPES,
    TABLES,
    TYPES,
    VALUES,
)
from .passage import Case
from .schemas import quote


def _affinity(declared: str) -> str:
    """Return SQLite's affinity of a declared type, by the rules of its documentation."""
    name = declared.upper()
    for words, found in ((("INT",), "INTEGER"), (("CHAR", "CLOB", "TEXT"), "TEXT"), (("BLOB",), "BLOB")):
        if any(word in name for word in words):
            return found
    if not name:
        return "BLOB"
    return "REAL" if any(word in name for word in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


@dataclass
class Column:
    """A column in the making, and the values that it mostly gets."""

    name: str
    declared: str
    usual: tuple[str, ...]
    rest: str = ""
    generated: bool = False

    @property
    def sql(self) -> str:
        """Return its declaration."""
        return f"{quote(self.name)} {self.declared}{self.rest}"


@dataclass
class Table:
    """A table in the making."""

    name: str
    columns: list[Column]
    constraints: list[str] = field(default_factory=list)
    #: What finds a row: the rowid, or the primary key of a table without.
    key: tuple[str, ...] = ("rowid",)
    referable: tuple[str, ...] = ()
    ending: str = ""

    @property
    def sql(self) -> str:
        """Return the CREATE TABLE."""
        inside = ", ".join([c.sql for c in self.columns] + self.constraints)
        return f"CREATE TABLE {quote(self.name)}({inside}){self.ending}"

    @property
    def writable(self) -> list[Column]:
        """Return the columns that an application may set."""
        return [c for c in self.columns if not c.generated]

    def row(self, number: int) -> str:
        """Return the condition that finds one row."""
        names = ", ".join(name if name == "rowid" else quote(name) for name in self.key)
        return f"({names}) = (SELECT {names} FROM {quote(self.name)} LIMIT 1 OFFSET {number})"


@st.composite
def cases(draw: Draw) -> Case:
    """Draw one to four tables, their rows, and what happens to them."""
    # in a few only: a single one may have the whole source refused
    hard = _rare(draw, 8)
    names = draw(_names(TABLES, HARD_TABLES if hard else (), most=4))
    made: list[Table] = []
    for name in names:
        made.append(draw(_tables(name, tuple(made), hard)))
    schema = [table.sql for table in made] + [draw(_indexes(made, n)) for n in range(draw(st.integers(0, 2)))]
    before = [s for table in made for s in draw(st.lists(_inserts(table), max_size=6))]
    during = draw(st.lists(_statements(made), max_size=6))
    after = draw(st.lists(_statements(made), max_size=12))
    journal = draw(st.sampled_from(("wal", "delete")))
    return Case(journal, draw(st.booleans()), tuple(schema), tuple(before), tuple(during), tuple(after))


def _rare(draw: Draw, one_in: int) -> bool:
    return draw(st.integers(0, one_in - 1)) == one_in - 1


def _names(usual: Sequence[str], hard: Sequence[str], most: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from((*usual, *hard)), min_size=1, max_size=most, unique_by=str.lower)


@st.composite
def _tables(draw: Draw, name: str, others: Sequence[Table], hard: bool) -> Table:
    strict = _rare(draw, 8)
    names = draw(_names(COLUMNS, HARD_COLUMNS if hard else (), most=5))
    columns = [draw(_columns(column, strict)) for column in names]
    table = Table(name, columns)
    _key(draw, table)
    if strict:
        table.ending += ", STRICT" if table.ending else " STRICT"
    if _rare(draw, 6):
        kind = draw(st.sampled_from(("VIRTUAL", "STORED")))
        source = quote(draw(st.sampled_from(names)))
        made = Column("made", "TEXT" if strict else "", (), f" AS ({source}) {kind}", generated=True)
        table.columns.append(made)
    if _rare(draw, 3):
        _reference(draw, table, [*others, table])
    return table


@st.composite
def _columns(draw: Draw, name: str, strict: bool) -> Column:
    declared = draw(st.sampled_from(STRICT_TYPES if strict else TYPES))
    usual = draw(_usual(declared))
    rest = draw(st.sampled_from(COLLATIONS))
    if _rare(draw, 4):
        rest += f" DEFAULT {draw(st.sampled_from(DEFAULTS))}"
    if _rare(draw, 5):
        rest += " NOT NULL"
    if _rare(draw, 6):
        rest += draw(st.sampled_from((" UNIQUE", " UNIQUE ON CONFLICT REPLACE")))
    return Column(name, declared, usual, rest)


@st.composite
def _usual(draw: Draw, declared: str) -> tuple[str, ...]:
    """Draw a storage class for a column, for most hold one; a few hold anything from the start."""
    if _rare(draw, 12):
        return EVERYTHING
    kind = draw(st.sampled_from(("integer", "real", "text", "blob")))
    values = VALUES[kind]
    if kind == "integer" and "BOOL" in declared and _rare(draw, 2):
        values = ("0", "1")
    if kind == "real" and _affinity(declared) == "BLOB":
        values += VALUES["integer"] if _rare(draw, 2) else ()
    if kind == "text":
        values += VALUES["poison"] + (VALUES["digits"] if _affinity(declared) in ("TEXT", "BLOB") else ())
    return (*values, "NULL")


def _key(draw: Draw, table: Table) -> None:
    kinds = ("none", "alias", "auto", "column", "nocase", "composite", "without", "unique")
    kind = draw(st.sampled_from(kinds))
    first = table.columns[0]
    if kind in ("alias", "auto"):
        first.declared, first.usual = "INTEGER", (*map(str, range(1, 9)), "-1", "9223372036854775807", "NULL")
        first.rest = " PRIMARY KEY" + (" AUTOINCREMENT" if kind == "auto" else "")
        table.referable = (first.name,)
    elif kind in ("column", "nocase"):
        first.rest = (" COLLATE NOCASE" if kind == "nocase" else first.rest) + " PRIMARY KEY"
        # SQLite takes NULLs in such a key, any number of them
        first.rest += " NOT NULL" if _rare(draw, 2) else ""
        table.referable = (first.name,)
    elif kind in ("composite", "without"):
        size = draw(st.integers(1, len(table.columns)))
        chosen = [c.name for c in table.columns[:size]]
        terms = [quote(c) + draw(st.sampled_from(("", "", " DESC", " COLLATE NOCASE"))) for c in chosen]
        table.constraints.append(f"PRIMARY KEY({', '.join(terms)})")
        table.referable = tuple(chosen)
        if kind == "without":
            table.ending, table.key = " WITHOUT ROWID", tuple(chosen)
    elif kind == "unique":
        first.rest += " NOT NULL UNIQUE"
        table.referable = (first.name,)


def _reference(draw: Draw, table: Table, others: Sequence[Table]) -> None:
    other = draw(st.sampled_from(others))
    wanted = len(other.referable)
    names = [c.name for c in table.columns if not c.generated][:wanted]
    if not wanted or len(names) < wanted:
        table.constraints.append(f"FOREIGN KEY({quote(table.columns[0].name)}) REFERENCES gone(id)")
        return
    here, there = ", ".join(map(quote, names)), ", ".join(map(quote, other.referable))
    action = draw(st.sampled_from(ACTIONS))
    table.constraints.append(f"FOREIGN KEY({here}) REFERENCES {quote(other.name)}({there}){action}")


@st.composite
def _indexes(draw: Draw, made: Sequence[Table], number: int) -> str:
    table = draw(st.sampled_from(made))
    columns = draw(
        st.lists(st.sampled_from(table.columns), min_size=1, max_size=2, unique_by=lambda c: c.name)
    )
    terms = ", ".join(
        quote(c.name) + draw(st.sampled_from(("", "", " DESC", " COLLATE NOCASE"))) for c in columns
    )
    where = f" WHERE {quote(columns[0].name)} > 0" if _rare(draw, 4) else ""
    name = draw(
        st.sampled_from((f"i{number}", f"my index {number}", f'i"{number}', f"t_pkey{number}", "i" * 70))
    )
    unique = draw(st.sampled_from(("UNIQUE ", "")))
    return f"CREATE {unique}INDEX {quote(name)} ON {quote(table.name)}({terms}){where}"


def _value(draw: Draw, column: Column, *, any_in: int) -> str:
    return draw(st.sampled_from((*EVERYTHING, *LONG) if _rare(draw, any_in) else column.usual))


@st.composite
def _inserts(draw: Draw, table: Table) -> str:
    """Draw a row of the values that its columns mostly hold."""
    values = ", ".join(draw(st.sampled_from(c.usual)) for c in table.writable)
    return f"INSERT OR IGNORE INTO {quote(table.name)}{_list(table)} VALUES ({values})"


def _list(table: Table) -> str:
    return f"({', '.join(quote(c.name) for c in table.writable)})"


@st.composite
def _statements(draw: Draw, made: Sequence[Table]) -> str:
    """Draw a write of the application, one value in eight of any class at all."""
    table = draw(st.sampled_from(made))
    name, columns = quote(table.name), table.writable
    kind = draw(st.sampled_from(("insert", "insert", "update", "update", "all", "delete", "copy", "nested")))
    if kind == "insert":
        verb = draw(st.sampled_from(("INSERT", "INSERT OR IGNORE", "REPLACE")))
        values = ", ".join(_value(draw, c, any_in=8) for c in columns)
        return f"{verb} INTO {name}{_list(table)} VALUES ({values})"
    where = f" WHERE {table.row(draw(st.integers(0, 5)))}"
    if kind == "delete":
        return f"DELETE FROM {name}{where if not _rare(draw, 10) else ''}"
    if kind == "copy":
        return f"INSERT OR IGNORE INTO {name}{_list(table)} SELECT {_list(table)[1:-1]} FROM {name}"
    if kind == "nested":
        return draw(st.sampled_from(("BEGIN", "BEGIN", "COMMIT", "ROLLBACK")))
    column = draw(st.sampled_from(columns))
    clause = draw(st.sampled_from(("", " OR REPLACE", " OR IGNORE")))
    change = f"UPDATE{clause} {name} SET {quote(column.name)} = {_value(draw, column, any_in=8)}"
    return change + ("" if kind == "all" else where)
