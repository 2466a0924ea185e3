"""What liteferry remembers of a source, kept in the target beside the rows it is about."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from config.errors import PositionConflict, TargetContents
from replicator.state import State
from triggers.changelog import Place
from triggers.statements import load

from .connections import CONTROL, Connection

ASIDE = load("replicator", "aside.sql")

if TYPE_CHECKING:
    from replicator.loading.lanes import Bounds
    from replicator.planning.plan import TablePlan
    from replicator.schema.ddl import Note


@dataclass(frozen=True)
class SourceRecord:
    """How far the target has got with a source."""

    source_id: UUID
    path: str
    schema: str
    state: State
    position: int
    #: When the log's entry at the position was written, as SQLite's julianday; None at position 0.
    mark: float | None
    #: SQLite's count of schema changes when they were last followed; None before the first time.
    schema_version: int | None
    #: The inode of the file that is followed; None where nobody has noted it.
    inode: int | None
    beat: float | None
    consistent: bool
    changes: int
    batches: int
    #: Unix time of when all rows were last copied or compared; None when that must be done once more.
    compared_at: float | None

    @classmethod
    def from_row(cls, row: asyncpg.Record) -> SourceRecord:
        """Make one of a row of liteferry.source."""
        facts = dict(row)
        facts["schema"], facts["state"] = facts.pop("schema_name"), State(facts["state"])
        return cls(**facts)


@dataclass(frozen=True)
class LaneRecord:
    """How far the snapshot of a range of a table's rows has got."""

    table_id: int
    lane: int
    #: Where the next row is behind, and the last place, both as text of `paging`; None for no bound.
    cursor: str | None
    upto: str | None
    rows_copied: int
    copied: bool


@dataclass(frozen=True)
class TableRecord:
    """The stored plan of a table and what has been done for it."""

    table_id: int
    name: str
    plan: Mapping[str, Any]
    indexed: bool
    #: Why it must be repaired, None when it need not.
    stale: str | None
    changes: int
    notes: Sequence[Mapping[str, str]]
    lanes: Sequence[LaneRecord]

    @property
    def target(self) -> str:
        """Return the table's name on the target."""
        return str(self.plan.get("target", self.name))

    @classmethod
    def from_row(cls, row: asyncpg.Record, lanes: Sequence[LaneRecord]) -> TableRecord:
        """Make one of a row of liteferry.progress and those of liteferry.lane."""
        facts = dict(row)
        facts["plan"], facts["notes"] = json.loads(facts["plan"]), json.loads(facts["notes"])
        return cls(**facts, lanes=[lane for lane in lanes if lane.table_id == row["table_id"]])


async def prepare(connection: Connection) -> None:
    """Create liteferry's own schema on the target where it is not there yet."""
    await connection.execute(CONTROL["lock_setup"])
    for name in ("schema", "source", "progress", "lane", "quarantine", "cutover", "verification", "guard"):
        await connection.execute(CONTROL[f"create_{name}"])
    await connection.execute(ASIDE["create_aside"])


async def source(connection: Connection, source_id: UUID) -> SourceRecord | None:
    """Return what is known of a source, None when it is new to this target.

    Waits for a transaction that is just moving it: a commit whose answer got lost may be on its way.
    """
    exists = await connection.fetchval("SELECT to_regclass('liteferry.source') IS NOT NULL")
    row = await connection.fetchrow(CONTROL["source"], source_id) if exists else None
    return SourceRecord.from_row(row) if row else None


async def followed(connection: Connection) -> list[str]:
    """Return the paths of all sources whose changes are brought to this target."""
    exists = await connection.fetchval("SELECT to_regclass('liteferry.source') IS NOT NULL")
    return [row["path"] for row in await connection.fetch(CONTROL["followed"])] if exists else []


async def tables(connection: Connection, source_id: UUID) -> list[TableRecord]:
    """Return the plans and progress of a source's tables."""
    lanes = [LaneRecord(**row) for row in await connection.fetch(CONTROL["lanes"], source_id)]
    rows = await connection.fetch(CONTROL["tables"], source_id)
    return [TableRecord.from_row(row, lanes) for row in rows]


async def lane(connection: Connection, source_id: UUID, table_id: int, number: int) -> LaneRecord:
    """Return how far a lane has got; waits as `source` does. Raises PositionConflict when it is gone."""
    row = await connection.fetchrow(CONTROL["lane"], source_id, table_id, number)
    if row is None:
        raise _moved(table_id)
    return LaneRecord(**row)


async def set_stale(connection: Connection, source_id: UUID, numbers: Collection[int], reason: str) -> None:
    """Note tables as in need of repair, for this daemon or the next one."""
    await connection.execute(CONTROL["set_stale"], source_id, list(numbers), reason)


async def replace_file(connection: Connection, source_id: UUID, inode: int, reason: str) -> None:
    """Note that another file is followed from now on, and all tables as in need of repair."""
    await connection.execute(CONTROL["replace_file"], source_id, _signed(inode), reason)


def is_file(record: SourceRecord, inode: int) -> bool:
    """Tell whether an inode is that of the file that was followed so far."""
    return record.inode is not None and record.inode == _signed(inode)


def _signed(inode: int) -> int:
    # PostgreSQL has no unsigned numbers
    return inode - (1 << 64) if inode >= 1 << 63 else inode


async def set_plan(connection: Connection, source_id: UUID, number: int, plan: TablePlan) -> None:
    """Note the plan of a table whose structure has changed; its indexes are to be looked at again."""
    stored = json.dumps(plan.as_json())
    await connection.execute(CONTROL["set_plan"], source_id, number, plan.name, stored)


async def register(
    connection: Connection, source_id: UUID, path: str, schema: str, place: Place, version: int, inode: int
) -> None:
    """Note a new source at its first position, the version of its schema, and its file."""
    facts = path, schema, State.SNAPSHOT.value, place.position, place.mark, version, _signed(inode)
    await connection.execute(CONTROL["register"], source_id, *facts)


async def add_table(
    connection: Connection,
    source_id: UUID,
    number: int,
    plan: TablePlan,
    lanes: Sequence[Bounds],
    notes: Sequence[Note],
) -> None:
    """Note a table's plan, and the lanes in which it is to be copied."""
    stored = json.dumps(plan.as_json())
    await connection.execute(CONTROL["add_table"], source_id, number, plan.name, stored, notes_json(notes))
    after, upto = [bounds.after for bounds in lanes], [bounds.upto for bounds in lanes]
    await connection.execute(CONTROL["add_lanes"], source_id, number, list(range(len(lanes))), after, upto)


async def move(
    connection: Connection, source_id: UUID, old: int, new: Place, beat: float | None, consistent: bool
) -> None:
    """Move the position from `old` to `new`. Raises PositionConflict when it is not at `old`."""
    done = await connection.execute(CONTROL["move"], source_id, old, new.position, new.mark, beat, consistent)
    _refuse_unmoved(done, old)


async def begin_log(connection: Connection, source_id: UUID, old: int, new: Place) -> None:
    """Move the position from `old` to where another log begins. Raises PositionConflict as `move` does."""
    _refuse_unmoved(
        await connection.execute(CONTROL["begin_log"], source_id, old, new.position, new.mark), old
    )


def _refuse_unmoved(done: str, old: int) -> None:
    if done != "UPDATE 1":
        raise PositionConflict(
            f"the position on the target is no longer {old}: another liteferry works on this source",
            hint="stop the other daemon; only one may run per source",
        )


async def advance(
    connection: Connection, source_id: UUID, old: LaneRecord, cursor: str | None, rows: int, copied: bool
) -> None:
    """Move a lane on from where it was. Raises PositionConflict when it is not there."""
    place = source_id, old.table_id, old.lane, old.cursor
    if await connection.execute(CONTROL["advance"], *place, cursor, rows, copied) != "UPDATE 1":
        raise _moved(old.table_id)


def _moved(table_id: int) -> PositionConflict:
    return PositionConflict(
        f"the snapshot of table number {table_id} was moved by another liteferry",
        hint="stop the other daemon; only one may run per source",
    )


async def refuse_existing(connection: Connection, schema: str, names: Sequence[str]) -> None:
    """Raise TargetContents when the target schema holds one of the tables already."""
    rows = await connection.fetch(CONTROL["existing"], schema, list(names))
    found = sorted(f"{row['relname']!r}{row['what']}" for row in rows)
    if found:
        shown = ", ".join(found[:5]) + (" ..." if len(found) > 5 else "")
        raise TargetContents(
            f"schema {schema!r} of the target holds {len(found)} of the tables' names already: {shown}",
            hint="drop or rename them, choose another schema with --schema, or fill empty ones as they are "
            'with --adopt (existing_tables = "adopt"); nothing was changed',
        )


async def add_verification(
    connection: Connection, report: Mapping[str, Any], sources: Sequence[UUID], kept: int
) -> None:
    """Keep a verification's report, and of its kind only the newest `kept`."""
    await connection.execute(CONTROL["lock_setup"])
    await connection.execute(CONTROL["create_verification"])
    facts = UUID(report["id"]), report["kind"], list(sources), report["equal"], report["digest"]
    await connection.execute(CONTROL["add_verification"], *facts, json.dumps(report))
    await connection.execute(CONTROL["forget_verifications"], report["kind"], kept)


def notes_json(notes: Sequence[Note]) -> str:
    """Return notes as they are stored."""
    return json.dumps([{"table": n.table, "what": n.what, "reason": n.reason} for n in notes])
