"""Every route of the read-only HTTP side, over TCP and over the unix socket."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from config.errors import ConfigError
from daemon.event_stream import MAX_CLIENTS
from daemon.healthcheck import health
from daemon.http import DASHBOARD, build_app, serve, serve_unix
from tests import statuses
from tests.statuses import CannedView

ROUTES = ("/", "/metrics", "/healthz", "/readyz", "/api/status", "/api/history", "/assets/app.js")
DOCUMENTED = Path(__file__).parents[2] / "docs" / "reference" / "http.md"

Client = TestClient[Any, Any]
Make = Callable[[], dict[str, Any]]


@pytest.fixture
def view() -> CannedView:
    """Return a view that streams, with a history."""
    return CannedView(statuses.ready(), statuses.history())


@pytest.fixture
async def client(view: CannedView) -> AsyncIterator[Client]:
    """Serve the view and yield a client for it."""
    async with TestClient(TestServer(build_app(view))) as client:
        yield client


async def test_root_is_the_dashboard(client: Client) -> None:
    """The page is HTML and names only assets that are served."""
    answer = await client.get("/")
    page = await answer.text()

    assert answer.status == 200 and answer.content_type == "text/html"
    for asset in re.findall(r'(?:src|href)="(assets/[^"]+)"', page):
        assert (await client.get(f"/{asset}")).status == 200


async def test_every_file_of_the_dashboard_is_served(client: Client) -> None:
    """No asset is forgotten in the list of routes, and each has its own media type."""
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for file in DASHBOARD.iterdir():
        if file.name != "index.html":
            answer = await client.get(f"/assets/{file.name}")
            assert (answer.status, answer.content_type) == (200, types[file.suffix])
            assert await answer.read() == file.read_bytes()


async def test_asset_that_the_browser_has_is_not_sent_again(client: Client) -> None:
    """A request with the present entity tag is answered with 304."""
    tag = (await client.get("/assets/app.js")).headers["ETag"]
    again = await client.get("/assets/app.js", headers={"If-None-Match": tag})
    other = await client.get("/assets/app.js", headers={"If-None-Match": '"another"'})

    assert (again.status, await again.read()) == (304, b"")
    assert other.status == 200


@pytest.mark.parametrize(
    "path", ["/assets/../http.py", "/assets/%2e%2e/http.py", "/assets/", "/assets/index.html", "/etc/passwd"]
)
async def test_nothing_else_is_served(client: Client, path: str) -> None:
    """Only the listed files exist, whatever the path looks like."""
    assert (await client.get(path)).status == 404


@pytest.mark.parametrize("path", [*ROUTES, "/nowhere"])
async def test_every_answer_has_the_security_headers(client: Client, path: str) -> None:
    """Content policy, sniffing, framing and referrer are closed on pages, data and errors alike."""
    headers = (await client.get(path)).headers

    assert headers["Content-Security-Policy"].startswith("default-src 'self'; ")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Server"] == "liteferry"


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/api/status", "/api/history"])
async def test_figures_are_never_kept_by_a_cache(client: Client, path: str) -> None:
    """A cached status would be a lag that lies."""
    assert (await client.get(path)).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [*ROUTES, "/api/events"])
async def test_only_reading_is_possible(client: Client, method: str, path: str) -> None:
    """Every other method is refused with 405 on every route."""
    answer = await client.request(method, path)

    assert answer.status == 405
    assert set(answer.headers["Allow"].split(",")) <= {"GET", "HEAD"}


@pytest.mark.parametrize("path", ROUTES)
async def test_head_answers_like_get_without_the_body(client: Client, path: str) -> None:
    """A probe may use HEAD."""
    answer = await client.head(path)

    assert (answer.status, await answer.read()) == (200, b"")


async def test_large_bodies_are_not_read(view: CannedView) -> None:
    """An upload without end is answered at once, and the connection is cut."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    async with (
        asyncio.timeout(10),
        serve(build_app(view), "127.0.0.1", 0) as (host, port),
        aiohttp.ClientSession() as session,
        session.post(f"http://{host}:{port}/", data=endless()) as answer,
    ):
        assert answer.status == 405


async def test_overlong_request_lines_are_refused(client: Client) -> None:
    """A request line over the limit is an error of the client."""
    async with serve(build_app(CannedView(statuses.ready())), "127.0.0.1", 0) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        head = await reader.readline()
        writer.close()
        await writer.wait_closed()

        assert head.startswith(b"HTTP/1.0 400") or head.startswith(b"HTTP/1.1 400")


async def test_health_fails_only_when_failed_or_stuck(client: Client, view: CannedView) -> None:
    """Lag, a lost target or a pause are no reason to restart the daemon."""
    for make in (statuses.ready, statuses.target_away, statuses.snapshot, statuses.minimal):
        view.current = make()
        answer = await client.get("/healthz")
        assert (answer.status, await answer.text()) == (200, "ok\n")

    view.current = statuses.failed()
    assert (await client.get("/healthz")).status == 503

    view.current = {**statuses.ready(), "stalled": "reading 'app.db' has not got on for 61 s"}
    answer = await client.get("/healthz")
    assert (answer.status, await answer.text()) == (503, "reading 'app.db' has not got on for 61 s\n")


@pytest.mark.parametrize("make", [statuses.ready, statuses.lagging, statuses.cut_over])
async def test_ready_when_all_stream_or_are_cut_over(client: Client, view: CannedView, make: Make) -> None:
    """Readiness is about the sources' states."""
    view.current = make()
    answer = await client.get("/readyz")

    assert (answer.status, await answer.json()) == (200, {"ready": True, "reasons": []})


async def test_not_ready_names_each_source_and_its_error(client: Client, view: CannedView) -> None:
    """The answer says which source is not there yet, and why."""
    broken = statuses.source("/data/b.db", state="failed", error="disk full")
    view.current = statuses.status(statuses.source(), statuses.source("/data/a.db", state="catch_up"), broken)
    answer = await client.get("/readyz")

    assert answer.status == 503
    assert await answer.json() == {
        "ready": False,
        "reasons": [
            "source '/data/a.db' is in state catch_up",
            "source '/data/b.db' is in state failed: disk full",
        ],
    }


async def test_not_ready_before_any_source_is_known(client: Client, view: CannedView) -> None:
    """Nothing to serve is not readiness."""
    view.current = {**statuses.minimal(), "sources": []}

    assert (await client.get("/readyz")).status == 503


async def test_status_and_history_are_passed_on_unchanged(client: Client, view: CannedView) -> None:
    """The API adds and removes nothing."""
    assert await (await client.get("/api/status")).json() == view.current
    assert await (await client.get("/api/history")).json() == view.points


async def test_metrics_are_prometheus_text(client: Client) -> None:
    """The answer is in the text format, with the figures of this moment."""
    answer = await client.get("/metrics")

    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'liteferry_pending_changes{source="/data/app.db"} 0.0' in await answer.text()


async def read_event(answer: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the fields of the next server-sent event."""
    fields = {}
    while line := (await answer.content.readline()).decode().rstrip("\n"):
        name, _, value = line.partition(": ")
        fields[name] = value
    return fields


async def test_events_push_each_new_status(client: Client, view: CannedView) -> None:
    """The status comes at once and then about each second, with the daemon's clock as its id."""
    async with client.get("/api/events") as answer:
        first = await read_event(answer)
        view.current = statuses.lagging()
        second = await read_event(answer)

    assert answer.content_type == "text/event-stream"
    assert json.loads(first["data"])["can_cutover"] is True
    assert json.loads(second["data"]) == statuses.lagging()
    assert 0.5 < float(second["id"]) - float(first["id"]) < 5


async def test_event_streams_are_bounded_and_given_back(client: Client) -> None:
    """One page too many is sent away, and may come when another has gone."""
    held = [await client.get("/api/events") for _ in range(MAX_CLIENTS)]
    refused = await client.get("/api/events")
    assert (refused.status, refused.headers["Retry-After"]) == (503, "5")

    held.pop().close()
    async with asyncio.timeout(10):  # the daemon notices when it writes the next event
        while (again := await client.get("/api/events")).status == 503:
            await read_event(held[0])

    assert again.status == 200


async def test_stopping_does_not_wait_for_open_pages(view: CannedView) -> None:
    """Event streams end at shutdown, with a proper end and at once."""
    async with aiohttp.ClientSession() as session:
        async with serve(build_app(view), "127.0.0.1", 0) as (host, port):
            answer = await session.get(f"http://{host}:{port}/api/events")
            await read_event(answer)
            started = asyncio.get_running_loop().time()
        took = asyncio.get_running_loop().time() - started

        await answer.read()
        assert answer.content.at_eof() and took < 2


async def test_taken_port_is_an_error_with_a_hint(view: CannedView) -> None:
    """The message names the address."""
    async with serve(build_app(view), "127.0.0.1", 0) as (host, port):
        with pytest.raises(ConfigError, match=f"cannot listen on {host}:{port}") as caught:
            async with serve(build_app(view), host, port):
                pass

    assert "--http" in caught.value.hint


async def get_over(path: Path) -> int:
    """Return the status of /healthz over the unix socket."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
        session.get("http://liteferry/healthz") as answer,
    ):
        return answer.status


async def test_unix_socket_serves_its_owner_only_and_goes_away(view: CannedView, tmp_path: Path) -> None:
    """The file has mode 0600 in a folder of mode 0700, and is removed at the end."""
    path = tmp_path / "run" / "liteferry.sock"
    async with serve_unix(build_app(view), path):
        assert await get_over(path) == 200
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    assert not path.exists()


async def test_socket_left_by_a_dead_process_is_replaced(view: CannedView, tmp_path: Path) -> None:
    """A file on which nobody listens does not keep the daemon from starting."""
    path = tmp_path / "liteferry.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async with serve_unix(build_app(view), path):
        assert await get_over(path) == 200


async def test_socket_of_a_living_process_is_left_alone(view: CannedView, tmp_path: Path) -> None:
    """A second daemon is refused, and the first goes on answering."""
    path = tmp_path / "liteferry.sock"
    async with serve_unix(build_app(view), path):
        with pytest.raises(ConfigError, match="another process listens on"):
            async with serve_unix(build_app(view), path):
                pass

        assert await get_over(path) == 200


async def test_file_that_is_no_socket_is_never_removed(view: CannedView, tmp_path: Path) -> None:
    """A path given by mistake costs nobody a file."""
    path = tmp_path / "app.db"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="is no socket"):
        async with serve_unix(build_app(view), path):
            pass

    assert path.read_text() == "precious"


async def test_socket_that_another_took_over_is_not_removed(view: CannedView, tmp_path: Path) -> None:
    """At the end only our own file goes."""
    path = tmp_path / "liteferry.sock"
    async with serve_unix(build_app(view), path):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))

    assert path.exists()


async def test_journal_is_told_from_any_number_on(client: Client, view: CannedView) -> None:
    """All that is kept, or what has come since; and a word about a number that is none."""
    view.told = statuses.events()
    assert await (await client.get("/api/journal")).json() == view.told
    assert await (await client.get("/api/journal?after=8")).json() == view.told[8:]
    for wrong in ("-1", "x", "٣", ""):
        assert (await client.get("/api/journal", params={"after": wrong})).status == 400


async def test_path_that_is_too_long_is_an_error(view: CannedView, tmp_path: Path) -> None:
    """The message names the path instead of a number."""
    with pytest.raises(ConfigError, match="cannot listen on the unix socket"):
        async with serve_unix(build_app(view), tmp_path / ("x" * 120)):
            pass


def test_every_route_is_documented(view: CannedView) -> None:
    """The reference names each route but the single assets."""
    text = DOCUMENTED.read_text()
    routes = {resource.canonical for resource in build_app(view).router.resources()}

    assert [route for route in routes if not route.startswith("/assets/") and f"`{route}`" not in text] == []


def test_every_field_of_the_status_is_documented() -> None:
    """The reference names each field, of the run, of a source, of a table and of a cutover."""
    text = DOCUMENTED.read_text()
    status = statuses.cut_over()
    (source,) = status["sources"]
    parts = [status, source, source["tables"][0], status["cutover"], status["cutover"]["phases"][0]]
    fields = {field for part in parts for field in part}

    assert sorted(field for field in fields if f"`{field}`" not in text) == []


async def test_a_container_asks_for_its_health_with_the_standard_library_alone(
    view: CannedView, tmp_path: Path
) -> None:
    """Well, failed, or not there at all."""
    path = tmp_path / "liteferry.sock"
    async with serve_unix(build_app(view), path):
        assert await asyncio.to_thread(health, path) == (True, "ok")
        view.current = statuses.failed()
        assert await asyncio.to_thread(health, path) == (False, "failed")
    well, said = await asyncio.to_thread(health, path)
    assert not well and said.startswith("no daemon answers on")
