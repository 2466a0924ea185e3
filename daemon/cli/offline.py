"""What the verbs share that work without a daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from config.errors import TargetAway
from config.settings import Settings
from replicator.postgres.connections import Target


@asynccontextmanager
async def offline_target(settings: Settings) -> AsyncIterator[Target]:
    """Lend one connection's worth of a target. Raises TargetAway with a hint for somebody who waits."""
    target = Target(settings.target_url(), size=1, pooler=settings.pooler)
    try:
        await target.connect()
    except TargetAway as error:
        hint = "check that PostgreSQL runs there, and that host and port are right"
        raise TargetAway(str(error), hint=hint) from error
    try:
        yield target
    finally:
        await target.close()
