"""Wake-up by file events of real databases that another process writes."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import daemon.wakeup
from daemon.wakeup import Wakeup

DEADLINE = 20.0  # seconds; generous, nothing waits for it when all is well
QUIET = 0.2  # seconds without an event that count as "no event comes"

# commits as many rows as each line of its input says, and answers every line
WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA synchronous=OFF")
for line in sys.stdin:
    for _ in range(int(line)):
        connection.execute("INSERT INTO t VALUES (1)")
    print("done", flush=True)
"""

Commit = Callable[[int], Coroutine[None, None, None]]


@pytest.fixture(params=["wal", "delete"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give a database in each journal mode."""
    return database(tmp_path / "app.db", request.param)


def database(path: Path, mode: str = "wal") -> Path:
    """Create a database with a table `t`."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE t(x)")
        connection.commit()
    return path


@asynccontextmanager
async def application(path: Path) -> AsyncIterator[Commit]:
    """Run a process with *path* open; give a coroutine that lets it commit, and returns when it has."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdin=PIPE, stdout=PIPE
    )

    async def commit(count: int) -> None:
        assert process.stdin and process.stdout
        process.stdin.write(f"{count}\n".encode())
        await asyncio.wait_for(process.stdout.readline(), DEADLINE)

    try:
        await commit(1)
        yield commit
    finally:
        await finish(process)


async def finish(process: Process) -> None:
    """Close the process's input, which ends it."""
    await process.communicate(b"")


async def drained(wakeup: Wakeup, path: Path) -> None:
    """Wait until no more events come."""
    end = time.monotonic() + DEADLINE
    while await wakeup.wait(path, QUIET):
        assert time.monotonic() < end


async def test_a_commit_wakes(source: Path) -> None:
    """Each commit of another process ends the wait early, in both journal modes."""
    async with application(source) as commit, Wakeup([source]) as wakeup:
        assert wakeup.watching
        for _ in range(3):
            await drained(wakeup, source)
            await commit(1)
            assert await wakeup.wait(source, DEADLINE)


async def test_nothing_happens_without_a_commit(source: Path) -> None:
    """The wait ends in False after its time."""
    async with application(source), Wakeup([source]) as wakeup:
        await drained(wakeup, source)
        start = time.monotonic()

        assert not await wakeup.wait(source, 0.05)
        assert time.monotonic() - start >= 0.05


async def test_commits_before_the_wait_count(source: Path) -> None:
    """A change between two waits is not lost, and many are one."""
    async with application(source) as commit, Wakeup([source]) as wakeup:
        await drained(wakeup, source)
        await commit(5)

        assert await wakeup.wait(source, DEADLINE)
        await drained(wakeup, source)


async def test_our_own_reading_does_not_wake(tmp_path: Path) -> None:
    """Reading a database that is in use, again and again, leaves the flag down."""
    source = database(tmp_path / "app.db")
    reader = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    async with application(source), Wakeup([source]) as wakeup:
        with closing(reader):
            # before watchdog 7, opening as root wakes once: SQLite changes the owner of -wal then
            reader.execute("SELECT count(*) FROM t").fetchone()
            await drained(wakeup, source)
            for _ in range(3):
                reader.execute("SELECT count(*) FROM t").fetchone()

            assert not await wakeup.wait(source, QUIET)


async def test_sources_of_one_folder_are_told_apart(tmp_path: Path) -> None:
    """A commit wakes its own source only, though one name begins like the other."""
    one, other = database(tmp_path / "app.db"), database(tmp_path / "app.db2.db")
    async with application(one) as commit, application(other), Wakeup([one, other]) as wakeup:
        await drained(wakeup, one)
        await drained(wakeup, other)
        await commit(1)

        assert await wakeup.wait(one, DEADLINE)
        assert not await wakeup.wait(other, QUIET)


async def test_a_source_that_is_added_later_is_watched(tmp_path: Path) -> None:
    """Also one in a folder of its own."""
    (tmp_path / "later").mkdir()
    first, later = database(tmp_path / "a.db"), database(tmp_path / "later" / "b.db")
    async with application(later) as commit, Wakeup([first]) as wakeup:
        wakeup.add(later)
        await drained(wakeup, later)
        await commit(1)

        assert await wakeup.wait(later, DEADLINE)


async def test_a_storm_of_commits_costs_few_events(tmp_path: Path) -> None:
    """Far fewer events are handled than commits are made, waits go on returning, and single commits after
    the storm wake as before."""
    source = database(tmp_path / "app.db")
    async with application(source) as commit, Wakeup([source]) as wakeup:
        await drained(wakeup, source)
        storm = asyncio.create_task(commit(20_000))
        woken = 0
        while not storm.done():
            woken += await wakeup.wait(source, 0.05)
        await storm

        assert woken > 3
        assert wakeup.events < 1_000
        await asyncio.wait_for(rearmed(wakeup, source), DEADLINE)
        await drained(wakeup, source)
        await commit(1)
        assert await wakeup.wait(source, DEADLINE)


async def rearmed(wakeup: Wakeup, source: Path) -> None:
    """Wait until the folder is watched again."""
    while any(folder.watch is None for folder in wakeup._folders.values()):
        await wakeup.wait(source, 0.05)


async def told(news: asyncio.Event) -> None:
    """Wait for news, and be ready for the next."""
    await asyncio.wait_for(news.wait(), DEADLINE)
    news.clear()


async def test_a_new_file_in_a_folder_is_news(tmp_path: Path) -> None:
    """When it is created, and when it becomes a database; other files, and commits of sources, are none."""
    source = database(tmp_path / "app.db", "delete")
    news = asyncio.Event()
    async with application(source) as commit, Wakeup([source], [tmp_path], news.set) as wakeup:
        (tmp_path / "notes.txt").write_text("this is no database")
        await commit(3)
        await drained(wakeup, source)
        assert not news.is_set()

        (tmp_path / "new.sqlite3").touch()
        await told(news)
        database(tmp_path / "new.sqlite3")
        await told(news)


async def test_a_file_that_is_moved_into_the_folder_is_news(tmp_path: Path) -> None:
    """A rename brings it in whole."""
    (tmp_path / "folder").mkdir()
    ready = database(tmp_path / "ready.db", "delete")
    news = asyncio.Event()
    async with Wakeup([], [tmp_path / "folder"], news.set):
        ready.rename(tmp_path / "folder" / "ready.db")

        await told(news)


async def test_a_source_that_loses_its_name_is_news(tmp_path: Path) -> None:
    """Renamed away and back again, in a folder in which nothing is looked for."""
    source = database(tmp_path / "app.db", "delete")
    news = asyncio.Event()
    async with Wakeup([source], [], news.set):
        source.rename(tmp_path / "away.db")
        await told(news)
        (tmp_path / "away.db").rename(source)
        await told(news)


async def test_a_folder_that_cannot_be_watched_leaves_timeouts(tmp_path: Path) -> None:
    """Without any event the wait still ends, and one warning tells of it."""
    source = tmp_path / "gone" / "app.db"
    with capture_logs() as logs:
        async with Wakeup([source]) as wakeup:
            assert not wakeup.watching
            assert not await wakeup.wait(source, 0.01)

    assert [entry["log_level"] for entry in logs] == ["warning"]


# run without any inotify to be had: the limits count per user namespace
EXHAUSTED = """
import asyncio, sqlite3, sys
from pathlib import Path
import structlog
from daemon.wakeup import Wakeup

async def main(path):
    news = asyncio.Event()
    async with Wakeup([path], [path.parent], news.set) as wakeup:
        connection = sqlite3.connect(path.parent / "new.db")
        connection.execute("CREATE TABLE t(x)")
        connection.commit()
        await asyncio.wait_for(news.wait(), 20)
        print("announced", wakeup.watching)

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_without_inotify_folders_are_polled(tmp_path: Path, limit: str) -> None:
    """With the system's watches used up one warning is given, and new files are found all the same."""
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    namespace = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    lower = f"echo 0 > /proc/sys/user/{limit}"
    if subprocess.run([*namespace, lower], capture_output=True).returncode != 0:
        pytest.skip("user namespaces are not allowed here")
    source = database(tmp_path / "app.db")

    done = subprocess.run(
        [*namespace, f'{lower}; exec "$@"', "sh", sys.executable, "-c", EXHAUSTED, str(source)],
        cwd=Path(daemon.wakeup.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=DEADLINE * 2,
    )

    assert (done.stdout, done.returncode) == ("announced True\n", 0), done.stderr
    assert done.stderr.count("file events are not available") == 1
