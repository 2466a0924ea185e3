"""The keys of loaded tables, by which changes are applied; rows that none can hold are set aside first."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import asyncpg
import structlog

from config.errors import RowsRefused
from replicator.faults import source_error
from replicator.postgres.connections import CONTROL, Connection
from replicator.postgres.quarantine import Quarantine
from replicator.schema import aside, ddl, dml, names
from replicator.values.converter import Refusal, Row
from replicator.verification.matching import rows_of

from .loader import DAY

if TYPE_CHECKING:
    from replicator.planning.plan import TablePlan
    from replicator.postgres.connections import Target
    from triggers.session import Session

log = structlog.get_logger("liteferry.keying")

#: Rows looked up in the source at once.
AT_ONCE = 200

REASON = "its key is too long for an index of PostgreSQL"


class Keying:
    """Gives the tables of one source their keys."""

    def __init__(self, target: Target, session: Session, quarantine: Quarantine, *, halt: bool) -> None:
        """Take both sides, and where rows go whose key is too long, unless they are to `halt` it."""
        self._target = target
        self._session = session
        self._quarantine = quarantine
        self._halt = halt

    async def add(self, plans: Mapping[int, TablePlan]) -> None:
        """Give every loaded table that has none its key. Raises TargetAway; with `halt` RowsRefused."""
        for number, plan in plans.items():
            refused = 0
            async with self._target.transaction() as connection:
                if (key := await self._wanted(connection, plan)) is not None:
                    refused = await self._add(connection, number, plan, key)
            if refused:
                log.warning("rows put in quarantine", table=plan.name, rows=refused, reason=REASON)
                await self._quarantine.count(self._target)

    async def _wanted(self, connection: Connection, plan: TablePlan) -> str | None:
        """Return the statement that builds the key, None where there is one."""
        if plan.adopted:
            return await aside.key(connection, self._quarantine.source_id, plan)
        if await connection.fetchval(CONTROL["has_replica_key"], plan.qualified):
            return None
        return ddl.replica_key(plan, await names.placed_key(connection, plan))

    async def _add(self, connection: Connection, number: int, plan: TablePlan, key: str) -> int:
        """Build the key; return how many rows had to leave for it."""
        refused = 0
        while True:
            try:
                async with connection.transaction():
                    await connection.execute(key, timeout=DAY)
                return refused
            except asyncpg.UniqueViolationError:
                gone = int((await connection.execute(dml.delete_duplicates(plan), timeout=DAY)).split()[-1])
                if not gone:
                    raise
                log.info("rows that moved while copied", table=plan.name, rows=gone)
            except asyncpg.ProgramLimitExceededError:
                if plan.adopted:
                    raise RowsRefused(
                        f"table {plan.name!r}: some of its keys are too long for an index of PostgreSQL",
                        hint="shorten them in the source; nothing of the target's table is altered for them",
                    ) from None
                found = await self._take_out(connection, plan)
                if not found:
                    raise
                refused += len(found)
                await self._set_aside(connection, number, plan, found)

    async def _take_out(self, connection: Connection, plan: TablePlan) -> list[Row]:
        """Delete the rows whose key no index holds, and return their keys.

        How long a key may be depends on how well it is compressed, so each long one is tried.
        """
        for statement in dml.probe(plan):
            await connection.execute(statement, timeout=DAY)
        found = await connection.fetch(dml.delete_refused(plan), timeout=DAY)
        await connection.execute(dml.drop_probe(plan))
        # an index is built over deleted rows too, as long as somebody may see them
        await connection.execute(dml.rewrite(plan), timeout=DAY)
        keys = [tuple(record) for record in found]
        if keys and self._halt:
            raise RowsRefused(
                f"table {plan.name!r}: the keys of {len(keys):,} rows are too long for PostgreSQL's index",
                hint='shorten them, or set on_bad_value = "quarantine" to keep these rows aside',
            )
        return keys

    async def _set_aside(
        self, connection: Connection, number: int, plan: TablePlan, keys: Sequence[Row]
    ) -> None:
        """Put rows in quarantine as the source has them now; what became of them since is in the log."""
        wanted = [plan.converter.source_key(key) for key in keys]
        for start in range(0, len(wanted), AT_ONCE):
            rows = await self._ask(plan, wanted[start : start + AT_ONCE])
            await self._quarantine.put(connection, number, plan, [Refusal(row, "", REASON) for row in rows])

    async def _ask(self, plan: TablePlan, keys: Sequence[Row]) -> list[Row]:
        try:
            rows, _ = await self._session.run(rows_of, plan, keys)
            return rows
        except sqlite3.Error as error:
            raise source_error(self._session, error) from error
