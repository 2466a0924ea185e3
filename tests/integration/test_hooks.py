"""The operator's commands run at the turns of a cutover, with the facts; one of them may forbid it."""

from __future__ import annotations

import json
import shlex
import sqlite3
import time
from pathlib import Path

import asyncpg
import pytest

from config.errors import ControlError, CutoverRefused, LiteferryError
from daemon.hooks import _environment
from tests.databases import on_source, on_target
from tests.fault.scene import one_value
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

SCRIPT = "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t(a) VALUES('x');"


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    """Make a source with one table."""
    return make_source(script=SCRIPT)


def hooks(**commands: str) -> dict[str, str]:
    """Return the environment of a daemon that has these hooks."""
    return {"LITEFERRY_HOOKS": json.dumps(commands)}


def recorded(path: Path, seconds: float = 20) -> dict[str, str]:
    """Return the variables that a hook has written down by `env -0`, as soon as all are there."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, "the hook was not run"
        time.sleep(0.02)
    pairs = [pair.partition("=") for pair in path.read_bytes().decode().split("\0") if pair]
    return {name: value for name, _, value in pairs}


def recording(path: Path) -> str:
    """Return a command that writes its variables down at once, or not at all."""
    name = shlex.quote(str(path))
    return f"env -0 > {name}.part && mv {name}.part {name}"


def writable(source: Path) -> bool:
    """Tell whether the application could write to the source."""
    try:
        on_source(source, "INSERT INTO t(a) VALUES('y')")
    except sqlite3.IntegrityError:
        return False
    return True


def test_the_commands_learn_what_they_need(
    daemon: StartDaemon, source: Path, target_url: str, tmp_path: Path
) -> None:
    """After the cutover: its id, the pause, the report; but never the target's password."""
    files = {name: tmp_path / name for name in ("on_ready", "before_cutover", "after_fence", "after_cutover")}
    env = {**hooks(**{n: recording(p) for n, p in files.items()}), "DATABASE_URL": target_url}
    running = daemon(source, target_url, env=env)
    recorded(files["on_ready"])
    report = running.cutover()

    told = {name: recorded(path) for name, path in files.items()}
    assert {name: facts["LITEFERRY_EVENT"] for name, facts in told.items()} == {n: n for n in files}
    after = told["after_cutover"]
    assert after["LITEFERRY_SOURCES"] == str(source)
    assert float(after["LITEFERRY_PAUSE_SECONDS"]) == report["pause_seconds"]
    assert json.loads(after["LITEFERRY_REPORT"])["outcome"] == "cut_over"
    assert told["before_cutover"]["LITEFERRY_CUTOVER_ID"] == after["LITEFERRY_CUTOVER_ID"]
    assert told["before_cutover"]["LITEFERRY_REHEARSAL"] == "0"
    assert all("DATABASE_URL" not in facts for facts in told.values())
    assert report["hook"]["status"] == 0


def test_a_command_that_fails_before_the_cutover_forbids_it(
    daemon: StartDaemon, source: Path, target_url: str
) -> None:
    """The last line it says is the reason; streaming goes on, the source stays open."""
    running = daemon(source, target_url, env=hooks(before_cutover="echo not on a Friday; exit 3"))
    running.wait_ready()

    with pytest.raises(CutoverRefused, match="before_cutover ended with 3: not on a Friday"):
        running.cutover()
    assert writable(source)
    running.wait_ready()


def test_a_rehearsal_asks_too_and_says_what_it_is(
    daemon: StartDaemon, source: Path, target_url: str, tmp_path: Path
) -> None:
    """What would forbid the cutover is found by its rehearsal; nobody is told of an end that was none."""
    before, after = tmp_path / "before", tmp_path / "after"
    env = hooks(before_cutover=recording(before), after_cutover=recording(after))
    running = daemon(source, target_url, env=env)
    running.wait_ready()
    running.cutover(rehearse=True)

    assert recorded(before)["LITEFERRY_REHEARSAL"] == "1"
    assert not after.exists()


def test_a_command_that_does_not_end_is_ended_with_its_children(
    daemon: StartDaemon, source: Path, target_url: str, tmp_path: Path
) -> None:
    """The child that it waits for would have written its file after the limit."""
    late = tmp_path / "late"
    command = f"trap '' TERM; (sleep 4; touch {shlex.quote(str(late))}) & wait; wait"
    env = {**hooks(before_cutover=command), "LITEFERRY_HOOK_TIMEOUT": "300ms"}
    running = daemon(source, target_url, env=env)
    running.wait_ready()

    with pytest.raises(CutoverRefused, match="did not end within its time"):
        running.cutover()
    assert not _any_process_with(str(late))
    assert writable(source)


def _any_process_with(text: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes() and path.parent.name != "self":
                return True
        except OSError:
            continue
    return False


def test_a_command_that_a_kill_has_kept_from_running_runs_at_the_next_start(
    daemon: StartDaemon, source: Path, target_url: str, tmp_path: Path
) -> None:
    """The application is restarted all the same; and only once."""
    after = tmp_path / "after"
    env = hooks(after_cutover=recording(after))
    first = daemon(source, target_url, env={**env, "LITEFERRY_FAILPOINTS": "cutover.after_decision=kill"})
    first.wait_ready()
    with pytest.raises((ControlError, LiteferryError)):
        first.cutover()
    first.wait_end()
    assert not after.exists()

    second = daemon(source, target_url, env=env)
    assert recorded(after)["LITEFERRY_EVENT"] == "after_cutover"
    second.wait_for("cut_over")
    second.stop()
    after.unlink()
    third = daemon(source, target_url, env=env)
    third.wait_log("foreign keys and statistics are done")
    assert not after.exists()


def test_a_cutover_that_fails_is_told_with_its_reason(
    daemon: StartDaemon, source: Path, target_url: str, tmp_path: Path
) -> None:
    """A lock that is not to be had within the pause is one."""
    failed = tmp_path / "failed"
    env = {**hooks(on_failed=recording(failed)), "LITEFERRY_FAILPOINTS": "cutover.after_lock=0.5"}
    running = daemon(source, target_url, env=env)
    running.wait_ready()
    with pytest.raises(CutoverRefused):
        running.cutover(max_pause=0.1)

    assert "the pause reached" in recorded(failed)["LITEFERRY_REASON"]
    [(kept,)] = on_target(target_url, "SELECT report FROM liteferry.cutover")
    report = json.loads(str(kept))
    assert report["outcome"] == "undone" and "the pause reached" in report["reason"]
    assert [phase["name"] for phase in report["phases"]][:3] == ["journal", "compare", "lock"]


async def test_the_operators_indexes_are_built_after_the_cutover(
    daemon: StartDaemon, source: Path, target_url: str
) -> None:
    """One that PostgreSQL refuses is told, and keeps none of the others from being built."""
    wanted = [
        "CREATE INDEX t_a ON t (a)",
        "create index broken on t (nothing)",
        'CREATE UNIQUE INDEX IF NOT EXISTS "T b" ON public.t (lower(a), id);',
    ]
    running = daemon(source, target_url, env={"LITEFERRY_INDEXES_AFTER_CUTOVER": json.dumps(wanted)})
    running.wait_ready()
    running.cutover()
    status = running.wait_until(lambda s: any("broken" in n for n in s["notices"]), what="notice")

    assert any("UndefinedColumnError" in notice for notice in status["notices"])
    running.wait_log("foreign keys and statistics are done")
    found = await one_value(
        target_url,
        "SELECT array_agg(indexname::text ORDER BY indexname) FROM pg_indexes WHERE tablename = 't'",
    )
    assert found == ["T b", "t_a", "t_pkey"]


async def test_an_index_that_a_break_has_left_invalid_is_built_anew(
    daemon: StartDaemon, source: Path, target_url: str
) -> None:
    """It would cost every write and serve no query."""
    env = {"LITEFERRY_INDEXES_AFTER_CUTOVER": json.dumps(["CREATE UNIQUE INDEX t_a ON t (a)"])}
    on_source(source, "INSERT INTO t(a) VALUES('x')")
    running = daemon(source, target_url, env=env)
    running.wait_ready()
    running.cutover()
    running.wait_until(lambda s: any("t_a" in n for n in s["notices"]), what="notice")
    running.stop()
    target = await asyncpg.connect(target_url)
    await target.execute("DELETE FROM t WHERE id = 2")
    await target.close()

    again = daemon(source, target_url, env=env)
    again.wait_log("foreign keys and statistics are done")
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass"
    assert await one_value(target_url, valid) is True


def test_no_secret_is_handed_to_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else is in the environment is."""
    for name in ("DATABASE_URL", "LITEFERRY_TARGET", "LITEFERRY_HTTP_TOKEN", "PGPASSWORD"):
        monkeypatch.setenv(name, "hostile-secret-4711")
    monkeypatch.setenv("LITEFERRY_HTTP", "127.0.0.1:1")
    told = _environment("on_ready", {"state": "streaming"})
    assert "hostile-secret-4711" not in told.values()
    assert (told["LITEFERRY_HTTP"], told["LITEFERRY_STATE"]) == ("127.0.0.1:1", "streaming")
