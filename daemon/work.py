"""A source's work as the daemon awaits it: patient with the target, and with every error in our words."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from config.errors import TargetAway
from replicator.backoff import Backoff
from replicator.faults import ours
from replicator.pipeline import Pipeline
from replicator.state import State

R = TypeVar("R")

log = structlog.get_logger("liteferry")


async def answered(work: Callable[[], Awaitable[R]]) -> R:
    """Await work, again and again while the target is away."""
    backoff = Backoff()
    while True:
        try:
            return await work()
        except TargetAway as error:
            if backoff.to_be_told(time.monotonic()):
                log.warning("waiting for the target", reason=str(error))
            await asyncio.sleep(backoff.failed())


async def blamed(pipeline: Pipeline, work: Awaitable[None]) -> None:
    """Await a source's work; a failure is noted with the source before it ends the daemon."""
    try:
        await work
    except Exception as raised:
        error = ours(raised)
        if error is None:
            raise
        if not isinstance(error, TargetAway):
            pipeline.facts.error = error.public
            pipeline.enter(State.FAILED)
        raise error from None


async def of_source(work: Awaitable[R]) -> R:
    """Await a look at a source; SQLite's errors come out as ours."""
    try:
        return await work
    except sqlite3.Error as raised:
        raise ours(raised) or raised from raised
