"""The text of a view: one plain SELECT, read as SQLite reads it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar

from .expression import Node, Reading, Unreadable, is_reserved
from .identifier import is_ours, quote
from .tokens import meaningful

T = TypeVar("T")


@dataclass(frozen=True)
class View:
    """A view of the source, with the names of its columns."""

    name: str
    sql: str
    columns: tuple[str, ...] = ()
    #: What it and its columns are called on the target; the same where nothing is said.
    target: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """What a SELECT gives: an expression, or all columns (`node` None) of everything or of one source."""

    node: Node | None
    alias: str = ""
    table: str = ""


@dataclass(frozen=True)
class Source:
    """A table or view that is read, by the name that it has in the SELECT, and how it is joined."""

    name: str
    alias: str
    #: JOIN, LEFT JOIN or CROSS JOIN; empty for the first.
    join: str = ""
    condition: Node | None = None


@dataclass(frozen=True)
class Order:
    """A term of ORDER BY."""

    node: Node
    descending: bool = False
    #: FIRST or LAST where it is said.
    nulls: str = ""


@dataclass(frozen=True)
class Select:
    """A SELECT without subqueries, compounds, windows and limits."""

    items: tuple[Item, ...]
    sources: tuple[Source, ...]
    distinct: bool = False
    where: Node | None = None
    group: tuple[Node, ...] = ()
    having: Node | None = None
    order: tuple[Order, ...] = ()


def views(connection: sqlite3.Connection, exclude: Iterable[str] = ()) -> list[View]:
    """Return the views of a source in the order of their names, but for those that are to be left out.

    One that SQLite itself cannot read any more, because a table of it is gone, has no columns.
    """
    patterns = list(exclude)
    query = "SELECT name, sql FROM main.sqlite_master WHERE type = 'view' ORDER BY name"
    found = connection.execute(query).fetchall()
    wanted = [(n, sql) for n, sql in found if not is_ours(n) and not any(fnmatchcase(n, p) for p in patterns)]
    return [View(name, sql, _columns(connection, name)) for name, sql in wanted]


def _columns(connection: sqlite3.Connection, name: str) -> tuple[str, ...]:
    try:
        rows = connection.execute(f"PRAGMA main.table_xinfo({quote(name)})").fetchall()
    except sqlite3.OperationalError:
        return ()
    return tuple(row[1] for row in rows)


def parse(sql: str) -> Select:
    """Read the SELECT of a CREATE VIEW. Raises Unreadable for one that is not plain."""
    found = meaningful(sql)
    start = next((n for n, t in enumerate(found) if t.says("AS") and n + 1 < len(found)), None)
    if start is None:
        raise Unreadable("its SELECT is not found")
    return _Selecting(found[start + 1 :]).select()


class _Selecting(Reading):
    """Reads a SELECT."""

    def select(self) -> Select:
        """Return all of it. Raises Unreadable."""
        self.expect("SELECT")
        distinct = self.accept("DISTINCT")
        items = self._several(self._item)
        self.expect("FROM")
        sources = self._sources()
        where = self.expression() if self.accept("WHERE") else None
        group = self._group()
        having = self.expression() if self.accept("HAVING") else None
        order = self._order()
        self.accept(";")
        if not self.done:
            raise Unreadable(f"{self.next.text.upper()} is not carried over")
        return Select(tuple(items), tuple(sources), distinct, where, group, having, order)

    def _several(self, read: Callable[[], T]) -> list[T]:
        found = [read()]
        while self.accept(","):
            found.append(read())
        return found

    def _item(self) -> Item:
        if self.accept("*"):
            return Item(None)
        if self.following.says(".") and self.after(2).says("*"):
            table = self.name()
            self.take(), self.take()
            return Item(None, table=table)
        node = self.expression()
        if self.accept("AS") or self.next.kind in ("quoted", "string"):
            return Item(node, self.name())
        plain = self.next.kind == "word" and not is_reserved(self.next.text)
        return Item(node, self.name() if plain else "")

    def _sources(self) -> list[Source]:
        found = [self._source("")]
        while (join := self._join()) is not None:
            one = self._source(join)
            if self.next.says("USING"):
                raise Unreadable("USING is not carried over")
            condition = self.expression() if self.accept("ON") else None
            if join == "LEFT JOIN" and condition is None:
                raise Unreadable("a LEFT JOIN has no ON")
            found.append(Source(one.name, one.alias, join, condition))
        return found

    def _join(self) -> str | None:
        """Go behind what joins the next source; None where there is none."""
        if self.accept(",") or self.accept("JOIN"):
            return "JOIN"
        for word in ("INNER", "CROSS", "LEFT"):
            if self.accept(word):
                if word == "LEFT":
                    self.accept("OUTER")
                self.expect("JOIN")
                return "LEFT JOIN" if word == "LEFT" else "JOIN"
        return None

    def _source(self, join: str) -> Source:
        if self.next.says("("):
            raise Unreadable("a subquery is not carried over")
        name = self.name()
        if self.accept("."):
            if name.lower() != "main":
                raise Unreadable(f"it reads another database: {name}")
            name = self.name()
        if self.next.says("("):
            raise Unreadable(f"the function {name} is not carried over")
        aliased = self.accept("AS") or self.next.kind == "quoted"
        aliased = aliased or (self.next.kind == "word" and not is_reserved(self.next.text))
        return Source(name, self.name() if aliased else name, join)

    def _group(self) -> tuple[Node, ...]:
        if not self.accept("GROUP"):
            return ()
        self.expect("BY")
        return tuple(self._several(self.expression))

    def _order(self) -> tuple[Order, ...]:
        if not self.accept("ORDER"):
            return ()
        self.expect("BY")
        return tuple(self._several(self._term))

    def _term(self) -> Order:
        node = self.expression()
        descending = self.accept("DESC")
        if not descending:
            self.accept("ASC")
        nulls = self.take().text.upper() if self.accept("NULLS") else ""
        return Order(node, descending, nulls)
