"""The quarantine: rows of the source that the target cannot hold, kept beside its tables until they change.

A refused row is not on the target, not even as it was before. Everything of it is kept instead, each value
with its storage class, in liteferry.quarantine, in the transaction that would have stored it; and whatever
stores or deletes its key later takes it out again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

import asyncpg

from replicator.sources import paging
from replicator.values import sizes
from replicator.values.converter import BadText, Refusal, Row, storage_class, whole

from .connections import CONTROL, Connection, Target, describe

if TYPE_CHECKING:
    from replicator.planning.plan import TablePlan
    from replicator.status import Facts

#: The driver refuses a value it cannot encode before it is sent; the server some that it was sent.
VALUE_ERRORS = (asyncpg.DataError, asyncpg.ProgramLimitExceededError, TypeError, ValueError, OverflowError)

#: A longer text or blob stays in the source; the quarantine tells its length.
LONGEST = 1 << 20
LONG_VALUE = "long; see the source"

#: A row as the source has it, and as the driver takes it.
Pair: TypeAlias = tuple[Row, Row]
Send: TypeAlias = Callable[[list[Row]], Awaitable[object]]


@dataclass(frozen=True)
class Quarantine:
    """The refused rows of one source."""

    source_id: UUID
    facts: Facts
    #: Told of each count: rows may have come.
    noticed: Callable[[], None] = lambda: None
    _counting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def put(
        self, connection: Connection, number: int, plan: TablePlan, refusals: Sequence[Refusal]
    ) -> None:
        """Keep refused rows, in the caller's transaction."""
        rows = [
            (self.source_id, number, _shown_key(key), hash_key(key), described(plan, r.row), *why)
            for r in refusals
            for key, why in [([r.row[i] for i in plan.key_places], (r.column, r.reason))]
        ]
        await connection.executemany(CONTROL["quarantine"], rows)

    async def release(self, connection: Connection, number: int, keys: Iterable[Row]) -> None:
        """Forget what was kept under some keys of the source, in the caller's transaction."""
        if self.facts.quarantined.get(number):
            hashes = [hash_key(key) for key in keys]
            await connection.execute(CONTROL["release"], self.source_id, number, hashes)

    async def count(self, target: Target) -> None:
        """Learn how many rows there are, by table; to be asked behind the commit. Raises TargetAway."""
        # one after the other: the answer to an older question must not stand in the end
        async with self._counting, target.connection() as connection:
            found = await connection.fetch(CONTROL["quarantined"], self.source_id)
        self.facts.quarantined = {row["table_id"]: row["rows"] for row in found}
        self.facts.unaccepted = {row["table_id"]: row["unaccepted"] for row in found if row["unaccepted"]}
        self.facts.newest_refusals = {row["table_id"]: row["newest"] for row in found}
        self.noticed()


async def store(
    connection: Connection, pairs: Sequence[Pair], send: Send, *, colliding: bool = False
) -> list[Refusal]:
    """Send rows; return those that PostgreSQL refuses, found by halving: the others are stored.

    In the caller's transaction. Raises UniqueViolationError, for that is no matter of one row; unless rows
    that collide are refused too, where nothing else is left.
    """
    refusals = []
    for part in sizes.portions(pairs, lambda pair: pair[1]):
        refusals += await _store(connection, part, send, colliding=colliding)
    return refusals


async def _store(
    connection: Connection, pairs: Sequence[Pair], send: Send, *, colliding: bool
) -> list[Refusal]:
    try:
        async with connection.transaction():
            await send([ready for _, ready in pairs])
        return []
    except (*VALUE_ERRORS, asyncpg.IntegrityConstraintViolationError) as error:
        if isinstance(error, asyncpg.UniqueViolationError) and not colliding:
            raise
        if len(pairs) == 1:
            return [Refusal(pairs[0][0], "", f"PostgreSQL refuses it: {describe(error)}")]
    middle = len(pairs) // 2
    first = await _store(connection, pairs[:middle], send, colliding=colliding)
    return first + await _store(connection, pairs[middle:], send, colliding=colliding)


def _shown_key(key: Sequence[Any]) -> str:
    told = paging.encode(key)
    if len(told) <= LONGEST:
        return told
    return json.dumps([[storage_class(value), f"{len(told)} {LONG_VALUE}"] for value in key])


def hash_key(key: Iterable[Any]) -> str:
    """Return what a key is looked up by: 1.0 is the same key as 1, and the log may have either."""
    told = paging.encode([whole(value) for value in key])
    return hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()


def hash_of(plan: TablePlan, row: Row) -> str:
    """Return what a row of the source is looked up by."""
    return hash_key([row[i] for i in plan.key_places])


def described(plan: TablePlan, row: Row) -> str:
    """Return a row as JSON, each value with its storage class, exact unless it is very long."""
    told = {c.source: _told(value) for c, value in zip(plan.record, row, strict=True)}
    return json.dumps(told, ensure_ascii=True)


def _told(value: Any) -> list[Any]:
    kind = storage_class(value)
    if value is None or isinstance(value, int):
        return [kind, value]
    if isinstance(value, float):
        # JSON has no infinity, and not every reader keeps every bit
        return [kind, repr(value)]
    if isinstance(value, str | bytes) and len(value) > LONGEST:
        return [kind, f"{len(value)} {LONG_VALUE}"]
    if isinstance(value, BadText):
        raw = value.raw
        return [kind, raw.hex() if len(raw) <= LONGEST else f"{len(raw)} {LONG_VALUE}"]
    if isinstance(value, bytes):
        return [kind, value.hex()]
    # jsonb cannot hold a NUL character
    return ["text with NUL, in hex", value.encode().hex()] if "\x00" in value else [kind, value]


def restored(told: Sequence[Any]) -> Any:
    """Return the value that `described` has told of; of a very long one something of its class."""
    kind, value = told
    if kind == "text with NUL, in hex":
        return bytes.fromhex(value).decode()
    if kind == "real":
        return float(value)
    if kind in ("blob", "text that is not UTF-8"):
        raw = b"" if LONG_VALUE in value else bytes.fromhex(value)
        return raw if kind == "blob" else BadText(raw)
    return value
