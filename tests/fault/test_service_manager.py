"""The daemon under a service manager: ready when it works, pinging while it gets on, reloading at SIGHUP."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.embedded import EmbeddedPostgres
from tests.fault.scene import HASTY, StartWriter, ended_equal, fetch, make_archive, settle
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

#: What the watchdog allows; the daemon pings twice in it.
WATCHDOG_SECONDS = 2.0


class Manager:
    """What a service manager hears of its service, read as soon as it is said."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._news = threading.Condition()
        self._messages: list[str] = []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    @property
    def env(self) -> dict[str, str]:
        """Return what the service is told of us."""
        return {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1_000_000))}

    def _read(self) -> None:
        while message := self._socket.recv(4096).decode():
            with self._news:
                self._messages.append(message)
                self._news.notify_all()

    def hear(self, text: str, timeout: float = 60) -> str:
        """Return the next message that nobody has heard yet and that has a text in it."""

        def found() -> str | None:
            while self._messages:
                message = self._messages.pop(0)
                if text in message:
                    return message
            return None

        with self._news:
            message = self._news.wait_for(found, timeout)
        assert message is not None, f"{text!r} was not said within {timeout} s"
        return message

    def pings(self, seconds: float) -> int:
        """Count the pings of the next seconds."""
        end = threading.Event()
        with self._news:
            self._messages.clear()
        end.wait(seconds)
        with self._news:
            return self._messages.count("WATCHDOG=1")

    def close(self) -> None:
        """Listen no more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.sendto(b"", self.address)
        self._reading.join()
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """Listen as a service manager does."""
    listening = Manager(tmp_path / "notify")
    yield listening
    listening.close()


async def test_a_service_is_ready_reloads_and_waits_for_its_target(
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    own_postgres: EmbeddedPostgres,
    manager: Manager,
    tmp_path: Path,
) -> None:
    """READY=1 when the triggers are in; a reload takes what may change; an outage is pinged through."""
    path, config = make_archive(make_source, rows=500), tmp_path / "liteferry.toml"
    config.write_text('max_pause = "5s"\n')
    writing = writer(path, rate=100)
    running = daemon(path, own_postgres.url, env={**HASTY, **manager.env}, args=("--config", config))

    hear = manager.hear
    assert (await asyncio.to_thread(hear, "READY=1")).startswith("READY=1\nSTATUS=")
    assert fetch(path, "SELECT count(*) FROM sqlite_schema WHERE name GLOB '_liteferry_*'")[0][0] > 0
    await asyncio.to_thread(hear, "STATUS=streaming, ")

    config.write_text('max_pause = "3s"\nparallel = 2\n')
    running.signal(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in await asyncio.to_thread(hear, "RELOADING=1")
    await asyncio.to_thread(hear, "READY=1")
    assert any("'parallel' has changed" in notice for notice in running.status()["notices"])

    config.write_text("max_pause =")
    running.signal(signal.SIGHUP)
    await asyncio.to_thread(hear, "RELOADING=1")
    await asyncio.to_thread(hear, "READY=1")
    assert any("could not be read again" in notice for notice in running.status()["notices"])

    own_postgres.stop("immediate")
    await asyncio.to_thread(hear, "the target is away")
    assert await asyncio.to_thread(manager.pings, 2 * WATCHDOG_SECONDS) >= 3
    assert running.status()["stalled"] is None
    await asyncio.to_thread(own_postgres.start)
    await ended_equal(writing, running, path, own_postgres.url)


async def test_a_wedged_tailer_is_not_pinged_for_and_a_restart_streams_on(
    make_source: MakeSource, writer: StartWriter, daemon: StartDaemon, target_url: str, manager: Manager
) -> None:
    """Its event loop turns and answers all the while; killed as the manager does it, nothing is lost."""
    path = make_archive(make_source, rows=500)
    writing = writer(path, rate=100)
    wedge = {"LITEFERRY_FAILPOINTS": "tail.reading@20=300"}
    running = daemon(path, target_url, env={**HASTY, **manager.env, **wedge})

    stuck = await asyncio.to_thread(manager.hear, "has not got on")
    assert str(path) in stuck
    assert await asyncio.to_thread(manager.pings, 2 * WATCHDOG_SECONDS) == 0
    assert "reading" in running.status()["stalled"]
    running.signal(signal.SIGABRT)
    assert await asyncio.to_thread(running.wait_end) == -signal.SIGABRT
    assert "in reach" in running.log  # the thread that was stuck, and where

    again = daemon(path, target_url, env={**HASTY, **manager.env})
    await asyncio.to_thread(settle, again, path)
    assert await asyncio.to_thread(manager.pings, WATCHDOG_SECONDS) >= 1
    await ended_equal(writing, again, path, target_url)
