"""The read-only HTTP side of the daemon: dashboard, metrics, health, status.

Only GET and HEAD have routes here, so everything else is refused with 405 and no request body is ever read.
What is served is the status and nothing beside it: file paths, table names, counts and times, never a row
or a password. There is no login for that; keep the address local, or put a proxy that asks for one in front.
Orders are routes that daemon.control adds, on TCP behind a token, see daemon.gate.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import generate_latest

from config.errors import ConfigError

from .event_stream import EventStream
from .metrics import build_registry
from .patience import ARRIVED, Patience, noting
from .unix_socket import private_socket

DASHBOARD = Path(__file__).parent / "dashboard"
ASSETS = {
    "index.html": "text/html",
    "style.css": "text/css",
    "favicon.svg": "image/svg+xml",
    **{script.name: "text/javascript" for script in sorted(DASHBOARD.glob("*.js"))},
}
METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MAX_BODY_BYTES = 4096  # nothing here reads a body; this binds routes that a caller adds
MAX_LINE_BYTES = 4096
SHUTDOWN_SECONDS = 3.0
KEEPALIVE_SECONDS = 75.0
BACKLOG = 128  # connections that the system holds for us
LINGER_SECONDS = 1.0  # how long an unwanted body is drained before the connection is cut

READY_STATES = ("streaming", "cut_over")

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "liteferry",  # instead of the versions of Python and aiohttp
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class StatusView(Protocol):
    """What the HTTP side needs of the running migration; both are called often and must not block."""

    def status(self) -> dict[str, Any]:
        """Return the status as documented in docs/reference/http.md."""

    def history(self) -> list[dict[str, Any]]:
        """Return the last minutes of lag, newest last, as documented there."""

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Return what has happened lately, behind the event of a number, oldest first."""


def build_app(view: StatusView, middlewares: Sequence[Middleware] = ()) -> web.Application:
    """Return the application over this view; one application serves one address."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[noting, *middlewares])
    app[ARRIVED] = weakref.WeakSet()
    pages, events = Pages(view), EventStream(view.status)
    for name in ASSETS:
        app.router.add_get("/" if name == "index.html" else f"/assets/{name}", _asset(name))
    app.router.add_get("/metrics", pages.metrics)
    app.router.add_get("/healthz", pages.healthz)
    app.router.add_get("/readyz", pages.readyz)
    app.router.add_get("/api/status", pages.status)
    app.router.add_get("/api/history", pages.history)
    app.router.add_get("/api/journal", pages.journal)
    # a HEAD would never end
    app.router.add_get("/api/events", events.handle, allow_head=False)
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(events.close)
    return app


class Pages:
    """The answers that are computed from the status."""

    def __init__(self, view: StatusView) -> None:
        self._view = view
        self._registry = build_registry(view.status)

    async def metrics(self, request: web.Request) -> web.Response:
        """Answer with every metric in the Prometheus text format."""
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": METRICS_CONTENT_TYPE}
        )

    async def healthz(self, request: web.Request) -> web.Response:
        """Answer 200 unless the migration failed or is stuck: a restart does not help before that."""
        status = self._view.status()
        wrong = "failed" if status["state"] == "failed" else status.get("stalled")
        return web.Response(text=f"{wrong or 'ok'}\n", status=503 if wrong else 200)

    async def readyz(self, request: web.Request) -> web.Response:
        """Answer 200 when every source is streaming or cut over, else 503 with the reasons."""
        reasons = unready_reasons(self._view.status())
        return _json({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def status(self, request: web.Request) -> web.Response:
        """Answer with the status."""
        return _json(self._view.status())

    async def history(self, request: web.Request) -> web.Response:
        """Answer with the lag of the last minutes."""
        return _json(self._view.history())

    async def journal(self, request: web.Request) -> web.Response:
        """Answer with the events behind `?after=NUMBER`, with all that are kept without it."""
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            raise web.HTTPBadRequest(text="after is the number of an event\n")
        return _json(self._view.events(int(after)))


def unready_reasons(status: dict[str, Any]) -> list[str]:
    """Return one sentence for each source that is neither streaming nor cut over."""
    if not status["sources"]:
        return ["no source is known yet"]
    return [
        f"source {source['path']!r} is in state {source['state']}"
        + (f": {source['error']}" if source.get("error") else "")
        for source in status["sources"]
        if source["state"] not in READY_STATES
    ]


def _json(data: Any, *, status: int = 200) -> web.Response:
    # NaN is not JSON: a browser would refuse the whole answer
    return web.Response(
        text=json.dumps(data, allow_nan=False), status=status, content_type="application/json"
    )


def _asset(name: str) -> Handler:
    # read once: a page and its scripts stay of one version while the package is being upgraded
    body = (DASHBOARD / name).read_bytes()
    etag = hashlib.sha256(body).hexdigest()[:32]

    async def handle(request: web.Request) -> web.Response:
        known = request.if_none_match
        if known and any(tag.value in (etag, "*") for tag in known):
            response = web.Response(status=304)
        else:
            response = web.Response(body=body, content_type=ASSETS[name], charset="utf-8")
        response.etag = etag
        response.headers["Cache-Control"] = "no-cache"  # keep it, but ask each time
        return response

    return handle


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


@asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
    """Serve on TCP and yield the address bound (port 0 takes a free one); stops at exit.

    Raises ConfigError when the address cannot be bound.
    """
    async with _running(app) as runner:
        server = runner.server
        assert server is not None, "it has just been set up"
        try:
            listening = await asyncio.get_running_loop().create_server(
                Patience(server, app), host, port, backlog=BACKLOG
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {host}:{port}: {error.strerror or error}",
                hint="another process may use the port; choose one with --http HOST:PORT",
            ) from error
        try:
            yield listening.sockets[0].getsockname()[:2]
        finally:
            listening.close()


@asynccontextmanager
async def serve_unix(app: web.Application, path: Path) -> AsyncIterator[Path]:
    """Serve on a unix socket with mode 0600 and yield its path; stops and removes it at exit.

    Raises ConfigError when somebody listens there already, or the path is something else than a socket.
    """
    with private_socket(path) as sock:
        async with _running(app) as runner:
            await web.SockSite(runner, sock).start()
            yield path


@asynccontextmanager
async def _running(app: web.Application) -> AsyncIterator[web.AppRunner]:
    runner = web.AppRunner(
        app,
        access_log=None,  # a scrape and a page each second say nothing
        shutdown_timeout=SHUTDOWN_SECONDS,
        keepalive_timeout=KEEPALIVE_SECONDS,
        lingering_time=LINGER_SECONDS,
        max_line_size=MAX_LINE_BYTES,
    )
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()
