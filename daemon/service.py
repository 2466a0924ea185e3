"""The daemon as a process: signals in, sockets open, the supervisor inside."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import io
import signal
import sys
from collections.abc import Iterator, Sequence

import structlog

from config.errors import LiteferryError
from config.settings import Settings
from config.sources import SourceSpec

from .control import build_control, build_public
from .http import serve, serve_unix
from .notify import Notifier
from .reload import Read
from .supervisor import Supervisor

log = structlog.get_logger("liteferry")


async def serve_forever(settings: Settings, specs: Sequence[SourceSpec], read_again: Read) -> None:
    """Run the daemon until SIGTERM or SIGINT; at SIGHUP the settings are those that are then read.

    Raises LiteferryError for what a person must mend.
    """
    # a watchdog that ends us leaves behind where every thread was: names of functions, never a value
    with contextlib.suppress(io.UnsupportedOperation):  # standard error is no file of the system's
        faulthandler.enable()
    # Rows come by the ten thousand as fresh tuples: the default of 700 would look through them all the time.
    gc.set_threshold(50_000, 20, 50)
    supervisor = Supervisor(settings, specs, Notifier.from_environment(), read_again)
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

    handlers = {
        signal.SIGTERM: stop_once,
        signal.SIGINT: stop_once,
        signal.SIGUSR1: cut_over,
        # at a terminal it says that the terminal is gone, else that the settings have changed
        signal.SIGHUP: stop_once if _has_terminal() else supervisor.reload,
    }
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


async def _cut_over(supervisor: Supervisor) -> None:
    try:
        await supervisor.moves.cutover()
    except LiteferryError as error:
        log.error("cutover refused", reason=str(error), hint=error.hint)
