"""Applying a batch: one read snapshot of the source becomes one transaction on the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import asyncpg

from config.errors import LiteferryError, RowsRefused, TargetError, ValueRefused
from replicator import failpoint
from replicator.planning.plan import TablePlan
from replicator.postgres import ledger
from replicator.postgres.connections import CONTROL, Connection, Target, describe
from replicator.postgres.quarantine import VALUE_ERRORS, Quarantine, store
from replicator.schema import dml
from replicator.values import sizes
from replicator.values.converter import Row

from .reader import Batch
from .spool import Block


class Entangled(Exception):
    """Rows of a batch that stops short of the log's end collide with rows behind it; read all of it."""


class Collision(TargetError):
    """A row has a unique value that another row of the target still has, which the source's has not."""

    def __init__(self, message: str, *, hint: str, table: str, schema: str, constraint: str) -> None:
        super().__init__(message, hint=hint)
        self.table, self.schema, self.constraint = table, schema, constraint

    @classmethod
    def of(cls, error: asyncpg.UniqueViolationError) -> Collision:
        """Make one of the driver's error, without the value in its text."""
        facts = {name: str(getattr(error, f"{name}_name", "")) for name in ("table", "schema", "constraint")}
        return cls(
            f"rows that are unique in the source collide on the target: {describe(error)}",
            hint="run `liteferry verify --detailed`: a row on the target has no source any more",
            **facts,
        )


class Applier:
    """Brings batches of one source to the target and moves its position with them."""

    def __init__(
        self, target: Target, quarantine: Quarantine, plans: Mapping[int, TablePlan], *, halt: bool
    ) -> None:
        """Take the target, where refused rows go unless they are to `halt` the stream, and the plans."""
        self._target = target
        self._quarantine = quarantine
        self._source_id = quarantine.source_id
        self._plans = plans
        self._halt = halt

    async def apply(self, batch: Batch) -> None:
        """Apply a batch and move the position, all in one transaction.

        Raises TargetAway when a retry may help (the position tells then whether the commit was done),
        PositionConflict when another daemon is at work, Entangled for an incomplete batch that cannot go in
        alone; with `halt` ValueRefused and RowsRefused for what cannot be stored.
        """
        try:
            await self._apply(batch, careful=False)
        except (ValueRefused, RowsRefused):
            if self._halt:
                raise
            await self._apply(batch, careful=True)

    async def _apply(self, batch: Batch, *, careful: bool) -> None:
        try:
            await self._attempt(batch, swap=False, careful=careful)
        except asyncpg.UniqueViolationError:
            # Two rows may have exchanged a unique value: row by row that collides half-way, though the
            # final state does not. Without the touched rows in the way it goes in.
            await self._attempt_swapped(batch, careful=careful)

    async def _attempt_swapped(self, batch: Batch, *, careful: bool) -> None:
        try:
            await self._attempt(batch, swap=True, careful=careful, colliding=careful and batch.complete)
        except asyncpg.UniqueViolationError as error:
            if not batch.complete:
                # Short of the log's end a row can hold a value that its former owner gives up only later in
                # the log. Read to the end, the state is one that the source had.
                raise Entangled from None
            if not careful and self._is_adopted(error):
                # its index is the application's own, and stays
                raise RowsRefused(
                    f"table {error.table_name!r}: rows collide in {error.constraint_name!r}, which was there "
                    "before liteferry",
                    hint="the source holds values twice that this index takes once",
                ) from None
            raise Collision.of(error) from None

    def _is_adopted(self, error: asyncpg.UniqueViolationError) -> bool:
        place = error.schema_name, error.table_name
        return any(p.adopted and (p.schema, p.target) == place for p in self._plans.values())

    async def _attempt(self, batch: Batch, *, swap: bool, careful: bool, colliding: bool = False) -> None:
        adopted = any(plan.adopted for plan in self._plans.values())
        async with self._target.transaction(adopted=adopted) as connection:
            for block in batch.spool:
                keys = self._keys(block)
                self._note(block.table_id, block.gone, keys)
                if not careful:
                    await self._release(connection, block, keys)
                gone = [*block.gone, *keys] if swap else block.gone
                await self._delete(connection, block, gone)
            for block in batch.spool:
                if careful:
                    await self._write_carefully(connection, block, swap, colliding)
                else:
                    await self._write(connection, block, swap)
            failpoint.reach("apply.before_position")
            await self._move(connection, batch)
            failpoint.reach("apply.before_commit")
        failpoint.reach("apply.after_commit")
        if careful or any(number in self._quarantine.facts.quarantined for number in batch.touched):
            await self._quarantine.count(self._target)

    def _keys(self, block: Block) -> list[Row]:
        places = self._plans[block.table_id].key_places
        return [tuple(row[i] for i in places) for row in block.rows]

    def _note(self, number: int, gone: Sequence[Row], written: Sequence[Row]) -> None:
        touched = self._quarantine.facts.touched
        touched.note(number, gone)
        touched.note(number, written)

    async def _release(self, connection: Connection, block: Block, stored: Sequence[Row]) -> None:
        await self._quarantine.release(connection, block.table_id, [*block.gone, *stored])

    async def _delete(self, connection: Connection, block: Block, gone: list[Row]) -> None:
        plan = self._plans[block.table_id]
        keys = plan.converter.keys(gone)
        if keys:
            await connection.execute(dml.delete(plan), *map(list, zip(*keys, strict=True)))

    async def _write(self, connection: Connection, block: Block, swap: bool) -> None:
        plan = self._plans[block.table_id]
        if not block.rows:
            return
        statement = dml.insert(plan) if swap else dml.upsert(plan)
        try:
            for rows in _statements(plan, block):
                timeout = sizes.seconds(block.size)
                await connection.execute(statement, *plan.converter.columns(rows), timeout=timeout)
        except asyncpg.UniqueViolationError:
            raise
        except (*VALUE_ERRORS, asyncpg.IntegrityConstraintViolationError) as error:
            raise refused(plan, block.rows, error) from None

    async def _write_carefully(
        self, connection: Connection, block: Block, swap: bool, colliding: bool
    ) -> None:
        """Write what can be stored, and put the rest in quarantine; what it was before is deleted."""
        plan = self._plans[block.table_id]
        statement = dml.insert(plan) if swap else dml.upsert(plan)
        good, refusals = plan.converter.sift(block.rows)

        async def send(rows: list[Row]) -> None:
            timeout = sizes.seconds(sum(map(sizes.row_bytes, rows)))
            await connection.execute(statement, *plan.converter.parameters(rows), timeout=timeout)

        refusals += await store(connection, good, send, colliding=colliding and plan.adopted)
        refused = {tuple(r.row[i] for i in plan.key_places) for r in refusals}
        await self._delete(connection, block, list(refused))
        await self._quarantine.put(connection, block.table_id, plan, refusals)
        # not before: what was accepted and is the same again stays accepted
        await self._release(connection, block, [key for key in self._keys(block) if key not in refused])

    async def _move(self, connection: Connection, batch: Batch) -> None:
        await ledger.move(
            connection, self._source_id, batch.low, batch.place, batch.beat, consistent=batch.complete
        )
        counted = {t: n for t, n in batch.touched.items() if t in self._plans}
        if counted:
            await connection.execute(
                CONTROL["count_changes"], self._source_id, list(counted), list(counted.values())
            )


def _statements(plan: TablePlan, block: Block) -> Iterable[Sequence[Row]]:
    """Return the rows of a block, in parts where one statement would be too long.

    Raises ValueRefused for a row that is too large.
    """
    if block.size <= sizes.LARGEST_STATEMENT:
        return [block.rows]
    plan.converter.refuse(block.rows)
    return sizes.portions(block.rows, lambda row: row)


def refused(plan: TablePlan, rows: Sequence[Row], error: BaseException) -> LiteferryError:
    """Return the error to raise for rows that PostgreSQL did not take: the value by name if it is found."""
    try:
        plan.converter.refuse(rows)
    except ValueRefused as named:
        return named
    return RowsRefused(
        f"table {plan.name!r}: the target refused rows that look right: {describe(error)}",
        hint="look into PostgreSQL's log for the statement; nothing of this batch was stored",
    )
