"""A random application's life: drawn from a seed, run beside a twin without capture, cut down if it fails."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from config.errors import SchemaChanged, Unsupported

from .alterations import Alterations
from .follower import Follower
from .schemas import SchemaMaker, application_triggers
from .statements import VALUES, Shape, Statements, shapes
from .twin import KNOWN, Twin

Bursts = tuple[tuple[str, ...], ...]


class Lives(Protocol):
    """An application with its twin, in this process or another."""

    @property
    def over(self) -> bool:
        """Tell whether the life is to be given up."""

    def prepare(self, statements: Sequence[str]) -> None:
        """Run what is there before the capture is installed."""

    def settle(self, statements: Sequence[str]) -> None:
        """Run what comes between the capture and the bursts."""

    def live(self, burst: Sequence[str]) -> str | None:
        """Run a burst on both; return what differs."""


#: Sets up an application and the connection by which the product sees its captured file.
Stage = Callable[[], AbstractContextManager[tuple[Lives, sqlite3.Connection]]]


@contextmanager
def in_memory() -> Iterator[tuple[Lives, sqlite3.Connection]]:
    """Let the application and the product share one connection to a database in memory."""
    with closing(Twin()) as twin:
        yield twin, twin.captured


@dataclass(frozen=True)
class Life:
    """A schema, what was written before the capture was installed, and what came after."""

    settings: tuple[str, ...]
    schema: tuple[str, ...]
    before: tuple[str, ...]
    triggers: tuple[str, ...]
    bursts: Bursts

    def __str__(self) -> str:
        """Return it as a script to run by hand."""
        lines = [*self.settings, *self.schema, *self.before, "-- install the capture here", *self.triggers]
        for burst in self.bursts:
            lines += ["-- burst", *burst]
        return ";\n".join(lines)


def draw(seed: int, *, alter: bool = False) -> Life | None:
    """Return the life of that seed, None when SQLite does not take its schema.

    With `alter` the application changes its schema as well.
    """
    chance = random.Random(seed)
    settings: tuple[str, ...] = (f"PRAGMA recursive_triggers = {chance.choice(('off', 'off', 'on'))}",)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as scratch:
        schema = _accepted(scratch, SchemaMaker(chance).schema())
        tables = shapes(scratch)
        if not tables:
            return None
        settings += _foreign_keys(chance, scratch)
        names = {t.name: list(t.columns) for t in tables}
        schema += _accepted(scratch, application_triggers(chance, names, VALUES, before_ours=True))
        triggers = _accepted(scratch, application_triggers(chance, names, VALUES, before_ours=False))
    life = Life(settings, tuple(schema), (), tuple(triggers), ())
    return _altered(chance, life) if alter else _filled(chance, life, tables)


def _filled(chance: random.Random, life: Life, tables: Sequence[Shape]) -> Life:
    statements = Statements(chance, tables)
    before = tuple(s for _ in range(chance.randint(0, 4)) for s in (statements.statement(),))
    bursts = tuple(tuple(statements.burst(6)) for _ in range(chance.randint(4, 9)))
    return replace(life, before=before, bursts=bursts)


def _altered(chance: random.Random, life: Life) -> Life:
    """Draw the bursts one by one, each from the schema that the ones before have left."""
    with closing(Twin()) as scratch:
        scratch.prepare((*life.settings, *life.schema))
        scratch.settle(life.triggers)
        alterations = Alterations(chance, scratch.plain, scratch.attempt)
        statements = Statements(chance, shapes(scratch.plain))
        before = tuple(statements.statement() for _ in range(chance.randint(0, 4)))
        bursts: list[tuple[str, ...]] = []
        try:
            for _ in range(chance.randint(3, 6)):
                bursts.append(tuple(alterations.burst()))
                if there := shapes(scratch.plain):
                    bursts.append(tuple(Statements(chance, there).burst(6)))
                    for statement in bursts[-1]:
                        scratch.attempt(statement)
        except sqlite3.OperationalError:
            # triggers that call each other for ever; what was drawn by then will do
            if not scratch.over:
                raise
        return replace(life, before=before, bursts=tuple(bursts))


def _foreign_keys(chance: random.Random, connection: sqlite3.Connection) -> tuple[str, ...]:
    """Enforce foreign keys in most lives.

    Not where one refers to columns that are no key: SQLite then refuses an INSERT into the referenced table
    once that has a trigger, anyone's. A known limit.
    """
    try:
        connection.execute("PRAGMA foreign_key_check")
    except sqlite3.OperationalError:
        return ()
    return ("PRAGMA foreign_keys = on",) if chance.random() < 0.8 else ()


def _accepted(connection: sqlite3.Connection, statements: Sequence[str]) -> list[str]:
    taken = []
    for statement in statements:
        try:
            connection.execute(statement)
        except sqlite3.Error:
            continue
        taken.append(statement)
    return taken


def run(life: Life, stage: Stage = in_memory) -> str | None:
    """Live it with capture and without; return what went wrong, None when nothing did."""
    with stage() as (twin, source):
        twin.prepare((*life.settings, *life.schema, *life.before))
        if twin.over:
            return None
        try:
            follower = Follower(source)
            twin.settle(life.triggers)
            return _live(life.bursts, twin, follower)
        except Unsupported:
            return None
        except sqlite3.OperationalError:
            if twin.over:
                return None
            raise


def _live(bursts: Bursts, twin: Lives, follower: Follower) -> str | None:
    for number, burst in enumerate(bursts):
        told = twin.live(burst)
        if twin.over or told == KNOWN:
            return None
        if told:
            return f"burst {number}: {told}"
        try:
            follower.follow()
        except SchemaChanged:
            # loud, and rightly so: a primary key of a rowid table has got a NULL
            return None if follower.holds_null_key() else f"burst {number}: refused without reason"
        if found := follower.differences():
            return f"burst {number}: " + "\n".join(found)
    return None


def shrink(life: Life, fails: Callable[[Life], bool]) -> Life:
    """Leave out whatever can be left out with the failure still there."""
    smaller = True
    while smaller:
        smaller = False
        for part in ("bursts", "triggers", "before", "schema", "settings"):
            items = getattr(life, part)
            for i in reversed(range(len(items))):
                less = replace(life, **{part: (*items[:i], *items[i + 1 :])})
                if fails(less):
                    life, items, smaller = less, getattr(less, part), True
        for i, burst in enumerate(life.bursts):
            for j in reversed(range(len(burst))):
                burst_less = (*burst[:j], *burst[j + 1 :])
                less = replace(life, bursts=(*life.bursts[:i], burst_less, *life.bursts[i + 1 :]))
                if fails(less):
                    life, burst, smaller = less, burst_less, True
    return life
