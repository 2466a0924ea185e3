"""The status, pushed to open dashboard pages as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import web

INTERVAL_SECONDS = 1.0
MAX_CLIENTS = 16
WRITE_TIMEOUT_SECONDS = 10.0
RETRY_AFTER_SECONDS = 5

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    # a reverse proxy that buffers would hold the events back until the page looks frozen
    "X-Accel-Buffering": "no",
}


class EventStream:
    """Send every connected page the status once per interval, until closed.

    The number of pages is bounded: one more is refused with 503, and falls back to polling.
    """

    def __init__(
        self,
        status: Callable[[], dict[str, Any]],
        *,
        interval: float = INTERVAL_SECONDS,
        max_clients: int = MAX_CLIENTS,
    ) -> None:
        self._status = status
        self._interval = interval
        self._max_clients = max_clients
        self._clients = 0
        self._closing = asyncio.Event()
        self._made: tuple[float, bytes] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one page until it leaves, stops reading, or the stream closes."""
        if self._clients >= self._max_clients:
            raise web.HTTPServiceUnavailable(
                text=f"{self._clients} pages are connected, which is the most allowed\n",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        self._clients += 1
        try:
            return await self._serve(request)
        finally:
            self._clients -= 1

    async def close(self, app: web.Application) -> None:
        """End every stream now; meant for `on_shutdown`, so that stopping does not wait for pages."""
        self._closing.set()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(request)
        try:
            await self._push(response)
        except ConnectionResetError:
            pass  # the page was closed, the usual end
        except TimeoutError:
            # the peer vanished or stopped reading: a polite end would wait for it once more
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _push(self, response: web.StreamResponse) -> None:
        while not self._closing.is_set():
            async with asyncio.timeout(WRITE_TIMEOUT_SECONDS):
                await response.write(self._event())
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._closing.wait()

    def _event(self) -> bytes:
        """Return the present event; pages that ask within half an interval share one, for it may be large."""
        now = time.monotonic()
        if self._made is None or not 0 <= now - self._made[0] < self._interval / 2:
            # the id is the server's clock: the page's own may be minutes off
            data = json.dumps(self._status(), allow_nan=False)
            self._made = now, f"id: {time.time():.3f}\ndata: {data}\n\n".encode()
        return self._made[1]
