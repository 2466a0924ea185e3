"""Profiling a table, from two sides at once where it is large: one reader keeps one core busy."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence

from triggers.connection import journal_mode
from triggers.identifier import quote
from triggers.key import choose
from triggers.schema import Table
from triggers.session import Session

from .profile import CLASSES, Part, Profile
from .types import Evidence

#: Span of rowids from which on a table is looked at from two sides.
TWO_SIDES_ROWS = 100_000


async def profiled(session: Session, table: Table, seconds: float, most: int = 0) -> list[Evidence]:
    """Return what every column of a table holds, from reads of about `seconds`; of `most` rows unless 0."""
    parts = [Part()] if most else await session.run(halves, table)
    counting = [Profile(table, choose(table), seconds, most, part) for part in parts]
    if len(counting) == 1:
        await _count(session, counting[0])
        return counting[0].evidence()
    async with session.another() as other:
        tasks = [asyncio.create_task(_count(*one)) for one in zip((session, other), counting, strict=True)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    return merged(*(one.evidence() for one in counting))


async def _count(session: Session, profile: Profile) -> None:
    while not profile.done:
        await session.run(profile.step)


def merged(first: Sequence[Evidence], second: Sequence[Evidence]) -> list[Evidence]:
    """Return what was counted in two parts of one table, of which the first comes first."""
    return [
        Evidence(
            a.rows + b.rows,
            {kind: a.classes.get(kind, 0) + b.classes.get(kind, 0) for kind in CLASSES},
            a.beyond_bool + b.beyond_bool,
            max(a.longest, b.longest),
            min((v for v in (a.least, b.least) if v is not None), default=None),
            max((v for v in (a.greatest, b.greatest) if v is not None), default=None),
            {**b.firsts, **a.firsts},
        )
        for a, b in zip(first, second, strict=True)
    ]


def halves(connection: sqlite3.Connection, table: Table) -> list[Part]:
    """Return two ranges of a table's rows, or one of all where looking from two sides is not worth it.

    Without a WAL it is never: the application's writers would wait for two readers.
    """
    alias = table.rowid_alias
    column = alias.name if alias is not None else table.rowid_name
    if column is None or journal_mode(connection) != "wal":
        return [Part()]
    least, most = (
        f"SELECT {f}(t.{quote(column)}) FROM main.{quote(table.name)} AS t" for f in ("min", "max")
    )
    low, high = connection.execute(f"SELECT ({least}), ({most})").fetchone()
    if low is None or high - low < TWO_SIDES_ROWS:
        return [Part()]
    middle = (low + (high - low) // 2,)
    return [Part(None, middle), Part(middle, None)]
