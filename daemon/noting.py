"""Orders noted on the target, where a restart finds them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from config.errors import TargetAway
from replicator.postgres.connections import Connection, Target

#: How long the target may take to note an order.
NOTE_SECONDS = 10.0


@contextlib.asynccontextmanager
async def noting(target: Target) -> AsyncIterator[Connection]:
    """Lend a transaction of the target in which an order is noted. Raises TargetAway when it is not taken."""
    try:
        async with asyncio.timeout(NOTE_SECONDS), target.transaction() as connection:
            yield connection
    except (TargetAway, TimeoutError) as error:
        why = str(error) or f"the target has not answered within {NOTE_SECONDS:g} s"
        raise TargetAway(
            f"the order was not taken: {why}",
            hint="orders are kept on the target, so that a restart does not undo them; ask again when it is "
            "back. Until then nothing is carried over anyway",
        ) from None
