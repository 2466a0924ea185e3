"""What is read behind the change log: rows, gone keys, and values that cannot be carried."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from config.errors import CaptureBroken, SchemaChanged, ValueRefused
from replicator.planning.plan import plan_table
from replicator.planning.types import Evidence
from replicator.streaming.reader import BLOCK_ROWS, Batch, read_batch, read_page
from replicator.values.converter import BadText
from triggers import capture, changelog
from triggers.changelog import Place
from triggers.key import choose
from triggers.schema import tables

SCRIPT = """
CREATE TABLE a(k TEXT NOT NULL PRIMARY KEY, v TEXT);
CREATE TABLE b(k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY, v TEXT) WITHOUT ROWID;
CREATE TABLE c(id INTEGER PRIMARY KEY, v TEXT);
"""
BAD = "CAST(x'636166e9' AS TEXT)"


class Source:
    """A file under capture, in memory."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.execute = connection.execute
        found, _ = tables(connection)
        captured = capture.install(connection, [(t, choose(t)) for t in found], 1.0)
        self.plans = {c.id: plan_table(c.table, "public", [Evidence()] * 2, {}) for c in captured}

    def batch(self, place: Place | None = None, most: int | None = None) -> Batch:
        """Read a batch that must not be empty."""
        batch = read_batch(self.connection, self.plans, place or Place(0), 1 << 20, most)
        assert batch is not None
        return batch

    def changes(self) -> dict[str, tuple[list[tuple[object, ...]], list[tuple[object, ...]]]]:
        """Return gone keys and rows per table."""
        with self.batch().spool as spool:
            return {
                self.plans[b.table_id].name: (sorted(b.gone, key=repr), sorted(b.rows, key=repr))
                for b in spool
            }


@pytest.fixture
def source() -> Iterator[Source]:
    """Give an empty source with three tables."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(SCRIPT)
        yield Source(connection)


def test_rows_come_as_they_are_now_and_gone_keys_as_they_were(source: Source) -> None:
    """Whatever happened in between."""
    source.execute("INSERT INTO a VALUES('x', 1), ('y', 2), ('z', 3)")
    source.execute("UPDATE a SET v = v || '!', k = k || k WHERE k < 'z'")
    source.execute("DELETE FROM a WHERE k = 'yy'")
    assert source.changes() == {"a": ([("x",), ("y",), ("yy",)], [("xx", "1!"), ("z", "3")])}


def test_a_key_that_changes_its_case_is_gone_and_there(source: Source) -> None:
    """To the source both are one key; to PostgreSQL they are two."""
    source.execute("INSERT INTO b VALUES('word', 1)")
    source.execute("UPDATE b SET k = 'WORD'")
    assert source.changes() == {"b": ([("word",)], [("WORD", "1")])}


@pytest.mark.parametrize("column", ["k", "v"])
def test_a_text_that_is_not_utf8_is_read_and_refused_by_its_place(source: Source, column: str) -> None:
    """Table, key and column, and not a byte of the text; the other row is read with it."""
    source.execute("INSERT INTO a VALUES('fine', 'too')")
    source.execute(f"INSERT INTO a(k, v) VALUES({BAD if column == 'k' else repr('key')}, {BAD})")
    (rows,) = (rows for _, rows in source.changes().values())
    assert ("fine", "too") in rows and BadText(b"caf\xe9") in [row[1] for row in rows]
    plan = next(p for p in source.plans.values() if p.name == "a")
    with pytest.raises(ValueRefused) as refused:
        plan.converter.refuse(rows)
    message = str(refused.value)
    assert "'a'" in message and f"'{column}'" in message and "UTF-8" in message
    assert "caf" not in message
    assert source.connection.text_factory is str
    assert not source.connection.in_transaction


def test_a_key_that_is_not_utf8_and_gone_again_is_gone(source: Source) -> None:
    """It may have been in quarantine; on the target it never was."""
    source.execute("INSERT INTO a VALUES('x', 1)")
    source.execute(f"INSERT INTO a VALUES({BAD}, 2)")
    source.execute(f"INSERT OR IGNORE INTO b VALUES({BAD}, NULL)")
    source.execute("DELETE FROM a WHERE v = 2")
    source.execute("DELETE FROM b")
    source.execute("INSERT INTO c VALUES(7, 'y')")
    bad = (BadText(b"caf\xe9"),)
    assert source.changes() == {"a": ([bad], [("x", "1")]), "b": ([bad], []), "c": ([], [(7, "y")])}
    assert source.connection.text_factory is str


def test_a_page_with_a_text_that_is_not_utf8_is_read(source: Source) -> None:
    """The snapshot meets what was there before."""
    source.execute(f"INSERT INTO c VALUES(1, 'x'), (42, {BAD})")
    (plan,) = (p for p in source.plans.values() if p.name == "c")
    assert read_page(source.connection, plan, None, 100).rows == [(1, "x"), (42, BadText(b"caf\xe9"))]
    assert source.connection.text_factory is str


def test_a_null_in_the_key_of_a_table_asks_for_another_key_and_one_that_was_only_tried_is_not() -> None:
    """SQLite allows NULL in a primary key of a rowid table; a BEFORE trigger logs the tries as well."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript("CREATE TABLE t(k TEXT PRIMARY KEY, v CHECK(v > 0))")
        source = Source(connection)
        source.execute("INSERT INTO t VALUES('x', 1)")
        source.execute("INSERT OR IGNORE INTO t VALUES(NULL, -1)")
        assert source.changes() == {"t": ([], [("x", 1)])}
        source.execute("INSERT INTO t VALUES(NULL, 1)")
        with pytest.raises(SchemaChanged, match="NULL"):
            source.batch()


def test_a_large_batch_comes_in_blocks(source: Source) -> None:
    """So many rows per statement on the target, and each row once."""
    source.execute("BEGIN")
    source.connection.executemany("INSERT INTO c VALUES(?, 'x')", [(n,) for n in range(2 * BLOCK_ROWS + 1)])
    source.connection.executemany("UPDATE c SET v = 'y' WHERE id = ?", [(n,) for n in range(BLOCK_ROWS)])
    source.execute("COMMIT")
    with source.batch().spool as spool:
        blocks = [block.rows for block in spool]
    assert [len(rows) for rows in blocks] == [BLOCK_ROWS, BLOCK_ROWS, 1]
    assert len({row[0] for rows in blocks for row in rows}) == 2 * BLOCK_ROWS + 1


def test_a_part_of_the_log_is_not_complete(source: Source) -> None:
    """Only at its end is the target a state that the source had."""
    for n in range(5):
        source.execute("INSERT INTO c VALUES(?, 'x')", (n,))
    first = source.batch(most=3)
    assert (first.low, first.place.position, first.entries, first.complete) == (0, 3, 3, False)
    rest = source.batch(first.place, most=3)
    assert (rest.low, rest.place.position, rest.complete) == (3, 5, True)
    assert read_batch(source.connection, source.plans, rest.place, 1 << 20) is None
    first.spool.close()
    rest.spool.close()


def test_reading_inside_a_transaction_leaves_it_open(source: Source) -> None:
    """The cutover reads under the write lock that it holds, and what it sees is what was committed."""
    source.execute("INSERT INTO c VALUES(1, 'x')")
    source.execute("BEGIN IMMEDIATE")
    with source.batch().spool as spool:
        assert [b.rows for b in spool] == [[(1, "x")]]
    assert source.connection.in_transaction


def test_tables_that_are_not_planned_are_counted_and_not_read(source: Source) -> None:
    """The log may hold entries of a table that the configuration has since left out."""
    source.execute("INSERT INTO a VALUES('x', 1)")
    source.execute("INSERT INTO c VALUES(1, 'x')")
    gone = next(n for n, p in source.plans.items() if p.name == "a")
    del source.plans[gone]
    batch = source.batch()
    assert batch.touched[gone] == 2
    with batch.spool as spool:
        assert [source.plans[b.table_id].name for b in spool] == ["c"]


def test_a_log_that_does_not_reach_the_position_is_refused(source: Source) -> None:
    """The file was put back from a copy: what is missing cannot be told."""
    source.execute("INSERT INTO c VALUES(1, 'x')")
    with pytest.raises(CaptureBroken):
        source.batch(Place(changelog.head(source.connection) + 5))
