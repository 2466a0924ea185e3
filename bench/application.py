"""An application that writes a shop's invoices at a steady rate until told to stop, or until it is fenced.

    python bench/application.py FILE --rate 1000 [--seconds 20]

Each transaction inserts one row, and begins when its turn has come whether or not the ones before were slow.
At the end it prints one line of JSON: the key and the time of every commit, and every transaction that took
longer than a millisecond; all times on the monotonic clock, which the processes of one machine share.
"""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import sys
import time
from contextlib import closing

LONG_NS = 1_000_000
BUSY_TIMEOUT_SECONDS = 5
MOVED = "moved to PostgreSQL"
INSERT = "INSERT INTO invoice(customer, total, paid, made_at) VALUES (1, 9.99, 0, '2026-11-22T11:40:00Z')"


class Application:
    """The loop and what it has seen."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.stopped = False
        self.fenced = False
        self.commits: list[tuple[int, int]] = []
        self.stalls: list[tuple[int, int]] = []

    def run(self, rate: float, seconds: float | None) -> None:
        """Write until stopped, fenced, or for some seconds."""
        begun = time.monotonic()
        turn = 0
        while not (self.stopped or self.fenced):
            wait = begun + turn / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            if seconds is not None and turn >= seconds * rate:
                return
            self._write()
            turn += 1

    def _write(self) -> None:
        begun = time.monotonic_ns()
        try:
            key = self._connection.execute(INSERT).lastrowid
        except sqlite3.IntegrityError as error:
            if MOVED not in str(error):
                raise
            self.fenced = True
            key = None
        ended = time.monotonic_ns()
        if key is not None:
            self.commits.append((key, ended))
        if ended - begun > LONG_NS:
            self.stalls.append((begun, ended))

    def stop(self, *_: object) -> None:
        """Stop after the transaction in hand."""
        self.stopped = True


def main() -> None:
    """Read the arguments, run, and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float)
    given = parser.parse_args()
    connection = sqlite3.connect(given.file, isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS)
    with closing(connection):
        connection.execute("PRAGMA synchronous = NORMAL")
        application = Application(connection)
        signal.signal(signal.SIGTERM, application.stop)
        application.run(given.rate, given.seconds)
    told = {"fenced": application.fenced, "commits": application.commits, "stalls": application.stalls}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
