"""How long connections may keep us waiting for their first request, and how many there may be.

Whoever opens many connections and sends a byte now and then, or nothing, would hold all of them for ever.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable

from aiohttp import web

#: In which the head of a connection's first request must have come; later ones have the keep-alive time.
HEAD_SECONDS = 10.0

#: In which the body of an order must have come.
BODY_SECONDS = 10.0

#: Connections at once.
MOST_CONNECTIONS = 128

#: By then a connection that was just accepted has its transport.
MOMENT_SECONDS = 0.001

#: Connections on which a whole head has come.
ARRIVED: web.AppKey[weakref.WeakSet[asyncio.BaseTransport]] = web.AppKey("arrived", weakref.WeakSet)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def noting(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note that a connection has sent a whole head."""
    if request.transport is not None:
        request.app[ARRIVED].add(request.transport)
    return await handler(request)


class Patience:
    """Makes the protocol of each connection, and cuts those that keep us waiting or are too many."""

    def __init__(
        self,
        server: web.Server,
        app: web.Application,
        seconds: float = HEAD_SECONDS,
        most: int = MOST_CONNECTIONS,
    ) -> None:
        """Take what makes the protocols, the application that notes what has come, and both bounds."""
        self._server = server
        self._app = app
        self._seconds = seconds
        self._most = most

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        handler, loop = self._server(), asyncio.get_running_loop()
        if len(self._server.connections) >= self._most:
            loop.call_later(MOMENT_SECONDS, _cut, handler)
        else:
            loop.call_later(self._seconds, self._look, handler)
        return handler

    def _look(self, handler: web.RequestHandler) -> None:
        if handler.transport is not None and handler.transport not in self._app[ARRIVED]:
            _cut(handler)


def _cut(handler: web.RequestHandler) -> None:
    if handler.transport is not None:
        handler.transport.abort()
