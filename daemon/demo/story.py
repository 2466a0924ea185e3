"""What an operator does, step by step: start the daemon, watch, verify, rehearse, cut over, compare.

The application stops at the fence until it is told to go on. It is told as soon as a read-only transaction of
ours sees PostgreSQL as the cutover has left it, some milliseconds after. So the comparison is of exactly that
moment though the application writes on meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.errors import CutoverRefused

from .comparison import compare
from .heir import Heir
from .heir import heir as inherited
from .probe import Probe, probing
from .processes import Application, Child, Daemon, DemoFailed
from .report import Figures
from .screen import Screen, bar, duration
from .server import Server, borrowed, connected, embedded, temporary_folder
from .store import STATEMENTS

COPY_POLL_SECONDS = 0.1
LAG_POLL_SECONDS = 0.2

#: How long the application goes on on PostgreSQL.
AFTERWARDS_SECONDS = 2.0

#: A refused cutover has changed nothing; a busy machine may refuse one.
ATTEMPTS = 5

SCHEMA = "public"


@dataclass(frozen=True)
class Options:
    """What the command line asks for: seconds of streaming, transactions per second, rows, a server."""

    seconds: float
    rate: float
    size: float
    keep: bool
    target: str | None


class Story:
    """The steps, and what they have found; what they start ends with the stack."""

    _server: Server
    _application: Application
    _daemon: Daemon
    _heir: Heir

    def __init__(self, options: Options, screen: Screen, figures: Figures, stack: AsyncExitStack) -> None:
        self.figures = figures
        #: Where the files are, None before there are any.
        self.folder: Path | None = None
        self._options = options
        self._screen = screen
        self._stack = stack
        self._children: list[Child] = []
        self._probe: Probe | None = None

    async def tell(self) -> None:
        """Go through all steps. Raises LiteferryError where it cannot go on."""
        await self._set_up()
        await self._copy()
        await self._stream()
        await self._verify()
        await self._rehearse()
        await self._cut_over()
        await self._go_on()

    async def finish(self) -> None:
        """Let the application end its work and keep its summary, however far the story came."""
        if self._children and self.figures.application is None:
            self.figures.application = await self._application.finish()

    def last_words(self) -> list[str]:
        """Return the last lines that the processes have logged."""
        return [f"{child.name}: {line}" for child in self._children for line in child.last_words()]

    async def _set_up(self) -> None:
        options, say = self._options, self._screen.say
        self._screen.say("A shop that writes to SQLite moves to PostgreSQL while it works.")
        heir = self._heir = self._stack.enter_context(inherited())
        folder = self.folder = self._stack.enter_context(temporary_folder(options.keep))
        if not options.keep:
            heir.takes("folder", folder)
        given = options.target
        kept = folder / "postgres" if options.keep else None
        making = embedded(kept, heir) if given is None else borrowed(given, options.keep)
        self._server = await self._stack.enter_async_context(making)
        say(f"postgres     {self._server.text}")
        self._application = Application(folder)
        await self._launch(
            self._application, self._application.start(self._server.url, options.rate, options.size)
        )
        number, path = self._application.process.pid, self._application.path
        say(f"application  process {number}, {options.rate:g} transactions a second on {path}")
        self._daemon = Daemon(folder)
        address = await self._launch(self._daemon, self._daemon.start(path, self._server.url))
        say(f"daemon       process {self._daemon.process.pid}, liteferry run")
        say(f"dashboard    {address}")
        say(f"metrics      {address}metrics")

    async def _launch(self, child: Child, start: Coroutine[Any, Any, Any]) -> Any:
        self._stack.push_async_callback(child.end)
        self._children.append(child)
        child.heir = self._heir
        return await start

    async def _copy(self) -> None:
        """Watch the snapshot and what follows until the daemon says that a cutover may begin."""
        self._screen.title("Copying, while the application writes")
        begun = time.monotonic()
        ended = None
        while not (status := await self._status())["can_cutover"]:
            if status["state"] in ("new", "preflight"):
                begun = time.monotonic()
                self._screen.live("looking at the tables")
            elif status["state"] == "snapshot":
                self._show_copy(status["sources"][0])
            else:
                ended = ended or time.monotonic()
                self._show_lag(status, "catching up")
            await asyncio.sleep(COPY_POLL_SECONDS)
        self.figures.copied = status["sources"][0]["rows_copied"]
        self.figures.copy_seconds = (ended or time.monotonic()) - begun
        self._screen.say(f"{self.figures.copied:,} rows copied, ready for cutover")

    def _show_copy(self, source: dict[str, Any]) -> None:
        done = sum(table["rows_copied"] for table in source["tables"])
        all_ = sum(table["rows_estimate"] for table in source["tables"])
        copying = ", ".join(table["name"] for table in source["tables"] if table["state"] == "copying")
        self._screen.live(f"{bar(done, all_)}  {done:,} of {all_:,} rows  {copying}")

    async def _stream(self) -> None:
        self._screen.title(f"Streaming for {self._options.seconds:g} s")
        async with probing(self._server.url) as self._probe:
            deadline = time.monotonic() + self._options.seconds
            while time.monotonic() < deadline:
                self._show_lag(await self._status(), "streaming")
                await asyncio.sleep(LAG_POLL_SECONDS)
        self.figures.lags = self._probe.samples
        self._probe = None

    def _show_lag(self, status: dict[str, Any], doing: str) -> None:
        source = status["sources"][0]
        behind = self._probe.latest if self._probe is not None else None
        parts = (
            doing,
            f"{source['pending_changes']} pending",
            f"oldest {duration(source['oldest_unapplied_seconds'])}",
            f"visible after {duration(behind)}" if behind is not None else "",
            f"heartbeat {duration(source['heartbeat_age_seconds'])}",
            f"{source['apply_rate']:,.0f} changes/s",
            f"{source['changes_applied']:,} applied",
            f"application: {self._application.progress['sqlite_writes']:,} writes",
        )
        self._screen.live(" | ".join(filter(None, parts)))

    async def _verify(self) -> None:
        self._screen.title("Verifying, while the application writes")
        asking = self._daemon.ask("/control/verify", {"counts_only": False, "table": None})
        report = await self._while_showing_lag(asking, "verifying")
        tables = [table for source in report["sources"] for table in source["tables"]]
        if not report["equal"]:
            details = [detail for table in tables for detail in table["details"]]
            raise DemoFailed(f"liteferry verify found differences, so no cutover: {'; '.join(details[:3])}")
        self.figures.verified = sum(table["compared"] for table in tables)
        self._screen.say(f"{self.figures.verified:,} rows compared in {len(tables)} tables: no difference")

    async def _rehearse(self) -> None:
        self._screen.title("Rehearsing the cutover")
        report = await self._move(rehearse=True)
        self.figures.rehearsal = report["pause_seconds"]

    async def _cut_over(self) -> None:
        async with connected(self._server.url) as target:
            status = await self._status()
            self.figures.predicted = status["predicted_pause_seconds"]
            self.figures.changes = status["sources"][0]["changes_applied"]
            self.figures.batches = status["sources"][0]["batches_applied"]
            self._screen.title("Cutting over, while the application writes")
            report = await self._move(rehearse=False)
            async with target.transaction(isolation="repeatable_read", readonly=True):
                # the first statement fixes what all later ones see
                await target.fetch(STATEMENTS["last_event"])
                await self._application.command("go")
                self.figures.pause = report["pause_seconds"]
                self._screen.title(
                    "Comparing both sides as the cutover left them, while the application writes"
                )
                self.figures.comparison = await compare(self._application.path, target, SCHEMA)
        for name, rows in self.figures.comparison.rows.items():
            self._screen.say(f"{name:<12} {rows:>9,} rows")

    async def _move(self, *, rehearse: bool) -> dict[str, Any]:
        """Cut over or rehearse, and show the timeline. Raises CutoverRefused when refused again and again."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._until_ready()
                asking = self._daemon.ask("/control/cutover", {"rehearse": rehearse})
                report = await self._while_showing_lag(asking, "rehearsing" if rehearse else "cutting over")
            except CutoverRefused as refused:
                self._screen.say(f"refused, nothing has changed: {refused}")
                if attempt == ATTEMPTS:
                    raise
            else:
                break
        phases = [f"{phase['name']} {duration(phase['seconds'])}" for phase in report["phases"]]
        self._screen.say(" > ".join(phases))
        self._screen.say(f"{report['outcome']}; writers stalled for {duration(report['pause_seconds'])}")
        return report

    async def _go_on(self) -> None:
        """Let the application write to PostgreSQL for a while, end it, and look for what it was promised."""
        self._screen.title(f"The application writes to PostgreSQL for {AFTERWARDS_SECONDS:g} s")
        await asyncio.sleep(AFTERWARDS_SECONDS)
        await self.finish()
        async with connected(self._server.url) as target:
            counted = await target.fetchval(STATEMENTS["events_since"], self._application.last_event)
        self.figures.recorded = int(counted)
        self._screen.say(f"{counted:,} transactions since the start are recorded there")

    async def _while_showing_lag(
        self, work: Coroutine[Any, Any, dict[str, Any]], doing: str
    ) -> dict[str, Any]:
        showing = asyncio.create_task(self._keep_showing_lag(doing), name="show-lag")
        try:
            return await work
        finally:
            showing.cancel()
            await asyncio.wait([showing])
            if not showing.cancelled():
                # what stopped it has stopped the work as well, which tells it better
                showing.exception()

    async def _keep_showing_lag(self, doing: str) -> None:
        while True:
            self._show_lag(await self._status(), doing)
            await asyncio.sleep(LAG_POLL_SECONDS)

    async def _until_ready(self) -> None:
        while not (status := await self._status())["can_cutover"]:
            self._show_lag(status, "waiting until it is ready")
            await asyncio.sleep(LAG_POLL_SECONDS)

    async def _status(self) -> dict[str, Any]:
        """Return the daemon's status. Raises DemoFailed when a process has ended or the daemon gave up."""
        self._application.check()
        status = await self._daemon.ask("/api/status")
        if status["state"] == "failed":
            raise DemoFailed(f"the daemon gave up: {status['sources'][0]['error']}")
        return status
