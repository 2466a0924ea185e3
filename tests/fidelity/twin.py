"""One application and its twin: the same statements on a file with capture and on one without."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from .outcome import level, outcome
from .schemas import quote

#: What a comparison returns for a difference that is SQLite's own.
KNOWN = "known"

#: Steps of SQLite's virtual machine, in thousands, after which a life is given up: recursive triggers.
PATIENCE = 600

#: The application's own part of a schema.
SCHEMA = """SELECT type, name, tbl_name, sql FROM main.sqlite_master
    WHERE name NOT LIKE '\\_liteferry%' ESCAPE '\\' AND tbl_name NOT LIKE '\\_liteferry%' ESCAPE '\\'
    ORDER BY type, name"""


class Twin:
    """Two connections of an application that does the same on both."""

    def __init__(self, captured: str = ":memory:", plain: str = ":memory:", patience: int = PATIENCE) -> None:
        """Open, or make, the file that will be captured and the one that will not."""
        # a life beside a running engine is lived in threads, one after the other
        self.captured = sqlite3.connect(captured, isolation_level=None, check_same_thread=False)
        self.plain = sqlite3.connect(plain, isolation_level=None, check_same_thread=False)
        self._left = patience
        #: Names that tables had before they were renamed in the old way, a known limit.
        self._former: set[str] = set()
        for connection in self._both:
            connection.set_progress_handler(self._step, 1000)
            connection.execute("PRAGMA synchronous = off")

    @property
    def _both(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        return self.captured, self.plain

    def _step(self) -> int:
        self._left -= 1
        return int(self.over)

    @property
    def over(self) -> bool:
        """Tell whether the patience with triggers that call each other is at an end."""
        return self._left < 0

    def prepare(self, statements: Sequence[str]) -> None:
        """Run what is there before the capture is installed."""
        for connection in self._both:
            for statement in statements:
                outcome(connection, statement)
            end(connection)

    def settle(self, statements: Sequence[str]) -> None:
        """Run what comes between the capture and the bursts."""
        for connection in self._both:
            connection.execute("CREATE TEMP TABLE one(x)")
            for statement in statements:
                outcome(connection, statement)

    def attempt(self, statement: str) -> None:
        """Run a statement on the plain file alone, unless it could end this process."""
        if self.over or forgets_counter(self.plain, statement):
            return
        with suppress(sqlite3.OperationalError):
            if error := outcome(self.plain, statement).error:
                recover(self.plain, error)

    def live(self, burst: Sequence[str]) -> str | None:
        """Run a burst on both; return what an application can tell the one from the other by."""
        # the capture came in by this very connection, and must not show in changes() and the rowid
        self._level()
        try:
            return self._live(burst)
        except sqlite3.OperationalError:
            if self.over:
                return None
            raise
        finally:
            for connection in self._both:
                end(connection)

    def _level(self) -> None:
        for connection in self._both:
            level(connection)

    def _live(self, burst: Sequence[str]) -> str | None:
        for statement in burst:
            if forgets_counter(self.plain, statement):
                return KNOWN
            ours, theirs = outcome(self.captured, statement), outcome(self.plain, statement)
            self._former |= renamed_as_of_old(self.plain, statement)
            told = "" if ours == theirs else f"\n  with capture    {ours}\n  without capture {theirs}"
            failed = bool(ours.error or theirs.error)
            if told and uncounted(self.plain, statement):
                told = ""
                self._level()
            # looked at before the failure takes the transaction with it, a schema change in it included
            known = failed and self._is_known(statement, burst, told + ours.error)
            if failed:
                for connection in self._both:
                    recover(connection, ours.error or theirs.error)
            if statement == "VACUUM":
                self._level()
            told += self._compare(ours.error)
            if self.over:
                return None
            if told:
                known = known or (not failed and self._is_known(statement, burst, told))
                return KNOWN if known else statement + told
            if " RENAME COLUMN " in statement and broken(self.plain):
                return KNOWN
        return None

    def _is_known(self, statement: str, burst: Sequence[str], told: str) -> bool:
        return (
            left_behind(self.captured, self._former, told)
            or renamed_and_dropped(statement, burst, told)
            or known_limit(statement, self.captured, self.plain, told)
        )

    def _compare(self, error: str) -> str:
        if schema(self.captured) != schema(self.plain):
            return "\n  the schema is another one with capture than without"
        told = ""
        for kind, name, *_ in schema(self.plain):
            if kind == "table" and rows(self.captured, name) != rows(self.plain, name):
                told += f"\n  table {name!r} is another one with capture than without {error}"
        return told

    def close(self) -> None:
        """Close both files."""
        for connection in self._both:
            connection.close()


def schema(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Return the application's schema."""
    return connection.execute(SCHEMA).fetchall()


def rows(connection: sqlite3.Connection, table: str) -> list[str]:
    """Return all rows of a table in an order of their own."""
    return sorted(map(repr, connection.execute(f"SELECT * FROM main.{quote(table)}").fetchall()))


def recover(connection: sqlite3.Connection, error: str) -> None:
    """Bring a connection to a state that its twin can share."""
    # What a statement has done by then is undone only where SQLite saw the need for a journal of the
    # statement; it sees none for a datatype mismatch inside an application's trigger, but with ours it does.
    if "CONSTRAINT" not in error:
        end(connection)
    level(connection)


def end(connection: sqlite3.Connection) -> None:
    """Undo a transaction that is still open."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def known_limit(statement: str, captured: sqlite3.Connection, plain: sqlite3.Connection, told: str) -> bool:
    """Tell whether a difference is one that any trigger at all makes, anyone's.

    - An UPDATE that stops half-way, replaces, or passes through a conflict depends on the order of its rows,
      and that depends on whether SQLite may change rows while it searches for them.
    - SQLite overlooks some violations of a foreign key, such as those of a table's key to itself with SET
      NULL or between columns of unlike affinity; with a trigger on the table it overlooks others.
    - An INSERT into the parent of a foreign key to no key is refused ("foreign key mismatch").
    - A REPLACE whose cascade deletes the very row being updated is refused.
    - Under recursive_triggers an UPDATE OR REPLACE that moves a rowid and replaces two rows is refused where
      the table has a DELETE trigger.
    - An INSERT from a SELECT whose REPLACE changes, by a cascade or an application's trigger, the table that
      it reads: once the table it writes to has triggers, SQLite reads everything first.
    """
    if " SELECT " in statement and re.search("FOREIGN KEY|TRIGGER app", " ".join(_texts(plain))):
        return True
    if re.search("CONSTRAINT_PINNED|FOREIGN KEY|foreign key mismatch", told):
        return True
    if any("TRIGGER app" in text and "UPDATE" in text.partition("BEGIN")[2] for text in _texts(plain)):
        return True
    if not statement.startswith("UPDATE"):
        return False
    recursive = plain.execute("PRAGMA recursive_triggers").fetchone()[0]
    try:
        ours, theirs = _query_plan(captured, statement), _query_plan(plain, statement)
    except sqlite3.OperationalError:
        # not even compiled, which no order of rows explains
        return False
    return recursive or ours != theirs or "INDEX" in theirs or "WITHOUT ROWID" in " ".join(_texts(plain))


def uncounted(plain: sqlite3.Connection, statement: str) -> bool:
    """Tell whether an old SQLite, up to 3.36, counts no rows for emptying a table WITHOUT ROWID.

    It empties it at a stroke where the table has no triggers, and forgets to count.
    """
    emptied = re.fullmatch(r"DELETE FROM (\S.*?)( RETURNING \*)?", statement)
    if sqlite3.sqlite_version_info >= (3, 37) or emptied is None or " WHERE " in statement:
        return False
    text = "SELECT sql FROM main.sqlite_master WHERE type = 'table' AND name = ?"
    row = plain.execute(text, (emptied[1].strip('"'),)).fetchone()
    return row is not None and "WITHOUT ROWID" in row[0]


def forgets_counter(plain: sqlite3.Connection, statement: str) -> bool:
    """Tell whether an old SQLite, up to 3.34, would drop a table and crash, now or with another heap.

    Under foreign_keys it deletes the rows first. Where a cascade of that may fire the application's trigger
    that inserts into a table with AUTOINCREMENT, it loses track of the counter while it compiles the rest:
    the counter is written back from registers that nothing has set. Looked for where no capture is, so that
    a crash that only ours could cause is not taken for this one.
    """
    if sqlite3.sqlite_version_info >= (3, 35) or not statement.startswith("DROP TABLE "):
        return False
    try:
        code = plain.execute(f"EXPLAIN {statement}").fetchall()
    except sqlite3.OperationalError:
        return False
    return _writes_counter_unread(plain, code)


def _writes_counter_unread(plain: sqlite3.Connection, code: Sequence[tuple[Any, ...]]) -> bool:
    root = "SELECT rootpage FROM main.sqlite_master WHERE name = 'sqlite_sequence'"
    if (row := plain.execute(root).fetchone()) is None:
        return False
    opened = [(before[1], here[1]) for before, here in pairwise(code) if here[3:5] == (row[0], 0)]
    # a counter is written where it is less or equal no more; a DELETE opens the same table after a Null
    return ("Le", "OpenWrite") in opened and all(here != "OpenRead" for _, here in opened)


def broken(plain: sqlite3.Connection) -> bool:
    """Tell whether an index does not fit its table any more, where no capture is.

    SQLite 3.34 may write a column's new name into a generated column's expression in another table. Whether
    an application then meets the index entries of the old values depends on how SQLite finds its rows.
    """
    return any(" index " in line for (line,) in plain.execute("PRAGMA integrity_check"))


def renamed_as_of_old(connection: sqlite3.Connection, statement: str) -> set[str]:
    """Return the name that a table loses by a statement under legacy_alter_table, if it does."""
    renaming = re.match(r"ALTER TABLE (.*) RENAME TO ", statement)
    if renaming is None or not connection.execute("PRAGMA legacy_alter_table").fetchone()[0]:
        return set()
    return {renaming[1].removeprefix('"').removesuffix('"').replace('""', '"')}


def left_behind(captured: sqlite3.Connection, former: set[str], told: str) -> bool:
    """Tell whether a statement failed for a re-check trigger whose table was renamed under its old name.

    With legacy_alter_table SQLite writes the new name behind the trigger's ON and not into its body. A
    connection that has the old schema in mind goes on to fail until it has run another statement.
    """
    missing = re.search(r"with capture .*no such table: main\.(.*?)['\"]\)", told)
    if missing is not None:
        # as repr has it
        return missing[1].replace("\\'", "'") in former
    # what ALTER TABLE says of it while legacy_alter_table is on
    if "SQL logic error" not in told:
        return False
    ours = captured.execute(
        "SELECT tbl_name, sql FROM main.sqlite_master WHERE type = 'trigger' "
        "AND name GLOB '_liteferry_[0-9]*_r[iur]'"
    ).fetchall()
    return any(f"FROM {quote(name)}" in sql and name != table for table, sql in ours for name in former)


def renamed_and_dropped(statement: str, burst: Sequence[str], told: str) -> bool:
    """Tell whether a column could not be dropped that was renamed in the same burst.

    The renaming changes the trigger's NEW.c, not the NULL AS c that stands by for a dropped c.
    """
    dropped = re.match(r"ALTER TABLE (.*) DROP COLUMN (.*)", statement)
    if dropped is None or "error in trigger _liteferry_" not in told:
        return False
    name = dropped[2].strip('"')
    return any(" RENAME COLUMN " in s and s.endswith(f" TO {name}") for s in burst)


def _texts(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]


def _query_plan(connection: sqlite3.Connection, statement: str) -> str:
    return "; ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))
