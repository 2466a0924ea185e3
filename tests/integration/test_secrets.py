"""Where a password comes from, and that it turns up nowhere."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from daemon.cli.concealment import without_target
from tests.databases import on_source
from tests.fixtures.cli import Liteferry
from tests.fixtures.daemon import RunningDaemon, StartDaemon
from tests.fixtures.sqlite import MakeSource
from tests.fixtures.tls import PASSWORD, Secure

SCRIPT = """
CREATE TABLE item(id INTEGER PRIMARY KEY, body TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    INSERT INTO item SELECT i, 'row ' || i FROM n;
"""
NOBODY = 65534

#: A process with a command line of its own, rather than one that is forked.
REAL = {"PYTHON_OF_ITS_OWN": "1"}
COPIERS = {"LITEFERRY_LANE_ROWS": "1000"}

#: In every form in which it could slip out.
FORMS = (PASSWORD, quote(PASSWORD, safe=""), repr(PASSWORD)[1:-1], PASSWORD.strip())


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """Write the password where `target_password_file` reads it."""
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def passfile(tmp_path: Path) -> Path:
    """Write a .pgpass with the password, escaped as it must be."""
    path = tmp_path / "pgpass"
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    path.write_text(f"# ours\n*:*:other:*:wrong\n*:*:*:secretive:{escaped}\n")
    path.chmod(0o600)
    return path


def told_by_processes(pid: int) -> Iterator[bytes]:
    """Yield the command lines of a process and of those that it has started."""
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError):
            if folder.name == str(pid) or (
                folder.name.isdigit() and (folder / "stat").read_text().rsplit(")")[1].split()[1] == str(pid)
            ):
                yield (folder / "cmdline").read_bytes()


def metrics(path: Path) -> str:
    """Return what the daemon measures, from its socket."""
    with socket.socket(socket.AF_UNIX) as line, line.makefile("rb") as answer:
        line.settimeout(10)
        line.connect(str(path))
        line.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        told = answer.read().decode()
    assert "liteferry_" in told
    return told


def everything(daemon: RunningDaemon, liteferry: Liteferry) -> str:
    """Return all that a daemon tells: log, status, metrics, command lines, and the verbs that ask it."""
    at = ("--control", daemon.socket)
    answers = [liteferry(*verb, *at) for verb in (("status",), ("status", "--json"), ("verify", "--json"))]
    texts = [f"{answer.output}{answer.errors}" for answer in answers]
    texts += [str(daemon.ask(path)) for path in ("/api/status", "/api/history")]
    texts.append(metrics(daemon.socket))
    texts += [line.decode(errors="replace") for line in told_by_processes(daemon.pid)]
    return "\n".join([*texts, daemon.log])


def test_a_password_of_a_file_is_told_nowhere(
    secure: Secure,
    daemon: StartDaemon,
    liteferry: Liteferry,
    make_source: MakeSource,
    password_file: Path,
) -> None:
    """Not in log, status, answers or command lines, with copiers at work; nor when the server is gone."""
    secure.show("good")
    source = make_source(script=SCRIPT)
    source.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(source, NOBODY, NOBODY)
    env = {
        **REAL,
        **COPIERS,
        "LITEFERRY_TARGET_PASSWORD_FILE": str(password_file),
        "LITEFERRY_LOG_LEVEL": "debug",
    }
    running = daemon(source, secure.url("secretive"), env=env, args=["--schema", "secrets"])
    seen = b"".join(told_by_processes(running.pid))
    running.wait_ready()
    on_source(source, "UPDATE item SET body = 'changed' WHERE id = 7;")
    assert stat.S_IMODE(running.socket.stat().st_mode) == 0o600
    for beside in source.parent.glob("app.db*"):
        assert stat.S_IMODE(beside.stat().st_mode) == 0o640, beside
        assert beside.stat().st_uid == (NOBODY if os.geteuid() == 0 else os.geteuid()), beside
    told = everything(running, liteferry) + seen.decode(errors="replace")
    assert running.stop() == 0
    told += running.log
    for form in FORMS:
        assert form not in told


@pytest.mark.parametrize("way", ["pgpass", "environment", "file", "url"])
def test_each_way_to_give_a_password(
    secure: Secure,
    liteferry: Liteferry,
    make_source: MakeSource,
    password_file: Path,
    passfile: Path,
    way: str,
) -> None:
    """A .pgpass with escapes, PGPASSWORD, a file of its own, and the URL in the environment."""
    env = {
        "pgpass": {"PGPASSFILE": str(passfile)},
        "environment": {"PGPASSWORD": PASSWORD},
        "file": {"LITEFERRY_TARGET_PASSWORD_FILE": str(password_file)},
        "url": {},
    }[way]
    url = secure.url("secretive")
    if way == "url":
        url = url.replace("secretive@", f"secretive:{quote(PASSWORD, safe='')}@")
    env = {"PGPASSFILE": "/nowhere", **env, "DATABASE_URL": url}
    answer = liteferry("check", make_source(script=SCRIPT), "--json", env=env)
    levels = {check["name"]: check["level"] for check in answer.json["checks"]}
    assert levels["connection"] == "pass"
    assert levels["secrets"] == "pass"
    assert all(form not in answer.output + answer.errors for form in FORMS)


def test_files_that_others_can_read_are_told(
    secure: Secure, liteferry: Liteferry, make_source: MakeSource, passfile: Path, password_file: Path
) -> None:
    """A .pgpass is not used then, as with libpq; a file that settings name is, with a warning."""
    source = make_source(script=SCRIPT)
    passfile.chmod(0o644)
    password_file.chmod(0o640)
    env = {"PGPASSFILE": str(passfile), "DATABASE_URL": secure.url("secretive")}
    with pytest.warns(UserWarning, match="group or world access"):
        checks = {c["name"]: c for c in liteferry("check", source, "--json", env=env).json["checks"]}
    assert checks["connection"]["level"] == "fail"
    assert ".pgpass" in checks["connection"]["hint"]
    assert str(passfile) in checks["secrets"]["text"]

    env |= {"LITEFERRY_TARGET_PASSWORD_FILE": str(password_file)}
    checks = {c["name"]: c for c in liteferry("check", source, "--json", env=env).json["checks"]}
    assert checks["connection"]["level"] == "pass"
    assert checks["secrets"]["level"] == "warn"
    assert "mode 640" in checks["secrets"]["text"]


def test_a_password_on_the_command_line_is_taken_from_it(
    secure: Secure, daemon: StartDaemon, make_source: MakeSource
) -> None:
    """The process starts itself anew with the URL in its environment, under its old number, and says so."""
    url = secure.url("secretive").replace("secretive@", f"secretive:{quote(PASSWORD, safe='')}@")
    running = daemon(make_source(script=SCRIPT), url, env=REAL, args=["--schema", "concealed"])
    running.wait_ready()
    lines = b"\n".join(told_by_processes(running.pid)).decode()
    assert "--target" not in lines
    assert "concealed" in lines
    assert all(form not in lines + running.log for form in FORMS)
    assert "a password on the command line" in running.log


@pytest.mark.parametrize(
    ("given", "rest", "url"),
    [
        (["run", "a.db", "--target", "u"], ["run", "a.db"], "u"),
        (["run", "--target=u", "a.db"], ["run", "a.db"], "u"),
        (["run", "--target", "u", "--target=v"], ["run"], "v"),
        (["run", "--", "--target", "u"], ["run", "--", "--target", "u"], None),
        (["run", "--target"], ["run"], None),
        (["status", "--json"], ["status", "--json"], None),
    ],
)
def test_the_target_is_taken_out_of_arguments(given: list[str], rest: list[str], url: str | None) -> None:
    """As click reads them: the last one counts, and behind two dashes there are no options."""
    assert without_target(given) == (rest, url)
