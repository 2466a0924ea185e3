"""What stands before the TCP address: a pace for everybody, and a token for whoever gives orders.

An order needs `Authorization: Bearer`, which no page of another site can make a browser send: that asks
first, and is told nothing here. So neither a forged request nor a name that is made to lead here gives one.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from .bucket import Buckets

#: Where orders are given.
ORDERS = "/control/"

#: Requests per second of one peer, and at once: a dashboard with all its files, and a scrape beside it.
REQUESTS_PER_SECOND = 50.0
REQUESTS_AT_ONCE = 200.0

#: Wrong tokens of one peer per second, and at once.
GUESSES_PER_SECOND = 0.2
GUESSES_AT_ONCE = 5.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Gate:
    """Lets requests through, or answers 429 to those that come too often and 401 to those without a token."""

    def __init__(self, token: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the token for orders; without one there are no orders behind this gate."""
        self._digest = _digest(token.encode()) if token is not None else None
        self._clock = clock
        self._requests = Buckets(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE)
        self._guesses = Buckets(GUESSES_PER_SECOND, GUESSES_AT_ONCE)

    @property
    def middleware(self) -> Middleware:
        """Return it as aiohttp takes it."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            refusal = self._refusal(request)
            return await handler(request) if refusal is None else refusal

        return guarded

    def _refusal(self, request: web.Request) -> web.Response | None:
        peer, now = request.remote or "", self._clock()
        wait = self._requests.take(peer, now)
        if wait:
            return _refused(429, "too many requests", wait)
        if self._digest is None or not request.path.startswith(ORDERS):
            return None
        wait = self._guesses.wait(peer, now)
        if wait:
            # before it is looked at: else guessing would be as fast as asking
            return _refused(429, "too many wrong tokens", wait)
        if self._is_known(request.headers.get("Authorization", "")):
            return None
        self._guesses.take(peer, now)
        return _refused(401, "the token is missing or wrong")

    def _is_known(self, header: str) -> bool:
        kind, _, token = header.partition(" ")
        # of the digests, for these are of one length: how long the comparison takes tells nothing
        given = _digest(token.strip().encode("utf-8", "surrogateescape"))
        return kind.lower() == "bearer" and hmac.compare_digest(given, self._digest or b"")


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _refused(status: int, what: str, wait: float | None = None) -> web.Response:
    headers = {"WWW-Authenticate": 'Bearer realm="liteferry"'} if status == 401 else {}
    if wait is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    hint = "give it with --token-file" if status == 401 else "ask again later"
    answer = {"error": what, "hint": hint, "kind": "ControlError"}
    return web.json_response(answer, status=status, headers=headers)
