"""The daemon as a process: signals in, sockets open, the supervisor inside."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Iterator, Sequence

import structlog

from config.errors import LiteferryError
from config.settings import Settings
from config.sources import SourceSpec

from .control import build_control, build_public
from .http import serve, serve_unix
from .notify import Notifier
from .supervisor import Supervisor

log = structlog.get_logger("liteferry")


async def serve_forever(settings: Settings, specs: Sequence[SourceSpec]) -> None:
    """Run the daemon until SIGTERM or SIGINT. Raises LiteferryError for what a person must mend."""
    # Rows come by the ten thousand as fresh tuples: the default of 700 would look through them all the time.
    gc.set_threshold(50_000, 20, 50)
    supervisor = Supervisor(settings, specs, Notifier.from_environment())
    stop = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        settings.control.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        await stack.enter_async_context(serve_unix(build_control(supervisor), settings.control))
        if settings.http_address is not None:
            app = build_public(supervisor, settings.token)
            host, port = await stack.enter_async_context(serve(app, *settings.http_address))
            log.info("listening", dashboard=f"http://{host}:{port}/", metrics=f"http://{host}:{port}/metrics")
        stack.enter_context(_signals(stop, supervisor))
        await supervisor.run(stop)


@contextlib.contextmanager
def _signals(stop: asyncio.Event, supervisor: Supervisor) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()

    def cut_over() -> None:
        task = loop.create_task(_cut_over(supervisor), name="cutover-by-signal")
        running.add(task)
        task.add_done_callback(running.discard)

    def stop_once() -> None:
        stop.set()
        # a second signal ends the process the hard way: nothing is lost by it
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_once)
    loop.add_signal_handler(signal.SIGUSR1, cut_over)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            loop.remove_signal_handler(number)


async def _cut_over(supervisor: Supervisor) -> None:
    try:
        await supervisor.moves.cutover()
    except LiteferryError as error:
        log.error("cutover refused", reason=str(error), hint=error.hint)
