"""The service manager hears what it should, over a real datagram socket."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from daemon.notify import Notifier

Send = Callable[[Notifier], None]


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Listen as a service manager does; give the socket and what NOTIFY_SOCKET would say."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@liteferry-{uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(5)
        listener.bind(address.replace("@", "\0", 1))
        yield listener, address


@pytest.mark.parametrize(
    ("send", "message"),
    [
        (lambda n: n.ready(), "READY=1"),
        (lambda n: n.ready("streaming"), "READY=1\nSTATUS=streaming"),
        (lambda n: n.status("3 changes pending"), "STATUS=3 changes pending"),
        (lambda n: n.status("one\nREADY=1"), "STATUS=one READY=1"),
        (lambda n: n.stopping("finishing a batch"), "STOPPING=1\nSTATUS=finishing a batch"),
        (lambda n: n.stopping("", 12.5), "STOPPING=1\nEXTEND_TIMEOUT_USEC=12500000"),
        (lambda n: n.watchdog(), "WATCHDOG=1"),
    ],
    ids=[
        "ready",
        "ready with status",
        "status",
        "status of two lines",
        "stopping",
        "stopping for long",
        "watchdog",
    ],
)
def test_each_state_is_one_message(manager: tuple[socket.socket, str], send: Send, message: str) -> None:
    """The text is what sd_notify would send; a line break in a status begins no new assignment."""
    listener, address = manager

    send(Notifier.from_environment({"NOTIFY_SOCKET": address}))

    assert listener.recv(4096).decode() == message


def test_reloading_carries_the_time(manager: tuple[socket.socket, str]) -> None:
    """Type=notify-reload needs it to tell one reload from the next."""
    listener, address = manager

    Notifier.from_environment({"NOTIFY_SOCKET": address}).reloading()

    state, usec = listener.recv(4096).decode().splitlines()
    assert state == "RELOADING=1"
    assert usec.startswith("MONOTONIC_USEC=") and usec.partition("=")[2].isdigit()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_nothing_happens_without_a_socket(environ: dict[str, str]) -> None:
    """In a shell or a container every call is silent, and no watchdog is set."""
    notifier = Notifier.from_environment({**environ, "WATCHDOG_USEC": "1000000"})

    notifier.ready("x")
    notifier.watchdog()
    assert not notifier.active
    assert notifier.watchdog_interval is None


def test_a_broken_socket_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The daemon goes on, and its log does not fill with every ping."""
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / "gone")})

    with caplog.at_level(logging.WARNING):
        notifier.ready()
        notifier.watchdog()

    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("variables", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_in_half_its_time(variables: dict[str, str], interval: float | None) -> None:
    """Only when it is set, and set for this process."""
    assert Notifier.from_environment({"NOTIFY_SOCKET": "/x", **variables}).watchdog_interval == interval


async def test_keep_alive_pings_while_healthy(manager: tuple[socket.socket, str]) -> None:
    """An unhealthy daemon holds its pings back, and sends them again when it has recovered."""
    listener, address = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000"})
    health = iter([True, False, False, True])
    asked = 0

    def healthy() -> bool:
        nonlocal asked
        asked += 1
        return next(health)

    # the iterator's end ends the loop
    with pytest.raises(RuntimeError, match="StopIteration"):
        await notifier.keep_alive(healthy)

    assert asked == 5
    assert [listener.recv(64), listener.recv(64)] == [b"WATCHDOG=1"] * 2
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.recv(64)


async def test_keep_alive_returns_when_no_watchdog_is_set() -> None:
    """Nothing is left running."""
    await asyncio.wait_for(Notifier().keep_alive(), 5)
