"""The forms a setting's value may take: durations, addresses, lists, maps and names; pure functions.

Each raises `ValueError` whose text is the rule that was broken ("must be ..."), never the value itself.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.IGNORECASE)
_DURATION = re.compile(rf"(?:{_PART.pattern}\s*)+", re.IGNORECASE)

# commas inside parentheses belong to the type: numeric(12,2)
_COMMA = re.compile(r",(?![^()]*\))")
_TYPE = re.compile(
    r'[A-Za-z_"][\w ."]*(\(\s*-?\d+(\s*,\s*-?\d+)*\s*\)[\w ]*)?(\[\])*( +in +[\w/:+-]+( +\w+)?)?'
)
MAX_IDENTIFIER_BYTES = 63  # PostgreSQL cuts longer names without a word
MAX_PREFIX_BYTES = 32


@dataclass(frozen=True, slots=True)
class Unit:
    """Say in what a setting is measured; carried in the annotation, shown in the reference."""

    name: str


def parse_duration(value: object) -> float:
    """Return seconds from a number of seconds or text such as `500ms`, `5s`, `1m30s`."""
    rule = "must be a duration such as 500ms, 5s or 1m (a bare number is seconds)"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(rule)
    if isinstance(value, str):
        text = value.strip()
        if _DURATION.fullmatch(text):
            return sum(float(number) * UNIT_SECONDS[unit.lower()] for number, unit in _PART.findall(text))
        try:
            value = float(text)
        except ValueError:
            raise ValueError(rule) from None
    if not math.isfinite(value) or value < 0:
        raise ValueError(rule)
    return float(value)


def format_duration(seconds: float) -> str:
    """Return the shortest text that `parse_duration` reads back as *seconds*."""
    if seconds and seconds < 1:
        return f"{seconds * 1000:g}ms"
    for unit in ("d", "h", "m"):
        if seconds and seconds % UNIT_SECONDS[unit] == 0:
            return f"{seconds / UNIT_SECONDS[unit]:g}{unit}"
    return f"{seconds:g}s"


Duration = Annotated[float, BeforeValidator(parse_duration), Unit("duration")]


def absolute(path: Path) -> Path:
    """Return *path* from the root, with `~` as the home folder; links and `..` are not looked up."""
    return Path(os.path.abspath(path.expanduser()))


def parse_address(value: str) -> tuple[str, int]:
    """Split `HOST:PORT` (an IPv6 host in brackets); port 0 asks the system for a free one."""
    rule = "must be HOST:PORT, such as 127.0.0.1:8321 or [::1]:8321, or empty to switch it off"
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:\[\]/@]+)):(\d{1,5})", value)
    if match is None or int(match[3]) > 65535:
        raise ValueError(rule)
    return match[1] or match[2], int(match[3])


def to_list(value: object, *, split: bool = True) -> object:
    """Read a list from text: a JSON array, or entries separated by commas; leave anything else alone.

    Without *split* text is one entry: only a variable has no better way to hold several.
    """
    if isinstance(value, tuple):
        return list(value)
    if not isinstance(value, str):
        return value
    if not split:
        return [value]
    if value.lstrip().startswith("["):
        return _json(value, list)
    return [entry.strip() for entry in _COMMA.split(value) if entry.strip()]


def to_map(value: object) -> dict[str, Any]:
    """Read a map from text or a list of `NAME=VALUE`, a JSON object, or nested TOML tables.

    TOML takes the dot of an unquoted `app.db = "x"` for nesting; it is put back.
    """
    if isinstance(value, Mapping):
        return dict(_flat(value))
    if isinstance(value, str) and value.lstrip().startswith("{"):
        return dict(_flat(_json(value, dict)))
    entries = to_list(value)
    if not isinstance(entries, list):
        raise ValueError("must be a table of NAME = VALUE")
    pairs = [str(entry).rpartition("=") for entry in entries]
    if any(not name.strip() or not equals for name, equals, _ in pairs):
        raise ValueError("must be entries of the form NAME=VALUE, separated by commas")
    return {name.strip(): text.strip() for name, _, text in pairs}


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in table.items():
        pairs += _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(prefix + name, value)]
    return pairs


def _json(text: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, kind):
        raise ValueError(
            f"must be a JSON {'array' if kind is list else 'object'} when it begins with a bracket"
        )
    return value


def check_schema_name(name: str) -> str:
    """Return *name* if PostgreSQL can hold a schema called so and does not keep it for itself."""
    if not name or "\0" in name or len(name.encode(errors="replace")) > MAX_IDENTIFIER_BYTES:
        raise ValueError(f"must be a schema name of 1 to {MAX_IDENTIFIER_BYTES} bytes")
    if name.startswith("pg_") or name == "information_schema":
        raise ValueError("must not be a schema that PostgreSQL keeps for itself (pg_..., information_schema)")
    return name


def check_name(name: str) -> str:
    """Return *name* if PostgreSQL can hold a table or a column called so."""
    if not name or "\0" in name or len(name.encode(errors="replace")) > MAX_IDENTIFIER_BYTES:
        raise ValueError(f"must be a name of 1 to {MAX_IDENTIFIER_BYTES} bytes")
    return name


def check_prefix(prefix: str) -> str:
    """Return *prefix* if it leaves room for the names that it stands before."""
    if not prefix or "\0" in prefix or len(prefix.encode(errors="replace")) > MAX_PREFIX_BYTES:
        raise ValueError(f"must be a prefix of 1 to {MAX_PREFIX_BYTES} bytes")
    return prefix


def check_token(token: str) -> str:
    """Return *token* if it can stand in a header and is not easily guessed."""
    if not re.fullmatch(r"[\x21-\x7e]{16,512}", token):
        raise ValueError("must be 16 to 512 characters of ASCII without spaces")
    return token


def check_column(name: str) -> str:
    """Return *name* if it has the form `table.column`."""
    table, dot, column = name.partition(".")
    if not (table and dot and column):
        raise ValueError("must be named table.column")
    return name


def check_type(text: str) -> str:
    """Return *text* if it can be a PostgreSQL type and nothing more: it goes into DDL as it is."""
    if not _TYPE.fullmatch(text) or text.count('"') % 2:
        raise ValueError("must be a PostgreSQL type, such as bigint, numeric(12,2) or timestamptz")
    return text


def check_command(text: str) -> str:
    """Return *text* if a shell can be given it."""
    if not text.strip() or "\0" in text:
        raise ValueError("must be a command for the shell")
    return text


_INDEX = re.compile(
    r"\s*CREATE\s+(?P<unique>UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?"
    r'(?P<name>"(?:[^"]|"")+"|[A-Za-z_][\w$]*)\s+ON\s+(?P<rest>(?:ONLY\s+)?(?P<table>'
    r'(?:"(?:[^"]|"")+"|[\w$]+)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[\w$]+))?)\s*[^;]+?)\s*;?\s*',
    re.IGNORECASE | re.DOTALL,
)


def index_parts(text: str) -> re.Match[str] | None:
    """Return the parts of a CREATE INDEX statement: unique, name, table, and the rest behind ON."""
    return _INDEX.fullmatch(text)


def check_index(text: str) -> str:
    """Return *text* if it is one CREATE INDEX statement that names its index."""
    if index_parts(text) is None:
        raise ValueError("must be one statement of the form CREATE [UNIQUE] INDEX name ON table (...)")
    return text
