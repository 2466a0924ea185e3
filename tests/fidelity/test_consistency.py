"""Every commit on the target is a state that the source had: what always holds there always holds here."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import asyncpg
import pytest

from daemon.embedded import EmbeddedPostgres
from tests.fault.scene import StartWriter, end_equal, fetch, head, settle, source_of, started, stop_all
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.proxy import Proxy
from tests.fixtures.sqlite import MakeSource
from tests.writer import SCHEMA

MakeProxy = Callable[[str], Proxy]
SUM = 50_000

#: One statement, so one snapshot: the sum, what the target says of itself, and the position.
LOOK = "SELECT (SELECT sum(balance) FROM accounts), consistent, position FROM liteferry.source"


class Reader:
    """Looks at the target without a pause, on a thread and a connection of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._look()), name="reader")
        self.positions: set[int] = set()
        self.broken: list[tuple[int, int]] = []
        #: Looks that found the target at work on a backlog, between two states of the source.
        self.between = 0

    @contextmanager
    def looking(self) -> Iterator[Reader]:
        """Look while inside."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()

    async def _look(self) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            while not self._stop.is_set():
                [(total, consistent, position)] = await connection.fetch(LOOK)
                self.positions.add(position)
                if not consistent:
                    self.between += 1
                elif total != SUM:
                    self.broken.append((position, total))
        finally:
            await connection.close()


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_no_reader_of_the_target_sees_a_broken_sum(
    journal: str,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    proxy: MakeProxy,
    target_url: str,
) -> None:
    """While changes stream, while the target is away, and while the backlog is worked off afterwards."""
    path = make_source(script=SCHEMA, journal=journal)
    writing = [writer(path, seed=seed, rate=150) for seed in (1, 2)]
    line = proxy(target_url)
    running = await started(daemon, path, line.url)
    with Reader(target_url).looking() as reader:
        await asyncio.sleep(1.5)
        line.refuse()
        await asyncio.to_thread(more, running, path, 4_000)
        line.heal()
        await asyncio.to_thread(settle, running, path)
        await asyncio.sleep(1)
        assert stop_all(writing) == []
        await asyncio.to_thread(settle, running, path)
    assert reader.broken == []
    assert len(reader.positions) > 20
    assert fetch(path, "SELECT sum(balance) FROM accounts") == [(SUM,)]
    await end_equal(running, path, target_url)


def more(running: RunningDaemon, path: Path, entries: int) -> None:
    """Wait until that many entries are waiting to be applied, or the writers have had their time."""
    position = source_of(running.status())["position"]
    running.wait_until(lambda status: head(path) - position > entries, 60, f"{entries} entries")


async def test_a_unique_value_that_changes_hands_across_batches_is_no_error(
    make_source: MakeSource, daemon: StartDaemon, proxy: MakeProxy, target_url: str
) -> None:
    """Without WAL a backlog goes over in parts, and a row may hold a value whose owner comes later."""
    script = """
        CREATE TABLE seats(id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INT NOT NULL);
        INSERT INTO seats VALUES (1, 'front', 0), (2, 'back', 0);
        CREATE TABLE filler(id INTEGER PRIMARY KEY, n INT NOT NULL);
    """
    path = make_source(script=script, journal="delete")
    line = proxy(target_url)
    running = await started(daemon, path, line.url)
    line.refuse()
    with closing(sqlite3.connect(path, timeout=10)) as database:
        database.execute("UPDATE seats SET n = 1 WHERE id = 1")
        database.executemany("INSERT INTO filler(n) VALUES (?)", [(n,) for n in range(3_000)])
        database.execute("UPDATE seats SET name = 'aisle' WHERE id = 2")
        database.execute("UPDATE seats SET name = 'back' WHERE id = 1")
        database.commit()
    line.heal()
    await end_equal(running, path, target_url)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_no_reader_sees_a_broken_sum_through_many_outages(
    journal: str,
    make_source: MakeSource,
    writer: StartWriter,
    daemon: StartDaemon,
    own_postgres: EmbeddedPostgres,
) -> None:
    """The same for minutes, with a server that is killed now and then."""
    path = make_source(script=SCHEMA, journal=journal)
    writing = [writer(path, seed=seed, rate=200) for seed in (1, 2, 3)]
    running = await started(daemon, path, own_postgres.url)
    for _ in range(8):
        with Reader(own_postgres.url).looking() as reader:
            await asyncio.sleep(8)
        assert reader.broken == []
        own_postgres.kill()
        await asyncio.sleep(4)
        own_postgres.start()
    assert stop_all(writing) == []
    await end_equal(running, path, own_postgres.url)
