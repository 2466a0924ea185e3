"""Install, inspect and take out the capture of a source."""

from __future__ import annotations

import enum
import hashlib
import json
import re
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from config.errors import CaptureBroken, SchemaChanged, SourceError

from . import changelog, fence
from .connection import writing
from .identifier import PREFIX, quote
from .key import Key
from .schema import Table
from .statements import load
from .trigger_sql import LOG, META, MIN_KEY_COLUMNS, TABLES, VERSION, Trigger, fingerprint, log_sql, triggers

SQL = load("triggers", "changelog.sql")

#: Version of the tables of ours in the source.
FORMAT = "1"

#: Tables per write transaction: 500 at once hold the lock for 200 ms, four for two.
TABLES_PER_LOCK = 4
TRIGGERS_PER_LOCK = TABLES_PER_LOCK * 6

#: A capture trigger's name; the fence's have no number behind the prefix.
_NUMBERED = re.compile(rf"{PREFIX}(\d+)_")


class Installed(enum.Enum):
    """How the triggers of a table stand."""

    #: All there, with the text that this version generates.
    INSTALLED = "installed"
    #: As they were put in, but not what this version, or the table as it is now, asks for.
    OUTDATED = "outdated"
    #: At least one is gone.
    MISSING = "missing"
    #: All there, but not as they were put in: somebody has edited them, or SQLite when a name changed.
    FOREIGN = "foreign"
    #: Never installed for this table.
    ABSENT = "absent"


@dataclass(frozen=True)
class Captured:
    """A table under capture: its number in the log, its structure and its key."""

    id: int
    table: Table
    key: Key

    @property
    def triggers(self) -> list[Trigger]:
        """Return the triggers that this table must have."""
        return triggers(self.table, self.key, self.id)


def source_id(connection: sqlite3.Connection) -> uuid.UUID | None:
    """Return the id of the installation in this file, None when there is none."""
    if not _has(connection, META):
        return None
    row = connection.execute(SQL["read_meta"], {"name": "source_id"}).fetchone()
    return uuid.UUID(row[0]) if row else None


class Known:
    """SQLite's count of schema changes, as it was when the tables were looked at, and after our own since.

    A trigger that names a column which is not there any more makes every write of the application fail.
    """

    def __init__(self, version: int | None = None) -> None:
        """Take the count; None when nobody else can have changed the schema."""
        self._version = version

    @contextmanager
    def writing(self, connection: sqlite3.Connection, budget: float) -> Iterator[None]:
        """Hold a write transaction on the schema that is known. Raises SchemaChanged, SourceBusy."""
        with writing(connection, budget):
            if self._version is not None and _version(connection) != self._version:
                raise SchemaChanged("the application has changed its schema", hint="it is looked at again")
            yield
            after = _version(connection)
        self._version = after


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA main.schema_version").fetchone()[0])


def install(
    connection: sqlite3.Connection,
    tables: Sequence[tuple[Table, Key]],
    budget: float,
    known: Known | None = None,
) -> list[Captured]:
    """Put the change log and every table's triggers in, a few tables per short transaction.

    Running it again mends what is missing or outdated, takes out the triggers of tables that are no longer
    among `tables`, and leaves the rest alone. Raises SourceBusy when a lock is not had within `budget`
    seconds, SchemaChanged when the schema is not the one that is `known`; what was installed by then stays
    and does no harm.
    """
    known = known or Known()
    width = max([MIN_KEY_COLUMNS, *(len(key.columns) for _, key in tables)])
    with known.writing(connection, budget):
        prepare(connection, width)
        numbers = _numbers(connection, tables)
        captured = [Captured(numbers[table.name], table, key) for table, key in tables]
        # read under the lock: without it a rollback-journal writer makes even a read fail at once
        present = installed_triggers(connection)
        stale = [c for c in captured if compare(c, present, None) is not Installed.INSTALLED]
        strays = _strays(captured, present)
    for start in range(0, len(strays), TRIGGERS_PER_LOCK):
        with known.writing(connection, budget):
            _drop(connection, strays[start : start + TRIGGERS_PER_LOCK])
    for start in range(0, len(stale), TABLES_PER_LOCK):
        with known.writing(connection, budget):
            for one in stale[start : start + TABLES_PER_LOCK]:
                install_table(connection, one)
    return captured


def state(connection: sqlite3.Connection, captured: Captured) -> Installed:
    """Compare a table's triggers in the file with those it must have."""
    return compare(captured, installed_triggers(connection), marks(connection).get(captured.id))


def compare(captured: Captured, present: Mapping[str, str], mark: str | None) -> Installed:
    """Compare a table's wanted triggers with the ones `present` by name and text.

    `mark` is what was noted of those that were put in.
    """
    wanted = captured.triggers
    found = [t for t in wanted if t.name in present]
    if not found:
        return Installed.ABSENT
    if len(found) < len(wanted):
        return Installed.MISSING
    # among them what an index that is gone has left behind, which still names its columns
    texts = {name: present[name] for name in named_for(captured.id, present)}
    if texts == {t.name: t.sql for t in wanted}:
        return Installed.INSTALLED
    return Installed.OUTDATED if mark == _mark(texts.values()) else Installed.FOREIGN


def marks(connection: sqlite3.Connection) -> dict[int, str]:
    """Return what was noted of every table's triggers, by number; nothing without an installation."""
    if not _has(connection, TABLES):
        return {}
    return {int(row[0]): str(row[4]) for row in connection.execute(SQL["read_tables"])}


def _mark(texts: Iterable[str]) -> str:
    return f"{VERSION}:{fingerprint(texts)}"


def installed_triggers(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the text of every trigger of ours in the file by name."""
    return dict(connection.execute(SQL["our_triggers"]).fetchall())


def schema_mark(connection: sqlite3.Connection) -> str:
    """Return a hash over the text of the whole schema; an edit by writable_schema changes it as well."""
    rows = connection.execute(SQL["schema_text"]).fetchall()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def check_log(connection: sqlite3.Connection, position: int) -> None:
    """Raise CaptureBroken when the log is gone or ends before `position`.

    Where it begins is not looked at: it may be pruned while we look, up to a newer position than this one.
    """
    if not _has(connection, LOG):
        raise CaptureBroken(
            "the change log is gone from the source: it was uninstalled or replaced by another file",
            hint="changes may be lost; run `liteferry uninstall` for this source and start afresh",
        )
    changelog.refuse_rewound(changelog.head(connection), position)


def uninstall(connection: sqlite3.Connection, budget: float) -> bool:
    """Take everything of ours out of the file; return whether there was anything.

    Triggers go first, a few tables' worth per short transaction, for a trigger without its log would make
    every write of the application fail. Raises SourceBusy; what is left then can be taken out later.
    """
    with writing(connection, budget):
        if fence.is_fenced(connection):
            raise SourceError(
                "the source is fenced: the application has moved to PostgreSQL",
                hint="lift the fence on purpose with `liteferry uninstall --lift-fence`",
            )
        names = list(installed_triggers(connection))
        present = [name for name in (LOG, TABLES, META, changelog.GAPS) if _has(connection, name)]
    _drop_triggers(connection, names, budget)
    if present:
        with writing(connection, budget):
            for name in present:
                connection.execute(f"DROP TABLE {quote(name)}")
    return bool(names or present)


def prepare(connection: sqlite3.Connection, width: int, known: uuid.UUID | None = None) -> None:
    """Make sure of the log, wide enough for keys of `width` columns; inside the caller's transaction.

    An installation without an id gets the one that is `known`, else a new one.
    """
    if not _has(connection, LOG):
        connection.execute(log_sql(width))
    have = int(connection.execute(SQL["log_width"]).fetchone()[0])
    for number in range(have + 1, width + 1):
        connection.execute(f"ALTER TABLE {quote(LOG)} ADD COLUMN k{number}")
    connection.execute(SQL["create_tables"])
    connection.execute(SQL["create_meta"])
    changelog.create_gaps(connection)
    if source_id(connection) is None:
        connection.execute(SQL["write_meta"], {"name": "source_id", "value": str(known or uuid.uuid4())})
    connection.execute(SQL["write_meta"], {"name": "format", "value": FORMAT})


def _numbers(connection: sqlite3.Connection, tables: Sequence[tuple[Table, Key]]) -> dict[str, int]:
    rows = connection.execute(SQL["read_tables"]).fetchall()
    numbers = {row[1]: int(row[0]) for row in rows}
    for table, _ in tables:
        if table.name not in numbers:
            numbers[table.name] = max(numbers.values(), default=0) + 1
            _note(connection, numbers[table.name], table.name)
    return numbers


def install_table(connection: sqlite3.Connection, captured: Captured) -> None:
    """Put a table's triggers in, in the place of any it has; inside the caller's transaction."""
    strip_table(connection, captured.id)
    for trigger in captured.triggers:
        connection.execute(trigger.sql)
    mark = _mark(trigger.sql for trigger in captured.triggers)
    _note(connection, captured.id, captured.table.name, captured.key, mark)


def strip_table(connection: sqlite3.Connection, number: int) -> None:
    """Take a table's triggers out; inside the caller's transaction."""
    for name in named_for(number, installed_triggers(connection)):
        connection.execute(f"DROP TRIGGER {quote(name)}")


def _drop_triggers(connection: sqlite3.Connection, names: Sequence[str], budget: float) -> None:
    for start in range(0, len(names), TRIGGERS_PER_LOCK):
        with writing(connection, budget):
            _drop(connection, names[start : start + TRIGGERS_PER_LOCK])


def _drop(connection: sqlite3.Connection, names: Sequence[str]) -> None:
    for name in names:
        connection.execute(f"DROP TRIGGER IF EXISTS {quote(name)}")


def named_for(number: int, present: Iterable[str]) -> list[str]:
    """Return which of some triggers are those of a table."""
    return [name for name in present if name.startswith(f"{PREFIX}{number}_")]


def is_numbered(name: str) -> bool:
    """Tell whether a trigger's name is that of a capture trigger, which writes to the log."""
    return _NUMBERED.match(name) is not None


def _strays(captured: Sequence[Captured], present: Iterable[str]) -> list[str]:
    """Return the triggers of tables that are gone by that name: they went along when it was renamed."""
    numbers = {str(one.id) for one in captured}
    numbered = [(_NUMBERED.match(name), name) for name in present]
    return [name for match, name in numbered if match and match[1] not in numbers]


def _note(
    connection: sqlite3.Connection, number: int, name: str, key: Key | None = None, mark: str = ""
) -> None:
    columns = json.dumps(key.columns) if key else "[]"
    kind = key.kind.value if key else ""
    row = {"id": number, "name": name, "key_kind": kind, "key_columns": columns, "fingerprint": mark}
    connection.execute(SQL["write_table"], row)


def _has(connection: sqlite3.Connection, name: str) -> bool:
    return bool(connection.execute(SQL["has_object"], {"name": name}).fetchone()[0])
