"""Options and arguments that several verbs share, and the exit statuses of all."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from config import errors
from config.errors import LiteferryError
from config.fields.reach import token_in
from config.settings import Settings, load
from daemon.control import Address, Where

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
    for decorate in (
        click.option(
            "--token-file",
            type=click.Path(path_type=Path, dir_okay=False),
            expose_value=False,
            callback=_keep,
            help="File with the token for orders over --url (default: that of the settings).",
        ),
        click.option(
            "--url",
            metavar="URL",
            expose_value=False,
            callback=_keep,
            help="Address of the running daemon, http://HOST:PORT, instead of its socket.",
        ),
        click.option(
            "--control", type=click.Path(path_type=Path), help="Control socket of the running daemon."
        ),
    ):
        function = decorate(function)
    return config_option(function)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep an option for `daemon_of`, which all verbs that speak to a daemon ask."""
    context.meta[f"liteferry.{parameter.name}"] = value


def daemon_of(config: Path | None, control: Path | None) -> Where:
    """Return where the daemon is that a verb speaks to: the address of --url, else its socket.

    Raises ConfigError.
    """
    meta = click.get_current_context().meta
    url, token_file = meta.get("liteferry.url"), meta.get("liteferry.token_file")
    settings = settings_from(config, control=control)
    if url is None:
        if token_file is not None:
            raise errors.ConfigError("--token-file needs --url", hint="the control socket asks for no token")
        return settings.control
    if control is not None:
        raise errors.ConfigError("--url and --control cannot be combined", hint="give one of them")
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
        raise errors.ConfigError(f"--url {url!r} must be http://HOST:PORT", hint="or https:// of a proxy")
    return Address(url, token_in(token_file, "--token-file") if token_file else settings.token)


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
