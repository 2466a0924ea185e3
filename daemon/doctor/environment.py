"""Versions, the machine, and the settings with where each came from."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from config.names import PREFIX, key_of
from config.problems import Given
from config.secret import MASK, is_secret_name, mask_text, without_secrets
from config.settings import Settings
from replicator.checking.filesystem import mount_type

#: Variables of others that we understand, or that the driver does.
SHARED = ("DATABASE_URL", "SQLITE_DIR", "PGHOST", "PGPASSFILE", "PGSSLMODE", "PGSERVICE")

#: Settings whose values are commands of the operator's, which may hold anything.
COMMANDS = ("hooks",)


def versions() -> dict[str, Any]:
    """Return the versions of everything that we run on."""
    return {
        "liteferry": version("liteferry"),
        "python": sys.version,
        "sqlite": sqlite3.sqlite_version,
        "system": platform.platform(),
        "distribution": _distribution(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "user": os.getuid(),
        "executable": sys.executable,
        "temporary_folder": os.environ.get("TMPDIR", "/tmp"),
        "temporary_filesystem": mount_type(Path(os.environ.get("TMPDIR", "/tmp"))),
        "packages": dict(_packages()),
    }


def _distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        return None


def _packages() -> list[tuple[str, str]]:
    found = []
    for needed in requires("liteferry") or []:
        name = needed.split(";")[0].split("[")[0].strip(" ()").split("<")[0].split(">")[0].split("=")[0]
        if "extra" in needed:
            continue
        try:
            found.append((name.strip(), version(name.strip())))
        except PackageNotFoundError:
            found.append((name.strip(), "missing"))
    return found


def settings_of(settings: Settings, given: Given) -> dict[str, Any]:
    """Return every setting as it counts, masked, and where it was said."""
    told = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        place = given.origin(name).strip(" ()") or ("options" if name in given.overrides else "default")
        told[key_of(name)] = {"value": _shown(name, value), "from": place.removeprefix("from ")}
    return told


def variables() -> list[str]:
    """Return the names of the environment's variables that are meant for us."""
    return sorted(name for name in os.environ if name.startswith(PREFIX) or name in SHARED)


def _shown(name: str, value: Any) -> Any:
    if name == "target" and isinstance(value, SecretStr):
        return without_secrets(value.get_secret_value())
    if isinstance(value, SecretStr) or (is_secret_name(name) and isinstance(value, str)):
        return MASK
    if name in COMMANDS and isinstance(value, dict):
        return dict.fromkeys(value, MASK)
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask_text(str(value))
