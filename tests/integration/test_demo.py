"""`liteferry demo` carries its application over, says what is wrong if something is, and leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from daemon.demo.comparison import Difference, compare
from daemon.demo.report import NOT_REACHED, Figures, ten_lines
from replicator import failpoint
from tests.fixtures.sqlite import MakeSource
from tests.processes import clean_environment, command

END_SECONDS = 110
NAMES = [
    *("copied", "streamed", "lag", "verified", "rehearsed"),
    *("cut over", "stalled", "wrote", "compared", "verdict"),
]
SUMMARY = {
    "sqlite_writes": 20,
    "postgres_writes": 10,
    "refused": 3,
    "repeated": 3,
    "refused_ms": 10.0,
    "stall_ms": 20.0,
    "error_count": 0,
    "errors": [],
}
SHOP = """
CREATE TABLE item(id INTEGER PRIMARY KEY, sku TEXT, price REAL, sold BOOLEAN, picture BLOB);
INSERT INTO item VALUES (1, 'a', 1.5, 1, x'00ff'), (2, 'b', 0.0, 0, NULL), (3, 'ü', 3.0, NULL, x'');
"""
TARGET = """
CREATE TABLE item(id bigint, sku text, price double precision, sold boolean, picture bytea);
INSERT INTO item VALUES (1, 'a', 1.5, true, '\\x00ff'), (2, 'b', 0.0, false, NULL), (3, 'ü', 3.0, NULL, '');
"""


class Running:
    """A demonstration in a process of its own, its temporary files in a folder of their own."""

    def __init__(self, folder: Path, *options: object, env: Mapping[str, str] = {}) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            command("demo", "--size", 0.05, "--rate", 100, *options),
            env=clean_environment({"TMPDIR": str(folder), **env}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for(self, text: str) -> None:
        """Read on until a line holds the text."""
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            if text in line:
                return
            seen.append(line)
        raise AssertionError(f"it ended before {text!r}:\n{''.join(seen)}")

    def finish(self) -> list[str]:
        """Return the rest of its lines when it has ended."""
        output, _ = self.process.communicate(timeout=END_SECONDS)
        return output.splitlines()

    def leftovers(self) -> list[str]:
        """Return the processes and files that it has left behind."""
        listing = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True)
        processes = [line for line in listing.stdout.splitlines() if str(self.folder) in line]
        return processes + os.listdir(self.folder)

    def kill(self) -> None:
        """End it, kindly first so that it cleans up; harmless when it has ended."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=END_SECONDS)


Start = Callable[..., Running]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder for temporary files that every user may enter: as root the server is another one."""
    with tempfile.TemporaryDirectory(prefix="lf-demo-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Return a factory: `start("--seconds", 2, env=...)`."""
    with contextlib.ExitStack() as stack:

        def starting(*options: object, env: Mapping[str, str] = {}) -> Running:
            running = Running(folder, *options, env=env)
            stack.callback(running.kill)
            return running

        yield starting


def figures_of(lines: list[str]) -> dict[str, str]:
    """Return the ten lines of the report by their first word."""
    # behind it asyncio may remark that somebody else has waited for a child's end
    begin = max((n for n, line in enumerate(lines) if line.startswith(NAMES[0])), default=0)
    told = {line[:12].strip(): line[12:] for line in lines[begin : begin + len(NAMES)]}
    assert list(told) == NAMES, "\n".join(lines)
    return told


@pytest.mark.slow
def test_the_shop_is_moved_while_it_writes(start: Start) -> None:
    """The ten lines say that nothing is wrong, the exit status too, and nothing is left behind."""
    running = start("--seconds", 2, "--rate", 200)
    lines = running.finish()

    told = figures_of(lines)
    assert running.process.returncode == 0, "\n".join(lines)
    assert told["verdict"].startswith("all right")
    assert told["compared"].endswith("all equal")
    assert "no error" in told["wrote"]
    assert not any(text == NOT_REACHED for text in told.values())
    assert "\x1b" not in "".join(lines)
    assert running.leftovers() == []


@pytest.mark.slow
@pytest.mark.parametrize("point", ["pipeline.streaming", "cutover.after_fence"])
def test_the_death_of_the_daemon_is_a_failure(start: Start, point: str) -> None:
    """It is told, nobody waits for a daemon that is gone, and what is left is ended."""
    running = start("--seconds", 1, env={failpoint.VARIABLE: f"{point}=kill"})
    lines = running.finish()

    assert running.process.returncode == 1
    assert "WRONG: the daemon ended, with status -9" in figures_of(lines)["verdict"]
    assert running.leftovers() == []


@pytest.mark.slow
def test_a_tampered_row_is_a_failure(start: Start, postgres_server: str) -> None:
    """The sides are not declared equal, the cutover is not done, and the given server is left as it was."""
    before = databases(postgres_server)
    running = start("--seconds", 3, "--target", postgres_server)
    running.wait_for("Streaming")
    (name,) = databases(postgres_server) - before
    tamper(urlsplit(postgres_server)._replace(path=f"/{name}").geturl())
    told = figures_of(running.finish())

    assert running.process.returncode == 1
    assert "differences, so no cutover: different: key 40" in told["verdict"]
    assert told["cut over"] == NOT_REACHED
    assert databases(postgres_server) == before


@pytest.mark.slow
def test_an_interruption_cleans_up(start: Start) -> None:
    """Ctrl-C in the middle leaves neither processes nor files."""
    running = start("--seconds", 60)
    running.wait_for("Streaming")
    running.process.send_signal(signal.SIGINT)
    running.finish()

    assert running.process.returncode == 130
    assert running.leftovers() == []


@pytest.mark.slow
def test_a_kill_leaves_nothing_either(start: Start) -> None:
    """Whoever waits for its end stops PostgreSQL, the application and the daemon, and removes the files."""
    running = start("--seconds", 60)
    running.wait_for("Streaming")
    running.process.kill()
    running.finish()
    deadline = time.monotonic() + 20
    while (left := running.leftovers()) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert running.process.returncode == -9
    assert left == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("SELECT 1", []),
        ("UPDATE item SET price = '-0' WHERE id = 2", ["item (2,): differs in price"]),
        ("UPDATE item SET sold = false WHERE id = 3", ["item (3,): differs in sold"]),
        ("UPDATE item SET picture = '\\x00' WHERE id = 1", ["item (1,): differs in picture"]),
        ("DELETE FROM item WHERE id = 1", ["item (1,): only in SQLite"]),
        ("INSERT INTO item(id) VALUES(4)", ["item (4,): only on PostgreSQL"]),
        ("INSERT INTO item SELECT * FROM item WHERE id = 1", ["item (1,): only on PostgreSQL"]),
    ],
)
async def test_the_comparison_sees_every_difference(
    target_url: str, make_source: MakeSource, change: str, found: list[str]
) -> None:
    """A single value of a single row is enough, the sign of zero among them."""
    path = make_source(script=SHOP)
    connection = await asyncpg.connect(target_url)
    try:
        await connection.execute(TARGET)
        await connection.execute(change)
        async with connection.transaction():
            compared = await compare(path, connection)
    finally:
        await connection.close()

    assert compared.rows == {"item": 3}
    assert compared.differences == found


def test_what_was_not_reached_is_not_right() -> None:
    """Figures without an end are no success."""
    figures = Figures()
    figures.judge()

    assert ten_lines(figures)[-1].startswith("verdict     WRONG")


def test_a_transaction_that_postgres_does_not_have_is_a_failure() -> None:
    """What the application was told is done must be recorded there."""
    figures = Figures(application=SUMMARY, recorded=29, comparison=Difference({"item": 1}, []))
    figures.judge()

    assert figures.problems == ["30 transactions were confirmed, PostgreSQL has 29"]


def databases(url: str) -> set[str]:
    """Return the names of the server's databases that demonstrations have made."""
    query = "SELECT datname FROM pg_database WHERE starts_with(datname, 'liteferry_demo_')"
    return {row["datname"] for row in asyncio.run(fetch(url, query))}


def tamper(url: str) -> None:
    """Change some rows behind the back of everybody, the guard's too."""
    asyncio.run(
        fetch(
            url,
            "SET session_replication_role = replica",
            "UPDATE customers SET name = 'tampered' WHERE id BETWEEN 40 AND 59",
        )
    )


async def fetch(url: str, *statements: str) -> list[asyncpg.Record]:
    """Run statements on a connection of its own; return the rows of the last."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            rows = await connection.fetch(statement)
        return rows
    finally:
        await connection.close()
