"""`liteferry uninstall` leaves the source as it was, and no guard on the target."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import from_source, on_source, on_target
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

SCRIPT = """
CREATE TABLE "Order Details"(id INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT UNIQUE);
INSERT INTO "Order Details"(note) VALUES('a'), ('b');
CREATE TABLE pairs(a TEXT, b INTEGER, PRIMARY KEY(a, b)) WITHOUT ROWID;
CREATE TABLE plain(x, y);
CREATE INDEX by_y ON plain(y DESC) WHERE x IS NOT NULL;
CREATE TRIGGER own AFTER INSERT ON plain BEGIN UPDATE plain SET y = 1 WHERE x = NEW.x; END;
CREATE VIEW shown AS SELECT * FROM plain;
"""

SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid"
GUARDS = "SELECT count(*) FROM pg_trigger WHERE tgname = 'liteferry_guard'"
KNOWN = "SELECT count(*) FROM liteferry.source"
ROWS = 'SELECT count(*) FROM "Order Details"'


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    """Make a source with tables of all kinds."""
    return make_source(script=SCRIPT)


@pytest.fixture
def streaming(daemon: StartDaemon, source: Path, target_url: str) -> RunningDaemon:
    """Run a daemon that is ready for cutover."""
    running = daemon(source, target_url)
    running.wait_ready()
    return running


def dump(path: Path) -> list[str]:
    """Return the whole contents of a file as statements."""
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def test_the_source_is_as_it_was(
    daemon: StartDaemon, liteferry: Liteferry, source: Path, target_url: str
) -> None:
    """The schema's text is the same byte for byte, and so are the rows."""
    schema, contents = from_source(source, SCHEMA), dump(source)
    running = daemon(source, target_url)
    running.wait_ready()
    assert running.stop() == 0
    assert from_source(source, SCHEMA) != schema
    answer = liteferry("uninstall", source, "--target", target_url)

    assert answer.status == 0
    assert from_source(source, SCHEMA) == schema
    assert dump(source) == contents
    assert from_source(source, "PRAGMA integrity_check") == [("ok",)]


def test_the_target_forgets_the_source_and_keeps_its_rows(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path, target_url: str
) -> None:
    """Its tables are open to everybody then."""
    assert streaming.stop() == 0
    answer = liteferry("uninstall", source, "--target", target_url)

    assert "forgotten by the target; 3 tables stay there, open to writes" in answer.output
    assert on_target(target_url, GUARDS) == [(0,)]
    assert on_target(target_url, KNOWN) == [(0,)]
    assert on_target(target_url, ROWS) == [(2,)]


def test_a_second_time_there_is_nothing_left_to_do(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path, target_url: str
) -> None:
    """It says so, and is no error."""
    assert streaming.stop() == 0
    liteferry("uninstall", source, "--target", target_url)
    answer = liteferry("uninstall", source, "--target", target_url)

    assert (answer.status, answer.output) == (0, f"{source}: there was nothing of liteferry in it\n")


def test_another_source_of_the_same_target_is_left_alone(
    daemon: StartDaemon, liteferry: Liteferry, make_source: MakeSource, target_url: str
) -> None:
    """Only what belongs to the named source is opened and forgotten."""
    first, second = (make_source(name, SCRIPT) for name in ("first.db", "second.db"))
    running = daemon([first, second], target_url)
    running.wait_ready()
    assert running.stop() == 0
    liteferry("uninstall", first, "--target", target_url)

    assert on_target(target_url, GUARDS) == [(3,)]
    assert on_target(target_url, "SELECT path FROM liteferry.source") == [(str(second),)]
    again = daemon(second, target_url)
    again.wait_for("streaming")


def test_it_can_be_migrated_again(
    streaming: RunningDaemon, daemon: StartDaemon, liteferry: Liteferry, source: Path, target_url: str
) -> None:
    """From the beginning, into another schema."""
    assert streaming.stop() == 0
    liteferry("uninstall", source, "--target", target_url)
    again = daemon(source, target_url, args=("--schema", "again"))

    again.wait_ready()
    assert again.verify()["equal"]


def test_a_running_daemon_is_not_pulled_the_rug_from_under(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path, target_url: str
) -> None:
    """It has to be stopped first; nothing is changed."""
    schema = from_source(source, SCHEMA)
    answer = liteferry("uninstall", source, "--target", target_url, "--control", streaming.socket)

    assert answer.status == 3
    assert "Try: stop it first" in answer.errors
    assert from_source(source, SCHEMA) == schema
    assert on_target(target_url, KNOWN) == [(1,)]


def test_a_daemon_for_other_sources_is_no_hindrance(
    streaming: RunningDaemon, liteferry: Liteferry, make_source: MakeSource
) -> None:
    """What it does has nothing to do with this file."""
    other = make_source("other.db", "CREATE TABLE t(id INTEGER PRIMARY KEY)")

    assert liteferry("uninstall", other, "--control", streaming.socket).status == 0


def test_without_a_target_only_the_source_is_cleaned(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path, target_url: str
) -> None:
    """And it is said what stays on the other side."""
    assert streaming.stop() == 0
    answer = liteferry("uninstall", source)

    assert answer.status == 0
    assert "its tables stay guarded" in answer.output
    assert from_source(source, "SELECT name FROM sqlite_master WHERE name LIKE '@_lite%' ESCAPE '@'") == []
    assert on_target(target_url, GUARDS) == [(3,)]


def test_an_unreachable_target_leaves_everything_as_it_is(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path
) -> None:
    """The id by which the target knows the source must not go before the target has forgotten it."""
    assert streaming.stop() == 0
    schema = from_source(source, SCHEMA)
    answer = liteferry("uninstall", source, "--target", "postgresql://u:s3cret@127.0.0.1:1/x")

    assert answer.status == 4
    assert "s3cret" not in answer.errors
    assert from_source(source, SCHEMA) == schema


def test_a_fence_is_kept(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path, target_url: str
) -> None:
    """After a cutover nothing is changed without being asked for by name."""
    streaming.cutover()
    assert streaming.stop() == 0
    schema = from_source(source, SCHEMA)
    answer = liteferry("uninstall", source, "--target", target_url)

    assert answer.status == 3
    assert "is fenced" in answer.errors
    assert from_source(source, SCHEMA) == schema


def test_lifting_a_fence_needs_a_yes(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path, target_url: str
) -> None:
    """The danger of two writable sides is explained first."""
    streaming.cutover()
    assert streaming.stop() == 0
    answer = liteferry("uninstall", source, "--target", target_url, "--lift-fence")

    assert answer.status == 2
    assert "both sides take writes" in answer.errors
    with pytest.raises(sqlite3.IntegrityError, match="moved to PostgreSQL"):
        on_source(source, "INSERT INTO plain VALUES(1, 2)")


def test_a_lifted_fence_lets_the_application_write_again(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path, target_url: str
) -> None:
    """Nothing of ours is left in the file."""
    streaming.cutover()
    assert streaming.stop() == 0
    answer = liteferry("uninstall", source, "--target", target_url, "--lift-fence", "--yes")
    on_source(source, "INSERT INTO plain VALUES(1, 2)")

    assert answer.status == 0
    assert "the fence lifted" in answer.output
    assert from_source(source, "SELECT name FROM sqlite_master WHERE name LIKE '@_lite%' ESCAPE '@'") == []


def test_an_interrupted_cutover_can_not_be_finished_behind_our_back(
    daemon: StartDaemon, liteferry: Liteferry, source: Path, target_url: str
) -> None:
    """With the fence lifted by hand, the journal on the target says that the cutover was given up."""
    killed = daemon(source, target_url, env={"LITEFERRY_FAILPOINTS": "cutover.after_fence=kill"})
    killed.wait_ready()
    with pytest.raises(Exception, match="no liteferry answers"):
        killed.cutover()
    answer = liteferry("uninstall", source, "--target", target_url, "--lift-fence", "--yes")

    assert answer.status == 0
    assert on_target(target_url, "SELECT state FROM liteferry.cutover") == [("aborted",)]


def test_a_busy_source_is_asked_for_politely(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path
) -> None:
    """After the time for it, the error says whose fault it is, and nothing is half done for good."""
    assert streaming.stop() == 0
    with closing(sqlite3.connect(source, isolation_level=None)) as application:
        application.execute("BEGIN IMMEDIATE")
        answer = liteferry("uninstall", source, env={"LITEFERRY_INSTALL_TIMEOUT": "200ms"})
        application.execute("ROLLBACK")

    assert answer.status == 3
    assert "the write lock of the source was not free" in answer.errors
    assert liteferry("uninstall", source).status == 0


def test_a_copy_does_not_speak_for_its_original(
    streaming: RunningDaemon, liteferry: Liteferry, source: Path, target_url: str
) -> None:
    """A backup carries the id of its source: the target must not forget the live one for it."""
    assert streaming.stop() == 0
    copy = source.with_name("backup.db")
    shutil.copy(source, copy)
    answer = liteferry("uninstall", copy, "--target", target_url)

    assert answer.status == 3
    assert f"is a copy of {str(source)!r}" in answer.errors
    assert on_target(target_url, GUARDS) == [(3,)]
    assert liteferry("uninstall", copy).status == 0
