"""The stream home: what PostgreSQL takes after the cutover, brought to the fenced source, batch after batch.

One snapshot of the target is read, written to the source in one transaction, and deleted from the key log
when that is committed. A crash between the two commits has the same keys read again: as they are by then.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from config.errors import (
    CutoverRefused,
    LiteferryError,
    PositionConflict,
    SchemaChanged,
    SourceError,
    TargetAway,
)
from replicator import failpoint
from replicator.backoff import Backoff
from replicator.drift.changes import may_be_renumbered
from replicator.faults import ours, source_error
from replicator.planning.preflight import structure, take_up
from replicator.postgres import ledger
from replicator.postgres.connections import CONTROL, Connection
from replicator.state import State
from triggers import homecoming, refit
from triggers.identifier import literal
from triggers.session import Session
from triggers.statements import load

from . import arming, backlog, inspection, keylog
from .backlog import Backlog
from .delivery import Delivered, Delivery, Refused, Ways, ways
from .readiness import Fallback

if TYPE_CHECKING:
    from replicator.pipeline import Pipeline

log = structlog.get_logger("liteferry.fallback")

SQL = load("replicator", "fallback.sql")

#: Between two looks at the key log. A notification from the triggers would come sooner, and would have all of
#: the application's commits wait for one another.
LOOK_SECONDS = 0.25

#: The rest behind a look, in multiples of the time that it took.
LOOK_REST = 9.0

#: The longest one: a look may also have waited for a connection, and the way back must not fall behind then.
LONGEST_REST_SECONDS = 2.0

#: Between two looks at the shape of the target's tables.
INSPECT_SECONDS = 5.0

#: States in which the target has the application's writes, or just had them.
AWAY = (State.CUT_OVER, State.REVERSING, State.ROLLED_BACK)


class Homeward:
    """Brings one source's changes back from the target."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._ways: dict[int, Ways] = {}
        self._session: Session | None = None
        #: Held while a batch is on its way; a rollback holds it instead.
        self.applying = asyncio.Lock()
        #: The version of the source's schema that was looked at and is gone on with.
        self.accepted: int | None = None
        self._inspected = -INSPECT_SECONDS
        self._backoff = Backoff()
        #: Set while a batch may have been committed without our knowing: the target is asked before the next.
        self._unsure = False

    @property
    def facts(self) -> Fallback:
        """Return what is told of the way back."""
        return self._pipeline.facts.fallback

    @property
    def _source_id(self) -> UUID:
        return self._pipeline.source_id

    async def run(self) -> None:
        """Bring home whatever comes until the source has the writes again, or the way back is given up.

        Never ends with an error: the tables are the application's now.
        """
        self._ways = ways(self._pipeline.plans)
        comparing = self._compare()
        try:
            while self._pipeline.facts.state in AWAY:
                rest = await self._turn()
                if comparing.done():
                    comparing.result()
                await asyncio.sleep(rest)
        finally:
            comparing.cancel()
            await asyncio.wait([comparing])
            await self.close()

    def _compare(self) -> asyncio.Task[None]:
        """Have all tables compared now and then."""
        # it needs what needs this
        from .comparison import HomeComparison

        known = self._pipeline.registration.known_state is State.CUT_OVER
        work = HomeComparison(self._pipeline).run(known=known)
        return asyncio.create_task(work, name=f"compare-{self._pipeline.path.name}")

    async def _turn(self) -> float:
        """Do what there is to do; return how long to rest."""
        looked = 0.0
        try:
            async with self.applying:
                if self._pipeline.facts.state is State.CUT_OVER:
                    begun = time.monotonic()
                    await self.look()
                    looked = time.monotonic() - begun
                    if self._may_bring():
                        await self.bring()
        except Exception as raised:
            error = ours(raised)
            if error is None:
                raise
            return await self._failed(error)
        if self._backoff.recovered():
            log.info("recovered", source=str(self._pipeline.path))
        self.facts.error = None
        # where much waits for long, counting it takes the application's own server a while
        return max(LOOK_SECONDS, min(LOOK_REST * looked, LONGEST_REST_SECONDS))

    def _may_bring(self) -> bool:
        facts = self.facts
        paused = self._pipeline.facts.paused is not None
        return bool(facts.armed and facts.pending and not facts.objections and not paused)

    async def _failed(self, error: LiteferryError) -> float:
        self.facts.error = str(error)
        self._pipeline.facts.connected &= not isinstance(error, TargetAway)
        if self._backoff.to_be_told(time.monotonic()):
            log.warning("nothing is brought back", source=str(self._pipeline.path), reason=str(error))
        # its file may have been taken away, or another stand there
        await self.close()
        return self._backoff.failed()

    async def close(self) -> None:
        """Close the session on the source."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def look(self, *, closely: bool = False) -> None:
        """Learn what waits; now and then, or if asked, whether the tables are still what was planned."""
        async with self._pipeline.target.connection() as connection:
            self.facts.armed = await arming.is_armed(connection)
            if self.facts.armed:
                row = await connection.fetchrow(SQL["pending"], self._source_id)
                assert row is not None
                self.facts.pending, self.facts.oldest = row["entries"], row["oldest"]
                self.facts.measured_at = time.monotonic()
                self._pipeline.facts.connected = True
                if closely or time.monotonic() - self._inspected > INSPECT_SECONDS:
                    await self.inspect(connection)

    async def inspect(self, connection: Connection) -> None:
        """Look for tables that have changed, and put triggers in again that are gone."""
        plans = self._pipeline.plans
        shape = await inspection.look(connection, self._source_id, plans)
        self.facts.objections, self.facts.notices = shape.objections, shape.notices
        bare = await inspection.unwatched(connection, plans) if not self.facts.objections else []
        await self.count(connection)
        self._inspected = time.monotonic()
        if bare:
            async with self._pipeline.target.transaction() as other:
                await arming.rearm(other, self._pipeline, bare)
            log.error("triggers of the key log were lost", source=str(self._pipeline.path), tables=len(bare))

    async def refuse_doubt(self, connection: Connection) -> None:
        """Raise CutoverRefused for what has come up since the last look, asked under the tables' locks."""
        plans, name = self._pipeline.plans, self._pipeline.path.name
        found = (await inspection.look(connection, self._source_id, plans)).objections
        if await inspection.unwatched(connection, plans):
            found.append("triggers of the key log were lost")
        await self.count(connection)
        if self.facts.unaccepted:
            found.append("there are rows that SQLite cannot hold")
        if found:
            raise CutoverRefused(
                f"{name}: something has just come up: {found[0]}",
                hint="nothing was changed; see `liteferry status` and `liteferry quarantine list`",
            )

    async def count(self, connection: Connection) -> None:
        """Learn how many rows the source cannot hold."""
        found = await connection.fetch(SQL["quarantined"], self._source_id)
        self.facts.quarantined = {row["table_id"]: row["rows"] for row in found}
        self.facts.unaccepted = {row["table_id"]: row["unaccepted"] for row in found if row["unaccepted"]}

    async def bring(self) -> bool:
        """Bring one backlog home; return whether there was any. The caller holds `applying`.

        Raises TargetAway, SourceError, SourceBusy, SourceMissing.
        """
        try:
            return await self.bring_as_of()
        except SchemaChanged:
            await self.look_at_source()
            return await self.bring_as_of()

    async def bring_as_of(self, snapshot: str | None = None) -> bool:
        """Bring home what waits, as of now or of a snapshot that another transaction shares.

        Raises SchemaChanged when the source must be looked at first, and what `bring` raises.
        """
        memory = self._pipeline.settings.batch_memory_mb << 20
        target = self._pipeline.target
        if self._unsure:
            await self._resume()
        async with target.connection() as connection, connection.transaction(isolation="repeatable_read"):
            if snapshot is not None:
                # it takes no parameters
                await connection.execute(f"SET TRANSACTION SNAPSHOT {literal(snapshot)}")
            await connection.execute(CONTROL["identify"])
            await connection.execute(SQL["exact"])
            load = await backlog.read(connection, self._source_id, self._pipeline.plans, memory)
            if load is None:
                self.facts.pending = 0
                return False
            failpoint.reach("fallback.after_read")
            with load.spool:
                done = await self._deliver(load, memory)
                failpoint.reach("fallback.after_source")
                # also when it is cancelled: a rollback that runs out of time may do so at the COMMIT
                self._unsure = True
                await self._settle(connection, load, done)
                self._note_touched(load)
            failpoint.reach("fallback.before_commit")
        failpoint.reach("fallback.after_commit")
        self._pipeline.facts.position, self._pipeline.facts.mark = done.place.position, done.place.mark
        self._unsure = False
        await self._brought(load, done)
        return True

    async def _resume(self) -> None:
        """Ask the target where it is: the commit whose answer got lost may have been done."""
        async with self._pipeline.target.connection() as connection:
            record = await ledger.source(connection, self._source_id)
        if record is None:
            raise SourceError(
                "the target has forgotten this source: its bookkeeping is gone, or another database answers",
                hint="point liteferry at the target that has the application's writes",
            )
        self._pipeline.facts.position, self._pipeline.facts.mark = record.position, record.mark
        self._unsure = False

    async def _deliver(self, load: Backlog, memory: int) -> Delivered:
        session = await self.session()
        accepted, known = self.accepted, self._ways or ways(self._pipeline.plans)
        try:
            return await session.run(lambda c: Delivery(c, known, load, memory).run(accepted))
        except sqlite3.Error as error:
            raise source_error(session, error) from error

    async def session(self) -> Session:
        """Return a session that may write to the fenced source. Raises SourceMissing."""
        if self._session is None:
            session = await self._pipeline.access.session(writable=True).__aenter__()
            await session.run(homecoming.prepare)
            self._session = session
        return self._session

    async def _settle(self, connection: Connection, load: Backlog, done: Delivered) -> None:
        """Note what is home: refused rows kept, the log emptied, the way forward moved behind our writes."""
        # rows are locked from here on: when we fall silent now, the server shall not keep them for long
        await connection.execute(CONTROL["identify"])
        await self._replace_left(connection, load)
        for number in {r.table_id for r in done.refused}:
            await self._keep(connection, number, [r for r in done.refused if r.table_id == number])
        await connection.execute(SQL["release"], self._source_id)
        await connection.execute(SQL["forget_entries"], self._source_id)
        facts = self._pipeline.facts
        moved = facts.position, done.place.position, done.place.mark
        if await connection.execute(SQL["move_home"], self._source_id, *moved) != "UPDATE 1":
            raise PositionConflict(
                f"the position on the target is no longer {facts.position}: another liteferry is at work",
                hint="stop the other daemon; only one may run per source",
            )

    async def _replace_left(self, connection: Connection, load: Backlog) -> None:
        """Forget rows of the source that the target never got where it has had others under their keys since.

        They are gone from the source by now: what is there is the target's.
        """
        left = self._pipeline.facts.quarantined
        known = self._ways or ways(self._pipeline.plans)
        for block in load.spool if left.keys() & load.entries.keys() else ():
            if left.get(block.table_id):
                keys = known[block.table_id].source_keys(block)
                await self._pipeline.quarantine.release(connection, block.table_id, keys)

    async def _keep(self, connection: Connection, number: int, refused: Sequence[Refused]) -> None:
        plan = self._pipeline.plans[number]
        told = [r.column for r in refused], [r.reason for r in refused]
        keys = [list(column) for column in zip(*(r.key for r in refused), strict=True)]
        await connection.execute(keylog.keep_sql(plan), self._source_id, number, *told, *keys)
        for one in refused[:1]:
            log.warning("rows that SQLite cannot hold", table=plan.name, rows=len(refused), reason=one.reason)

    async def _brought(self, load: Backlog, done: Delivered) -> None:
        facts, entries = self.facts, sum(load.entries.values())
        facts.changes += entries
        facts.rows += done.written + done.deleted
        facts.pending = 0
        if self._pipeline.facts.quarantined.keys() & load.entries.keys():
            await self._pipeline.quarantine.count(self._pipeline.target)
        log.debug("brought home", entries=entries, written=done.written, deleted=done.deleted)
        if done.refused or facts.quarantined:
            async with self._pipeline.target.connection() as connection:
                await self.count(connection)

    def _note_touched(self, load: Backlog) -> None:
        """Let an incremental comparison know which rows to look at; here by the keys of the target."""
        touched = self._pipeline.facts.touched
        for number in load.whole:
            touched.forget(number)
        for block in load.spool:
            if block.table_id not in load.whole:
                places = self._pipeline.plans[block.table_id].key_places
                touched.note(block.table_id, block.gone)
                touched.note(block.table_id, [tuple(row[i] for i in places) for row in block.rows])

    async def look_at_source(self) -> None:
        """Go on with a source whose schema has moved behind the fence, if its tables are those of the plan.

        A VACUUM moves it as well, and may have numbered the rows anew by which keyless tables are told.
        """
        pipeline = self._pipeline
        version = await pipeline.reader.run(refit.version)
        found, _ = await pipeline.reader.run(structure, pipeline.settings.exclude)
        _, drifted = take_up(found, pipeline.facts.schema, await pipeline.registration.tables())
        if drifted:
            name = pipeline.plans[min(drifted)].name
            raise SourceError(
                f"table {name!r} of the source was changed since the cutover",
                hint="undo the change in the SQLite file, or give the way back up with `liteferry finish`",
            )
        numbers = [n for n, plan in pipeline.plans.items() if may_be_renumbered(plan)]
        async with pipeline.target.transaction() as connection:
            await connection.execute(SQL["mark_whole"], self._source_id, numbers)
        self.accepted = version
