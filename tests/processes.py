"""How the product is started in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import daemon

#: What belongs to the person who runs the tests and must not reach the product.
FOREIGN = (
    "LITEFERRY_",
    "DATABASE_URL",
    "SQLITE_DIR",
    "RUNTIME_DIRECTORY",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "CREDENTIALS_",
)


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a process of the product: ours without any setting of liteferry."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
    # the very code that the tests have imported, installed or not
    code = str(Path(daemon.__file__).parents[1])
    return {**kept, "PYTHONPATH": code, **(extra or {})}


def command(*arguments: object) -> list[str]:
    """Return the command line of the product with these arguments."""
    return [sys.executable, "-m", "daemon.cli", *map(str, arguments)]
