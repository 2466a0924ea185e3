"""`liteferry verify` says whether both sides are equal, and its exit status says it too."""

from __future__ import annotations

import pytest

from tests.databases import on_target
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

SCRIPT = """
CREATE TABLE debates(id INTEGER PRIMARY KEY, topic TEXT);
INSERT INTO debates(topic) VALUES('a'), ('b'), ('c');
CREATE TABLE votes(id INTEGER PRIMARY KEY, n INTEGER);
"""

TAMPER = "SET liteferry.writer = 'on'; UPDATE debates SET topic = 'secret' WHERE id = 2;"


@pytest.fixture
def streaming(daemon: StartDaemon, make_source: MakeSource, target_url: str) -> RunningDaemon:
    """Run a daemon that is ready for cutover."""
    running = daemon(make_source(script=SCRIPT), target_url)
    running.wait_ready()
    return running


def test_equal_sides_are_exit_status_0(streaming: RunningDaemon, liteferry: Liteferry) -> None:
    """Row by row is the default, and `--detailed` names it."""
    for option in ((), ("--detailed",)):
        answer = liteferry("verify", "--control", streaming.socket, *option)
        assert answer.status == 0
        assert answer.output.endswith("equal: 2 tables\n")


def test_counts_are_told_side_by_side(streaming: RunningDaemon, liteferry: Liteferry) -> None:
    """One line per table, in a form that a script can read."""
    answer = liteferry("verify", "--control", streaming.socket, "--counts")

    assert answer.status == 0
    assert answer.output.splitlines()[:2] == [
        "debates: SQLite=3, PostgreSQL=3 ok",
        "votes: SQLite=0, PostgreSQL=0 ok",
    ]


def test_a_row_that_differs_is_named_without_its_values(
    streaming: RunningDaemon, liteferry: Liteferry, target_url: str
) -> None:
    """Exit status 1; table, key and column stand there, the value does not."""
    on_target(target_url, TAMPER)
    answer = liteferry("verify", "--control", streaming.socket)

    assert answer.status == 1
    assert (
        "  0 missing, 1 different, 0 extra, 0 quarantined\n  different: key 2, columns topic\n"
        in answer.output
    )
    assert answer.output.endswith("different: 1 of 2 tables\n")
    assert "secret" not in answer.output


def test_a_missing_row_is_seen_by_its_count(
    streaming: RunningDaemon, liteferry: Liteferry, target_url: str
) -> None:
    """Counts alone find it already."""
    on_target(target_url, "SET liteferry.writer = 'on'; DELETE FROM debates WHERE id = 2;")
    answer = liteferry("verify", "--control", streaming.socket, "--counts")

    assert answer.status == 1
    assert "debates: SQLite=3, PostgreSQL=2 DIFFERENT" in answer.output


def test_one_table_alone_can_be_compared(
    streaming: RunningDaemon, liteferry: Liteferry, target_url: str
) -> None:
    """What differs elsewhere does not count then."""
    on_target(target_url, TAMPER)
    answer = liteferry("verify", "--control", streaming.socket, "--table", "votes", "--json")

    assert answer.status == 0
    assert answer.json["equal"] is True
    assert [table["name"] for table in answer.json["sources"][0]["tables"]] == ["votes"]


def test_an_unknown_table_is_a_wrong_call(streaming: RunningDaemon, liteferry: Liteferry) -> None:
    """It is named, rather than found equal."""
    answer = liteferry("verify", "--control", streaming.socket, "--table", "vote")

    assert answer.status == 2
    assert "no source has a table 'vote'" in answer.errors


def test_counts_and_detailed_exclude_each_other(liteferry: Liteferry) -> None:
    """A wrong call, told before anybody is asked."""
    assert liteferry("verify", "--counts", "--detailed").status == 2
