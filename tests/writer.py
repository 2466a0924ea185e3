"""An application that knows nothing of liteferry: a process that writes to a SQLite file until told to stop.

    python tests/writer.py FILE --seed 1 --rate 50 --journal out.jsonl --seconds 10

The sum of all balances never changes. Every transaction also counts up the row ("writer:SEED", "last") of
`tags`, so an acknowledged transaction that is lost shows there. The first line on stdout says that it is
ready (schema there, first transaction done), the last one is the summary, both JSON. SIGTERM ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import select
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

FENCED = "moved to PostgreSQL"
ACCOUNTS = 50
OPENING_BALANCE = 1000
SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts(
    id INTEGER PRIMARY KEY, owner TEXT UNIQUE, balance INTEGER NOT NULL, active BOOLEAN);
CREATE TABLE IF NOT EXISTS transfers(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    src INTEGER REFERENCES accounts(id) ON UPDATE CASCADE ON DELETE SET NULL,
    dst INTEGER REFERENCES accounts(id) ON UPDATE CASCADE ON DELETE SET NULL,
    amount INTEGER NOT NULL, note TEXT, at TEXT);
CREATE TABLE IF NOT EXISTS documents(key TEXT PRIMARY KEY, body BLOB, score REAL, meta TEXT);
CREATE TABLE IF NOT EXISTS tags(doc TEXT, tag TEXT, n INTEGER, PRIMARY KEY(doc, tag)) WITHOUT ROWID;
"""
SCORES = (0.0, -0.0, 1.0, 0.1 + 0.2, 1e-308, 1.7976931348623157e308, -123456.789)
TEXTS = ("", "plain", "two\nlines\tand a \\ backslash", "Zürich 東京 🚢", "'quoted' \"twice\"", "\\N")


class Application:
    """The transactions; each method is one, between BEGIN IMMEDIATE and COMMIT."""

    def __init__(self, database: sqlite3.Connection, chance: random.Random, seed: int) -> None:
        self.database, self.chance, self.seed = database, chance, seed
        self.execute = database.execute
        self.kinds: list[Callable[[], Any]] = [
            self.transfer,
            self.transfer,
            self.many_transfers,
            self.forget_transfers,
            self.open_account,
            self.close_account,
            self.change_account_key,
            self.replace_account,
            self.rename_account,
            self.put_document,
            self.put_document,
            self.move_document,
            self.drop_documents,
            self.put_tags,
            self.move_tag,
            self.drop_tags,
            self.change_mind,
        ]

    def transfer(self) -> None:
        """Move an amount between two accounts and note it."""
        src, dst = self.account()[0], self.account()[0]
        amount = self.chance.randint(1, 100)
        self.execute("UPDATE accounts SET balance = balance - ? WHERE id = ?", (amount, src))
        self.execute("UPDATE accounts SET balance = balance + ? WHERE id = ?", (amount, dst))
        row = (
            src,
            dst,
            amount,
            f"w{self.seed} {self.chance.choice(TEXTS)}",
            f"2026-01-01 00:00:{amount % 60:02}",
        )
        self.execute("INSERT INTO transfers(src, dst, amount, note, at) VALUES (?, ?, ?, ?, ?)", row)

    def many_transfers(self) -> None:
        """Do several transfers at once, with a savepoint that is undone in between."""
        for _ in range(self.chance.randint(2, 20)):
            self.transfer()
        self.execute("SAVEPOINT undone")
        self.transfer()
        self.execute("ROLLBACK TO undone")
        self.execute("RELEASE undone")

    def forget_transfers(self) -> None:
        """Delete some old transfers and change the note of others."""
        (last,) = self.execute("SELECT coalesce(max(id), 1) FROM transfers").fetchone()
        start = self.chance.randint(1, last)
        self.execute("DELETE FROM transfers WHERE id BETWEEN ? AND ? + 5", (start, start))
        self.execute("UPDATE transfers SET note = NULL WHERE id BETWEEN ? + 6 AND ? + 8", (start, start))

    def open_account(self) -> None:
        """Insert an account with nothing in it."""
        row = (self.new_owner(), self.chance.choice((None, False, True)))
        self.execute("INSERT INTO accounts(owner, balance, active) VALUES (?, 0, ?)", row)

    def close_account(self) -> None:
        """Give an account's balance to another and delete it."""
        key, _, balance = self.account()
        (count,) = self.execute("SELECT count(*) FROM accounts").fetchone()
        heir = self.account()[0]
        if heir != key and count > ACCOUNTS // 2:
            self.execute("UPDATE accounts SET balance = balance + ? WHERE id = ?", (balance, heir))
            self.execute("DELETE FROM accounts WHERE id = ?", (key,))

    def change_account_key(self) -> None:
        """Give an account another primary key."""
        self.execute(
            "UPDATE accounts SET id = (SELECT max(id) FROM accounts) + 1 WHERE id = ?", (self.account()[0],)
        )

    def replace_account(self) -> None:
        """Let INSERT OR REPLACE push out the row of the same owner under another key."""
        _, owner, balance = self.account()
        row = (owner, balance, self.chance.choice((False, True)))
        self.execute(
            "INSERT OR REPLACE INTO accounts(id, owner, balance, active) "
            "VALUES ((SELECT max(id) FROM accounts) + 1, ?, ?, ?)",
            row,
        )

    def rename_account(self) -> None:
        """Let two accounts swap their unique owners, by way of a third name."""
        (one, owner, _), (two, other, _) = self.account(), self.account()
        if one != two:
            statement = "UPDATE accounts SET owner = ? WHERE id = ?"
            for row in ((f"{owner} on the way", one), (owner, two), (other, one)):
                self.execute(statement, row)

    def put_document(self) -> None:
        """Upsert a document."""
        body = self.chance.choice(
            (None, b"", b"\x00\xff\x00", self.chance.randbytes(self.chance.randint(1, 2000)))
        )
        score = self.chance.choice((*SCORES, self.chance.uniform(-1e6, 1e6)))
        meta = self.chance.choice((None, *TEXTS, json.dumps({"pages": self.chance.randint(1, 9)})))
        self.execute(
            "INSERT INTO documents(key, body, score, meta) VALUES (?, ?, ?, ?) ON CONFLICT(key) "
            "DO UPDATE SET body = excluded.body, score = excluded.score, meta = excluded.meta",
            (self.document(), body, score, meta),
        )

    def move_document(self) -> None:
        """Change a document's key, replacing the one that is there."""
        statement = "UPDATE OR REPLACE documents SET key = ? WHERE key = ?"
        self.execute(statement, (self.document(), self.document()))

    def drop_documents(self) -> None:
        """Delete some documents."""
        self.execute("DELETE FROM documents WHERE key LIKE ?", (self.document()[:-1] + "%",))

    def put_tags(self) -> None:
        """Insert or count up tags of a document."""
        doc = self.document()
        rows = [
            (doc, f"t{self.chance.randint(0, 9)}", self.chance.randint(-(2**63), 2**63 - 1)) for _ in range(5)
        ]
        self.database.executemany("INSERT OR IGNORE INTO tags VALUES (?, ?, ?)", rows)
        self.execute("UPDATE tags SET n = n / 2 WHERE doc = ?", (doc,))

    def move_tag(self) -> None:
        """Change half of a compound key."""
        row = (f"t{self.chance.randint(0, 9)}", self.document())
        self.execute("UPDATE OR IGNORE tags SET tag = ? WHERE doc = ? AND tag >= 't5'", row)

    def drop_tags(self) -> None:
        """Delete a document's tags."""
        self.execute("DELETE FROM tags WHERE doc = ?", (self.document(),))

    def change_mind(self) -> None:
        """Insert rows and delete them again in the same transaction."""
        self.execute("INSERT INTO documents(key) VALUES ('gone')")
        self.execute("DELETE FROM documents WHERE key = 'gone'")

    def account(self) -> tuple[int, str, int]:
        """Pick an account: id, owner, balance."""
        (last,) = self.execute("SELECT max(id) FROM accounts").fetchone()
        row: tuple[int, str, int] = self.execute(
            "SELECT id, owner, balance FROM accounts WHERE id >= ? ORDER BY id LIMIT 1",
            (self.chance.randint(1, last),),
        ).fetchone()
        return row

    def new_owner(self) -> str:
        """Make a name that nobody has."""
        return f"owner {self.chance.getrandbits(64):x}"

    def document(self) -> str:
        """Pick a document's key, used or not."""
        return f"doc/{self.chance.randint(0, 199):03}"


class Stop:
    """Set by a signal, waited for by the same thread.

    No threading.Event: its lock may be held by the very wait that the handler interrupts.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)

    def set(self, *_: object) -> None:
        """Have it end; a signal handler."""
        self.wanted = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._writing, b"!")

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until it is set."""
        select.select([self._reading], [], [], seconds)


class Record:
    """What happened: a line per acknowledged transaction, and the totals."""

    def __init__(self, journal: IO[str] | None) -> None:
        self.journal = journal
        self.transactions = 0
        self.errors: list[str] = []
        self.longest = 0.0
        self.fenced = False

    def acknowledged(self, kind: str, number: int) -> None:
        """Count a transaction that COMMIT has confirmed."""
        self.transactions += 1
        if self.journal:
            line = {"number": number, "kind": kind, "at": time.time()}
            self.journal.write(json.dumps(line) + "\n")
            self.journal.flush()

    def summary(self) -> dict[str, object]:
        """Return the totals."""
        return {
            "transactions": self.transactions,
            "errors": self.errors,
            "max_stall_ms": round(self.longest * 1000, 3),
            "fenced": self.fenced,
        }


def prepare(database: sqlite3.Connection) -> None:
    """Create the schema and the first accounts where they are missing."""
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not tables:
        database.execute("PRAGMA journal_mode = wal")
    if not tables >= {"accounts", "transfers", "documents", "tags"}:
        database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT")
    database.execute("BEGIN IMMEDIATE")
    if not database.execute("SELECT 1 FROM accounts LIMIT 1").fetchone():
        rows = [(f"owner {number}", OPENING_BALANCE) for number in range(ACCOUNTS)]
        database.executemany("INSERT INTO accounts(owner, balance, active) VALUES (?, ?, 1)", rows)
    database.execute("COMMIT")


def transact(application: Application, record: Record) -> None:
    """Run one transaction of a random kind to its COMMIT, or count its error."""
    work = application.chance.choice(application.kinds)
    started = time.perf_counter()
    try:
        application.execute("BEGIN IMMEDIATE")
        work()
        number = count_up(application)
        application.execute("COMMIT")
        record.acknowledged(work.__name__, number)
    except sqlite3.Error as error:
        record.fenced = FENCED in str(error)
        if not record.fenced:
            record.errors.append(f"{work.__name__}: {error}")
        if application.database.in_transaction:
            application.execute("ROLLBACK")
    record.longest = max(record.longest, time.perf_counter() - started)


def count_up(application: Application) -> int:
    """Count this writer's transactions in the database itself."""
    (number,) = application.execute(
        "INSERT INTO tags VALUES (?, 'last', 1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n",
        (f"writer:{application.seed}",),
    ).fetchall()[0]
    return int(number)


def run(options: argparse.Namespace, record: Record, stop: Stop) -> None:
    """Write until stopped, fenced, or the time is over."""
    deadline = time.monotonic() + options.seconds
    timeout = options.busy_timeout_ms / 1000
    with contextlib.closing(sqlite3.connect(options.file, timeout=timeout, isolation_level=None)) as database:
        database.execute("PRAGMA foreign_keys = on")
        prepare(database)
        application = Application(database, random.Random(options.seed), options.seed)
        said = False
        while not stop.wanted and not record.fenced and time.monotonic() < deadline:
            transact(application, record)
            if not said and record.transactions:
                say({"ready": True})
                said = True
            if options.rate:
                stop.wait(1 / options.rate)


def say(what: dict[str, object]) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Parse the command line, write, and print the summary."""
    parser = argparse.ArgumentParser(description="write to a SQLite file like an application would")
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=0, help="transactions per second at most; 0: no limit")
    parser.add_argument("--busy-timeout-ms", type=int, default=5000)
    parser.add_argument("--journal", type=Path, help="a line of JSON per acknowledged transaction")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    stop = Stop()
    signal.signal(signal.SIGTERM, stop.set)
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(options.journal.open("a")) if options.journal else None
        record = Record(journal)
        try:
            run(options, record, stop)
        finally:
            say(record.summary())


if __name__ == "__main__":
    main()
