"""The periodic work goes on whatever the wall clock does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from config.errors import LiteferryError
from config.settings import Settings
from daemon.schedule import Schedule


async def test_a_clock_that_was_set_back_stops_no_work(tmp_path: Path) -> None:
    """The scheduler waits for an hour that has been before; told of the jump, it goes on at once."""
    ran = asyncio.Event()

    def fail(error: LiteferryError) -> None:
        raise error

    schedule = Schedule(Settings(control=tmp_path / "socket"), fail, ran.set)
    with schedule.running():
        await asyncio.wait_for(ran.wait(), 10)
        for job in schedule.jobs:
            job.modify(next_run_time=datetime.now(UTC) + timedelta(hours=1))
        ran.clear()
        schedule.jumped(-3600)
        await asyncio.wait_for(ran.wait(), 10)
