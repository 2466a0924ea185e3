"""`liteferry verify` says whether both sides are equal, and its exit status says it too."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from config.errors import ControlError
from daemon.cli.verify import progress
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


@pytest.mark.parametrize("option", ["--detailed", "--repair", "--incremental"])
def test_counts_tell_nothing_of_rows(option: str, liteferry: Liteferry) -> None:
    """A wrong call, told before anybody is asked."""
    assert liteferry("verify", "--counts", option).status == 2


def test_detailed_shows_keys_and_the_beginnings_of_values(
    streaming: RunningDaemon, liteferry: Liteferry, target_url: str
) -> None:
    """To whom asks for it; neither the log nor the report on the target has them."""
    on_target(target_url, TAMPER)
    answer = liteferry("verify", "--control", streaming.socket, "--detailed")

    assert answer.status == 1
    assert "  different: key 2\n    topic: SQLite 'b', PostgreSQL 'secret'\n" in answer.output
    kept = on_target(target_url, "SELECT report::text FROM liteferry.verification")
    assert len(kept) == 1
    assert "secret" not in str(kept) + streaming.log
    sample = liteferry("verify", "--control", streaming.socket, "--detailed", "--json").json["samples"]
    assert [(one["table"], one["key"]) for one in sample] == [("debates", ["2"])]


def test_repair_makes_equal_what_differs_and_nothing_else(
    streaming: RunningDaemon, liteferry: Liteferry, target_url: str
) -> None:
    """A row that somebody changed, one that he deleted, one that he added; exit status 0 when done."""
    on_target(target_url, TAMPER)
    assert liteferry("verify", "--control", streaming.socket).status == 1
    assert "liteferry verify --repair" in str(streaming.status()["reasons"])
    on_target(
        target_url,
        "SET liteferry.writer = 'on'; DELETE FROM debates WHERE id = 1; INSERT INTO debates VALUES (9, 'x');",
    )
    untouched = on_target(target_url, "SELECT xmin::text FROM debates WHERE id = 3")
    answer = liteferry("verify", "--control", streaming.socket, "--repair")

    assert answer.status == 0
    assert "debates: SQLite=3, PostgreSQL=3 ok\n  1 missing, 1 different, 1 extra" in answer.output
    assert answer.output.endswith("equal: 2 tables (3 rows repaired)\n")
    assert on_target(target_url, "SELECT * FROM debates ORDER BY id") == [(1, "a"), (2, "b"), (3, "c")]
    assert on_target(target_url, "SELECT xmin::text FROM debates WHERE id = 3") == untouched
    assert streaming.status()["can_cutover"]


def test_the_structure_is_compared_too(
    streaming: RunningDaemon, liteferry: Liteferry, target_url: str
) -> None:
    """With what to do about it; counts alone look at it as well."""
    on_target(target_url, "ALTER TABLE votes ALTER COLUMN n TYPE numeric;")
    answer = liteferry("verify", "--control", streaming.socket, "--counts")

    assert answer.status == 1
    assert "votes: SQLite=0, PostgreSQL=0 DIFFERENT" in answer.output
    assert "  structure: column n is numeric, planned is bigint\n    change it back: ALTER" in answer.output


def test_a_report_is_written_and_an_edit_of_it_shows(
    streaming: RunningDaemon, liteferry: Liteferry, tmp_path: Path, target_url: str
) -> None:
    """JSON and a page, of one content and one digest, which the target keeps too."""
    folder = tmp_path / "reports"
    folder.mkdir()
    answer = liteferry("verify", "--control", streaming.socket, "--report", folder)
    assert answer.status == 0
    data, page = sorted(folder.iterdir(), key=lambda place: place.suffix, reverse=True)
    report = json.loads(data.read_text())
    told = report["equal"], report["kind"], report["sources"][0]["position_after"] >= 0
    assert told == (True, "full", True)
    assert "test:" not in report["target"]
    assert [t["source_checksum"] == t["target_checksum"] for t in report["sources"][0]["tables"]] == [
        True
    ] * 2
    assert on_target(target_url, "SELECT digest FROM liteferry.verification") == [(report["digest"],)]
    assert streaming.status()["verification"]["last"]["digest"] == report["digest"]

    for place in (data, page):
        assert liteferry("verify", "--check-report", place).status == 0
        place.write_text(place.read_text().replace("debates", "debate5"))
        checked = liteferry("verify", "--check-report", place)
        assert (checked.status, checked.output.startswith("CHANGED")) == (1, True)
    assert liteferry("verify", "--check-report", __file__).status == 2


def test_whoever_asked_and_left_ends_the_verification(
    make_source: MakeSource, daemon: StartDaemon, target_url: str
) -> None:
    """It stands in the way of a cutover no longer than it is wanted; a second one at once is refused."""
    rows = "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 200000) "
    running = daemon(
        make_source(
            script=f"CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT); {rows} INSERT INTO t SELECT n, n FROM i;"
        ),
        target_url,
    )
    running.wait_ready(60)

    async def leave() -> None:
        connector = aiohttp.UnixConnector(path=str(running.socket))
        async with aiohttp.ClientSession(connector=connector) as session:
            asking = asyncio.create_task(session.post("http://liteferry/control/verify", json={}))
            told = await asyncio.to_thread(running.wait_until, lambda s: bool(s["verification"]["running"]))
            assert told["verification"]["running"]["tables"] == 1
            with pytest.raises(ControlError, match="running already"):
                await asyncio.to_thread(running.verify)
            asking.cancel()
            await asyncio.wait([asking])

    asyncio.run(leave())
    status = running.wait_until(lambda s: not s["verification"]["running"], what="end of the verification")
    assert status["verification"]["last"] is None


def test_progress_is_one_line() -> None:
    """What is done of what, and how long it will take."""
    running = {"tables_done": 1, "tables": 4, "rows_done": 5_000, "rows": 20_000, "remaining_seconds": 12.0}
    assert progress(running) == "table 2 of 4, 5,000 rows (25.0 %), 12 s left"


def test_after_the_cutover_the_structure_is_compared(
    streaming: RunningDaemon, liteferry: Liteferry, target_url: str
) -> None:
    """Rows are the application's by then; a sequence behind its column would fail its next insert."""
    streaming.cutover()
    assert liteferry("verify", "--control", streaming.socket).output.endswith("equal: 2 tables\n")
    on_target(target_url, "SELECT setval('debates_id_seq', 1);")
    answer = liteferry("verify", "--control", streaming.socket)
    assert answer.status == 1
    assert "structure: sequence of id gives out 2, and 3 is there already" in answer.output


def test_a_cutover_waits_for_a_recent_verification_where_that_is_asked_for(
    make_source: MakeSource, daemon: StartDaemon, liteferry: Liteferry, target_url: str
) -> None:
    """One since the daemon started that found all equal; the reason says what to do."""
    env = {"LITEFERRY_VERIFY_MAX_AGE": "1h"}
    running = daemon(make_source(script=SCRIPT), target_url, env=env)
    status = running.wait_until(lambda s: len(s["reasons"]) == 1 and "verified" in s["reasons"][0])
    assert "see `liteferry verify`" in status["reasons"][0]
    assert liteferry("verify", "--control", running.socket, "--counts").status == 0
    assert not running.status()["can_cutover"]
    assert liteferry("verify", "--control", running.socket).status == 0
    assert running.status()["can_cutover"]
