"""Run the capture fuzz with an application that brings another SQLite than liteferry's own.

    python -m tests.fidelity.versions --seeds 0-999 [--sqlite FOLDER] [--alter]

The application's statements run in a process with FOLDER/libsqlite3.so.0; liteferry installs, reads and
compares with its own library, as it would beside such an application. `make fuzz-sqlite` gets the library.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from .sequence import Life, draw, run, shrink
from .worker import Crashed, Worker

#: Failures after which a run ends.
ENOUGH = 20


def lives(seeds: range, alter: bool) -> Iterator[tuple[int, Life]]:
    """Yield the lives of some seeds, leaving out those that SQLite takes no schema of."""
    for seed in seeds:
        if life := draw(seed, alter=alter):
            yield seed, life


def wrong(life: Life, worker: Worker) -> str | None:
    """Live a life in the worker; return what went wrong, an exception among it."""
    try:
        return run(life, worker.stage)
    except Crashed:
        begin = (*life.settings, *life.schema, *life.before, *life.triggers)
        return None if worker.crashes(begin, life.bursts) else "SQLite crashes with capture alone"
    except Exception:
        return traceback.format_exc(limit=-3)


def smallest(life: Life, told: str, worker: Worker) -> Life:
    """Return the smallest life that goes wrong in the same way."""
    noticed = "with capture" in told

    def fails(less: Life) -> bool:
        found = wrong(less, worker)
        return found is not None and "Traceback" not in found and ("with capture" in found) is noticed

    return life if "Traceback" in told else shrink(life, fails)


def main() -> int:
    """Run the seeds and tell what went wrong; the exit status is 1 when anything did."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--seeds", default="0-999")
    options.add_argument("--sqlite", type=Path)
    options.add_argument("--alter", action="store_true", help="the application changes its schema as well")
    chosen = options.parse_args()
    first, _, last = chosen.seeds.partition("-")
    done, failed, begun = 0, 0, time.monotonic()
    with closing(Worker(chosen.sqlite)) as worker:
        for seed, life in lives(range(int(first), int(last) + 1), chosen.alter):
            done += 1
            if told := wrong(life, worker):
                failed += 1
                sys.stdout.write(f"seed {seed}: {told}\n\nsmallest:\n{smallest(life, told, worker)}\n\n")
                sys.stdout.flush()
            if failed == ENOUGH:
                break
        seconds = time.monotonic() - begun
        sys.stdout.write(f"SQLite {worker.version}: {done} lives, {failed} went wrong, {seconds:.0f} s\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
