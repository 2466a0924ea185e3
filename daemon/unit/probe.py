"""Look with the service's eyes: `python -m daemon.unit.probe '[[SQLITE_FILE...], [FILE...]]'` as its user."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from config.sources import SIDE_FILES
from replicator.checking.filesystem import missing_permissions


def missing(files: Sequence[Path], needed: Sequence[Path]) -> list[str]:
    """Return what this process may not do: with SQLite files and what lies beside them, and with settings."""
    found = [f"{what}: {path}" for path in files for what in missing_permissions(path)]
    beside = [Path(f"{path}{end}") for path in files for end in SIDE_FILES]
    found += [
        f"write the file: {path}"
        for path in beside
        if path.exists() and not os.access(path, os.R_OK | os.W_OK)
    ]
    return found + [f"read {path}" for path in needed if not os.access(path, os.R_OK)]


if __name__ == "__main__":
    print(json.dumps(missing(*([Path(path) for path in paths] for paths in json.loads(sys.argv[1])))))  # noqa: T201
