"""The disk beside a source: when it runs full, our own growth stops before the application's."""

from __future__ import annotations

import enum
import shutil
import sqlite3

import structlog

from config.errors import SourceError
from config.settings import Settings
from replicator.faults import source_error
from replicator.pipeline import Pipeline
from replicator.state import State
from replicator.streaming.pruning import ASK_SECONDS
from triggers import capture

log = structlog.get_logger("liteferry.disk")

MIB = 1 << 20

#: States in which the capture may be taken out: not in the middle of a cutover, and not after it.
CAPTURING = (State.SNAPSHOT, State.CATCH_UP, State.STREAMING, State.PAUSED)


class Space(enum.Enum):
    """How much room there is."""

    #: Enough.
    AMPLE = "ample"
    #: What we can leave out is left out.
    LOW = "low"
    #: The application is about to fail, with us or without.
    CRITICAL = "critical"


def judge(free: int, settings: Settings) -> Space:
    """Tell how much room `free` bytes are; pure."""
    if free < settings.disk_critical_mb * MIB:
        return Space.CRITICAL
    return Space.LOW if free < settings.disk_min_free_mb * MIB else Space.AMPLE


def _trouble(free: int, settings: Settings) -> str:
    return f"{free // MIB} MiB are free beside it, at least {settings.disk_min_free_mb} must be"


class DiskGuard:
    """Watches the free space beside one source."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._space = Space.AMPLE

    async def look(self) -> None:
        """Look now. Raises CaptureBroken when the capture had to go, as `on_disk_critical` asks."""
        facts, settings = self._pipeline.facts, self._pipeline.settings
        facts.disk_free = shutil.disk_usage(self._pipeline.path.parent).free
        space = judge(facts.disk_free, settings)
        if space is not self._space:
            self._tell(space)
        self._space = space
        facts.disk_trouble = "" if space is Space.AMPLE else _trouble(facts.disk_free, settings)
        if space is Space.CRITICAL and settings.on_disk_critical == "uninstall" and facts.state in CAPTURING:
            await self._take_out()

    def _tell(self, space: Space) -> None:
        free = self._pipeline.facts.disk_free
        if space is Space.AMPLE:
            log.info("enough space beside the source again", source=str(self._pipeline.path), free_bytes=free)
        elif space is Space.LOW:
            log.warning("little space beside the source", source=str(self._pipeline.path), free_bytes=free)
        else:
            log.error("hardly any space beside the source", source=str(self._pipeline.path), free_bytes=free)

    async def _take_out(self) -> None:
        """Take the capture out; tried again at the next look when the lock or the space is wanting."""
        writer = self._pipeline.writer
        log.error("taking the capture out to leave the space to the application", source=str(writer.path))
        # kept when it is done: nobody shall read the source any more, and put the triggers in again
        applying = self._pipeline.tailer.applying
        await applying.acquire()
        try:
            await writer.run(capture.uninstall, ASK_SECONDS[True])
        except sqlite3.Error as error:
            applying.release()
            raise source_error(writer, error) from error
        except BaseException:
            applying.release()
            raise
        raise SourceError(
            f"the capture was taken out of {str(writer.path)!r}: {self._pipeline.facts.disk_trouble}",
            hint="make room, drop the target's tables, and start afresh; on_disk_critical decides",
        )
