"""One source brought over by the whole engine while an application writes to it, and what is wrong then."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from config.errors import ConfigError, Unsupported
from replicator.verification.verifier import Verifier
from triggers import changelog

from .engine import Running, streaming
from .roundtrip import both_sides, missing_tables


@dataclass(frozen=True)
class Case:
    """A source, and what is written to it while it is brought over."""

    journal: str
    enforced: bool
    schema: tuple[str, ...]
    before: tuple[str, ...]
    during: tuple[str, ...]
    after: tuple[str, ...]

    def __repr__(self) -> str:
        """Return it as a script to run by hand."""
        parts = [f"PRAGMA journal_mode = {self.journal}", f"PRAGMA foreign_keys = {int(self.enforced)}"]
        for title, statements in vars(self).items():
            if isinstance(statements, tuple):
                parts += [f"-- {title}", *statements]
        return "\n" + ";\n".join(parts) + ";\n"


@dataclass(frozen=True)
class Result:
    """How it ended: what is wrong, and how it went."""

    faults: list[str]
    how: str


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


async def carried(case: Case, path: Path, url: str) -> Result:
    """Bring a source over, write to it meanwhile, and look for rows that are lost or changed."""
    with closing(Application(path, case)) as application:
        if not application.tables:
            return Result([], "no table")
        try:
            async with streaming(path, url) as running:
                return await _followed(case, path, url, application, running)
        except (Unsupported, ConfigError) as refused:
            late = [] if application.untouched else [f"refused too late: {refused}"]
            return Result(late, "refused before anything was touched")
        except ExceptionGroup as ended:
            if ended.subgroup(Unsupported) is None:
                raise
            return Result([], "refused while streaming")


async def _followed(case: Case, path: Path, url: str, application: Application, running: Running) -> Result:
    # at once: some of it meets the copy
    await asyncio.to_thread(application.write, case.during)
    for statements in ((), case.after):
        await asyncio.to_thread(application.write, statements)
        await running.caught_up(application.head())
        await running.settled(path)
        plans = list(running.pipeline.plans.values())
        sides = await both_sides(path, url, plans)
        found = [*missing_tables(path, plans), *(fault for one in sides for fault in one.faults())]
        if found:
            return Result(found, "wrong")
    reports = await Verifier(running.pipeline).run()
    found = [f"our own comparison differs: {r.as_dict()}" for r in reports if not r.equal]
    return Result(found, "rows in quarantine" if any(one.quarantine for one in sides) else "all rows arrived")
