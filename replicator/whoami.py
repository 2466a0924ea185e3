"""Who runs this process, and on which machine."""

from __future__ import annotations

import getpass
import os
import platform


def whoami() -> str:
    """Return user@machine."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        # a container's user has no name as a rule
        name = str(os.getuid())
    return f"{name}@{platform.node()}"
