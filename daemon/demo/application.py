"""A small real application: a shop that writes to a SQLite file, and to PostgreSQL once it has moved there.

    DATABASE_URL=postgresql://... python -m daemon.demo.application FILE --rate 400

A clerk per branch, each a thread with a connection of its own, writes small transactions until told to stop.
They know one thing of liteferry: a write that fails with "moved to PostgreSQL" is to be done there. In a real
application that is a restart with another DATABASE_URL.

Lines on stdin command it: `go` allows writes to PostgreSQL, for which clerks that meet the fence wait;
`stop`, or the end of stdin, ends it. Each line on stdout is JSON: `ready`, `progress` twice a second,
`moved` at the first refused write, and `end` with the summary.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from .shop import Branch, Size, open_shop
from .store import Again, Moved, PostgresStore, SqliteStore, Store

BRANCHES = 3
PROGRESS_SECONDS = 0.5
TRIES = 10
SHOWN_ERRORS = 10

#: What a transaction may end with that was not done.
FAILURES = (Again, sqlite3.Error, asyncpg.PostgresError)


class Signals:
    """What the clerks are told: that they may write to PostgreSQL, and that they shall stop."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.stop = threading.Event()
        self._moved = threading.Event()

    def moved(self) -> None:
        """Tell the world, once, that the database has moved."""
        if not self._moved.is_set():
            self._moved.set()
            say("moved")


@dataclass
class Record:
    """What one clerk has seen; durations in seconds."""

    sqlite: int = 0
    postgres: int = 0
    #: How long each write to SQLite took.
    waits: list[float] = field(default_factory=list)
    #: How long the write that met the fence took until it was refused, and until PostgreSQL had it.
    refused_after: float | None = None
    stalled: float | None = None
    retries: int = 0
    errors: list[str] = field(default_factory=list)


class Clerk(threading.Thread):
    """Writes for one branch, `rate` transactions a second if the database allows."""

    def __init__(self, path: Path, url: str, branch: Branch, rate: float, signals: Signals) -> None:
        super().__init__(name=f"clerk-{branch.number}")
        self.record = Record()
        self._url = url
        self._branch = branch
        self._interval = 1 / rate
        self._signals = signals
        self._store: Store = SqliteStore(path)

    def run(self) -> None:
        """Write until told to stop."""
        try:
            due = time.monotonic()
            while not self._signals.stop.wait(max(0.0, due - time.monotonic())):
                self._write()
                due = max(due + self._interval, time.monotonic() - self._interval)
        except (OSError, asyncpg.InterfaceError, *FAILURES) as error:
            self._failed(error)
        finally:
            self._store.close()

    def _write(self) -> None:
        """Do one transaction and note how it went; what met the fence is done again on PostgreSQL."""
        begun = time.perf_counter()
        try:
            self._attempt()
        except Moved:
            self._signals.moved()
            self.record.refused_after = time.perf_counter() - begun
            if self._switch():
                self._attempt()
                self.record.stalled = time.perf_counter() - begun
        except FAILURES as error:
            self._failed(error)
        else:
            if self.record.refused_after is None:
                self.record.waits.append(time.perf_counter() - begun)

    def _attempt(self) -> None:
        for number in range(TRIES):
            try:
                with self._store.transaction():
                    self._branch.transact(self._store)
                break
            except Again:
                self.record.retries += 1
                if number == TRIES - 1:
                    raise
        if isinstance(self._store, SqliteStore):
            self.record.sqlite += 1
        else:
            self.record.postgres += 1

    def _switch(self) -> bool:
        """Go over to PostgreSQL when allowed; False when told to stop before that."""
        self._signals.go.wait()
        if self._signals.stop.is_set():
            return False
        self._store.close()
        self._store = PostgresStore(self._url)
        return True

    def _failed(self, error: Exception) -> None:
        self.record.errors.append(f"{self.name}: {type(error).__name__}: {error}")


def say(event: str, **facts: Any) -> None:
    """Write one line of JSON."""
    # one write for the whole line: clerks speak too
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()


def summary(records: list[Record]) -> dict[str, Any]:
    """Return what all clerks have seen; durations in milliseconds."""
    waits = sorted(wait for record in records for wait in record.waits)
    errors = [error for record in records for error in record.errors]
    refused = [r.refused_after for r in records if r.refused_after is not None]
    stalls = [r.stalled for r in records if r.stalled is not None]
    return {
        "sqlite_writes": sum(r.sqlite for r in records),
        "postgres_writes": sum(r.postgres for r in records),
        "wait_p50_ms": _milliseconds(waits[len(waits) // 2]) if waits else None,
        "wait_max_ms": _milliseconds(waits[-1]) if waits else None,
        "refused": len(refused),
        "repeated": len(stalls),
        "refused_ms": _milliseconds(max(refused)) if refused else None,
        "stall_ms": _milliseconds(max(stalls)) if stalls else None,
        "retries": sum(r.retries for r in records),
        "error_count": len(errors),
        "errors": errors[:SHOWN_ERRORS],
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def report(clerks: list[Clerk], stop: threading.Event) -> None:
    """Tell the progress until stopped."""
    while not stop.wait(PROGRESS_SECONDS):
        records = [clerk.record for clerk in clerks]
        say(
            "progress",
            sqlite_writes=sum(r.sqlite for r in records),
            postgres_writes=sum(r.postgres for r in records),
            error_count=sum(len(r.errors) for r in records),
        )


def serve(path: Path, url: str, rate: float, size: Size) -> None:
    """Open the shop, write until told to stop, and tell the summary."""
    event = open_shop(path, BRANCHES, size)
    signals = Signals()
    clerks = [
        Clerk(path, url, Branch(number, size, random.Random(number)), rate / BRANCHES, signals)
        for number in range(BRANCHES)
    ]
    reporter = threading.Thread(target=report, args=(clerks, signals.stop))
    say("ready", last_event=event)
    for thread in (*clerks, reporter):
        thread.start()
    _obey(signals)
    for thread in (*clerks, reporter):
        thread.join()
    say("end", **summary([clerk.record for clerk in clerks]))


def _obey(signals: Signals) -> None:
    """Follow the commands on stdin until told to stop."""
    for line in sys.stdin:
        if line.strip() == "go":
            signals.go.set()
        elif line.strip() == "stop":
            break
    signals.stop.set()
    signals.go.set()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description="a shop that writes to a SQLite file until it has moved")
    parser.add_argument("file", type=Path)
    parser.add_argument("--rate", type=float, default=400, help="transactions per second")
    parser.add_argument("--size", type=float, default=1, help="1 begins with 160,000 rows")
    options = parser.parse_args()
    # a reader that has gone away, and with it whoever was to command us, is no error of the shop's
    with suppress(BrokenPipeError):
        serve(options.file, os.environ["DATABASE_URL"], options.rate, Size.times(options.size))


if __name__ == "__main__":
    main()
