"""Holding back where the application suffers from our reading, looked for while rows are read."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

import structlog

from config.errors import SourceBusy
from replicator.faults import source_error
from replicator.pipeline import Pipeline
from replicator.state import State
from triggers.connection import lock_wait
from triggers.wal import used_bytes

from .easing import Cause, Excess, Trouble

log = structlog.get_logger("liteferry.throttle")

MIB = 1 << 20

#: States in which the lock may be asked for: in the middle of a cutover it is wanted for more.
READING = (State.SNAPSHOT, State.CATCH_UP, State.STREAMING)

#: What the WAL may hold while the disk is nearly full.
SHORT_OF_DISK_BYTES = 8 * MIB

#: Between two measurements of how long the write lock is waited for: it is held for a moment in each.
LATENCY_SECONDS = 1.0

#: It is not waited for longer than this many times the limit, nor ever longer than this.
PATIENCE = 2.0
LONGEST_SECONDS = 1.0

#: Measurements above the limit in a row that count as trouble: one may meet a long transaction by chance.
SLOW_IN_A_ROW = 2


class Restraint:
    """Looks after one source's throttle."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._facts = pipeline.facts
        self._wal, self._wal_short = Excess(), Excess()
        self._asked_at = float("-inf")
        self._slow = 0

    async def look(self) -> None:
        """Measure what the application may suffer from, and step down or up. Raises SourceError."""
        now, throttle = time.monotonic(), self._pipeline.throttle
        self._facts.wal_used = await asyncio.to_thread(used_bytes, Path(f"{self._pipeline.path}-wal"))
        trouble = self._growing() or await self._waiting(now)
        if throttle.easing.look(trouble if throttle.in_use else None, now):
            throttle.eased(time.time())
            self._tell()

    def _growing(self) -> Trouble | None:
        """Tell whether the WAL grows beyond what is set, or the disk leaves."""
        used, most = self._facts.wal_used, self._pipeline.settings.throttle_wal_mb
        # both are asked, for both remember
        over = self._wal.look(used, most * MIB)
        short = self._wal_short.look(used, SHORT_OF_DISK_BYTES if self._facts.disk_trouble else 0)
        if short:
            return Trouble(
                Cause.DISK, f"the WAL holds {used // MIB} MiB and grows, and {self._facts.disk_trouble}"
            )
        if over:
            return Trouble(
                Cause.SOURCE_WAL, f"the WAL holds {used // MIB} MiB and grows, throttle_wal_mb is {most}"
            )
        return None

    async def _waiting(self, now: float) -> Trouble | None:
        """Tell whether the write lock is waited for too long."""
        limit = self._pipeline.settings.throttle_write_latency_ms / 1000
        if not limit or self._facts.state not in READING or not self._pipeline.throttle.in_use:
            self._slow, self._facts.write_wait = 0, None
            return None
        if now - self._asked_at >= LATENCY_SECONDS:
            self._asked_at = now
            waited = self._facts.write_wait = await self._ask(min(limit * PATIENCE, LONGEST_SECONDS))
            self._slow = self._slow + 1 if waited > limit else 0
        if self._slow < SLOW_IN_A_ROW:
            return None
        waited = round((self._facts.write_wait or 0) * 1000)
        return Trouble(
            Cause.WRITE_LATENCY,
            f"the write lock is waited for {waited} ms, throttle_write_latency_ms is {limit * 1000:.0f}",
        )

    async def _ask(self, budget: float) -> float:
        """Return for how many seconds the write lock was asked for, up to `budget`."""
        writer = self._pipeline.writer
        try:
            return await writer.run(lock_wait, budget)
        except SourceBusy:
            return budget
        except sqlite3.Error as error:
            raise source_error(writer, error) from error

    def _tell(self) -> None:
        easing, source = self._pipeline.throttle.easing, self._facts.path
        if easing.trouble is None:
            log.info("copying and comparing at full speed again", source=source)
        else:
            told = {"share": easing.factor, "reason": easing.trouble.reason}
            log.warning("copying and comparing more slowly", source=source, **told)
