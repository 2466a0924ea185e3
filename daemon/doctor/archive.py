"""The report as a file to send: one archive, readable for its owner alone."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.errors import ConfigError


def write(path: Path, name: str, document: Mapping[str, Any], texts: Mapping[str, str]) -> int:
    """Write an archive with a file of JSON for each part and the texts; return its size in bytes.

    Raises ConfigError when it cannot be written.
    """
    files = {f"{part}.json": json.dumps(value, indent=2, default=str) for part, value in document.items()}
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for file, text in {**files, **texts}.items():
            body = text.encode("utf-8", "replace")
            # nothing in it tells of the user who made it
            entry = tarfile.TarInfo(f"{name}/{file}")
            entry.size, entry.mtime, entry.mode = len(body), int(time.time()), 0o600
            tar.addfile(entry, io.BytesIO(body))
    content = packed.getvalue()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as opened:
            opened.write(content)
    except OSError as error:
        raise ConfigError(
            f"the report cannot be written to {str(path)!r}: {error.strerror}", hint="give another --out"
        ) from None
    return len(content)
