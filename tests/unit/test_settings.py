"""Settings: which layer wins, what is refused and how it is said, and that passwords stay hidden."""

from __future__ import annotations

import os
import tomllib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from config.errors import ConfigError
from config.names import key_of, mistyped_variables
from config.settings import Settings, load

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own settings reaches a test."""
    shared = {"DATABASE_URL", "SQLITE_DIR", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"}
    for name in list(os.environ):
        if name.startswith("LITEFERRY_") or name in shared:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a configuration file and gives its path."""

    def to_file(text: str) -> Path:
        path = tmp_path / "etc.toml"
        path.write_text(text)
        return path

    return to_file


def refusal(config: Path | None = None, **overrides: Any) -> ConfigError:
    """Return the error that loading ends in."""
    with pytest.raises(ConfigError) as caught:
        load(config, **overrides)
    return caught.value


class TestPrecedence:
    def test_defaults_hold_when_nothing_is_said(self) -> None:
        """Without file, variables and overrides every field has its documented default."""
        settings = load()

        assert (settings.batch_size, settings.parallel, settings.max_pause) == (10_000, 4, 5.0)
        assert settings.config is None

    def test_file_then_environment_then_override(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each layer goes over the one below it, setting by setting."""
        config = write("batch_size = 200\nparallel = 2\nprune_batch = 20")
        monkeypatch.setenv("LITEFERRY_BATCH_SIZE", "300")
        monkeypatch.setenv("LITEFERRY_PARALLEL", "3")

        settings = load(config, batch_size=400)

        assert (settings.batch_size, settings.parallel, settings.prune_batch) == (400, 3, 20)

    def test_what_a_command_line_leaves_out_overrules_nothing(self, write: Write) -> None:
        """None and empty lists, click's way of saying "not given", leave the file's values alone."""
        settings = load(write('sources = ["/a.db"]\nparallel = 2'), sources=(), parallel=None, schema_map=())

        assert (settings.sources, settings.parallel) == ([Path("/a.db")], 2)

    def test_the_applications_own_variables_come_last(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """DATABASE_URL and SQLITE_DIR fill a gap, but do not overrule the file."""
        monkeypatch.setenv("DATABASE_URL", "postgresql://shared/one")
        monkeypatch.setenv("SQLITE_DIR", "/shared")

        assert load().target_url() == "postgresql://shared/one"
        assert load().sqlite_dir == Path("/shared")
        assert load(write('target = "postgresql://own/two"')).target_url() == "postgresql://own/two"

    def test_a_database_url_of_sqlite_is_passed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before the cutover the application's DATABASE_URL may name SQLite; no command fails over it."""
        monkeypatch.setenv("DATABASE_URL", "sqlite:////srv/app.db")

        settings = load()

        assert settings.target is None
        with pytest.raises(ConfigError, match="no target was given"):
            settings.target_url()

    def test_other_variables_are_not_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Names without our prefix, and the founding case's pool size, change nothing."""
        for name in ("ARAGORA_DB_POOL_SIZE", "SCHEMA", "PARALLEL", "BATCH_SIZE"):
            monkeypatch.setenv(name, "7")

        assert load() == load(parallel=4)

    def test_the_file_is_found_by_flag_by_variable_and_in_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """--config goes before LITEFERRY_CONFIG, which goes before liteferry.toml here."""
        for name, parallel in (("liteferry", 5), ("variable", 6), ("flag", 7)):
            (tmp_path / f"{name}.toml").write_text(f"parallel = {parallel}")

        assert load().parallel == 5
        monkeypatch.setenv("LITEFERRY_CONFIG", "variable.toml")
        assert load().parallel == 6
        assert load(Path("flag.toml")).parallel == 7
        assert load(Path("flag.toml")).config == tmp_path / "flag.toml"

    def test_an_empty_variable_counts_as_unset_except_for_http(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Compose files leave variables empty; only for http does that mean something."""
        monkeypatch.setenv("LITEFERRY_TARGET", "")
        monkeypatch.setenv("LITEFERRY_BATCH_SIZE", "")
        monkeypatch.setenv("LITEFERRY_HTTP", "")

        settings = load()

        assert (settings.target, settings.batch_size, settings.http_address) == (None, 10_000, None)

    def test_tables_of_several_layers_are_joined(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        """A map on the command line adds to the file's, and wins where both name the same entry."""
        monkeypatch.setenv("LITEFERRY_SCHEMA_MAP", "b.db=b2")
        config = write('[schema_map]\n"a.db" = "a1"\n"b.db" = "b1"\n"c.db" = "c1"')

        settings = load(config, schema_map=("a.db=a3",))

        assert settings.schema_map == {"a.db": "a3", "b.db": "b2", "c.db": "c1"}


class TestForms:
    def test_lists_and_tables_are_read_from_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Commas or JSON; a comma inside a type's parentheses separates nothing."""
        monkeypatch.setenv("LITEFERRY_SOURCES", "/a.db, /b.db")
        monkeypatch.setenv("LITEFERRY_EXCLUDE", '["cache_*", "a,b"]')
        monkeypatch.setenv("LITEFERRY_COLUMNS", "orders.total=numeric(12,2),orders.paid=boolean")

        settings = load()

        assert settings.sources == [Path("/a.db"), Path("/b.db")]
        assert settings.exclude == ["cache_*", "a,b"]
        assert settings.columns == {"orders.total": "numeric(12,2)", "orders.paid": "boolean"}

    def test_unquoted_dots_of_toml_are_put_back(self, write: Write) -> None:
        """TOML reads app.db = "x" as a table in a table; the operator meant a file's name."""
        settings = load(write('[schema_map]\napp.db = "x"\n[columns]\norders.total = "numeric(12, 2)"'))

        assert settings.schema_map == {"app.db": "x"}
        assert settings.columns == {"orders.total": "numeric(12, 2)"}

    def test_paths_in_the_file_count_from_its_folder(self, tmp_path: Path) -> None:
        """The same file means the same sources, wherever liteferry is started."""
        folder = tmp_path / "etc"
        folder.mkdir()
        (folder / "x.toml").write_text(
            'sources = ["data/a.db", "/abs.db"]\nsqlite_dir = "d"\ncontrol = "s.sock"'
        )

        settings = load(folder / "x.toml")

        assert settings.sources == [folder / "data/a.db", Path("/abs.db")]
        assert (settings.sqlite_dir, settings.control) == (folder / "d", folder / "s.sock")

    def test_schema_is_the_key_everywhere(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file, the variable and the override all say `schema`."""
        assert load(write('schema = "a"')).schema_name == "a"
        assert load(schema="c").schema_name == load(schema_name="c").schema_name == "c"
        monkeypatch.setenv("LITEFERRY_SCHEMA", "b")
        assert load().schema_name == "b"

    def test_the_control_socket_follows_the_service_manager(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """RUNTIME_DIRECTORY first, then XDG_RUNTIME_DIR, then an own folder among temporary files."""
        monkeypatch.setattr("tempfile.tempdir", "/tmp")
        assert load().control == Path(f"/tmp/liteferry-{os.getuid()}/liteferry.sock")
        monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
        assert load().control == Path("/run/user/7/liteferry.sock")
        monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/liteferry:/run/other")
        assert load().control == Path("/run/liteferry/liteferry.sock")

    def test_settings_are_frozen(self) -> None:
        """Nobody changes a setting behind the others' back."""
        settings = load()
        with pytest.raises(ValidationError, match="frozen"):
            settings.batch_size = 5


class TestRefusals:
    def test_an_unknown_key_is_named_with_the_likely_one(self, write: Write) -> None:
        """A typing error in the file stops the start."""
        message = str(refusal(write("batchsize = 5\nzzz = 1")))

        assert "'batchsize'; did you mean 'batch_size'?" in message
        assert "'zzz'" in message
        assert "etc.toml" in message

    @pytest.mark.parametrize("key", ["schema_name", "config"])
    def test_names_that_are_no_settings_of_the_file_are_refused(self, write: Write, key: str) -> None:
        """The field's inner name and the file's own path are not keys."""
        assert f"unknown setting in {str(write(''))!r}: {key!r}" in str(refusal(write(f'{key} = "x"')))

    def test_a_bad_value_is_named_with_its_rule_and_origin(
        self, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The message has setting, rule, value, and the place to correct it."""
        config = write("parallel = 99")
        assert (
            str(refusal(config))
            == f"parallel must be less than or equal to 32, got 99 (from {str(config)!r})"
        )
        assert str(refusal(parallel=0)) == "parallel must be greater than or equal to 1, got 0"
        monkeypatch.setenv("LITEFERRY_PARALLEL", "many")
        assert "got 'many' (from LITEFERRY_PARALLEL)" in str(refusal())

    def test_all_bad_values_are_told_at_once(self) -> None:
        """The operator corrects them in one go."""
        message = str(refusal(batch_size=1, max_pause="soon", http="nowhere"))

        assert message.startswith("3 settings are wrong:")
        assert all(name in message for name in ("batch_size", "max_pause must be a duration", "http must be"))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("batch_size", 99),
            ("batch_size", 1_000_001),
            ("poll_interval", 0),
            ("heartbeat_interval", "-5s"),
            ("max_pause", "5 parsecs"),
            ("max_pause", True),
            ("http", "8321"),
            ("http", "localhost:99999"),
            ("http", "user@host:1"),
            ("log_level", "loud"),
            ("log_format", "xml"),
            ("profile", "perhaps"),
            ("schema", ""),
            ("schema", "pg_temp"),
            ("schema", "é" * 32),
            ("schema_map", {"a.db": "information_schema"}),
            ("schema_map", ["a.db"]),
            ("names", "camel"),
            ("prefix_map", {"a.db": ""}),
            ("prefix_map", {"a.db": "p" * 33}),
            ("rename", {"orders": ""}),
            ("rename", {"orders.total": "n" * 64}),
            ("columns", {"orders": "bigint"}),
            ("columns", {"orders.total": "int); drop table x; --"}),
            ("columns", {"orders.total": ""}),
            ("sources", 5),
            ("control", "/" + "x" * 107),
            ("target", "mysql://h/db"),
            ("target", "host=h dbname=db"),
        ],
    )
    def test_values_out_of_their_rule_are_refused(self, name: str, value: object) -> None:
        """Each comes back as one error that begins with the setting's name."""
        assert str(refusal(None, **{name: value})).startswith(name)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [("parallel = ", "not valid TOML"), ("\xff", "not UTF-8"), ("max_pause = 5s", "not valid TOML")],
    )
    def test_a_broken_file_is_named(self, tmp_path: Path, text: str, reason: str) -> None:
        """What is no TOML is said to be none, with the place."""
        path = tmp_path / "x.toml"
        path.write_bytes(text.encode("latin-1"))

        assert reason in str(refusal(path))

    def test_a_file_that_was_named_must_be_there(self, tmp_path: Path) -> None:
        """A missing file is an error, not a start with defaults; so is a folder."""
        assert "No such file" in str(refusal(tmp_path / "none.toml"))
        assert "directory" in str(refusal(tmp_path))

    def test_mistyped_variables_are_found_and_injected_ones_are_not(self) -> None:
        """A near miss is named; what Kubernetes sets for a service called liteferry is left alone."""
        environ = {
            "LITEFERRY_BATCHSIZE": "5",
            "LITEFERRY_PARALLEL": "5",
            "LITEFERRY_SERVICE_HOST": "10.0.0.1",
            "LITEFERRY_PORT_8321_TCP": "tcp://10.0.0.1:8321",
            "BATCHSIZE": "5",
        }

        assert mistyped_variables(environ, Settings.model_fields) == {
            "LITEFERRY_BATCHSIZE": "LITEFERRY_BATCH_SIZE"
        }


class TestSecrets:
    url = "postgresql://ferry:s3cret@db:5432/app"

    def test_the_password_is_in_no_text_form(self) -> None:
        """Neither repr, str, JSON nor the masked URL show it; target_url gives it."""
        settings = load(target=self.url)

        shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
        assert "s3cret" not in shown + settings.masked_target
        assert settings.masked_target == "postgresql://ferry:***@db:5432/app"
        assert settings.target_url() == self.url

    @pytest.mark.parametrize(
        "url",
        [
            "mysql://ferry:s3cret@db/app",
            "postgresql://ferry:s3cret/x@db/app",
            "postgresql://ferry:12/s3cret@db/app",
            "postgresql://ferry:s3cret#x@db/app",
            "postgresql://ferry:x@[s3cret/app",
            "postgresql://ferry:x@db:s3cret/app",
            "host=db password=s3cret",
            "s3cret",
        ],
    )
    def test_the_password_is_in_no_error(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A URL that is refused is not repeated, not even in the traceback or under another setting."""
        errors = [refusal(target=url), refusal(target=url, parallel=0, http="http://u:s3cret@h")]
        monkeypatch.setenv("LITEFERRY_TARGET", url)
        errors.append(refusal())

        for error in errors:
            assert "target must be" in str(error)
            assert "s3cret" not in "".join(traceback.format_exception(error)) + error.hint

    def test_building_settings_directly_hides_the_password_too(self) -> None:
        """Even pydantic's own error does not print what it was given."""
        with pytest.raises(ValidationError) as caught:
            Settings(target="mysql://u:s3cret@h/db")  # type: ignore[arg-type]

        assert "s3cret" not in str(caught.value)

    @pytest.mark.parametrize(
        ("target", "complete"),
        [
            ("postgresql://ferry@db/app", "postgresql://ferry:p%40ss%2Fw%C3%B6rd@db/app"),
            ("postgres+asyncpg://ferry@a:1,b:2/app", "postgresql://ferry:p%40ss%2Fw%C3%B6rd@a:1,b:2/app"),
            ("postgresql://db/app?user=x", "postgresql://db/app?user=x&password=p%40ss%2Fw%C3%B6rd"),
            ("postgresql:///app", "postgresql:///app?password=p%40ss%2Fw%C3%B6rd"),
        ],
    )
    def test_the_password_comes_from_its_file(self, tmp_path: Path, target: str, complete: str) -> None:
        """The first line of the file is put into the URL, encoded."""
        (tmp_path / "pw").write_text("p@ss/wörd\n")

        settings = load(target=target, target_password_file=tmp_path / "pw")

        assert settings.target_url() == complete
        assert "p%40ss" not in f"{settings!r}{settings.masked_target}"

    def test_two_passwords_are_refused(self, tmp_path: Path) -> None:
        """It would not be clear which one counts."""
        (tmp_path / "pw").write_text("other")

        message = str(refusal(target=self.url, target_password_file=tmp_path / "pw"))

        assert "only one" in message and "s3cret" not in message

    def test_a_credential_of_the_service_manager_is_found_by_itself(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Unless a file is named; one that is there beside a password in the URL is refused as well."""
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        target = "postgresql://ferry@db/app"
        assert load(target=target).target_url() == target

        (tmp_path / "target-password").write_text("handed over\n")
        (tmp_path / "pw").write_text("named\n")

        assert load(target=target).target_url() == "postgresql://ferry:handed%20over@db/app"
        named = load(target=target, target_password_file=tmp_path / "pw")
        assert named.target_url() == "postgresql://ferry:named@db/app"
        assert "there is a credential 'target-password'" in str(refusal(target=self.url))

    @pytest.mark.parametrize("content", [b"", b"\n", b"\xff", None])
    def test_a_password_file_without_a_password_is_refused(
        self, tmp_path: Path, content: bytes | None
    ) -> None:
        """Missing, empty or binary: said, with the path."""
        path = tmp_path / "pw"
        if content is not None:
            path.write_bytes(content)

        message = str(refusal(target="postgresql://ferry@db/app", target_password_file=path))

        assert message.startswith(f"target_password_file {str(path)!r}")


def test_the_example_file_is_valid_when_everything_is_switched_on() -> None:
    """Taking away every "#" in front of a setting gives a file that loads, with every key in it."""
    text = (Path(__file__).parents[2] / "liteferry.example.toml").read_text()
    switched_on = "\n".join(line[1:] for line in text.splitlines() if line[:1] == "#" and line[:2] != "# ")
    path = Path("all.toml")
    for file in ("target_password_file", "http_token_file"):
        switched_on = switched_on.replace(f"\n{file}", f"\n# {file}")
    path.write_text(switched_on)

    load(path)

    keys = {key_of(field) for field in Settings.model_fields} - {"config"}
    assert set(tomllib.loads(switched_on.replace("\n# ", "\n"))) == keys
