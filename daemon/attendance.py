"""Whether each source's file is where it was opened; while it is not, the source is left alone.

The open connections still read the old file. But nobody knows whether the application does, and where there
is no WAL the journal of a new file under the old name would be taken for ours, applied and deleted: so
nothing is read, written or pruned until the very file is back.
"""

from __future__ import annotations

import asyncio

import structlog

from replicator.pipeline import Pipeline
from replicator.presence import REASONS
from replicator.state import State

from .wakeup import Wakeup

log = structlog.get_logger("liteferry")

#: Pause between two looks for a file that is to come back.
AWAY_SECONDS = 0.2


def present(pipeline: Pipeline) -> bool:
    """Look whether a source's file is where it was opened; note and log what has changed."""
    facts = pipeline.facts
    # after the cutover the file is the operator's, to keep or to put away
    reason = None if facts.state is State.CUT_OVER else REASONS.get(pipeline.presence)
    if reason != facts.absence:
        facts.absence = reason
        if reason is None:
            log.info("the source is back", source=facts.path)
        else:
            log.warning("the source is out of reach", source=facts.path, reason=reason)
    return reason is None


async def back(pipeline: Pipeline) -> None:
    """Wait until a source's file is where it was opened."""
    while not present(pipeline):  # noqa: ASYNC110 - nothing tells when a name is given to a file
        await asyncio.sleep(AWAY_SECONDS)


async def wait(wakeup: Wakeup, pipeline: Pipeline, seconds: float) -> bool:
    """Wait for a sign of a change as `Wakeup.wait` does, and as long as the file is not there."""
    changed = await wakeup.wait(pipeline.path, seconds)
    if present(pipeline):
        return changed
    await back(pipeline)
    return True
