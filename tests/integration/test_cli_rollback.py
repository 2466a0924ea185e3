"""`liteferry rollback` and `liteferry finish` ask, rehearse and do as they are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.databases import from_source, on_source, on_target
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

SCRIPT = "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t(a) VALUES('x');"


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    """Make a source with one table."""
    return make_source(script=SCRIPT)


@pytest.fixture
def moved(daemon: StartDaemon, source: Path, target_url: str) -> RunningDaemon:
    """Run a daemon that has cut over and has a way back."""
    running = daemon(source, target_url)
    running.wait_ready()
    running.cutover()
    running.wait_until(lambda status: bool(status["can_rollback"]))
    return running


def test_before_the_cutover_there_is_no_way_back(
    daemon: StartDaemon, source: Path, target_url: str, liteferry: Liteferry
) -> None:
    """It is refused with the reason, and so is giving it up."""
    running = daemon(source, target_url)
    running.wait_ready()
    dry = liteferry("rollback", "--control", running.socket, "--dry-run")
    assert dry.status == 1 and "is streaming, not cut over" in dry.output
    for verb in ("rollback", "finish"):
        refused = liteferry(verb, "--control", running.socket, "--yes")
        assert refused.status == 1 and "not cut over" in refused.errors


@pytest.mark.parametrize("verb", ["rollback", "finish"])
def test_nobody_to_ask_and_no_yes_is_a_wrong_call(
    verb: str, moved: RunningDaemon, liteferry: Liteferry
) -> None:
    """A script must say `--yes`; nothing happens without."""
    asked = liteferry(verb, "--control", moved.socket)
    assert asked.status == 2 and "give --yes" in asked.errors
    assert moved.status()["state"] == "cut_over"


def test_it_rehearses_and_rolls_back(
    moved: RunningDaemon, liteferry: Liteferry, source: Path, target_url: str
) -> None:
    """With the pause and what to do next; the status tells of it."""
    on_target(target_url, "INSERT INTO t(a) VALUES ('y'); ")
    rehearsed = liteferry("rollback", "--control", moved.socket, "--rehearse")
    assert rehearsed.status == 0 and "rehearsed: writers waited" in rehearsed.output
    shown = liteferry("status", "--control", moved.socket).output
    assert "ready for rollback" in shown and "brought back" in shown
    done = liteferry("rollback", "--control", moved.socket, "--yes")
    assert done.status == 0, done.errors
    assert "SQLite has the application's writes again" in done.output
    on_source(source, "INSERT INTO t(a) VALUES ('z')")
    assert from_source(source, "SELECT a FROM t ORDER BY id") == [("x",), ("y",), ("z",)]
    assert "last rollback: rolled back" in liteferry("status", "--control", moved.socket).output


def test_it_finishes_and_leaves_a_report(
    moved: RunningDaemon, liteferry: Liteferry, source: Path, tmp_path: Path
) -> None:
    """The file holds what was printed; both sides are free of us."""
    out = tmp_path / "report.json"
    done = liteferry("finish", "--control", moved.socket, "--yes", "--out", out)
    assert done.status == 0, done.errors
    assert "liteferry can be stopped" in done.output
    report = json.loads(out.read_text())
    assert report["sources"][0]["tables"] == [{"name": "t", "target": '"public"."t"', "rows": 1}]
    assert from_source(source, "SELECT name FROM sqlite_master") == [("t",)]
    assert moved.status()["state"] == "finished"
