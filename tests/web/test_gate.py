"""Orders over TCP need the token; what comes too often, too slowly or too large is turned away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from daemon import gate, patience
from daemon.control import _answering
from daemon.gate import Gate
from daemon.http import build_app, serve
from tests import statuses
from tests.statuses import CannedView

TOKEN = "a-token-of-at-least-16-characters"
Client = TestClient[Any, Any]


async def _order(request: web.Request) -> web.Response:
    return web.json_response({"took": await request.text()})


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Serve a view behind the gate, with one order."""
    app = build_app(CannedView(statuses.ready(), []), [Gate(TOKEN).middleware])
    app.router.add_post("/control/order", _order)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \xe9"]
)
async def test_an_order_without_the_token_is_refused(client: Client, header: str | None) -> None:
    """And told how it is to be given; reading needs none."""
    headers = {} if header is None else {"Authorization": header}
    answer = await client.post("/control/order", json={}, headers=headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN not in await answer.text()
    assert (await client.get("/api/status", headers=headers)).status == 200


async def test_an_order_with_the_token_is_taken(client: Client) -> None:
    """The scheme's name may be written as it pleases."""
    for scheme in ("Bearer", "bearer"):
        answer = await client.post("/control/order", data="x", headers={"Authorization": f"{scheme} {TOKEN}"})
        assert await answer.json() == {"took": "x"}


async def test_a_body_or_a_head_that_is_too_large_is_refused(client: Client) -> None:
    """4096 bytes of a body, 8190 of a header, 4096 of a request line."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert (await client.post("/control/order", data="x" * 5000, headers=bearer)).status == 413
    assert (await client.get("/api/status", headers={"X-Long": "x" * 9000})).status == 400


async def test_guessing_is_slowed_down(client: Client) -> None:
    """After some wrong tokens nothing of that peer is looked at for a while; reading goes on."""
    for _ in range(int(gate.GUESSES_AT_ONCE)):
        assert (await client.post("/control/order", headers={"Authorization": "Bearer x"})).status == 401
    refused = await client.post("/control/order", headers={"Authorization": f"Bearer {TOKEN}"})
    assert refused.status == 429 and int(refused.headers["Retry-After"]) >= 1
    assert (await client.get("/healthz")).status == 200


async def test_a_peer_that_asks_too_often_is_told_to_wait(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With when to come again."""
    answers = [(await client.get("/healthz")).status for _ in range(int(gate.REQUESTS_AT_ONCE))]
    assert set(answers) == {200}
    many = [await client.get("/healthz") for _ in range(100)]
    refused = [one for one in many if one.status == 429]
    assert refused and int(refused[0].headers["Retry-After"]) >= 1
    assert refused[0].headers["X-Content-Type-Options"] == "nosniff"


async def test_without_a_token_there_are_no_orders() -> None:
    """The address only reads."""
    app = build_app(CannedView(statuses.ready(), []), [Gate(None).middleware])
    async with TestClient(TestServer(app)) as client:
        assert (await client.post("/control/pause")).status == 404
        assert (await client.post("/api/status")).status == 405


@contextlib.asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection and close it at the end, whatever became of it."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def ends(reader: asyncio.StreamReader) -> bool:
    """Tell whether the other side ends a connection within some seconds."""
    try:
        async with asyncio.timeout(10):
            return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither that of a silent connection nor one that comes drop by drop; others are served meanwhile."""
    monkeypatch.setattr(patience.Patience.__init__, "__defaults__", (0.5, 128))
    app = build_app(CannedView(statuses.ready(), []))
    async with (
        serve(app, "127.0.0.1", 0) as (host, port),
        connected(host, port) as silent,
        connected(host, port) as slow,
        connected(host, port) as good,
    ):
        slow[1].write(b"GET /healthz HT")
        good[1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await good[0].readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
        assert await ends(silent[0]) and await ends(slow[0])
        # one that has asked once may stay
        good[1].write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP/1.1 200" in await good[0].readuntil(b'"reasons"')


async def test_connections_are_limited_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is cut, and when another has gone it finds room."""
    monkeypatch.setattr(patience.Patience.__init__, "__defaults__", (60.0, 2))
    app = build_app(CannedView(statuses.ready(), []))
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serve(app, "127.0.0.1", 0) as (host, port):
        async with connected(host, port) as one, connected(host, port) as two:
            for _, writer in (one, two):
                writer.write(request)
            for reader, _ in (one, two):
                assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
            async with connected(host, port) as third:
                assert await ends(third[0])
        for _ in range(100):
            async with connected(host, port) as again:
                again[1].write(request)
                if (await again[0].read(12)) == b"HTTP/1.1 200":
                    return
            await asyncio.sleep(0.05)
        raise AssertionError("no room was found again")


async def test_what_a_driver_says_of_a_row_is_told_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """An order that the target refuses is answered in our words; the driver's quote the row."""
    error = asyncpg.UniqueViolationError("duplicate key")
    error.detail = "Key (email)=(hostile-row-4711) already exists."

    async def order() -> dict[str, Any]:
        raise error

    app = build_app(CannedView(statuses.ready(), []))
    app.router.add_post("/control/order", _answering(order, {}))
    async with TestClient(TestServer(app)) as client:
        answer = await client.post("/control/order", json={})
        told = await answer.json()
    assert (answer.status, told["kind"]) == (409, "TargetError")
    assert "UniqueViolationError" in told["error"] and "4711" not in f"{told} {caplog.text}"
