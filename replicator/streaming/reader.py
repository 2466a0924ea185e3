"""Reading a source: pages of a table for the snapshot, and the rows behind new change-log entries."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter

from config.errors import SchemaChanged
from replicator.planning.plan import TablePlan
from replicator.sources.paging import Cursor, bindable, placeholder
from replicator.values.converter import Row, Value, mark_bad_text
from triggers import changelog, pulse, refit
from triggers.changelog import Place
from triggers.connection import reading
from triggers.identifier import quote
from triggers.key import KeyKind

from .spool import Block, Spool

#: Rows after which a read gives a sign.
SIGN_ROWS = 200

#: Rows per block, and so per statement on the target; fewer where rows are large.
BLOCK_ROWS = 2_000
BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class Page:
    """Rows of a table in the order of its paging, and where the next page begins."""

    rows: list[Row]
    cursor: Cursor | None
    last: bool


@dataclass(frozen=True)
class Batch:
    """All that changed between two positions, as one read transaction saw it."""

    low: int
    #: The newest entry that it brings.
    place: Place
    #: Entries of the log between the positions, by table number.
    touched: Mapping[int, int]
    #: Unix time of the newest heartbeat among them.
    beat: float | None
    #: Whether nothing is left in the log behind `place`: only then is the target a state the source had.
    complete: bool
    spool: Spool

    @property
    def entries(self) -> int:
        """Return how many entries of the log this batch brings to the target."""
        return sum(self.touched.values())

    @property
    def changes(self) -> int:
        """Return how many changes of the application that are: compaction leaves one entry for several."""
        return self.place.position - self.low


def read_page(
    connection: sqlite3.Connection,
    plan: TablePlan,
    after: Cursor | None,
    limit: int,
    upto: Cursor | None = None,
) -> Page:
    """Read up to `limit` rows behind a cursor in a read transaction of its own."""
    walk = plan.paging
    names = [c.source for c in plan.record]
    within = set(walk.columns) <= set(names)
    extra = () if within else walk.columns
    select = ", ".join(f"t.{quote(name)}" for name in [*extra, *names])
    sql, parameters = walk.page(select, after, limit, upto=upto)
    rows = _fetched(connection, sql, parameters, marking=plan.takes_bad_text)
    places = [names.index(c) for c in walk.columns] if within else range(len(extra))
    cursor = tuple(rows[-1][i] for i in places) if rows else after
    return Page([row[len(extra) :] for row in rows] if extra else rows, cursor, len(rows) < limit)


def _fetched(
    connection: sqlite3.Connection, sql: str, parameters: Sequence[Value], *, marking: bool
) -> list[Row]:
    """Fetch rows; with `marking` texts that are not UTF-8 are expected, else they cost a second read."""
    if not marking:
        try:
            return _portions(connection.execute(sql, parameters))
        except sqlite3.OperationalError as error:
            if not _is_bad_text(error):
                raise
    with marking_bad_text(connection):
        return _portions(connection.execute(sql, parameters))


def _portions(cursor: sqlite3.Cursor, most: int | None = None) -> list[Row]:
    """Fetch all rows, or at most so many, and give signs: a busy disk has tens of milliseconds for each."""
    rows: list[Row] = []
    while most is None or len(rows) < most:
        part = cursor.fetchmany(SIGN_ROWS if most is None else min(SIGN_ROWS, most - len(rows)))
        if not part:
            break
        rows += part
        pulse.beat()
    return rows


def found_by_key(
    connection: sqlite3.Connection, plan: TablePlan, key: Row, *, whole: bool = False
) -> list[Row]:
    """Return the rows that have exactly this key: no more of them than it, or the `whole` record."""
    pairs = zip(key_terms(plan), key, strict=True)
    terms = " AND ".join(f"{term} = {placeholder(value)}" for term, value in pairs)
    names = [c.source for c in plan.record] if whole else plan.key.columns
    columns = ", ".join(f"t.{quote(name)}" for name in names)
    sql = f"SELECT {columns} FROM main.{quote(plan.name)} AS t WHERE {terms}"
    marking = whole or plan.takes_bad_text
    rows = _fetched(connection, sql, list(map(bindable, key)), marking=marking)
    # the column's own collation may find another one
    places = plan.key_places if whole else range(len(key))
    return [row for row in rows if tuple(row[i] for i in places) == key]


def read_batch(
    connection: sqlite3.Connection,
    plans: Mapping[int, TablePlan],
    place: Place,
    memory: int,
    most: int | None = None,
    schema: int | None = None,
) -> Batch | None:
    """Read everything new behind `place` in ONE read transaction; None when there is nothing.

    With `most`, at most that many entries: for rollback-journal files, where a long read would stall the
    writer. The batch is then not `complete` while more is waiting. `schema` is the version of the schema
    that the plans are for. Raises SchemaChanged, and OSError when the temporary folder is full.
    """
    if connection.in_transaction:
        # the cutover reads inside the write lock that it already holds
        refuse_changed(connection, schema)
        return _read(connection, plans, place, memory, most)
    with reading(connection):
        refuse_changed(connection, schema)
        return _read(connection, plans, place, memory, most)


def refuse_changed(connection: sqlite3.Connection, schema: int | None) -> None:
    """Raise SchemaChanged when the schema is no longer of the version `schema`.

    Asked inside the read transaction: rows are never read by a plan that was made for another schema.
    """
    if schema is not None and refit.version(connection) != schema:
        raise SchemaChanged("the application has changed its schema", hint="it is being followed; try again")


def _read(
    connection: sqlite3.Connection,
    plans: Mapping[int, TablePlan],
    place: Place,
    memory: int,
    most: int | None,
) -> Batch | None:
    position = place.position
    newest = changelog.checked_head(connection, position, place.mark)
    if newest == position:
        return None
    high = newest if most is None else changelog.reach(connection, position, most)
    touched = changelog.touched(connection, position, high)
    beat = changelog.last_beat(connection, position, high) if changelog.HEARTBEAT in touched else None
    span = position, high
    spool = None
    if not any(plans[number].takes_bad_text for number in touched if number in plans):
        try:
            spool = _spooled(connection, plans, span, touched, memory)
        except sqlite3.OperationalError as error:
            if not _is_bad_text(error):
                raise
    if spool is None:
        with marking_bad_text(connection):
            spool = _spooled(connection, plans, span, touched, memory)
    return Batch(position, changelog.place(connection, high), touched, beat, high == newest, spool)


def _spooled(
    connection: sqlite3.Connection,
    plans: Mapping[int, TablePlan],
    span: tuple[int, int],
    touched: Mapping[int, int],
    memory: int,
) -> Spool:
    spool = Spool(memory)
    try:
        for number in sorted(touched):
            if number in plans:
                for block in _changes(connection, number, plans[number], *span):
                    spool.append(block)
    except BaseException:
        spool.close()
        raise
    return spool


def _changes(
    connection: sqlite3.Connection, number: int, plan: TablePlan, low: int, high: int
) -> Iterator[Block]:
    """Read the rows behind one table's entries; a logged key without a row is gone."""
    sql = changes_sql(plan)
    parameters = {"t": number, "low": low, "high": high}
    width = len(plan.key.columns)
    size = max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(1, plan.row_bytes)))
    cursor = connection.execute(sql, parameters)
    while rows := _portions(cursor, size):
        yield _split(connection, number, plan, rows, width)


def _split(
    connection: sqlite3.Connection, number: int, plan: TablePlan, rows: list[Row], width: int
) -> Block:
    # The join found rows by the key column's collation: under NOCASE the key 'A' finds the row 'a'.
    # Python's equality is exact for texts, and takes 1 for 1.0 as PostgreSQL does.
    logged = itemgetter(*range(width))
    found = itemgetter(*(width + place for place in plan.key_places))
    if any(None in row[:width] for row in rows):
        # no row was found by it, though a missing row's NULLs look like its key
        _check_null_key(connection, plan)
        rows = [row for row in rows if None not in row[:width]]
    present = [row[width:] for row in rows if logged(row) == found(row)]
    gone = [row[:width] for row in rows if logged(row) != found(row)]
    return Block(number, gone, present)


def changes_sql(plan: TablePlan) -> str:
    """Return the query for a table's changed keys with their rows; pure, for the golden files."""
    keys = [f"k{i}" for i in range(1, len(plan.key.columns) + 1)]
    joined = " AND ".join(f"{term} = l.{k}" for term, k in zip(key_terms(plan), keys, strict=True))
    record = ", ".join(f"t.{quote(c.source)}" for c in plan.record)
    logged = ", ".join(keys)
    return (
        f"SELECT {', '.join(f'l.{k}' for k in keys)}, {record} FROM (SELECT DISTINCT {logged} "
        "FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t) AS l "
        f"LEFT JOIN main.{quote(plan.name)} AS t ON {joined}"
    )


def logged_keys(
    connection: sqlite3.Connection, plan: TablePlan, number: int, span: tuple[int, int]
) -> list[Row]:
    """Return the keys of a table that were logged behind one position, up to another."""
    names = ", ".join(f"k{i}" for i in range(1, len(plan.key.columns) + 1))
    sql = (
        f"SELECT DISTINCT {names} FROM main._liteferry_log WHERE seq > :low AND seq <= :high AND t = :t "
        f"AND NOT ({' OR '.join(f'{name} IS NULL' for name in names.split(', '))})"
    )
    with marking_bad_text(connection):
        rows = connection.execute(sql, {"low": span[0], "high": span[1], "t": number})
        return [tuple(row) for row in rows.fetchall()]


def key_terms(plan: TablePlan) -> list[str]:
    """Return the key's columns of `t` as they are compared, so that the key's own index is used.

    A column's own collation may be another one than its index's, or one that only the application has.
    """
    collations = plan.key.collations or ("",) * len(plan.key.columns)
    return [
        f"t.{quote(column)}" + (f" COLLATE {quote(collation)}" if collation else "")
        for column, collation in zip(plan.key.columns, collations, strict=True)
    ]


def _check_null_key(connection: sqlite3.Connection, plan: TablePlan) -> None:
    """A NULL in the log is mostly a BEFORE trigger's guess; a NULL in the table's key is a row we'd lose.

    Raises SchemaChanged for one: looked at again, the table gets its rowid as key.
    """
    if plan.key.kind is not KeyKind.PRIMARY or plan.table.without_rowid:
        return
    for column in plan.key.columns:
        sql = f"SELECT 1 FROM main.{quote(plan.name)} AS t WHERE t.{quote(column)} IS NULL LIMIT 1"
        if connection.execute(sql).fetchone():
            raise SchemaChanged(f"table {plan.name!r}: its key {column!r} holds NULL now")


@contextmanager
def marking_bad_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Have texts that are not UTF-8 come as BadText instead of ending the read."""
    connection.text_factory = mark_bad_text
    try:
        yield
    finally:
        connection.text_factory = str


def _is_bad_text(error: sqlite3.OperationalError) -> bool:
    # the driver's message quotes the text
    return "decode to UTF-8" in str(error)
