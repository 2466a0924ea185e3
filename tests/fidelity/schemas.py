"""Random SQLite schemas: keys, unique indexes, foreign keys and an application's triggers of every kind."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

TYPES = ("", "INTEGER", "INT", "TEXT", "VARCHAR(9)", "BLOB", "REAL", "NUMERIC", "BOOLEAN", "DATETIME")
COLLATIONS = ("", "", "", " COLLATE NOCASE", " COLLATE RTRIM", " COLLATE BINARY")
#: Column names, the awkward ones among them; SQLite takes the last two for different columns.
NAMES = ("a", "b", "c", "d", "e", "select", "x y", 'q"q', "oid", "É", "é")
TABLES = ("t", "u", "new", "old", "order", "it's", "Übung")
POLICIES = (
    "",
    "",
    "",
    "",
    " ON CONFLICT REPLACE",
    " ON CONFLICT IGNORE",
    " ON CONFLICT FAIL",
    " ON CONFLICT ABORT",
)
ACTIONS = ("CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION", "CASCADE")
DEFAULTS = ("1", "'a'", "''", "2.5", "x'61'", "'01'", "-1", "(1 + 1)", "word", '"c"', "9007199254740993")


def quote(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclass
class Sketch:
    """A table in the making."""

    name: str
    columns: list[str] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    #: Column lists that a foreign key may refer to.
    unique: list[tuple[str, ...]] = field(default_factory=list)
    without_rowid: bool = False

    @property
    def sql(self) -> str:
        """Return the CREATE TABLE."""
        ending = " WITHOUT ROWID" if self.without_rowid else ""
        return f"CREATE TABLE {quote(self.name)}({', '.join(self.declared + self.constraints)}){ending}"


class SchemaMaker:
    """Draws schemas from one source of chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def likely(self, part: float) -> bool:
        """Answer yes in that part of the cases."""
        return self.chance.random() < part

    def some(self, names: Sequence[str], most: int) -> list[str]:
        """Draw one to `most` different names."""
        return self.chance.sample(names, min(len(names), self.chance.randint(1, most)))

    def schema(self) -> list[str]:
        """Return the statements that make one to three tables with their indexes."""
        names = self.chance.sample(TABLES, self.chance.choice((1, 1, 2, 2, 3)))
        made: list[str] = []
        sketches: list[Sketch] = []
        for name in names:
            sketch = self.table(name)
            if self.likely(0.5):
                self.reference(sketch, self.chance.choice([*sketches, sketch]))
            sketches.append(sketch)
            made.append(sketch.sql)
            made += [self.index(sketch, number) for number in range(self.chance.choice((0, 0, 1, 1, 2)))]
        return made

    def table(self, name: str) -> Sketch:
        """Return a table with a key of a random kind and up to five more columns."""
        sketch = Sketch(name, self.chance.sample(NAMES, self.chance.randint(2, 5)))
        if self.likely(0.04):
            sketch.columns = ["a", "rowid", "oid", "_rowid_"]
        self.key(sketch)
        for column in sketch.columns[len(sketch.declared) :]:
            sketch.declared.append(self.column(sketch, column))
        if self.likely(0.15):
            sketch.declared.append(self.generated(sketch.columns, sketch.declared))
        if self.likely(0.3):
            self.unique_constraint(sketch)
        return sketch

    def key(self, sketch: Sketch) -> None:
        """Give a table a primary key, or none."""
        kind = self.chance.choice(("alias", "alias", "column", "composite", "without", "none", "notnull"))
        first = quote(sketch.columns[0])
        policy = self.chance.choice(POLICIES)
        if kind == "alias":
            text = self.chance.choice(("INTEGER PRIMARY KEY{}", "INTEGER PRIMARY KEY{} AUTOINCREMENT"))
            sketch.declared.append(f"{first} {text.format(policy)}")
        elif kind == "column":
            kinds = self.chance.choice(("TEXT", "", "INT", "REAL", "BLOB", "INTEGER"))
            order = self.chance.choice((" ASC", " DESC")) if kinds != "INTEGER" else " DESC"
            collation = self.chance.choice(COLLATIONS)
            null = self.chance.choice(("", " NOT NULL"))
            sketch.declared.append(f"{first} {kinds}{null}{collation} PRIMARY KEY{order}{policy}")
        elif kind == "notnull":
            sketch.declared.append(f"{first} {self.chance.choice(TYPES)} NOT NULL UNIQUE{policy}")
        elif kind in ("composite", "without"):
            sketch.without_rowid = kind == "without"
            chosen = self.some(sketch.columns, 3)
            terms = [
                quote(c) + self.chance.choice(COLLATIONS) + self.chance.choice(("", "", " DESC"))
                for c in chosen
            ]
            sketch.constraints.append(f"PRIMARY KEY({', '.join(terms)}){policy}")
            sketch.unique.append(tuple(chosen))
            return
        if kind != "none":
            sketch.unique.append((sketch.columns[0],))

    def column(self, sketch: Sketch, name: str) -> str:
        """Return a column's declaration."""
        parts = [quote(name), self.chance.choice(TYPES)]
        if self.likely(0.35):
            parts.append("NOT NULL" + self.chance.choice(POLICIES))
        if self.likely(0.4):
            parts.append(f"DEFAULT {self.chance.choice(DEFAULTS)}")
        parts.append(self.chance.choice(COLLATIONS))
        if self.likely(0.25):
            parts.append("UNIQUE" + self.chance.choice(POLICIES))
            sketch.unique.append((name,))
        return " ".join(parts)

    def generated(self, columns: Sequence[str], declared: Sequence[str]) -> str:
        """Return a generated column, unique or not."""
        # Not of the rowid, nor of a column with a default: a known limit is that a BEFORE trigger sees the
        # generated value as it would be before the rowid or the default is put in.
        plain = [
            c for d, c in zip(declared, columns, strict=False) if not re.search("DEFAULT|INTEGER PRI", d)
        ]
        source = quote(self.chance.choice(plain or ["gone"]))
        text = self.chance.choice(
            (f"{source} || 'g'", f"typeof({source})", f"abs({source}) % 3", f"lower({source})")
        )
        kind = self.chance.choice(("VIRTUAL", "STORED"))
        unique = self.chance.choice(("", " UNIQUE", " UNIQUE ON CONFLICT REPLACE"))
        return f'"gen" TEXT GENERATED ALWAYS AS ({text}) {kind}{unique}'

    def unique_constraint(self, sketch: Sketch) -> None:
        """Add a UNIQUE over one to three columns."""
        chosen = self.some(sketch.columns, 3)
        sketch.constraints.append(f"UNIQUE({', '.join(map(quote, chosen))}){self.chance.choice(POLICIES)}")
        sketch.unique.append(tuple(chosen))

    def reference(self, sketch: Sketch, other: Sketch) -> None:
        """Add a foreign key with actions; to the table itself at times."""
        if not other.unique:
            return
        referenced = self.chance.choice(other.unique)
        if len(referenced) > len(sketch.columns):
            return
        chosen = self.chance.sample(sketch.columns, len(referenced))
        deferred = self.chance.choice(("", "", " DEFERRABLE INITIALLY DEFERRED"))
        sketch.constraints.append(
            f"FOREIGN KEY({', '.join(map(quote, chosen))}) REFERENCES {quote(other.name)}"
            f"({', '.join(map(quote, referenced))}) ON DELETE {self.chance.choice(ACTIONS)} "
            f"ON UPDATE {self.chance.choice(ACTIONS)}{deferred}"
        )

    def index(self, sketch: Sketch, number: int) -> str:
        """Return a unique index: plain, collated, descending, over an expression, partial."""
        terms = [self.term(sketch, column) for column in self.some(sketch.columns, 2)]
        where = f" WHERE {self.condition(sketch)}" if self.likely(0.35) else ""
        unique = "UNIQUE " if self.likely(0.9) else ""
        name = quote(f"{sketch.name} i{number}")
        return f"CREATE {unique}INDEX {name} ON {quote(sketch.name)}({', '.join(terms)}){where}"

    def term(self, sketch: Sketch, column: str) -> str:
        """Return one term of an index."""
        name = quote(column)
        alias = (
            sketch.declared[0].startswith(f"{name} INTEGER PRIMARY KEY") and "DESC" not in sketch.declared[0]
        )
        # An expression over the rowid's own column is a known limit: BEFORE INSERT cannot know its value.
        if self.likely(0.3) and not alias:
            plain = self.chance.choice(
                (
                    f"lower({name})",
                    f"{name} || '('",
                    f"coalesce({name}, 'n''')",
                    f"({name} = 'A')",
                    f"({name} + 0)",
                )
            )
        else:
            plain = name
        ending = self.chance.choice(("", "", "", " COLLATE NOCASE", " COLLATE [RTRIM]", ' collate "binary"'))
        return plain + ending + self.chance.choice(("", "", " DESC", " asc"))

    def condition(self, sketch: Sketch) -> str:
        """Return the WHERE of a partial index."""
        name = quote(self.chance.choice(sketch.columns))
        return self.chance.choice(
            (
                f"{name} IS NOT NULL",
                f"{name} > 1",
                f"{name} = 'a' -- note\nOR {name} > 2",
                f"typeof({name}) = 'text'",
            )
        )


#: Bodies of application triggers: {t} this table, {o} another, {c} and {d} their columns, {v} a value.
BODIES = (
    "UPDATE {o} SET {d} = {v} WHERE {d} = NEW.{c}",
    "UPDATE OR REPLACE {o} SET {d} = NEW.{c}",
    "UPDATE OR IGNORE {t} SET {c} = {v} WHERE {c} = 'b'",
    "DELETE FROM {o} WHERE {d} = NEW.{c}",
    "INSERT OR IGNORE INTO {o}({d}) VALUES(NEW.{c})",
    "REPLACE INTO {o}({d}) VALUES({v})",
    "SELECT RAISE(IGNORE) WHERE NEW.{c} = {v}",
    "SELECT RAISE(ABORT, 'no') WHERE NEW.{c} = {v}",
    "SELECT RAISE(FAIL, 'no') WHERE NEW.{c} = {v}",
    "SELECT RAISE(ROLLBACK, 'no') WHERE NEW.{c} = {v}",
)


def application_triggers(
    chance: random.Random, tables: dict[str, list[str]], values: Sequence[str], *, before_ours: bool
) -> list[str]:
    """Return up to two triggers of the application's own.

    Triggers fire newest first. An AFTER INSERT that was made after ours runs before it, and when it ends in
    RAISE(IGNORE), or fails under OR FAIL, the row stays and ours never sees it: a known hole.
    """
    made = []
    for number in range(chance.choice((0, 0, 1, 2))):
        table, other = chance.choice(list(tables)), chance.choice(list(tables))
        when, event = chance.choice(("BEFORE", "AFTER")), chance.choice(("INSERT", "UPDATE", "DELETE"))
        body = chance.choice(BODIES)
        if (when, event) == ("AFTER", "INSERT") and not before_ours:
            when = "BEFORE"
        if event == "DELETE":
            # Nor is a row seen that REPLACE takes away when a trigger then fails before the new one comes.
            body = body.replace("FAIL", "ABORT")
        column = quote(chance.choice(tables[table]))
        parts = {"t": quote(table), "o": quote(other), "c": column, "d": quote(chance.choice(tables[other]))}
        text = body.format(**parts, v=chance.choice(values))
        if event == "DELETE":
            text = text.replace("NEW.", "OLD.")
        of = f" OF {column}" if event == "UPDATE" and chance.random() < 0.3 else ""
        name = f"app{'_before' if before_ours else '_after'}_{number}"
        made.append(f"CREATE TRIGGER {name} {when} {event}{of} ON {parts['t']} BEGIN {text}; END")
    return made
