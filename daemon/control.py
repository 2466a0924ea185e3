"""The control socket: commands for the running daemon, as HTTP over a unix socket of its owner."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp
from aiohttp import web

from config import errors
from config.errors import ControlError, LiteferryError

from .gate import Gate
from .http import build_app
from .patience import BODY_SECONDS

if TYPE_CHECKING:
    # half a second to import, and those who only ask need none of it
    from .supervisor import Supervisor

#: A cutover that waits for readiness, or a verification of a large table, answers when it is done.
PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=5)

Parameters: TypeAlias = dict[str, type | tuple[type, ...]]
Command = Callable[..., Awaitable[dict[str, Any]]]

#: What a command takes, and of which type.
CUTOVER: Parameters = {"max_pause": (float, int, NoneType), "rehearse": bool, "dry_run": bool}
THROTTLE: Parameters = {"rows_per_second": (int, NoneType), "reset": bool}
PAUSE: Parameters = {"source": (str, NoneType)}
QUARANTINE: dict[str, Parameters] = {
    "list": {"table": (str, NoneType), "limit": int},
    "retry": {"table": (str, NoneType)},
    "accept": {"table": str},
}
VERIFY: Parameters = {
    "counts_only": bool,
    "table": (str, NoneType),
    "samples": bool,
    "repair": bool,
    "incremental": bool,
    "resume": bool,
    "by": (str, NoneType),
}

#: How soon a verification ends after whoever has asked for it is gone.
ATTENDED_SECONDS = 0.25


@dataclass(frozen=True)
class Address:
    """Where a daemon listens on TCP, and the token for its orders."""

    url: str
    token: str | None = None


#: A daemon is reached through its control socket, or over TCP.
Where: TypeAlias = Path | Address


def build_control(supervisor: Supervisor) -> web.Application:
    """Return the application of the control socket: all that can be read, and the commands."""
    app = build_app(supervisor)
    _add_orders(app, supervisor)
    return app


def build_public(supervisor: Supervisor, token: str | None) -> web.Application:
    """Return the application for TCP: all that can be read, and the commands where there is a token."""
    app = build_app(supervisor, [Gate(token).middleware])
    if token is not None:
        _add_orders(app, supervisor)
    return app


def _add_orders(app: web.Application, supervisor: Supervisor) -> None:
    app.router.add_post("/control/cutover", _answering(supervisor.moves.cutover, CUTOVER))
    app.router.add_post("/control/rollback", _answering(supervisor.moves.rollback, CUTOVER))
    app.router.add_post("/control/finish", _answering(supervisor.moves.finish, {}))
    app.router.add_post("/control/pause", _answering(supervisor.pauses.pause, PAUSE))
    app.router.add_post("/control/resume", _answering(supervisor.pauses.resume, PAUSE))
    app.router.add_post("/control/throttle", _answering(supervisor.throttling.throttle, THROTTLE))
    app.router.add_post("/control/aftercare", _answering(supervisor.aftercare, {}))
    app.router.add_post("/control/verify", _answering(supervisor.verification.run, VERIFY, attended=True))
    app.router.add_post("/control/report", _answering(supervisor.verification.report, {}))
    for name, known in QUARANTINE.items():
        app.router.add_post(f"/control/quarantine/{name}", _answering(_quarantine(supervisor, name), known))


def _quarantine(supervisor: Supervisor, name: str) -> Command:
    async def command(**parameters: Any) -> dict[str, Any]:
        wards = supervisor.wards()
        does: dict[str, Command] = {"list": wards.listed, "retry": wards.retry, "accept": wards.accept}
        return await does[name](**parameters)

    return command


def _answering(
    command: Command, known: Parameters, *, attended: bool = False
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of a command; of an `attended` one, which ends when nobody waits for it any more."""
    # it brings the driver along, and those who only ask need none of it
    from replicator.faults import ours

    async def handle(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                text = await request.text()
        except TimeoutError:
            told = {"error": "the order has not come in time", "kind": "ControlError"}
            return web.json_response(told, status=408)
        try:
            work = command(**_parameters(text, known))
            return web.json_response(await (_attended(request, work) if attended else work))
        except Exception as error:
            refusal = ours(error)
            if refusal is None:
                raise
            kind = type(refusal).__name__
            return web.json_response({"error": str(refusal), "hint": refusal.hint, "kind": kind}, status=409)

    return handle


async def _attended(request: web.Request, work: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=ATTENDED_SECONDS)
            if request.transport is None or request.transport.is_closing():
                break
    finally:
        task.cancel()
        await asyncio.wait([task])
    return task.result()


def _parameters(text: str, known: Parameters) -> dict[str, Any]:
    """Return the parameters of a command. Raises ControlError for one it does not know."""
    try:
        body = json.loads(text or "{}")
    except json.JSONDecodeError:
        raise ControlError("the command's parameters are not JSON") from None
    if not isinstance(body, dict):
        raise ControlError("the command's parameters are not a JSON object")
    for name, value in body.items():
        if name not in known or not isinstance(value, known[name]):
            raise ControlError(f"the command does not take {name!r} as given; it takes {', '.join(known)}")
    return body


async def ask(where: Where, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask the daemon behind a control socket or an address: read `path`, or post a command with a body.

    Raises ControlError when nobody answers, and the daemon's own error when it refused.
    """
    status, content = await _asked(where, path, body)
    try:
        answer: dict[str, Any] = json.loads(content)
    except ValueError:
        raise _no_answer(where, f"status {status}, and no JSON") from None
    if status >= 400 and "error" in answer:
        raise _revived(answer)
    return answer


async def read(where: Where, path: str) -> bytes:
    """Read what is no JSON from a daemon. Raises ControlError as `ask` does."""
    return (await _asked(where, path, None))[1]


async def _asked(where: Where, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
    method, headers = "GET" if body is None else "POST", {}
    connector: aiohttp.BaseConnector | None = None
    url = "http://liteferry"
    if isinstance(where, Address):
        url = where.url.rstrip("/")
        if where.token is not None and body is not None:
            headers["Authorization"] = f"Bearer {where.token}"
    else:
        connector = aiohttp.UnixConnector(path=str(where))
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=PATIENCE) as session:
            asked = session.request(method, url + path, json=body, headers=headers, allow_redirects=False)
            async with asked as response:
                return response.status, await response.read()
    except (aiohttp.ClientError, OSError) as error:
        raise _no_answer(where, type(error).__name__) from None


def _no_answer(where: Where, why: str) -> ControlError:
    if isinstance(where, Address):
        return ControlError(
            f"no liteferry answers at {where.url!r}: {why}",
            hint="give its address with --url; orders need --token-file, and `http_token_file` on its side",
        )
    return ControlError(
        f"no liteferry answers on the control socket {str(where)!r}: {why}",
        hint="start it with `liteferry run`, or give its socket with --control",
    )


def _revived(answer: dict[str, Any]) -> LiteferryError:
    """Make the daemon's error ours again, so that the exit status is that of its class."""
    kind = getattr(errors, str(answer.get("kind")), ControlError)
    if not (isinstance(kind, type) and issubclass(kind, LiteferryError)):
        kind = ControlError
    try:
        return kind(str(answer["error"]), hint=str(answer.get("hint", "")))
    except TypeError:
        return ControlError(str(answer["error"]), hint=str(answer.get("hint", "")))
