"""`liteferry verify --follow` compares pass after pass, and ends by itself when it is over."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from config.errors import CutoverRefused
from daemon.cli.passes import line
from tests.databases import on_source, on_target
from tests.fixtures.cli import Liteferry, started
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

SCRIPT = """
CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO note(body) VALUES ('a'), ('b'), ('c');
CREATE TABLE vote(id INTEGER PRIMARY KEY, n INTEGER);
"""

SECONDS = 30.0

#: Another verification is running.
BUSY = 6


class Following:
    """One that follows, and what it has told."""

    def __init__(self, running: RunningDaemon, folder: Path) -> None:
        given = "--control", running.socket, "--follow", "--every", "0.1", "--json"
        self.process: subprocess.Popen[str] = started("verify", *given, folder=folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()

    def until(self, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first pass of which something holds."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            told: dict[str, Any] = json.loads(self.process.stdout.readline())
            if reached(told):
                return told
        raise AssertionError("no such pass")

    def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Wait for the end, after a signal; return the exit status and the last words."""
        if number is not None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, errors


def test_passes_follow_until_there_is_nothing_to_follow(
    make_source: MakeSource, daemon: StartDaemon, liteferry: Liteferry, target_url: str, tmp_path: Path
) -> None:
    """What was written is compared once more; Ctrl-C, a cutover and the daemon's end are told apart."""
    path = make_source(script=SCRIPT)
    running = daemon(path, target_url, env={"LITEFERRY_RECHECK_INTERVAL": "0"})
    running.wait_ready()

    with Following(running, tmp_path) as first:
        told = first.until(lambda told: True)
        assert (told["pass"], told["kind"], told["equal"], told["compared"]) == (1, "full", True, 3)
        assert first.until(lambda told: told["pass"] > 1)["compared"] == 0
        on_source(path, "UPDATE note SET body = 'x' WHERE id = 2")
        found = first.until(lambda told: told["compared"] > 0)
        assert (found["kind"], found["compared"], found["equal"]) == ("incremental", 1, True)
        assert found["positions"][str(path)] > told["positions"][str(path)]
        on_target(target_url, "SET liteferry.writer = 'on'; UPDATE note SET body = 'tampered' WHERE id = 3;")
        assert verified(liteferry, running) == 1
        # that one has looked at all rows, and so does whoever comes next until they are equal
        differing = first.until(lambda told: not told["equal"])
        assert (differing["tables"], differing["differences"]) == (["note"], 1)
        assert first.end(signal.SIGINT)[0] == 1

    assert verified(liteferry, running, "--repair") == 0
    with Following(running, tmp_path) as second:
        second.until(lambda told: bool(told["equal"]))
        while running.status()["state"] != "cut_over":
            with suppress(CutoverRefused):
                running.cutover()
        status, words = second.end()
        assert (status, "cut over: PostgreSQL has the writes" in words) == (0, True)

    with Following(running, tmp_path) as third:
        third.until(lambda told: told["pass"] > 1)
        on_target(target_url, "UPDATE vote SET n = 0; INSERT INTO note(body) VALUES ('there')")
        assert third.until(lambda told: told["compared"] == 1)["equal"]
        assert running.stop() == 0
        status, words = third.end()
        assert (status, "the daemon has ended" in words) == (0, True)


def verified(liteferry: Liteferry, running: RunningDaemon, *options: str) -> int:
    """Verify once, as soon as no other does, and return the exit status."""
    while (answer := liteferry("verify", "--control", running.socket, *options)).status == BUSY:
        assert "running already" in answer.errors
    return answer.status


def test_one_line_tells_a_pass() -> None:
    """Time, position, rows compared, differences, and in which tables."""
    told = {
        "at": "2026-12-01T12:00:03.123+00:00",
        "positions": {"/a.db": 12_345},
        "compared": 37,
        "differences": 2,
        "repaired": 0,
        "tables": ["note"],
        "equal": False,
    }
    assert line(told) == (
        "2026-12-01T12:00:03Z position 12,345: 37 rows compared, 2 differ: DIFFERENT in note"
    )
    assert line({**told, "equal": True, "differences": 0}).endswith("37 rows compared, none differs: equal")


def test_what_makes_no_sense_together_is_a_wrong_call(liteferry: Liteferry) -> None:
    """Told before anybody is asked; without a daemon it is what it is for any verb."""
    for options in (("--follow", "--incremental"), ("--follow", "--report", "x.json"), ("--every", "1s")):
        assert liteferry("verify", *options).status == 2
    assert liteferry("verify", "--follow").status == 6
