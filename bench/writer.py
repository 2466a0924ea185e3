"""Starting bench/application.py and reading what it has seen."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path(__file__).with_name("application.py")


@dataclass(frozen=True)
class Seen:
    """What the application has seen; times in nanoseconds on the monotonic clock."""

    fenced: bool
    #: The key of each row, and when its commit was done.
    commits: list[tuple[int, int]]
    #: When each transaction of more than a millisecond began and ended.
    stalls: list[tuple[int, int]]

    def longest(self, begun: int, ended: int) -> float:
        """Return the longest transaction in milliseconds that lay at least partly between two times."""
        between = [e - b for b, e in self.stalls if e >= begun and b <= ended]
        return max(between, default=0) / 1e6

    def within(self, spans: list[tuple[int, int]]) -> list[float]:
        """Return the milliseconds, at least 1, of each transaction that touched one of some spans."""
        long = [e - b for b, e in self.stalls if any(e >= begun and b <= ended for begun, ended in spans)]
        count = sum(any(begun <= at <= ended for begun, ended in spans) for _, at in self.commits)
        return [1.0] * max(0, count - len(long)) + [nanos / 1e6 for nanos in long]

    def outside(self, spans: list[tuple[int, int]]) -> list[float]:
        """Return the transactions of more than a millisecond that touched none of some spans, and a 0."""
        kept = [e - b for b, e in self.stalls if all(e < begun or b > ended for begun, ended in spans)]
        return [0.0, *(stall / 1e6 for stall in kept)]


class Writer:
    """The application in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def stop(self) -> Seen:
        """End it after the transaction in hand; return what it has seen."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        return await self.wait()

    async def wait(self) -> Seen:
        """Wait until it ends by itself; return what it has seen."""
        output, _ = await self._process.communicate()
        if self._process.returncode != 0:
            raise RuntimeError(f"the application ended with status {self._process.returncode}")
        told = json.loads(output)
        commits = [(key, at) for key, at in told["commits"]]
        return Seen(told["fenced"], commits, [(begun, ended) for begun, ended in told["stalls"]])

    def kill(self) -> None:
        """End it at once; harmless when it has ended."""
        with suppress(ProcessLookupError):
            self._process.kill()


@asynccontextmanager
async def writing(path: Path, rate: float, seconds: float | None = None) -> AsyncIterator[Writer]:
    """Run the application while inside, at a rate of transactions per second."""
    length = () if seconds is None else ("--seconds", str(seconds))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), str(path), "--rate", str(rate), *length, stdout=asyncio.subprocess.PIPE
    )
    writer = Writer(process)
    try:
        yield writer
    finally:
        if process.returncode is None:
            writer.kill()
            await process.wait()
