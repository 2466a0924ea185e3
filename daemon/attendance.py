"""Whether each source's file is where it was opened; while it is not, the source is left alone.

The open connections still read the old file. But nobody knows whether the application does, and where there
is no WAL the journal of a new file under the old name would be taken for ours, applied and deleted: so
nothing is read, written or pruned until there is a file again that is the source, see `succession`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog

from config.errors import SourceMissing
from replicator.pipeline import Pipeline
from replicator.sources.presence import Identity
from replicator.state import State

from .wakeup import Wakeup

log = structlog.get_logger("liteferry")

#: Pause between two looks for a file that is to come back.
AWAY_SECONDS = 0.2


def present(pipeline: Pipeline) -> bool:
    """Look whether a source's file is where it was opened; note and log what has changed."""
    facts = pipeline.facts
    # after the cutover the file is the operator's, to keep or to put away
    reason = None if facts.state is State.CUT_OVER else pipeline.succession.absence
    if reason != facts.absence:
        facts.absence = reason
        if reason is None:
            log.info("the source is back", source=facts.path)
        else:
            log.warning("the source is out of reach", source=facts.path, reason=reason)
    return reason is None


async def back(pipeline: Pipeline, taken: Callable[[], Collection[Identity]]) -> None:
    """Wait until a source has a file again, the same or another, and learn where to go on.

    `taken` tells which files other sources have open. Raises LiteferryError for what a person must mend.
    """
    while True:
        try:
            # a cutover that is under way has the sessions, and is over soon
            while not present(pipeline) or pipeline.facts.state is State.CUTTING_OVER:
                await pipeline.succession.attempt(taken)
                await asyncio.sleep(AWAY_SECONDS)
            if pipeline.facts.state is State.CUT_OVER:
                return
            return await pipeline.retrying(pipeline.take_over)
        except SourceMissing as error:
            log.debug("gone once more", source=str(pipeline.path), reason=str(error))


async def wait(wakeup: Wakeup, pipeline: Pipeline, seconds: float) -> bool:
    """Wait for a sign of a change as `Wakeup.wait` does. Raises SourceMissing when the file is not there."""
    changed = await wakeup.wait(pipeline.path, seconds)
    if not present(pipeline):
        raise SourceMissing(f"source {str(pipeline.path)!r}: {pipeline.facts.absence}")
    return changed
