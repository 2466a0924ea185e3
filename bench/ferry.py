"""The real daemon in a process of its own: started, followed through its log, asked, stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg

from daemon.control import ask

ROOT = Path(__file__).parents[1]
PROGRAM = "from daemon.cli import main; main()"

#: Longest time that anything here may take, in seconds.
PATIENCE = 3600
STOP_SECONDS = 60
POLL_SECONDS = 0.02

#: Between two looks whether a cutover may begin.
READY_SECONDS = 0.1


class DaemonEnded(Exception):
    """The daemon ended where it should have gone on; carries the end of its log."""


class Ferry:
    """One `liteferry run` of one source; an async context manager that stops it at the end."""

    def __init__(self, source: Path, url: str, *options: str) -> None:
        """Take the source, the target's URL, and further options of `liteferry run`."""
        self._source, self._url = source, url
        self._socket = source.with_suffix(".sock")
        self._options = ("--control", str(self._socket), "--http", "", *options)
        self._process: asyncio.subprocess.Process | None = None
        self._events: list[dict[str, Any]] = []
        self._news = asyncio.Condition()
        self._following: asyncio.Task[None] | None = None
        self._ended = False
        #: Unix time of the start of the process.
        self.started_at = 0.0

    async def __aenter__(self) -> Self:
        command = [sys.executable, "-c", PROGRAM, "run", str(self._source), "--target", self._url]
        self.started_at = time.time()
        self._process = await asyncio.create_subprocess_exec(
            *command,
            *self._options,
            stderr=asyncio.subprocess.PIPE,
            # no liteferry.toml of the caller's folder, no settings of the caller's environment
            cwd=self._source.parent,
            env=_environment(),
        )
        self._following = asyncio.create_task(self._follow(self._process), name="daemon-log")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop it with SIGTERM and wait for its end; harmless when it has ended."""
        assert self._process and self._following
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._following

    async def reached(self, state: str) -> float:
        """Wait until the source is in a state; return the Unix time at which the daemon went there."""

        def entered(event: dict[str, Any]) -> bool:
            return event.get("event") == "state" and event.get("state") == state

        event = await self._first(entered)
        return datetime.fromisoformat(event["timestamp"]).timestamp()

    async def _first(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE), self._news:
            while True:
                for event in self._events:
                    if wanted(event):
                        return event
                if self._ended:
                    tail = "\n".join(str(event) for event in self._events[-20:])
                    raise DaemonEnded(f"liteferry ended too early; the end of its log:\n{tail}")
                await self._news.wait()

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr
        async for line in process.stderr:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                event = {"event": line.decode(errors="replace").rstrip()}
            async with self._news:
                self._events.append(event)
                self._news.notify_all()
        async with self._news:
            self._ended = True
            self._news.notify_all()

    async def drained(self) -> None:
        """Wait until the target has everything that is committed in the source."""
        connection = await asyncpg.connect(self._url)
        try:
            while True:
                position = await connection.fetchval("SELECT position FROM liteferry.source")
                if position >= _log_end(self._source):
                    return
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await connection.close()

    async def status(self) -> dict[str, Any]:
        """Return what `liteferry status --json` says."""
        return await ask(self._socket, "/api/status")

    async def cutover(self, *, rehearse: bool) -> dict[str, Any]:
        """Cut over as soon as it is ready, or rehearse it; return the report. Raises CutoverRefused."""
        while True:
            if (await self.status())["can_cutover"]:
                return await ask(self._socket, "/control/cutover", {"rehearse": rehearse})
            await asyncio.sleep(READY_SECONDS)

    async def rollback(self) -> dict[str, Any]:
        """Give the writes back as soon as it can be done; return the report."""
        while True:
            if (await self.status())["can_rollback"]:
                return await ask(self._socket, "/control/rollback", {})
            await asyncio.sleep(READY_SECONDS)

    def peak_memory(self) -> float | None:
        """Return the most memory that the daemon ever held, in MB; None where /proc does not tell."""
        assert self._process
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except FileNotFoundError:
            return None
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6


def _log_end(source: Path) -> int:
    with closing(sqlite3.connect(source)) as connection:
        query = "SELECT coalesce(max(seq), 0) FROM _liteferry_log"
        return int(connection.execute(query).fetchone()[0])


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LITEFERRY_")}
    for name in ("DATABASE_URL", "SQLITE_DIR"):
        kept.pop(name, None)
    return {**kept, "PYTHONPATH": str(ROOT)}
