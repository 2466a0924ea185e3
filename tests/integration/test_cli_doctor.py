"""`liteferry doctor` tells what is wrong, whatever is down, and gives away neither secrets nor rows."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.fault.scene import HASTY
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource

#: What must not be found anywhere; in keys, values, texts that cannot be stored, and secrets.
ROW, PASSWORD, TOKEN = "hostile-row-4711", "s3cr3t:p@ss/w0rd", "bearer-of-ill-tidings"

SCRIPT = f"""
CREATE TABLE patients("name of patient" TEXT PRIMARY KEY, body TEXT);
INSERT INTO patients VALUES ('{ROW} key', '{ROW}'), ('{ROW} bad', '{ROW}' || char(0) || 'x');
CREATE TABLE numbers(id INTEGER PRIMARY KEY, n INTEGER UNIQUE);
INSERT INTO numbers VALUES (1, 1), (2, '{ROW}');
"""


def with_password(url: str) -> str:
    """Return the target's URL with a password, which the test server does not ask for."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(
        netloc=f"postgres:{PASSWORD.replace(':', '%3A').replace('@', '%40').replace('/', '%2F')}@{host}"
    ).geturl()


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    """Make a source with rows that are nobody's business."""
    return make_source(script=SCRIPT)


@pytest.fixture
def running(daemon: StartDaemon, source: Path, target_url: str) -> Iterator[RunningDaemon]:
    """Run a daemon with rows in quarantine, and a secret in a hook."""
    env = {**HASTY, "LITEFERRY_HOOKS": json.dumps({"on_failed": f"curl -H 'X: {TOKEN}' example.org"})}
    started = daemon(source, with_password(target_url), env=env)
    started.wait_until(lambda s: s["state"] == "streaming" and s["sources"][0]["quarantined"] == 2)
    yield started


def content(archive: Path) -> dict[str, str]:
    """Return the files of an archive by name."""
    with tarfile.open(archive) as tar:
        found = {Path(m.name).name: tar.extractfile(m) for m in tar.getmembers()}
        return {name: file.read().decode() for name, file in found.items() if file is not None}


def report(liteferry: Liteferry, *arguments: object, env: dict[str, str] | None = None) -> dict[str, Any]:
    """Return what `doctor --json` tells."""
    told: dict[str, Any] = json.loads(liteferry("doctor", "--json", *arguments, env=env).output)
    return told


def test_the_archive_has_everything_but_secrets_and_rows(
    running: RunningDaemon, source: Path, target_url: str, liteferry: Liteferry, tmp_path: Path
) -> None:
    """Rows in quarantine, keys, passwords, hooks: none of it is in any of its files; names can be hashed."""
    out, where = (
        tmp_path / "report.tar.gz",
        ("--control", running.socket, "--target", with_password(target_url)),
    )
    hooks = json.dumps({"on_failed": f"curl -H 'X: {TOKEN}' example.org"})
    env = {"LITEFERRY_HOOKS": hooks, "PGPASSWORD": PASSWORD + "2"}
    done = liteferry("doctor", *where, "--out", out, env=env)
    assert done.status == 1, done.errors
    assert "2 problems" in done.output and "rows of table public.patients are in quarantine" in done.output
    assert out.stat().st_mode & 0o777 == 0o600
    files = content(out)
    for text in (*files.values(), done.output, done.errors):
        for hidden in (ROW, PASSWORD, TOKEN, "p@ss", "p%40ss", "s3cr3t"):
            assert hidden not in text
    assert json.loads(files["daemon.json"])["status"]["state"] == "streaming"
    assert "liteferry_pending_changes" in files["metrics.txt"]
    settings = json.loads(files["settings.json"])
    assert settings["hooks"] == {"value": {"on_failed": "***"}, "from": "LITEFERRY_HOOKS"}
    assert settings["target"]["from"] == "options" and settings["parallel"]["from"] == "default"
    [told] = json.loads(files["sources.json"])
    assert (
        told["path"] == str(source) and told["database"]["journal_mode"] and told["database"]["our_triggers"]
    )
    assert all(one["as_put_in"] for one in told["database"]["captured"])
    assert running.pid in {one["pid"] for one in told["open_in"]}
    target = json.loads(files["target.json"])
    assert target["server"]["encoding"] == "UTF8" and target["sources"][0]["state"] == "streaming"
    assert {t["name"]: t["quarantined"] for t in target["tables"]} == {"patients": 1, "numbers": 1}
    assert all(t["guarded"] for t in target["tables"])

    hashed = liteferry("doctor", *where, "--json", "--redact-names", env=env)
    for name in ("patients", "numbers", "name of patient"):
        assert name in json.dumps(files) and name not in hashed.output


def test_it_works_with_the_daemon_down_and_the_target_away(
    running: RunningDaemon, source: Path, target_url: str, liteferry: Liteferry
) -> None:
    """What cannot be learnt is told in its place, and is a problem."""
    running.kill()
    told = report(liteferry, source, "--control", running.socket, "--target", target_url)
    assert "no liteferry answers" in told["daemon"]["error"] and told["target"]["sources"]
    away = report(liteferry, source, "--control", running.socket, "--target", "postgresql://x@127.0.0.1:1/x")
    assert "away" in away["target"]["error"] and away["sources"][0]["database"]["installation"]
    bare = report(liteferry, "--control", running.socket, env={"LITEFERRY_PARALLEL": "many"})
    assert "parallel" in bare["settings"]["error"] and bare["versions"]["sqlite"]
    subjects = [{one["subject"] for one in document["problems"]} for document in (told, away, bare)]
    assert subjects[0] >= {"daemon"} and subjects[1] >= {"daemon", "target"}
    assert subjects[2] >= {"daemon", "settings", "target"}


def test_a_log_that_was_dropped_is_told_first_with_what_mends_it(
    running: RunningDaemon, source: Path, target_url: str, liteferry: Liteferry, daemon: StartDaemon
) -> None:
    """Every write of the application fails until the one statement is run; then a daemon heals all."""
    # one that runs puts the log in again by itself
    running.kill()
    with closing(sqlite3.connect(source, timeout=10, isolation_level=None)) as database:
        database.execute("DROP TABLE _liteferry_log")
        with pytest.raises(sqlite3.OperationalError, match="no such table: main._liteferry_log"):
            database.execute("INSERT INTO numbers VALUES (3, 3)")
        told = report(liteferry, source, "--target", target_url)
        first = told["problems"][0]
        assert first["urgent"] and "every write of the application fails" in first["what"]
        statement = told["sources"][0]["database"]["mending_statement"]
        assert statement.replace('"', "") in first["do"]
        database.executescript(statement)
        database.execute("INSERT INTO numbers VALUES (3, 3)")
        database.execute("DELETE FROM numbers WHERE id = 1")
    again = daemon(source, target_url, env=HASTY)
    again.wait_until(lambda s: s["state"] == "streaming" and s["sources"][0]["repairs"] >= 2)
    again.wait_until(lambda s: s["sources"][0]["consistent"] and s["sources"][0]["pending_changes"] == 0)
    assert again.verify()["equal"]
    healed = report(liteferry, "--control", again.socket, "--target", target_url)
    assert not any(one["urgent"] for one in healed["problems"])
