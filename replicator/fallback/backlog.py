"""Reading the key log: what has changed on the target, with the rows as they are now, in one snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from replicator.planning.plan import TablePlan
from replicator.postgres.connections import Connection
from replicator.sources import paging
from replicator.streaming.reader import BLOCK_BYTES, BLOCK_ROWS
from replicator.streaming.spool import Block, Spool
from replicator.values.converter import Row
from triggers.statements import load

from . import keylog

SQL = load("replicator", "fallback.sql")


@dataclass(frozen=True)
class Backlog:
    """Changes of the target: in each block the keys that are gone, and rows as they are, in its types."""

    #: Entries of the log, by table.
    entries: Mapping[int, int]
    #: Tables all rows of which are in the spool: what the source has beside them is gone.
    whole: frozenset[int]
    spool: Spool
    #: Keys of the source's rows that the target never got and that stay, in tables that are whole.
    spared: Mapping[int, list[Row]]


async def read(
    connection: Connection, source_id: UUID, plans: Mapping[int, TablePlan], memory: int
) -> Backlog | None:
    """Read all that waits for a source, in the caller's REPEATABLE READ transaction; None when nothing does.

    Rows beyond `memory` bytes wait in a temporary file. Raises OSError when there is no room for it.
    """
    waiting = await connection.fetch(SQL["waiting"], source_id)
    if not waiting:
        return None
    spool = Spool(memory)
    whole = frozenset(row["table_id"] for row in waiting if row["whole"])
    try:
        for number in (row["table_id"] for row in waiting):
            if number in plans:
                rows = _all if number in whole else _changed
                async for block in rows(connection, source_id, number, plans[number]):
                    spool.append(block)
    except BaseException:
        spool.close()
        raise
    entries = {row["table_id"]: row["entries"] for row in waiting}
    return Backlog(entries, whole, spool, await _spared(connection, source_id, whole))


async def _spared(connection: Connection, source_id: UUID, whole: Collection[int]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in await connection.fetch(SQL["kept_behind"], source_id, list(whole)) if whole else ():
        found.setdefault(row["table_id"], []).append(paging.decode(row["key"]))
    return found


async def _changed(
    connection: Connection, source_id: UUID, number: int, plan: TablePlan
) -> AsyncIterator[Block]:
    width, size = len(plan.key_places), _block_rows(plan)
    gone: list[Row] = []
    rows: list[Row] = []
    async for record in connection.cursor(keylog.changed_sql(plan), source_id, number, prefetch=size):
        if record[width]:
            rows.append(tuple(record)[width + 1 :])
        else:
            gone.append(tuple(record)[:width])
        if len(gone) + len(rows) >= size:
            yield Block(number, gone, rows)
            gone, rows = [], []
    yield Block(number, gone, rows)


async def _all(connection: Connection, source_id: UUID, number: int, plan: TablePlan) -> AsyncIterator[Block]:
    size = _block_rows(plan)
    rows: list[Row] = []
    async for record in connection.cursor(keylog.whole_sql(plan), prefetch=size):
        rows.append(tuple(record))
        if len(rows) >= size:
            yield Block(number, [], rows)
            rows = []
    yield Block(number, [], rows)


def _block_rows(plan: TablePlan) -> int:
    return max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(1, plan.row_bytes)))
