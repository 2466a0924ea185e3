"""A change that fired no trigger is seen in whatever state the source was when it was made."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from replicator.state import State
from replicator.streaming.upkeep import Upkeep
from tests.fidelity.engine import streaming
from tests.fixtures.sqlite import MakeSource

SCRIPT = "CREATE TABLE picture(id INTEGER PRIMARY KEY, body BLOB); INSERT INTO picture VALUES(1, x'00ff')"


async def test_a_change_during_a_cutover_that_is_undone_is_seen_afterwards(
    make_source: MakeSource, target_url: str
) -> None:
    """The look before it is remembered; a fence that went up and down explains nothing away."""
    path = make_source(script=SCRIPT)
    async with streaming(path, target_url) as running:
        await running.settled(path)
        pipeline = running.pipeline
        upkeep, before = Upkeep(pipeline), pipeline.facts.suspicion.count
        await upkeep.watch_bypass()
        pipeline.enter(State.CUTTING_OVER)
        with closing(sqlite3.connect(path)) as application:
            with application.blobopen("picture", "body", 1) as blob:
                blob.write(b"no")
            application.commit()
        await upkeep.watch_bypass()
        pipeline.enter(State.STREAMING)
        await upkeep.watch_bypass()
        assert pipeline.facts.suspicion.count == before + 1
