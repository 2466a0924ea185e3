"""After the cutover the target is looked at, and what somebody should mend is named."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

SCRIPT = """
    CREATE TABLE parent(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
    CREATE TABLE child(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent(id), x REAL);
    CREATE TABLE bare(a TEXT);
    INSERT INTO parent(name) VALUES('a'), ('b');
    INSERT INTO child(parent, x) VALUES(1, 0.5), (2, 1.5);
    INSERT INTO bare VALUES('z');
"""


@pytest.fixture
def moved(daemon: StartDaemon, make_source: MakeSource, target_url: str) -> RunningDaemon:
    """Run a daemon that has cut over and is done with what comes behind it."""
    running = daemon(make_source(script=SCRIPT), target_url)
    running.wait_ready()
    running.cutover()
    running.wait_log("foreign keys and statistics are done")
    return running


def test_a_sound_target_has_nothing_to_look_at(moved: RunningDaemon, liteferry: Liteferry) -> None:
    """Sizes, connections and reads are told all the same."""
    answer = liteferry("status", "--control", moved.socket, "--after-cutover")

    assert answer.status == 0
    assert answer.output.startswith("nothing to look at\n")
    for words in ("database ", "connections ", "deadlocks ", "parent", "child", "bare"):
        assert words in answer.output


async def test_each_fault_of_the_target_is_named(
    moved: RunningDaemon, liteferry: Liteferry, target_url: str
) -> None:
    """A sequence behind its keys, a constraint not validated, an invalid index, a table that is gone."""
    target = await asyncpg.connect(target_url)
    await target.execute("SELECT setval(pg_get_serial_sequence('parent', 'id'), 1)")
    await target.execute("ALTER TABLE child ADD CONSTRAINT positive CHECK (x > 0) NOT VALID")
    await target.execute("INSERT INTO child(id, x) VALUES (10, 0.5), (11, 0.5)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await target.execute("CREATE UNIQUE INDEX CONCURRENTLY torn ON child (x)")
    await target.execute("DROP TABLE bare")
    await target.close()
    answer = await asyncio.to_thread(
        liteferry, "status", "--control", moved.socket, "--after-cutover", "--json"
    )

    found = "\n".join(answer.json["findings"])
    assert answer.status == 1
    assert "parent: the sequence public.parent_id_seq would give 2, but the table has 2" in found
    assert "child: constraint positive is not validated" in found
    assert "child: index torn is not valid" in found
    assert "bare: the table is not there any more" in found
    assert "child: the sequence public.child_id_seq would give 3, but the table has 11" in found


def test_there_is_nothing_to_report_before_the_cutover(
    daemon: StartDaemon, make_source: MakeSource, target_url: str, liteferry: Liteferry
) -> None:
    """The target is ours still."""
    running = daemon(make_source(script=SCRIPT), target_url)
    running.wait_ready()
    answer = liteferry("status", "--control", running.socket, "--after-cutover")

    assert answer.status != 0
    assert "nothing to report before the cutover" in answer.errors
