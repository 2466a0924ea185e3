"""How the product is started in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import daemon

from .forkserver import Forked, fits, server

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


def start_product(
    arguments: Sequence[object], *, cwd: Path, env: Mapping[str, str], output: int
) -> Forked | subprocess.Popen[bytes]:
    """Start the product in a process of its own that prints to a descriptor; forked where that does."""
    nest = server(os.getpid())
    if fits(env, nest.env):
        return Forked(nest, [str(one) for one in arguments], cwd, env, output)
    return execute_product(arguments, cwd=cwd, env=env, output=output)


def execute_product(
    arguments: Sequence[object],
    *,
    cwd: Path,
    env: Mapping[str, str],
    output: int,
    through: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Start the product as a person does, `through` another command if need be."""
    return subprocess.Popen(
        [*through, *command(*arguments)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
