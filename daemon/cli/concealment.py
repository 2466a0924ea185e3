"""A password on the command line: every user of the machine can read that of every process."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from config.secret import check_target, has_password

OPTION = "--target"

#: Where the URL goes instead: a process's environment is its own user's to read.
VARIABLE = "LITEFERRY_TARGET"

#: That it was so; for those who tell about it.
MARK = "_LITEFERRY_CONCEALED"


def conceal() -> None:
    """Start this very process once more with the URL in its environment, if its password can be seen."""
    arguments = sys.argv[1:]
    rest, url = without_target(arguments)
    places = len(sys.orig_argv) - len(arguments)
    if url is None or not _has_password(url) or sys.orig_argv[places:] != arguments:
        return
    environment = {**os.environ, VARIABLE: url, MARK: "1"}
    os.execve(sys.executable, [*sys.orig_argv[:places], *rest], environment)


def was_concealed() -> bool:
    """Tell whether a password was given on the command line."""
    return MARK in os.environ


def without_target(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Return arguments without the option for the target, and what it said last; pure."""
    rest: list[str] = []
    url = None
    coming = iter(arguments)
    for argument in coming:
        if argument == "--":
            rest += [argument, *coming]
        elif argument == OPTION:
            url = next(coming, url)
        elif argument.startswith(f"{OPTION}="):
            url = argument.removeprefix(f"{OPTION}=")
        else:
            rest.append(argument)
    return rest, url


def _has_password(url: str) -> bool:
    try:
        return has_password(check_target(url))
    except ValueError:
        return False  # it is refused in a moment, and this process ends
