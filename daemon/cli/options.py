"""Options and arguments that several verbs share, and the exit statuses of all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from config import errors
from config.errors import LiteferryError
from config.settings import Settings, load

F = TypeVar("F", bound=Callable[..., Any])

#: Exit status by class of error; documented in docs/reference/cli.md. 1 is a negative answer, 2 a wrong call.
EXIT_STATUS: tuple[tuple[type[LiteferryError], int], ...] = (
    (errors.ConfigError, 2),
    (errors.CutoverRefused, 1),
    (errors.CommandRefused, 1),
    (errors.ValueRefused, 5),
    (errors.SourceError, 3),
    (errors.TargetError, 4),
    (errors.PositionConflict, 4),
    (errors.ControlError, 6),
    (errors.LiteferryError, 7),
)


_MAPS = (
    ("schema_map", "--schema-map users.db=users", "NAME"),
    ("prefix_map", "--prefix-map users.db=users_", "PREFIX"),
)


def exit_status(error: LiteferryError) -> int:
    """Return the exit status that an error ends a command with."""
    return next(status for kind, status in EXIT_STATUS if isinstance(error, kind))


def config_option(function: F) -> F:
    """Add --config."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="TOML file with the settings (default: liteferry.toml here, if there is one).",
    )(function)


def control_option(function: F) -> F:
    """Add --control, and --config where it may stand."""
    added = click.option(
        "--control", type=click.Path(path_type=Path), help="Control socket of the running daemon."
    )(function)
    return config_option(added)


def json_option(function: F) -> F:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(function)


def adopt_option(function: F) -> F:
    """Add --adopt."""
    return click.option(
        "--adopt",
        "existing_tables",
        flag_value="adopt",
        help="Fill empty tables that the target has already, as they are.",
    )(function)


def source_options(function: F) -> F:
    """Add SOURCE..., --target, --schema, --schema-map, --prefix-map, --names and --config."""
    for decorate in (
        config_option,
        click.option(
            "--names",
            type=click.Choice(["exact", "lower", "snake"]),
            help="What tables and columns are called on the target (default: exact, as in the source).",
        ),
        click.option(
            "--prefix-map",
            "prefix_map",
            multiple=True,
            metavar="FILE=PREFIX",
            help="Prefix for the tables of one file; may be given several times.",
        ),
        click.option(
            "--schema-map",
            "schema_map",
            multiple=True,
            metavar="FILE=NAME",
            help="Schema for one file; may be given several times.",
        ),
        click.option("--schema", metavar="NAME", help="Schema for all files (default: public for one file)."),
        click.option("--target", metavar="URL", help="PostgreSQL to move to (default: DATABASE_URL)."),
        click.argument("sources", nargs=-1, type=click.Path(path_type=Path), metavar="SOURCE..."),
    ):
        function = decorate(function)
    return function


def settings_from(config: Path | None, **given: Any) -> Settings:
    """Load the settings with what the command line gives over them; absent options do not count.

    Raises ConfigError.
    """
    for setting, option, what in _MAPS:
        pairs = given.pop(setting, ())
        if pairs:
            given[setting] = dict(_pair(pair, setting, option, what) for pair in pairs)
    if given.get("sources"):
        given["sources"] = list(given["sources"])
    return load(config, **given)


def _pair(text: str, setting: str, option: str, what: str) -> tuple[str, str]:
    file, separator, name = text.rpartition("=")
    if not separator or not file or not name:
        raise errors.ConfigError(
            f"{setting}: {text!r} is not of the form FILE={what}", hint=f"write {option}"
        )
    return file, name
