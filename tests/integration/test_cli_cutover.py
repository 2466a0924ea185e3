"""`liteferry cutover` asks, waits, rehearses and cuts over as it is told to."""

from __future__ import annotations

import os
import pty
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.databases import on_source
from tests.fixtures.cli import Liteferry, started
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

SCRIPT = "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t(a) VALUES('x');"

#: A table that is not followed stands against the cutover; drift is looked for at this pace.
DRIFT = {"LITEFERRY_DRIFT_INTERVAL": "100ms", "LITEFERRY_ON_SCHEMA_CHANGE": "halt"}


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    """Make a source with one table."""
    return make_source(script=SCRIPT)


@pytest.fixture
def streaming(daemon: StartDaemon, source: Path, target_url: str) -> RunningDaemon:
    """Run a daemon that is ready for cutover."""
    running = daemon(source, target_url, env=DRIFT)
    running.wait_ready()
    return running


@pytest.fixture
def objecting(streaming: RunningDaemon, source: Path) -> RunningDaemon:
    """Run a daemon that streams, but is not ready for as long as the table `extra` is there."""
    on_source(source, "CREATE TABLE extra(id INTEGER PRIMARY KEY)")
    streaming.wait_until(lambda status: "'extra'" in "".join(status["reasons"]), what="objection")
    return streaming


def writable(source: Path) -> bool:
    """Tell whether the application could write to the source."""
    try:
        on_source(source, "INSERT INTO t(a) VALUES('y')")
    except sqlite3.IntegrityError as error:
        assert "moved to PostgreSQL" in str(error)
        return False
    return True


def test_nobody_to_ask_and_no_yes_is_a_wrong_call(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path
) -> None:
    """A script must say `--yes`; nothing happens without."""
    answer = liteferry("cutover", "--control", streaming.socket)

    assert answer.status == 2
    assert "give --yes" in answer.errors
    assert writable(source)


def test_a_dry_run_tells_and_does_nothing(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path
) -> None:
    """It needs no confirmation."""
    answer = liteferry("cutover", "--control", streaming.socket, "--dry-run")

    assert (answer.status, answer.output) == (0, "ready for cutover\n")
    assert writable(source)


def test_a_dry_run_that_says_no_is_exit_status_1(objecting: RunningDaemon, liteferry: Liteferry) -> None:
    """The reasons are told."""
    answer = liteferry("cutover", "--control", objecting.socket, "--dry-run")

    assert answer.status == 1
    assert answer.output.startswith("not ready for cutover:\n")
    assert "'extra' appeared after the plan" in answer.output


def test_a_rehearsal_reports_the_pause_and_streaming_goes_on(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path
) -> None:
    """All phases but the last are timed."""
    answer = liteferry("cutover", "--control", streaming.socket, "--rehearse")

    assert answer.status == 0
    assert [line.split()[0] for line in answer.output.splitlines()[:3]] == ["journal", "compare", "lock"]
    assert "rehearsed: writers waited " in answer.output
    assert writable(source)
    streaming.wait_for("streaming")


def test_a_cutover_says_what_comes_next(streaming: RunningDaemon, liteferry: Liteferry, source: Path) -> None:
    """The pause, and that the application is to be restarted; the source refuses writes from then on."""
    answer = liteferry("cutover", "--control", streaming.socket, "--yes", "--max-pause", "3s")

    assert answer.status == 0
    assert "cut over: writers waited " in answer.output
    assert "Restart the application with DATABASE_URL" in answer.output
    assert not writable(source)


def test_json_is_the_whole_report(streaming: RunningDaemon, liteferry: Liteferry) -> None:
    """Outcome, pause and phases for programs."""
    told = liteferry("cutover", "--control", streaming.socket, "--yes", "--json").json

    assert told["outcome"] == "cut_over"
    assert told["pause_seconds"] > 0
    assert [phase["name"] for phase in told["phases"]][-2:] == ["fence", "decision"]


def test_a_refusal_is_exit_status_1_with_the_reasons(
    objecting: RunningDaemon, liteferry: Liteferry, source: Path
) -> None:
    """Nothing is changed."""
    answer = liteferry("cutover", "--control", objecting.socket, "--yes")

    assert answer.status == 1
    assert "'extra' appeared after the plan" in answer.errors
    assert writable(source)


@pytest.mark.parametrize("text", ["soon", "5 parsecs", "-1s", "0", "2h"])
def test_a_wrong_duration_is_a_wrong_call(liteferry: Liteferry, text: str) -> None:
    """The value and the rule are told; zero does not mean the default."""
    answer = liteferry("cutover", "--yes", "--max-pause", text)

    assert answer.status == 2
    assert f"'{text}': must be" in answer.errors


def test_rehearse_and_dry_run_exclude_each_other(liteferry: Liteferry) -> None:
    """Which of them was meant is not for us to guess."""
    assert liteferry("cutover", "--rehearse", "--dry-run").status == 2


def test_without_a_daemon_it_says_so(liteferry: Liteferry) -> None:
    """Exit status 6."""
    assert liteferry("cutover", "--yes").status == 6


def waiting(running: RunningDaemon, folder: Path) -> subprocess.Popen[str]:
    """Start a cutover that waits, and return when it says so."""
    process = started("cutover", "--yes", "--wait", "--control", running.socket, folder=folder)
    assert process.stderr
    assert process.stderr.readline().startswith("waiting: ")
    return process


def test_wait_cuts_over_as_soon_as_it_can(objecting: RunningDaemon, source: Path, tmp_path: Path) -> None:
    """What stood against it is told meanwhile."""
    process = waiting(objecting, tmp_path)
    on_source(source, "DROP TABLE extra")
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "cut over: writers waited " in output


def test_interrupting_the_wait_takes_the_order_back(
    objecting: RunningDaemon, source: Path, tmp_path: Path
) -> None:
    """Nothing is cut over later behind the operator's back."""
    process = waiting(objecting, tmp_path)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    on_source(source, "DROP TABLE extra")
    objecting.wait_ready()

    assert process.returncode == 130
    assert objecting.status()["cutover"] is None
    assert writable(source)


def test_waiting_ends_where_it_would_be_in_vain(streaming: RunningDaemon, liteferry: Liteferry) -> None:
    """After the cutover there is nothing to wait for."""
    streaming.cutover()
    answer = liteferry("cutover", "--control", streaming.socket, "--yes", "--wait")

    assert answer.status == 1
    assert "it will not get ready" in answer.errors


@pytest.mark.parametrize(("reply", "status"), [(b"n\n", 1), (b"y\n", 0)])
def test_a_person_is_asked(
    streaming: RunningDaemon, source: Path, tmp_path: Path, reply: bytes, status: int
) -> None:
    """On a terminal the cutover waits for a yes; anything else changes nothing."""
    ours, theirs = pty.openpty()
    try:
        process = started("cutover", "--control", streaming.socket, folder=tmp_path, stdin=theirs)
        os.write(ours, reply)
        _, errors = process.communicate(timeout=30)
    finally:
        os.close(ours)
        os.close(theirs)

    assert process.returncode == status
    assert "SQLite refuses writes" in errors
    assert writable(source) == (status == 1)
