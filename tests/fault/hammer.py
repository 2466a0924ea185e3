"""An application that changes few rows many times: `python -m tests.fault.hammer FILE ROWS CHANGES RATE`.

Transactions of 500 changes, at most RATE changes per second. Prints how many it made, the seconds it took
and the longest that one transaction took, in JSON.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import time
from contextlib import closing

EACH = 500


def main(path: str, rows: int, changes: int, rate: float) -> None:
    """Write until all changes are made."""
    chance = random.Random(rows)
    longest, begun = 0.0, time.monotonic()
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = NORMAL")
        for done in range(0, changes, EACH):
            # an application's pace, not a wait for anything
            time.sleep(max(0.0, begun + done / rate - time.monotonic()))
            started = time.monotonic()
            keys = [(chance.randrange(rows),) for _ in range(EACH)]
            database.execute("BEGIN IMMEDIATE")
            database.executemany("UPDATE counters SET n = n + 1 WHERE id = ?", keys)
            database.execute("COMMIT")
            longest = max(longest, time.monotonic() - started)
    seconds = time.monotonic() - begun
    sys.stdout.write(json.dumps({"changes": changes, "seconds": seconds, "longest": longest}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
