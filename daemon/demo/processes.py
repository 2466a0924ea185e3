"""The two processes of the demonstration: the application, and the daemon that moves its data."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import daemon
from config.errors import ControlError, LiteferryError
from daemon.control import ask
from replicator.failpoint import VARIABLE as FAILPOINTS

from .heir import Heir

#: How long a process may take to end when asked to, before it is killed.
PATIENCE_SECONDS = 15.0

POLL_SECONDS = 0.05
LOG_LINES = 8
LOG_WIDTH = 160
USUAL_PORT = 8321

#: Settings of the person at the keyboard that must not reach the demonstration's own processes.
FOREIGN = ("LITEFERRY_", "DATABASE_URL", "SQLITE_DIR", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC")


class DemoFailed(LiteferryError):
    """The demonstration cannot go on."""


class Child:
    """A process of ours, with what it says on standard error in a file."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        #: Who ends the process if ours is killed.
        self.heir: Heir | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        """Return the process. Raises DemoFailed before it has started."""
        if self._process is None:
            raise DemoFailed(f"the {self.name} has not been started")
        return self._process

    async def launch(
        self, module: str, *arguments: object, environment: Mapping[str, str], stdout: int | None = None
    ) -> None:
        """Start a module of ours as a process."""
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, *map(str, arguments)),
                cwd=self._folder,
                env=_environment(environment),
                stdin=asyncio.subprocess.PIPE,
                stdout=log if stdout is None else stdout,
                stderr=log,
                # so that Ctrl-C in the terminal reaches only us, and we end it in order
                start_new_session=True,
            )
        if self.heir is not None:
            self.heir.takes("process", self._process.pid)

    def check(self) -> None:
        """Raise DemoFailed when the process has ended."""
        status = self.process.returncode
        if status is not None:
            raise DemoFailed(f"the {self.name} ended, with status {status}")

    async def end(self) -> None:
        """End the process if it lives: kindly, then not."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def last_words(self) -> list[str]:
        """Return the last lines that it has logged, in a form to read."""
        if not self.log.exists():
            return []
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        return [_plain(line) for line in lines]


class Application(Child):
    """The shop's process, commanded over its standard input."""

    def __init__(self, folder: Path) -> None:
        super().__init__("application", folder)
        self.path = folder / "shop.db"
        #: The number of its last event before it began to write.
        self.last_event = 0
        #: Writes so far: to SQLite, to PostgreSQL, and failed.
        self.progress: dict[str, Any] = {"sqlite_writes": 0, "postgres_writes": 0, "error_count": 0}
        self._ready = asyncio.Event()
        self._summary: dict[str, Any] | None = None
        self._listening: asyncio.Task[None] | None = None

    async def start(self, url: str, rate: float, size: float) -> None:
        """Start it and return when its shop is open. Raises DemoFailed when it ends before."""
        environment = {"DATABASE_URL": url}
        arguments = (self.path, "--rate", rate, "--size", size)
        pipe = asyncio.subprocess.PIPE
        await self.launch("daemon.demo.application", *arguments, environment=environment, stdout=pipe)
        self._listening = asyncio.create_task(self._listen(), name="application-output")
        opened = asyncio.create_task(self._ready.wait())
        await asyncio.wait([opened, self._listening], return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            opened.cancel()
            await self.process.wait()
            self.check()

    async def command(self, word: str) -> None:
        """Give it a command. Raises DemoFailed when it has ended."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{word}\n".encode())
            await self.process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            await self.process.wait()
            raise DemoFailed(f"the application ended, with status {self.process.returncode}") from error

    async def finish(self) -> dict[str, Any] | None:
        """Let it end its transactions in hand; return its summary, None when it gave none."""
        if self._listening is None:
            return None
        with contextlib.suppress(DemoFailed):
            await self.command("stop")
        await asyncio.wait([self._listening], timeout=PATIENCE_SECONDS)
        return self._summary

    async def end(self) -> None:
        """End the process if it lives."""
        await super().end()
        if self._listening is not None:
            # its output ends with it
            await asyncio.wait([self._listening])

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            told = json.loads(line)
            match told.pop("event"):
                case "ready":
                    self.last_event = told["last_event"]
                    self._ready.set()
                case "progress":
                    self.progress = told
                case "end":
                    self._summary = told


class Daemon(Child):
    """`liteferry run` in a process, asked over its control socket."""

    def __init__(self, folder: Path) -> None:
        super().__init__("daemon", folder)
        self.socket = folder / "control.sock"

    async def start(self, source: Path, url: str) -> str:
        """Start it and return the address of its dashboard. Raises DemoFailed when it ends before."""
        environment = {
            "DATABASE_URL": url,
            "LITEFERRY_CONTROL": str(self.socket),
            "LITEFERRY_HEARTBEAT_INTERVAL": "1s",
            "LITEFERRY_HTTP": f"127.0.0.1:{_port()}",
            "LITEFERRY_LOG_FORMAT": "json",
        }
        await self.launch("daemon.cli", "run", source, environment=environment)
        while (address := self._address()) is None:
            self.check()
            await asyncio.sleep(POLL_SECONDS)
        return address

    def _address(self) -> str | None:
        """Return the dashboard's address from the log, None before it is there."""
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("event") == "listening":
                    return str(entry["dashboard"])
        return None

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask it, or give it a command. Raises DemoFailed when it has ended, else as `control.ask`."""
        try:
            return await ask(self.socket, path, body)
        except ControlError:
            # a killed process closes its socket a moment before it is known to be dead
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), 1)
            self.check()
            raise


def _plain(line: str) -> str:
    """Return a line of a JSON log as event and key-values, any other as it is."""
    try:
        entry = json.loads(line)
        event = entry.pop("event")
    except (ValueError, AttributeError, KeyError, TypeError):
        return line
    values = [f"{key}={value}" for key, value in entry.items() if key not in ("logger", "timestamp")]
    return " ".join([event, *values])[:LOG_WIDTH]


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return our environment without the person's settings of liteferry, and with `extra`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN) or k == FAILPOINTS}
    # the child works in another folder, from which a checkout that is not installed is not found
    code = [str(Path(daemon.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(code), **extra}


def _port() -> int:
    """Return the port that the documentation shows, or 0 for any when somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", USUAL_PORT))
        except OSError:
            return 0
    return USUAL_PORT
