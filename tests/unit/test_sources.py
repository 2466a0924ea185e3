"""Sources: folders are expanded, each file gets its schema, and what is ambiguous is refused."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest

from config.errors import ConfigError
from config.settings import Settings, load
from config.sources import resolve_sources, schema_from_stem


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own settings reaches a test."""
    for name in [name for name in os.environ if name.startswith("LITEFERRY_")] + [
        "DATABASE_URL",
        "SQLITE_DIR",
    ]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def database(path: Path) -> Path:
    """Create a real SQLite database with one table."""
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE t(x)")
    return path


def resolved(*sources: Path, **settings: Any) -> dict[str, str]:
    """Return the schema of each source by its file name."""
    specs = resolve_sources(load(sources=list(sources), **settings))
    return {spec.path.name: spec.schema for spec in specs}


def refusal(settings: Settings) -> ConfigError:
    """Return the error that resolving ends in; it always has a hint."""
    with pytest.raises(ConfigError) as caught:
        resolve_sources(settings)
    assert caught.value.hint
    return caught.value


def test_one_source_goes_to_public(tmp_path: Path) -> None:
    """A single file needs no schema of its own; its path is absolute."""
    database(tmp_path / "app.db")

    [spec] = resolve_sources(load(sources=["app.db"]))

    assert (spec.path, spec.schema) == (tmp_path / "app.db", "public")


def test_several_sources_go_to_schemas_named_after_them(tmp_path: Path) -> None:
    """Stems become plain identifiers."""
    files = [database(tmp_path / name) for name in ("App-One.db", "2024.sqlite", "über uns.db3")]

    assert resolved(*files) == {"App-One.db": "app_one", "2024.sqlite": "_2024", "über uns.db3": "_ber_uns"}


def test_a_folder_gives_its_databases_only(tmp_path: Path) -> None:
    """Endings and the magic decide; side files, other files and inner folders do not count."""
    for name in ("b.db", "a.sqlite3", "C.DB", "d.txt"):
        database(tmp_path / name)
    for name in ("b.db-wal", "b.db-shm", "b.db-journal", "fake.db", "empty.db"):
        (tmp_path / name).write_bytes(b"" if name == "empty.db" else b"not a database at all")
    (tmp_path / "inner.db").mkdir()
    database(tmp_path / "inner.db" / "deep.db")

    specs = resolve_sources(load(sources=[tmp_path]))

    assert [spec.path.name for spec in specs] == ["C.DB", "a.sqlite3", "b.db"]


def test_sqlite_dir_is_taken_when_no_source_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLITE_DIR is the default, and no more than that."""
    (tmp_path / "dir").mkdir()
    database(tmp_path / "dir" / "in.db")
    named = database(tmp_path / "named.db")
    monkeypatch.setenv("SQLITE_DIR", str(tmp_path / "dir"))

    assert resolved() == {"in.db": "public"}
    assert resolved(named) == {"named.db": "public"}


@pytest.mark.parametrize("key", ["b.db", "b", "{folder}/b.db"])
def test_the_map_names_a_file_by_name_stem_or_path(tmp_path: Path, key: str) -> None:
    """All three ways lead to the same file."""
    files = [database(tmp_path / name) for name in ("a.db", "b.db")]

    mapped = resolved(*files, schema_map={key.format(folder=tmp_path): "Mapped"})

    assert mapped == {"a.db": "a", "b.db": "Mapped"}


def test_a_prefix_goes_with_a_file_by_name_stem_or_path(tmp_path: Path) -> None:
    """As its schema does; the others have none."""
    files = [database(tmp_path / name) for name in ("a.db", "b.db", "c.db", "d.db")]
    prefixes = {"a.db": "a_", "b": "b_", str(files[2]): "c_"}
    specs = resolve_sources(load(sources=files, prefix_map=prefixes))
    assert [spec.prefix for spec in specs] == ["a_", "b_", "c_", ""]


def test_the_schema_setting_sends_all_to_one_schema(tmp_path: Path) -> None:
    """Said outright, several files may share a schema; the map still goes before it."""
    files = [database(tmp_path / name) for name in ("a.db", "b.db", "c.db")]

    shared = resolved(*files, schema="all", schema_map={"c": "own"})

    assert shared == {"a.db": "all", "b.db": "all", "c.db": "own"}


def test_the_map_may_join_two_files(tmp_path: Path) -> None:
    """Both named for the same schema is explicit enough."""
    files = [database(tmp_path / name) for name in ("a.db", "b.db")]

    assert set(resolved(*files, schema_map={"a": "x", "b": "x"}).values()) == {"x"}


@pytest.mark.parametrize(
    ("names", "schema_map"),
    [(("a-b.db", "a_b.db"), {}), (("app.db", "app.sqlite"), {}), (("a.db", "b.db"), {"b.db": "a"})],
)
def test_files_that_would_meet_by_chance_are_refused(
    tmp_path: Path, names: tuple[str, str], schema_map: dict[str, str]
) -> None:
    """Two files in one schema only when told so for each of them."""
    files = [database(tmp_path / name) for name in names]

    message = str(refusal(load(sources=files, schema_map=schema_map)))

    assert all(repr(str(file)) in message for file in files)
    assert "would all go to schema" in message


@pytest.mark.parametrize("kind", ["same", "symlink", "hard link", "folder"])
def test_one_file_named_twice_is_refused(tmp_path: Path, kind: str) -> None:
    """Whatever it is called, one inode is one source."""
    original = database(tmp_path / "a.db")
    second = tmp_path / "b.db"
    if kind == "symlink":
        second.symlink_to(original)
    elif kind == "hard link":
        second.hardlink_to(original)
    else:
        second = original if kind == "same" else tmp_path

    assert "one and the same file" in str(refusal(load(sources=[original, second])))


def test_a_link_gives_the_name_and_its_target_the_path(tmp_path: Path) -> None:
    """SQLite keeps the side files beside the real file, so that is what must be watched."""
    (tmp_path / "releases").mkdir()
    real = database(tmp_path / "releases" / "v3.db")
    (tmp_path / "current.db").symlink_to(real)
    database(tmp_path / "other.db")

    specs = resolve_sources(load(sources=[tmp_path]))

    assert (specs[0].path, specs[0].schema) == (real, "current")


def test_a_map_entry_for_no_source_is_refused(tmp_path: Path) -> None:
    """A typing error there would send a file to the wrong schema."""
    files = [database(tmp_path / name) for name in ("orders.db", "b.db")]

    message = str(refusal(load(sources=files, schema_map={"order.db": "x"})))

    assert "'order.db'; did you mean 'orders.db'?" in message
    message = str(refusal(load(sources=files, prefix_map={"order.db": "x"})))
    assert message.startswith("prefix_map names what is no source: 'order.db'; did you mean 'orders.db'?")


def test_no_source_at_all_is_refused() -> None:
    """There is nothing to move."""
    assert str(refusal(load())) == "no source was given"


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        ("none.db", None, "does not exist", "SQLITE_DIR"),
        ("empty.db", b"", "it is empty", "not written"),
        ("text.db", b"hello, this is plain text", "does not begin with", "right file"),
        ("app.db-wal", b"7\x7f\x06\x82", "no SQLite database", "'app.db'"),
    ],
)
def test_a_file_that_is_no_database_is_refused(
    tmp_path: Path, name: str, content: bytes | None, message: str, hint: str
) -> None:
    """The message says what is wrong with it, the hint what to do."""
    if content is not None:
        (tmp_path / name).write_bytes(content)

    error = refusal(load(sources=[tmp_path / name]))

    assert message in str(error) and repr(str(tmp_path / name)) in str(error)
    assert hint in error.hint


def test_a_folder_without_databases_is_refused(tmp_path: Path) -> None:
    """An empty run would look like success."""
    assert "holds no SQLite database" in str(refusal(load(sources=[tmp_path])))


def test_a_device_and_a_loop_of_links_are_refused(tmp_path: Path) -> None:
    """What can neither be a file nor be followed is named."""
    (tmp_path / "loop.db").symlink_to(tmp_path / "loop.db")

    assert "neither a file nor a folder" in str(refusal(load(sources=["/dev/null"])))
    assert "cannot be read" in str(refusal(load(sources=[tmp_path / "loop.db"])))


@contextmanager
def stepped_down() -> Iterator[None]:
    """Be a user whose rights count: root reads everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("whole_folder", [False, True])
def test_an_unreadable_file_is_refused(whole_folder: bool) -> None:
    """It is named, alone and in a folder, rather than skipped."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        locked = database(folder / "locked.db")
        locked.chmod(0)
        with stepped_down():
            message = str(refusal(load(sources=[folder if whole_folder else locked])))

    assert message == f"source {str(locked)!r} cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("stem", "schema"),
    [
        ("App", "app"),
        ("my.app", "my_app"),
        ("9lives", "_9lives"),
        ("pg_stuff", "_pg_stuff"),
        ("information_schema", "_information_schema"),
        ("x" * 80, "x" * 63),
        ("", "_"),
    ],
)
def test_stems_become_names_that_need_no_quotes(stem: str, schema: str) -> None:
    """Lower case, no leading digit, none of PostgreSQL's own, at most 63 bytes."""
    assert schema_from_stem(stem) == schema
