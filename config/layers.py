"""Where a setting's value comes from: the TOML file and the environment, as sources for pydantic-settings."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from .errors import ConfigError
from .names import FIELD_OF, PREFIX, key_of, suggestion
from .problems import DEFAULT_HINT
from .secret import is_postgres
from .values import to_list, to_map

DEFAULT_FILE = Path("liteferry.toml")
NOT_IN_FILE = {"config"}
EMPTY_MEANS_SOMETHING = {"http"}
PATHS = ("sqlite_dir", "target_password_file", "http_token_file", "control")
MAPS = ("schema_map", "prefix_map", "rename", "columns", "bad_values", "hooks")
LISTS = ("sources", "exclude", "indexes_after_cutover")


def find_file(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read: the one named, else the one in the working directory, else none."""
    named = config or environ.get(f"{PREFIX}CONFIG")
    if named:
        return Path(os.path.abspath(Path(named).expanduser()))
    # not Path.is_file: it raises where the working directory may not be searched
    return DEFAULT_FILE.absolute() if os.path.isfile(DEFAULT_FILE) else None


class TomlFile(InitSettingsSource):
    """The settings in one TOML file; relative paths in it count from its folder."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path) -> None:
        values = _read(path)
        _refuse_unknown(values, settings_cls, path)
        super().__init__(settings_cls, _prepared(values, str(path), folder=path.parent))


class Environment(PydanticBaseSettingsSource):
    """The settings in environment variables, one variable each."""

    def __init__(self, settings_cls: type[BaseSettings], names: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self.names = names

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the raw text of one field's variable; None when unset, or empty where that says nothing."""
        name = self.names.get(field_name, "")
        text = os.environ.get(name)
        if text == "" and field_name not in EMPTY_MEANS_SOMETHING:
            text = None
        # before the cutover the application's own DATABASE_URL may well be sqlite:///...
        if text is not None and name == "DATABASE_URL" and not is_postgres(text):
            text = None
        return text, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return all fields whose variable is set."""
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            text = self.get_field_value(field, name)[0]
            if text is not None:
                found |= _prepared({name: text}, self.names[name], split=True)
        return found


def prepare_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what a command line did not give (None, nothing in a list) and bring the rest into form."""
    given = {
        name: value
        for name, value in overrides.items()
        if value is not None and not (isinstance(value, list | tuple | dict) and not value)
    }
    return _prepared(given, "the command line")


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(
            f"the configuration file {str(path)!r} cannot be read: {error.strerror or 'unknown error'}",
            hint="name it with --config or LITEFERRY_CONFIG; liteferry.example.toml is one to start from",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise ConfigError(
            f"the configuration file {str(path)!r} is not valid TOML: {reason}",
            hint='text must stand in quotes: max_pause = "5s"',
        ) from None


def read_password(path: Path, setting: str = "target_password_file", *, private: bool = False) -> str:
    """Return the first line of a file; ConfigError when it cannot be read or is empty.

    One that must be `private` must not be readable for everybody on the machine.
    """
    try:
        if private and path.stat().st_mode & stat.S_IRWXO:
            raise ConfigError(
                f"{setting} {str(path)!r} is open to every user of this machine", hint=f"chmod 0600 {path}"
            )
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"{setting} {str(path)!r} cannot be read: {reason}",
            hint="it must be readable for the user that liteferry runs as",
        ) from None
    password = text.partition("\n")[0].rstrip("\r")
    if not password:
        what = "password" if setting == "target_password_file" else "token"
        raise ConfigError(f"{setting} {str(path)!r} must have the {what} in its first line")
    return password


def _refuse_unknown(values: Mapping[str, Any], settings_cls: type[BaseSettings], path: Path) -> None:
    known = {key_of(field) for field in settings_cls.model_fields} - NOT_IN_FILE
    unknown = [key for key in values if key not in known]
    if unknown:
        named = ", ".join(f"{key!r}{suggestion(key, known)}" for key in unknown)
        raise ConfigError(f"unknown setting in {str(path)!r}: {named}", hint=DEFAULT_HINT)


def _prepared(
    values: Mapping[str, Any], origin: str, *, folder: Path | None = None, split: bool = False
) -> dict[str, Any]:
    fields = {FIELD_OF.get(key, key): value for key, value in values.items()}
    for name, value in fields.items():
        try:
            if name in MAPS:
                fields[name] = to_map(value)
            elif name in LISTS:
                fields[name] = to_list(value, split=split)
        except ValueError as error:
            raise ConfigError(f"{key_of(name)} {error} (from {origin})") from None
        if folder is not None and name == "sources" and isinstance(fields[name], list):
            fields[name] = [_from_folder(entry, folder) for entry in fields[name]]
        elif folder is not None and name in PATHS:
            fields[name] = _from_folder(value, folder)
    return fields


def _from_folder(value: Any, folder: Path) -> Any:
    if not isinstance(value, str) or not value or value.startswith("~"):
        return value
    return str(folder / value)
