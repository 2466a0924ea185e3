"""The files that the benchmarks move: one wide table, or a small shop with keys of several kinds."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

ITEMS = """
CREATE TABLE item(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL, quantity INTEGER NOT NULL, active BOOLEAN,
    note TEXT)
"""

#: Six columns of every kind that applications use, about 90 bytes a row; every seventh note is NULL.
FILL_ITEMS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
INSERT INTO item SELECT n, 'item number ' || (n * 7919 % 1000003), n * 0.37 + 0.01, n % 1000, n % 2,
    CASE WHEN n % 7
        THEN substr('a note about this item, some longer and some shorter than others', 1, n % 64) END
FROM numbers
"""

SHOP = """
CREATE TABLE customer(
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, credit REAL, active BOOLEAN);
CREATE TABLE invoice(
    id INTEGER PRIMARY KEY AUTOINCREMENT, customer INTEGER REFERENCES customer(id), total REAL NOT NULL,
    paid BOOLEAN NOT NULL, made_at TEXT NOT NULL);
CREATE INDEX invoice_customer ON invoice(customer);
CREATE TABLE setting(name TEXT PRIMARY KEY NOT NULL, value TEXT, changed_at TEXT NOT NULL);
"""

CUSTOMER = "INSERT INTO customer VALUES (?, ?, ?, ?, ?)"
INVOICE = "INSERT INTO invoice VALUES (?, ?, ?, ?, ?)"
SETTING = "INSERT INTO setting VALUES (?, ?, ?)"

#: Row changes in one transaction of the application while a backlog is made.
CHANGES_PER_TRANSACTION = 100

Change = tuple[str, tuple[Any, ...]]


def connect(path: Path) -> sqlite3.Connection:
    """Open a file as the usual application does: WAL, synchronous NORMAL, each statement its own commit."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def make_items(path: Path, rows: int) -> None:
    """Make a file with one table of some rows."""
    with closing(connect(path)) as connection:
        connection.execute(ITEMS)
        connection.execute(FILL_ITEMS, {"rows": rows})
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class Shop:
    """A file with three tables of `rows` rows each, and a source of further changes to it."""

    def __init__(self, path: Path, rows: int) -> None:
        self.path = path
        self._next = rows + 1
        self._keys = list(range(1, rows + 1))
        self._chance = random.Random(1)
        self._chance.shuffle(self._keys)
        with closing(connect(path)) as connection:
            connection.executescript(SHOP)
            connection.execute("BEGIN")
            for statement, row in ((CUSTOMER, _customer), (INVOICE, _invoice), (SETTING, _setting)):
                connection.executemany(statement, map(row, range(1, rows + 1)))
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def change(self, changes: int) -> int:
        """Change rows, each in a row of its own: 40 % inserts, 40 % updates, 20 % deletes; return how many.

        No row is touched twice in one call, so nothing is saved by looking only at the last state.
        """
        with closing(connect(self.path)) as connection:
            done = 0
            for change in self._mixed(changes):
                if done % CHANGES_PER_TRANSACTION == 0:
                    connection.execute("COMMIT" if done else "SELECT 1")
                    connection.execute("BEGIN")
                connection.execute(*change)
                done += 1
            connection.execute("COMMIT")
        return done

    def _mixed(self, changes: int) -> Iterator[Change]:
        inserted = range(self._next, self._next + changes // 3 * 2 // 5)
        self._next = inserted.stop
        updated = [self._keys.pop() for _ in inserted]
        deleted = [self._keys.pop() for _ in range(len(inserted) // 2)]
        # only after the pops, so that no row is touched twice
        self._keys[:0] = [*updated, *inserted]
        kinds: list[tuple[Callable[[int], list[Change]], int]] = [(_inserts, key) for key in inserted]
        kinds += [(_updates, key) for key in updated]
        kinds += [(_deletes, key) for key in deleted]
        self._chance.shuffle(kinds)
        for make, key in kinds:
            yield from make(key)


def _customer(key: int) -> tuple[Any, ...]:
    return key, f"Customer {key}", f"customer-{key}@example.org", key * 0.5, key % 2


def _invoice(key: int) -> tuple[Any, ...]:
    return key, key, key * 1.19, key % 3 == 0, "2026-11-22T11:40:00Z"


def _setting(key: int) -> tuple[Any, ...]:
    return f"setting/{key:08}", f"value {key}", "2026-11-22T11:40:00Z"


def _inserts(key: int) -> list[Change]:
    return [(CUSTOMER, _customer(key)), (INVOICE, _invoice(key)), (SETTING, _setting(key))]


def _updates(key: int) -> list[Change]:
    return [
        ("UPDATE customer SET credit = credit + 1, name = name || '!' WHERE id = ?", (key,)),
        ("UPDATE invoice SET paid = 1 - paid WHERE id = ?", (key,)),
        ("UPDATE setting SET value = value || '!' WHERE name = ?", (_setting(key)[0],)),
    ]


def _deletes(key: int) -> list[Change]:
    return [
        ("DELETE FROM customer WHERE id = ?", (key,)),
        ("DELETE FROM invoice WHERE id = ?", (key,)),
        ("DELETE FROM setting WHERE name = ?", (_setting(key)[0],)),
    ]
