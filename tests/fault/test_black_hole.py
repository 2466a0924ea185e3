"""A network that swallows every packet: no reset, no error, only silence. Needs root and namespaces."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.fault.scene import (
    StartWriter,
    end_equal,
    make_archive,
    one_value,
    poll,
    source_of,
    started,
    stop_all,
)
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.proxy import Proxy
from tests.fixtures.sqlite import MakeSource
from tests.processes import execute_product

#: Long enough for the system to give the connection up, and for the server to end our idle transaction.
NOTICED, ENDED = 25, 60

#: The two ends of the wire.
NEAR, FAR = "10.79.0.1", "10.79.0.2"

ZOMBIES = """
    SELECT count(*) FROM pg_stat_activity WHERE application_name = 'liteferry'
    AND state = 'idle in transaction' AND state_change < now() - interval '5 s'
"""


@dataclass(frozen=True)
class Wire:
    """A network of two: we, and a namespace in which the daemon runs."""

    namespace: str

    def cut(self) -> None:
        """Drop every packet on the far side, both ways."""
        for chain in ("INPUT ! -i lo", "OUTPUT ! -o lo"):
            self.within(f"iptables -A {chain} -j DROP")

    def mend(self) -> None:
        """Let packets through again."""
        self.within("iptables -F")

    def within(self, line: str) -> None:
        """Run a command in the namespace."""
        subprocess.run(["ip", "netns", "exec", self.namespace, *line.split()], check=True)


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Lay a wire to a namespace of the test's own."""
    if os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("iptables")):
        pytest.skip("network namespaces need root, ip and iptables")
    name, near, far = (f"lf{end}{os.getpid()}" for end in ("", "a", "b"))
    steps = (
        f"netns add {name}",
        f"link add {near} type veth peer name {far} netns {name}",
        f"addr add {NEAR}/24 dev {near}",
        f"link set {near} up",
        f"-n {name} addr add {FAR}/24 dev {far}",
        f"-n {name} link set {far} up",
        f"-n {name} link set lo up",
    )
    try:
        for step in steps:
            done = subprocess.run(["ip", *step.split()], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"network namespaces cannot be used here: {done.stderr.strip()}")
        yield Wire(name)
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


class FarProxy(Proxy):
    """The proxy of the other tests at our end of the wire."""

    async def _open(self) -> None:
        await super()._open()
        self._server.close()
        self._server = await asyncio.start_server(self._accept, NEAR, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """Return the target's URL as the daemon must call it."""
        return super().url.replace("127.0.0.1", NEAR)


@pytest.fixture
def far_url(wire: Wire, target_url: str) -> Iterator[str]:
    """Forward our end of the wire to the server; the value is the database's URL from the far end."""
    forwarding = FarProxy(target_url)
    yield forwarding.url
    forwarding.close()


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_a_black_hole_is_noticed_and_leaves_no_lock_behind(
    wire: Wire,
    far_url: str,
    target_url: str,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The target counts as away within seconds, and the server ends the transaction that nobody will end."""
    from_afar = functools.partial(execute_product, through=["ip", "netns", "exec", wire.namespace])
    monkeypatch.setattr("tests.fixtures.daemon.start_product", from_afar)
    path = make_archive(make_source, rows=500)
    writing = writer(path, rate=50)
    running = await started(daemon, path, far_url)

    wire.cut()
    await asyncio.to_thread(running.wait_until, lambda s: not source_of(s)["target_connected"], NOTICED)
    await poll(lambda: nobody(target_url), ENDED)
    wire.mend()
    assert stop_all([writing]) == []
    await end_equal(running, path, target_url)


async def nobody(url: str) -> bool | None:
    """Return True when no transaction of ours is left idle on the server."""
    return None if await one_value(url, ZOMBIES) else True
