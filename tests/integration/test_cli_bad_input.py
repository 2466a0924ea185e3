"""What the commands say to input that is wrong: what it is, what to try, an exit status, and no secret."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from daemon.embedded import EmbeddedPostgres
from tests.databases import from_source, on_target
from tests.fixtures.cli import Answer, Liteferry, started
from tests.fixtures.daemon import StartDaemon
from tests.fixtures.sqlite import MakeSource

OFFLINE = ("check", "plan", "run", "uninstall")
SCRIPT = (
    "CREATE TABLE people(id INTEGER PRIMARY KEY, mail TEXT); INSERT INTO people VALUES(1, 'a@b.example');"
)
REFUSED = "postgresql://me:s3cret@127.0.0.1:1/app"

Call = Callable[..., Answer]


@pytest.fixture
def call(liteferry: Liteferry, tmp_path: Path) -> Call:
    """Return a function that calls a verb; `run`, which sets up its process's log, in one of its own."""

    def call(verb: str, *arguments: object) -> Answer:
        if verb != "run":
            return liteferry(verb, *arguments)
        control = ("--control", tmp_path / "s.sock", "--http", "")
        with started(verb, *arguments, *control, folder=tmp_path) as process:
            output, errors = process.communicate(timeout=60)
        return Answer(process.returncode, output, errors)

    return call


def written(path: Path, content: bytes) -> Path:
    """Write a file and return its path."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("verb", OFFLINE)
@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("missing.db", None, "missing.db' does not exist"),
        ("letter.db", b"Dear Sir or Madam,", "letter.db' is no SQLite database"),
        ("empty.db", b"", "empty.db' is no SQLite database: it is empty"),
        ("app.db-wal", b"\x37\x7f\x06\x82", "app.db-wal' is no SQLite database"),
    ],
)
def test_a_file_that_is_no_database(
    call: Call, tmp_path: Path, verb: str, name: str, content: bytes | None, text: str
) -> None:
    """It is named with what is wrong with it, before anything else is looked at."""
    path = tmp_path / name if content is None else written(tmp_path / name, content)
    answer = call(verb, path, "--target", REFUSED)

    assert answer.status == 2
    assert text in answer.errors
    assert "\nTry: " in answer.errors


@pytest.mark.parametrize("verb", OFFLINE)
def test_a_folder_without_a_database(call: Call, tmp_path: Path, verb: str) -> None:
    """Which endings are looked for is told."""
    written(tmp_path / "data" / "notes.txt", b"SQLite format 3\0")
    answer = call(verb, tmp_path / "data", "--target", REFUSED)

    assert answer.status == 2
    assert "holds no SQLite database (*.db *.sqlite" in answer.errors


@pytest.mark.parametrize("verb", OFFLINE)
def test_no_source_at_all(call: Call, verb: str) -> None:
    """The three ways to give one are told."""
    answer = call(verb, "--target", REFUSED)

    assert answer.status == 2
    assert "no source was given" in answer.errors
    assert "SQLITE_DIR" in answer.errors


@pytest.mark.parametrize("verb", (*OFFLINE, "status", "verify", "cutover"))
def test_a_typing_error_in_the_configuration(call: Call, tmp_path: Path, verb: str) -> None:
    """What was probably meant is told."""
    config = written(tmp_path / "l.toml", b"batch_sise = 5000\n")
    answer = call(verb, "--config", config)

    assert answer.status == 2
    assert "'batch_sise'; did you mean 'batch_size'?" in answer.errors


@pytest.mark.parametrize("verb", OFFLINE)
def test_a_target_of_another_kind(call: Call, make_source: MakeSource, verb: str) -> None:
    """Only PostgreSQL will do; the URL, which may hold a password, is not repeated."""
    answer = call(verb, make_source(script=SCRIPT), "--target", "mysql://me:s3cret@db/app")

    assert answer.status == 2
    assert "target must be a PostgreSQL URL" in answer.errors
    assert "s3cret" not in answer.errors


@pytest.mark.parametrize("verb", ["plan", "uninstall"])
def test_a_target_that_is_away(call: Call, daemon: StartDaemon, make_source: MakeSource, verb: str) -> None:
    """The commands that a person waits for say so at once."""
    answer = call(verb, make_source(script=SCRIPT), "--target", REFUSED)

    assert answer.status == 4
    assert "the target is away: ConnectionRefusedError" in answer.errors
    assert "Try: check that PostgreSQL runs there" in answer.errors
    assert "s3cret" not in answer.errors


def test_a_daemon_waits_for_its_target(daemon: StartDaemon, make_source: MakeSource) -> None:
    """It may be started before PostgreSQL; nothing is installed meanwhile, and no secret logged."""
    source = make_source(script=SCRIPT)
    running = daemon(source, REFUSED)
    running.wait_log("waiting for the target")

    assert running.returncode is None
    assert running.stop() == 0
    assert from_source(source, "SELECT count(*) FROM sqlite_master") == [(1,)]
    assert "s3cret" not in running.log


@pytest.fixture
def locked(own_postgres: EmbeddedPostgres) -> Iterator[str]:
    """Make a server ask for passwords; the value is a URL with the wrong one."""
    [(hba,)] = on_target(own_postgres.url, "SHOW hba_file")
    on_target(own_postgres.url, "CREATE ROLE app LOGIN PASSWORD 'right'")
    path = Path(str(hba))
    path.write_text("host all app all scram-sha-256\n" + path.read_text())
    on_target(own_postgres.url, "SELECT pg_reload_conf()")
    url = urlsplit(own_postgres.url)._replace(netloc=f"app:s3cret@127.0.0.1:{own_postgres.port}").geturl()
    deadline = time.monotonic() + 10
    while _welcome(url):
        assert time.monotonic() < deadline, "the server does not ask for passwords"
        time.sleep(0.02)
    yield url


def _welcome(url: str) -> bool:
    try:
        on_target(url, "SELECT 1")
    except asyncpg.InvalidPasswordError:
        return False
    return True


@pytest.mark.parametrize(("verb", "status"), [("check", 1), ("plan", 4), ("run", 4), ("uninstall", 4)])
def test_a_wrong_password(call: Call, make_source: MakeSource, locked: str, verb: str, status: int) -> None:
    """Waiting would not mend it; the role is named, the password is not."""
    answer = call(verb, make_source(script=SCRIPT), "--target", locked)
    told = answer.output + answer.errors

    assert answer.status == status
    assert 'password authentication failed for user "app"' in told
    assert "s3cret" not in told


@pytest.mark.parametrize(("verb", "status"), [("check", 1), ("plan", 4), ("run", 4), ("uninstall", 4)])
def test_a_database_that_is_not_there(
    call: Call, make_source: MakeSource, postgres_server: str, verb: str, status: int
) -> None:
    """Its name is told."""
    url = urlsplit(postgres_server)._replace(path="/nowhere").geturl()
    answer = call(verb, make_source(script=SCRIPT), "--target", url)

    assert answer.status == status
    assert 'database "nowhere" does not exist' in answer.output + answer.errors


def test_a_table_that_is_there_already(call: Call, make_source: MakeSource, target_url: str) -> None:
    """It is somebody's: the run is refused, and neither side was touched."""
    source = make_source(script=SCRIPT)
    on_target(target_url, "CREATE TABLE people(theirs int); INSERT INTO people VALUES(7);")
    answer = call("run", source, "--target", target_url)

    assert answer.status == 4
    assert "schema 'public' of the target holds 1 of the tables' names already: 'people'" in answer.errors
    assert from_source(source, "SELECT count(*) FROM sqlite_master") == [(1,)]
    assert on_target(target_url, "SELECT * FROM people") == [(7,)]


#: Ends with the first value that cannot be stored.
HALT = {"LITEFERRY_ON_BAD_VALUE": "halt"}


def test_a_value_that_cannot_be_stored(call: Call, make_source: MakeSource, target_url: str) -> None:
    """Exit status 5 with table, key, column and the reason; the value itself is nobody's business."""
    source = make_source(script=SCRIPT)
    with closing(sqlite3.connect(source)) as database:
        database.execute("INSERT INTO people VALUES(2, ?)", ("confidential\0text",))
        database.commit()
    config = source.with_suffix(".toml")
    config.write_text('on_bad_value = "halt"\n')
    answer = call("run", source, "--target", target_url, "--config", config)

    assert answer.status == 5
    assert "table 'people', key 2, column 'mail': a value of type text cannot be stored" in answer.errors
    assert "NUL" in answer.errors
    assert "confidential" not in answer.output + answer.errors


def test_a_value_that_cannot_be_stored_after_the_copy(
    daemon: StartDaemon, make_source: MakeSource, target_url: str
) -> None:
    """The stream ends the same way as the copy would."""
    source = make_source(script=SCRIPT)
    running = daemon(source, target_url, env=HALT)
    running.wait_ready()
    with closing(sqlite3.connect(source, timeout=5)) as database:
        database.execute("INSERT INTO people VALUES(2, ?)", ("confidential\0text",))
        database.commit()

    assert running.wait_end() == 5
    assert "key 2, column 'mail'" in running.log
    assert "confidential" not in running.log


@pytest.mark.parametrize(("verb", "status"), [("check", 1), ("plan", 2), ("run", 2)])
def test_two_files_in_one_schema(
    call: Call, make_source: MakeSource, target_url: str, verb: str, status: int
) -> None:
    """Tables that would meet are an error before anything is touched."""
    sources = [make_source(name, SCRIPT) for name in ("a.db", "b.db")]
    answer = call(verb, *sources, "--schema", "app", "--target", target_url)
    told = answer.output + answer.errors

    assert answer.status == status
    assert "would meet in schema 'app'" in told
    assert "--schema-map FILE=NAME" in told
    assert "--prefix-map FILE=PREFIX" in told
    assert [from_source(source, "SELECT count(*) FROM sqlite_master") for source in sources] == [[(1,)]] * 2
    assert on_target(target_url, "SELECT to_regnamespace('liteferry')::text") == [(None,)]
