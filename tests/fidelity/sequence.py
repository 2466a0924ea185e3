"""A random application's life: drawn from a seed, run beside a twin without capture, cut down if it fails."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from config.errors import Unsupported, ValueRefused

from .follower import Follower, everything, holding_null, level, outcome
from .schemas import SchemaMaker, application_triggers
from .statements import VALUES, Shape, Statements, shapes

Bursts = tuple[tuple[str, ...], ...]

#: What a comparison returns for a difference that is SQLite's own.
KNOWN = "known"

#: Steps of SQLite's virtual machine, in thousands, after which a life is given up: recursive triggers.
PATIENCE = 400


class Patience:
    """Ends lives in which triggers call each other for ever."""

    def __init__(self, *connections: sqlite3.Connection) -> None:
        self._left = PATIENCE
        for connection in connections:
            connection.set_progress_handler(self._step, 1000)

    def _step(self) -> int:
        self._left -= 1
        return int(self.over)

    @property
    def over(self) -> bool:
        """Tell whether it is at an end; statements fail from then on."""
        return self._left < 0


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


def draw(seed: int) -> Life | None:
    """Return the life of that seed, None when SQLite does not take its schema."""
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
    return _filled(chance, Life(settings, tuple(schema), (), tuple(triggers), ()), tables)


def _filled(chance: random.Random, life: Life, tables: Sequence[Shape]) -> Life:
    statements = Statements(chance, tables)
    before = tuple(s for _ in range(chance.randint(0, 4)) for s in (statements.statement(),))
    bursts = tuple(tuple(statements.burst(6)) for _ in range(chance.randint(4, 9)))
    return replace(life, before=before, bursts=bursts)


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


def run(life: Life) -> str | None:
    """Live it with capture and without; return what went wrong, None when nothing did."""
    with (
        closing(sqlite3.connect(":memory:", isolation_level=None)) as captured,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as plain,
    ):
        patience = Patience(captured, plain)
        for connection in (captured, plain):
            for statement in (*life.settings, *life.schema, *life.before):
                outcome(connection, statement)
            _end(connection)
        if patience.over:
            return None
        try:
            follower = Follower(captured)
        except Unsupported:
            return None
        for connection in (captured, plain):
            # the capture came in by this very connection, and must not show in changes() and the rowid
            connection.executescript("CREATE TEMP TABLE one(x); INSERT INTO one VALUES(1)")
            for statement in life.triggers:
                outcome(connection, statement)
        try:
            return _live(life.bursts, captured, plain, follower, patience)
        except sqlite3.OperationalError:
            if patience.over:
                return None
            raise


def _live(
    bursts: Bursts,
    captured: sqlite3.Connection,
    plain: sqlite3.Connection,
    follower: Follower,
    patience: Patience,
) -> str | None:
    for number, burst in enumerate(bursts):
        told = _compare(burst, captured, plain, follower)
        if patience.over or told == KNOWN:
            return None
        if told:
            return f"burst {number}: {told}"
        try:
            follower.follow()
        except ValueRefused:
            # loud, and rightly so: a primary key of a rowid table has got a NULL
            return None if _holds_null_key(captured, follower) else f"burst {number}: refused without reason"
        if found := follower.differences():
            return f"burst {number}: " + "\n".join(found)
    return None


def _compare(
    burst: Sequence[str], captured: sqlite3.Connection, plain: sqlite3.Connection, follower: Follower
) -> str | None:
    """Run a burst on both; return what an application can tell the one from the other by."""
    for statement in burst:
        ours, theirs = outcome(captured, statement), outcome(plain, statement)
        told = "" if ours == theirs else f"\n  with capture    {ours}\n  without capture {theirs}"
        if ours.error:
            _recover(captured, ours.error)
            _recover(plain, ours.error)
        for planned in follower.plans.values():
            with_capture, without = everything(captured, planned), everything(plain, planned)
            if sorted(map(repr, with_capture)) != sorted(map(repr, without)):
                told += f"\n  table {planned.name!r} is another one with capture than without {ours.error}"
        if told:
            return KNOWN if known_limit(statement, captured, plain, told) else statement + told
    _end(captured)
    _end(plain)
    return None


def _recover(connection: sqlite3.Connection, error: str) -> None:
    # What a statement has done by then is undone only where SQLite saw the need for a journal of the
    # statement; it sees none for a datatype mismatch inside an application's trigger, but with ours it does.
    if "CONSTRAINT" not in error:
        _end(connection)
    level(connection)


def known_limit(statement: str, captured: sqlite3.Connection, plain: sqlite3.Connection, told: str) -> bool:
    """Tell whether a difference is one that any trigger at all makes, anyone's.

    - An UPDATE that stops half-way, replaces, or passes through a conflict depends on the order of its rows,
      and that depends on whether SQLite may change rows while it searches for them.
    - SQLite overlooks some violations of a foreign key, such as those of a table's key to itself with SET
      NULL or between columns of unlike affinity; with a trigger on the table it overlooks others.
    - A REPLACE whose cascade deletes the very row being updated is refused.
    - Under recursive_triggers an UPDATE OR REPLACE that moves a rowid and replaces two rows is refused where
      the table has a DELETE trigger.
    - An INSERT from a SELECT whose REPLACE changes, by a cascade or an application's trigger, the table that
      it reads: once the table it writes to has triggers, SQLite reads everything first.
    """
    if " SELECT " in statement and re.search("FOREIGN KEY|TRIGGER app", " ".join(_texts(plain))):
        return True
    if "CONSTRAINT_PINNED" in told or "FOREIGN KEY" in told:
        return True
    if any("TRIGGER app" in text and "UPDATE" in text.partition("BEGIN")[2] for text in _texts(plain)):
        return True
    if not statement.startswith("UPDATE"):
        return False
    recursive = plain.execute("PRAGMA recursive_triggers").fetchone()[0]
    ours, theirs = _query_plan(captured, statement), _query_plan(plain, statement)
    return recursive or ours != theirs or "INDEX" in theirs or "WITHOUT ROWID" in " ".join(_texts(plain))


def _texts(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]


def _query_plan(connection: sqlite3.Connection, statement: str) -> str:
    return "; ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))


def _holds_null_key(connection: sqlite3.Connection, follower: Follower) -> bool:
    return any(
        set(holding_null(connection, planned.table)) & set(planned.key.columns)
        for planned in follower.plans.values()
    )


def _end(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


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
