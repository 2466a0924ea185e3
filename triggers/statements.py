"""Fixed SQL, kept in .sql files as named blocks: `-- name --`, a line that says what for, the statement."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_HEADER = re.compile(r"^-- (\w+) --$", re.MULTILINE)


@cache
def load(package: str, file: str) -> dict[str, str]:
    """Return the named blocks of `package/sql/file` without their comments."""
    text = (files(package) / "sql" / file).read_text(encoding="utf-8")
    parts = _HEADER.split(text)
    blocks: dict[str, str] = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        if name in blocks:
            msg = f"{file} has two blocks of the name {name!r}"
            raise ValueError(msg)
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        blocks[name] = "\n".join(lines).strip().rstrip(";")
    return blocks
