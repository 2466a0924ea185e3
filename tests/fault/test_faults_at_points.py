"""At each named point of cutover and rollback something dies or falls silent, and is there again.

Somebody writes to both sides all the time: never are both open, nothing acknowledged is lost, and it ends in
a legal state with nobody's help.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from config.errors import LiteferryError
from daemon.embedded import EmbeddedPostgres
from tests.compare import differences
from tests.databases import from_source, on_target
from tests.fault.scene import HASTY, poll, source_open, target_open
from tests.fault.test_kill_points import IN_CUTOVER, IN_FALLBACK, IN_ROLLBACK
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.proxy import Proxy
from tests.fixtures.sqlite import MakeSource
from tests.mover import SCHEMA
from tests.prober import Prober, probing

MakeProxy = Callable[[str], Proxy]

#: How long a line stays silent, and a server or network away, in seconds.
AWAY_SECONDS = 1.0

#: A few of each in every run of the tests; all of them with all points in earnest.
FEW = (
    ("cutover.after_lock", "server"),
    ("cutover.before_fence", "cut"),
    ("cutover.after_fence", "server"),
    ("cutover.after_fence", "lost"),
    ("cutover.after_decision", "deaf"),
    ("rollback.after_lock", "deaf"),
    ("rollback.before_decision", "server"),
    ("rollback.before_decision", "cut"),
    ("rollback.after_decision", "server"),
    ("rollback.after_decision", "lost"),
    ("rollback.before_close", "refuse"),
)
#: Here SQLite commits, which goes another way without a WAL.
COMMITTING = ("cutover.before_fence", "cutover.after_fence", "rollback.before_decision") + (
    "rollback.after_decision",
)
SOAK = pytest.mark.soak
POINTS = (*IN_CUTOVER, *IN_FALLBACK, *IN_ROLLBACK)
WAYS = ("daemon", "server", "cut", "refuse", "deaf", "lost")

#: From these on the application's writes are on the other side, whatever happens.
DECIDED = ("cutover.after_decision", "rollback.after_decision", "rollback.after_unfence") + (
    "rollback.before_close",
    "rollback.after_close",
)


@dataclass
class Scene:
    """Both sides, the line between them, and the daemon that stands still at its point."""

    path: Path
    server: EmbeddedPostgres
    line: Proxy
    start: StartDaemon
    sign: Path
    point: str
    running: RunningDaemon = field(init=False)

    def begin(self) -> None:
        """Start a daemon that stops at the point."""
        env = {**HASTY, "LITEFERRY_FAILPOINTS": f"{self.point}={self.sign}"}
        self.running = self.start(self.path, self.line.url, env=env)

    def again(self) -> None:
        """Start another in its place, which stops nowhere."""
        self.running.kill()
        self.running = self.start(self.path, self.line.url, env=HASTY)

    async def reached(self) -> None:
        """Wait until the daemon stands at the point."""

        async def there() -> bool | None:
            return True if self.sign.exists() else None

        await poll(there, 60, 0.005)

    @contextlib.contextmanager
    def ended(self) -> Iterator[None]:
        """End the daemon when the test fails inside: whoever waits for its answer would wait for ever."""
        try:
            yield
        except BaseException:
            self.running.kill()
            raise

    def go_on(self) -> None:
        """Let it go on."""
        self.sign.unlink(missing_ok=True)


async def strike(scene: Scene, way: str) -> None:
    """Have the daemon killed, the server, or the line, and all of it mended again."""
    if way == "daemon":
        await asyncio.to_thread(scene.again)
        return scene.go_on()
    if way == "server":
        await asyncio.to_thread(scene.server.kill)
        scene.go_on()
        await asyncio.sleep(AWAY_SECONDS)
        return await asyncio.to_thread(scene.server.start)
    getattr(scene.line, "deaf" if way == "lost" else way)()
    scene.go_on()
    await asyncio.sleep(AWAY_SECONDS)
    if way == "lost":
        await asyncio.to_thread(scene.running.kill)
    scene.line.heal()
    if way == "lost":
        await asyncio.to_thread(scene.again)


async def wait(scene: Scene, wanted: Callable[[dict[str, object]], bool], what: str) -> dict[str, object]:
    """Wait for a status."""
    return await asyncio.to_thread(scene.running.wait_until, wanted, 90, what)


async def there(scene: Scene) -> None:
    """Cut over, as often as it takes."""
    while True:
        await wait(scene, lambda status: bool(status["can_cutover"]), "readiness")
        with contextlib.suppress(LiteferryError):
            await asyncio.to_thread(scene.running.cutover)
            break
    await wait(scene, lambda status: bool(status["can_rollback"]), "a way back")


async def order(scene: Scene, way: str) -> None:
    """Give the order in which the point lies, and strike there."""
    move = scene.running.cutover if scene.point in IN_CUTOVER else scene.running.rollback
    if scene.point in IN_FALLBACK:
        await scene.reached()
        return await strike(scene, way)
    trial = asyncio.create_task(asyncio.to_thread(move, max_pause=8))
    await scene.reached()
    await strike(scene, way)
    with contextlib.suppress(LiteferryError):
        await trial


async def more(side: dict[int, tuple[float, float]]) -> None:
    """Wait until a side has accepted some more rows."""
    count = len(side)

    async def grown() -> bool | None:
        return True if len(side) > count + 2 else None

    await poll(grown, 60)


async def settled(scene: Scene, prober: Prober) -> None:
    """Wait until one side has the writes, assert that it is the only one, and that it may be."""
    status = await wait(
        scene,
        lambda s: bool(s["can_cutover"] if s["state"] == "streaming" else s["can_rollback"]),
        "a legal state",
    )
    state = status["state"]
    sides = source_open(scene.path, "probe"), await target_open(scene.server.url, "probe")
    assert sides == ((True, False) if state == "streaming" else (False, True))
    forth = scene.point in IN_CUTOVER
    if scene.point in DECIDED:
        assert state == ("cut_over" if forth else "streaming")
    await more((prober.source if state == "streaming" else prober.target).accepted)
    prober.assert_one_side(forth=forth)


def cases() -> Iterator[object]:
    """Return point, way and journal mode of each case; most of them only in earnest."""
    for point in POINTS:
        for way in WAYS:
            for journal in ("wal", "delete") if point in COMMITTING else ("wal",):
                few = (point, way) in FEW and journal == "wal"
                yield pytest.param(point, way, journal, marks=() if few else SOAK)


@pytest.mark.parametrize(("point", "way", "journal"), list(cases()))
@pytest.mark.timeout(300)
async def test_a_fault_at_a_point_leaves_one_side_open_and_loses_nothing(
    point: str,
    way: str,
    journal: str,
    make_source: MakeSource,
    daemon: StartDaemon,
    proxy: MakeProxy,
    own_postgres: EmbeddedPostgres,
    tmp_path: Path,
) -> None:
    """The daemon or the server is killed there, or the line cut, refused, silent, or lost with the daemon."""
    source, line = make_source(script=SCHEMA, journal=journal), proxy(own_postgres.url)
    scene = Scene(source, own_postgres, line, daemon, tmp_path / "held", point)
    scene.begin()
    if point in IN_CUTOVER:
        await wait(scene, lambda status: bool(status["can_cutover"]), "readiness")
    else:
        await there(scene)
    with scene.ended():
        prober = await probed(scene, way)
    await equal(scene, prober)


async def probed(scene: Scene, way: str) -> Prober:
    """Strike while both sides are written to all the time; return who did, when one side is open again."""
    point = scene.point
    async with probing(scene.path, scene.server.url) as prober:
        await more((prober.source if point in IN_CUTOVER else prober.target).accepted)
        await order(scene, way)
        await settled(scene, prober)
    return prober


async def equal(scene: Scene, prober: Prober) -> None:
    """Assert that both sides are equal, when nobody writes any more, and have all that was acknowledged."""
    query = "SELECT count(*) FROM probe"

    async def same() -> bool | None:
        there = on_target(scene.server.url, query)
        return True if from_source(scene.path, query) == there else None

    await poll(same)
    with contextlib.suppress(AssertionError):
        await poll(lambda: _none(scene), 20)
    assert await differences(scene.path, scene.server.url) == []
    prober.assert_kept()


async def _none(scene: Scene) -> bool | None:
    return True if not await differences(scene.path, scene.server.url) else None


LEFT = "SELECT count(*) FROM pg_namespace WHERE nspname = 'liteferry'"
OURS = "SELECT count(*) FROM sqlite_master WHERE name GLOB '_liteferry*'"


@pytest.mark.parametrize(
    ("point", "way"),
    [
        pytest.param(f"finish.{point}", way, marks=() if (point, way) == ("after_target", "server") else SOAK)
        for point in ("after_target", "after_source")
        for way in WAYS
        # the daemon's own death is in every run of the tests, beside the other tests of the finish
        if way != "daemon"
    ],
)
@pytest.mark.timeout(300)
async def test_a_fault_while_it_is_finished_leaves_nothing_of_ours(
    point: str,
    way: str,
    make_source: MakeSource,
    daemon: StartDaemon,
    proxy: MakeProxy,
    own_postgres: EmbeddedPostgres,
    tmp_path: Path,
) -> None:
    """PostgreSQL keeps the writes, with all that it had, and both sides are clean in the end."""
    source, line = make_source(script=SCHEMA), proxy(own_postgres.url)
    scene = Scene(source, own_postgres, line, daemon, tmp_path / "held", point)
    scene.begin()
    await there(scene)
    on_target(own_postgres.url, "INSERT INTO probe VALUES ('target', '0', 1); SELECT 1")
    trial = asyncio.create_task(asyncio.to_thread(scene.running.finish))
    await scene.reached()
    await strike(scene, way)
    with contextlib.suppress(LiteferryError):
        await trial

    async def clean() -> bool | None:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if on_target(own_postgres.url, LEFT) == [(0,)] and from_source(source, OURS) == [(0,)]:
                return True
        return None

    await poll(clean, 60)
    on_target(own_postgres.url, "INSERT INTO probe VALUES ('target', '1', 1); SELECT 1")
    assert on_target(own_postgres.url, "SELECT b FROM probe ORDER BY b") == [("0",), ("1",)]
