"""Whatever schema, rows and writes: each row arrives equal or is in quarantine, and nothing else arrives.

LITEFERRY_FUZZ_EXAMPLES sets how many examples are tried, anew each time; LITEFERRY_FUZZ_SEED repeats a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, event, given, seed, settings

from config.errors import ConfigError, Unsupported
from replicator.verifier import Verifier
from triggers import changelog

from .engine import Running, emptied, streaming
from .nasty import Case, cases
from .roundtrip import both_sides, missing_tables

Test = TypeVar("Test", bound=Callable[..., Any])

#: Enough for a regression; what is new is found by the long runs.
EXAMPLES = int(os.environ.get("LITEFERRY_FUZZ_EXAMPLES", "0")) or 60
LONG = EXAMPLES > 60
SEED = os.environ.get("LITEFERRY_FUZZ_SEED")


def seeded(test: Test) -> Test:
    """Have a run repeat another one."""
    return seed(int(SEED))(test) if SEED else test


class Application:
    """Writes the statements of an example; many fail, as they may."""

    def __init__(self, path: Path, case: Case) -> None:
        """Make the file anew, with its tables and first rows."""
        for ending in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, timeout=20, check_same_thread=False)
        self._database.execute(f"PRAGMA journal_mode = {case.journal}")
        self.tables = self.write(case.schema)
        self.write(case.before)
        self._database.execute(f"PRAGMA foreign_keys = {int(case.enforced)}")

    def write(self, statements: Sequence[str]) -> int:
        """Run statements and end the transaction that they leave open; return how many did something."""
        done = 0
        for statement in statements:
            with contextlib.suppress(sqlite3.Error):
                self._database.execute(statement)
                done += 1
        if self._database.in_transaction:
            self._database.execute("COMMIT")
        return done

    def head(self) -> int:
        """Return the newest position of the change log."""
        return changelog.head(self._database)

    @property
    def untouched(self) -> bool:
        """Tell whether nothing of ours is in the file."""
        triggers = "SELECT count(*) FROM sqlite_master WHERE name GLOB '_liteferry_*' AND type = 'trigger'"
        return bool(self._database.execute(triggers).fetchone() == (0,))

    def close(self) -> None:
        """Close the file."""
        self._database.close()


async def carry(case: Case, path: Path, url: str) -> list[str]:
    """Bring a source over, write to it meanwhile; return what is wrong, by two comparisons."""
    with closing(Application(path, case)) as application:
        if not application.tables:
            return []
        try:
            async with streaming(path, url) as running:
                return await _followed(case, path, url, application, running)
        except (Unsupported, ConfigError) as refused:
            event(f"refused: {type(refused).__name__}")
            return [] if application.untouched else [f"refused too late: {refused}"]
        except ExceptionGroup as ended:
            if ended.subgroup(Unsupported) is None:
                raise
            event("ended: Unsupported")
            return []


async def _followed(
    case: Case, path: Path, url: str, application: Application, running: Running
) -> list[str]:
    # at once: some of it meets the copy
    await asyncio.to_thread(application.write, case.during)
    found = []
    for statements in ((), case.after):
        await asyncio.to_thread(application.write, statements)
        await running.caught_up(application.head())
        await running.settled(path)
        plans = list(running.pipeline.plans.values())
        found += missing_tables(path, plans)
        sides = await both_sides(path, url, plans)
        found += [fault for one in sides for fault in one.faults()]
        if found:
            return found
    event("rows in quarantine" if any(one.quarantine for one in sides) else "all rows arrived")
    reports = await Verifier(running.pipeline).run(counts_only=False)
    return [f"our own comparison differs: {r.as_dict()}" for r in reports if not r.equal]


@pytest.mark.timeout(0 if LONG else 120)
@seeded
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not LONG and SEED is None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(case=cases())
async def test_every_row_is_on_the_target_or_in_quarantine(
    case: Case, tmp_path: Path, target_url: str
) -> None:
    """Tables of any types, keys and names with hostile values, written to while they are brought over."""
    assert await carry(case, tmp_path / "app.db", await emptied(target_url)) == []
