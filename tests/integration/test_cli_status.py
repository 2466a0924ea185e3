"""`liteferry status` against a running daemon, and without one."""

from __future__ import annotations

import os
import pty
import signal
from pathlib import Path
from typing import Any

import pytest

from tests import statuses
from tests.fixtures.cli import Liteferry, started
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

DOCUMENTED = Path(__file__).parents[2] / "docs" / "reference" / "http.md"

SCRIPT = """
CREATE TABLE "Order Details"(id INTEGER PRIMARY KEY, note TEXT);
INSERT INTO "Order Details"(note) VALUES('a'), ('b');
"""


@pytest.fixture
def streaming(daemon: StartDaemon, make_source: MakeSource, target_url: str) -> RunningDaemon:
    """Run a daemon that is ready for cutover."""
    running = daemon(make_source(script=SCRIPT), target_url)
    running.wait_ready()
    return running


def test_it_tells_state_lag_and_progress(streaming: RunningDaemon, liteferry: Liteferry) -> None:
    """A person sees at a glance where it is."""
    answer = liteferry("status", "--control", streaming.socket)

    assert answer.status == 0
    assert answer.output.startswith("streaming, ready for cutover")
    assert "app.db -> schema public: streaming" in answer.output
    assert "pending changes" in answer.output
    assert ["Order", "Details", "streaming", "2", "0", "0", "0", "-"] in [
        line.split() for line in answer.output.splitlines()
    ]


def test_json_is_what_the_daemon_tells(streaming: RunningDaemon, liteferry: Liteferry) -> None:
    """A program gets the same document as over HTTP, with the keys that scripts rely on."""
    told = liteferry("status", "--control", streaming.socket, "--json").json

    assert told.keys() == streaming.status().keys()
    assert {"state", "can_cutover", "reasons", "sources"} <= told.keys()
    assert {
        "path",
        "schema",
        "state",
        "pending_changes",
        "oldest_unapplied_seconds",
        "heartbeat_age_seconds",
        "estimated_catch_up_seconds",
        "tables",
    } <= told["sources"][0].keys()


def test_what_the_daemon_tells_is_documented_and_what_tests_pretend(streaming: RunningDaemon) -> None:
    """Each field has its line in the reference, and the canned statuses of other tests leave none out."""
    streaming.verify()
    told, canned = streaming.status(), statuses.ready()
    pairs = [
        (told, canned),
        (told["sources"][0], canned["sources"][0]),
        (told["sources"][0]["tables"][0], canned["sources"][0]["tables"][0]),
        (told["timeline"][0], canned["timeline"][0]),
    ]
    for real, pretended in pairs:
        assert pretended.keys() <= real.keys()
    text = DOCUMENTED.read_text()
    assert [name for real, _ in pairs for name in real if f"`{name}`" not in text] == []
    assert told["timeline"][-1]["state"] == "streaming"
    (table,) = told["sources"][0]["tables"]
    assert (table["rows"], table["pending_changes"], table["verification_equal"]) == (2, 0, True)


def test_journal_tells_how_it_came_to_this(streaming: RunningDaemon) -> None:
    """The states in their order, the copy, and the readiness; no row of it."""
    streaming.wait_log("ready for cutover")
    events: Any = streaming.ask("/api/journal")
    texts = [event["text"] for event in events]
    assert texts.index("snapshot, before preflight") < texts.index("streaming, before catching up")
    assert "table Order Details copied, 2 rows" in texts
    assert any(text.startswith("ready for cutover, predicted pause") for text in texts)
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert streaming.status()["last_event"] >= len(events)


def test_without_a_daemon_it_says_so(liteferry: Liteferry, tmp_path: Path) -> None:
    """Exit status 6, and how to start one."""
    answer = liteferry("status", "--control", tmp_path / "none.sock")

    assert answer.status == 6
    assert "no liteferry answers" in answer.errors
    assert "Try: start it with `liteferry run`" in answer.errors


def test_json_and_watch_exclude_each_other(liteferry: Liteferry) -> None:
    """A wrong call, told before anybody is asked."""
    assert liteferry("status", "--json", "--watch").status == 2


def test_watch_goes_on_until_interrupted(streaming: RunningDaemon, tmp_path: Path) -> None:
    """Into a pipe each status is appended; Ctrl-C is the right way to end it."""
    watching = started("status", "--watch", "--control", streaming.socket, folder=tmp_path)
    assert watching.stdout
    heads: list[str] = []
    while len(heads) < 2:
        line = watching.stdout.readline()
        assert line, watching.communicate()
        heads += [line] if line.startswith("streaming") else []
    watching.send_signal(signal.SIGINT)
    output, errors = watching.communicate(timeout=30)

    assert (watching.returncode, errors) == (0, "")
    assert "\x1b" not in "".join([*heads, output])


def test_watch_survives_a_restart(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, tmp_path: Path
) -> None:
    """While the daemon is restarted the watch says that nobody answers, and then goes on."""
    source = make_source(script=SCRIPT)
    streaming = daemon(source, target_url)
    streaming.wait_ready()
    watching = started("status", "--watch", "--control", streaming.socket, folder=tmp_path)
    assert watching.stdout
    assert watching.stdout.readline().startswith("streaming")
    assert streaming.stop() == 0
    while "no liteferry answers" not in watching.stdout.readline():
        assert watching.poll() is None
    daemon(source, target_url, env={"LITEFERRY_CONTROL": str(streaming.socket)})
    while not watching.stdout.readline().startswith("streaming"):
        assert watching.poll() is None
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=30)

    assert watching.returncode == 0


def test_watch_refreshes_in_place_on_a_terminal(streaming: RunningDaemon, tmp_path: Path) -> None:
    """There the cursor goes home and the rest is erased, on a screen that is given back at the end."""
    ours, theirs = pty.openpty()
    try:
        watching = started("status", "--watch", "--control", streaming.socket, folder=tmp_path, stdout=theirs)
        shown = b""
        while shown.count(b"\x1b[H") < 2:
            shown += os.read(ours, 4096)
        watching.send_signal(signal.SIGINT)
        while b"\x1b[?1049l" not in shown:
            shown += os.read(ours, 4096)
        watching.communicate(timeout=30)
    finally:
        os.close(theirs)
        os.close(ours)

    screen, _, behind = shown.partition(b"\x1b[?1049l")
    assert screen.startswith(b"\x1b[?1049h\x1b[?25l") and screen.endswith(b"\x1b[?25h")
    assert b"\x1b[J" in screen and b" STREAMING " in screen
    assert b" STREAMING " in behind
    assert watching.returncode == 0
