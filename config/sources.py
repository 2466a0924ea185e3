"""Which SQLite files are moved, and to which schema each goes.

Only names, inodes and the first sixteen bytes are looked at. Even that must happen before this process
opens a source with SQLite: closing any descriptor of a file drops the POSIX locks that the process holds on
it, and with them SQLite's protection.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import ConfigError
from .names import suggestion
from .settings import Settings
from .values import MAX_IDENTIFIER_BYTES

MAGIC = b"SQLite format 3\0"
SUFFIXES = (".db", ".sqlite", ".sqlite3", ".db3")
SIDE_FILES = ("-wal", "-shm", "-journal")
DEFAULT_SCHEMA = "public"
_GIVE_SOURCES = "name files or a folder: on the command line, in SQLITE_DIR, or as `sources` in the file"
_GIVE_SCHEMAS = "send each where it belongs with --schema-map FILE=NAME or [schema_map] in the file"


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One SQLite file, by its absolute path with links resolved, and the schema its tables go to."""

    path: Path
    schema: str


@dataclass(frozen=True, slots=True)
class _Found:
    """One file as it was named, which gives the schema, and as it is, which gives the path."""

    named: Path
    path: Path


def resolve_sources(settings: Settings) -> list[SourceSpec]:
    """Return every source with its schema, in the order given; ConfigError when one is missing or ambiguous.

    Call it before any source is opened in this process (see the module's text).
    """
    given = settings.sources or ([settings.sqlite_dir] if settings.sqlite_dir else [])
    if not given:
        raise ConfigError("no source was given", hint=_GIVE_SOURCES)
    found = [file for entry in given for file in _expand(entry)]
    _refuse_duplicates(found)
    _refuse_unmatched(settings.schema_map, found)
    explicit = {file: _explicit_schema(file, settings) for file in found}
    alone = len(found) == 1
    schemas = {
        file: schema or (DEFAULT_SCHEMA if alone else schema_from_stem(file.named.stem))
        for file, schema in explicit.items()
    }
    _refuse_meetings(schemas, explicit)
    return [SourceSpec(file.path, schema) for file, schema in schemas.items()]


def is_candidate(path: Path) -> bool:
    """Tell by its name alone whether a file in a folder could be a SQLite database."""
    return path.suffix.lower() in SUFFIXES


def has_magic(path: Path) -> bool:
    """Tell whether the file begins as a SQLite database does; OSError when it cannot be read.

    Never on a file that this process has open in SQLite (see the module's text).
    """
    with path.open("rb", buffering=0) as file:
        return file.read(len(MAGIC)) == MAGIC


def schema_from_stem(stem: str) -> str:
    """Return a schema name made of a file's stem: lower case, `_` for all that no plain identifier holds."""
    name = re.sub(r"[^a-z0-9_]", "_", stem.lower())[:MAX_IDENTIFIER_BYTES]
    # a leading digit would need quotes for ever after; the other two belong to PostgreSQL
    if not name or name[0].isdigit() or name.startswith("pg_") or name == "information_schema":
        return f"_{name}"[:MAX_IDENTIFIER_BYTES]
    return name


def _expand(entry: Path) -> list[_Found]:
    try:
        return _in_folder(entry) if entry.is_dir() else [_single(entry)]
    except FileNotFoundError:
        raise ConfigError(f"source {str(entry)!r} does not exist", hint=_GIVE_SOURCES) from None
    except OSError as error:
        raise ConfigError(
            f"source {error.filename or str(entry)!r} cannot be read: {error.strerror}",
            hint="the user that liteferry runs as needs to read and write the file and its folder",
        ) from None


def _in_folder(folder: Path) -> list[_Found]:
    names = sorted(path for path in folder.iterdir() if is_candidate(path) and path.is_file())
    found = [_Found(path, _real(path)) for path in names if has_magic(path)]
    if not found:
        patterns = " ".join(f"*{suffix}" for suffix in SUFFIXES)
        raise ConfigError(
            f"folder {str(folder)!r} holds no SQLite database ({patterns})",
            hint="folders inside it are not searched; name files with other endings one by one",
        )
    return found


def _single(entry: Path) -> _Found:
    path = _real(entry)
    if not path.is_file():
        raise ConfigError(f"source {str(entry)!r} is neither a file nor a folder", hint=_GIVE_SOURCES)
    if not has_magic(path):
        empty = path.stat().st_size == 0
        reason = "it is empty" if empty else "it does not begin with 'SQLite format 3'"
        raise ConfigError(f"source {str(entry)!r} is no SQLite database: {reason}", hint=_hint(entry, empty))
    return _Found(entry, path)


def _hint(entry: Path, empty: bool) -> str:
    side = next((end for end in SIDE_FILES if entry.name.endswith(end)), None)
    if side:
        return f"this is SQLite's side file of {entry.name.removesuffix(side)!r}: name that instead"
    if empty:
        return "the application has not written to it yet"
    return "an encrypted database cannot be moved; is it the right file?"


def _real(path: Path) -> Path:
    # not Path.resolve: on a loop of links it raises RuntimeError until Python 3.13
    return Path(os.path.realpath(path, strict=True))


def _refuse_duplicates(found: Iterable[_Found]) -> None:
    seen: dict[tuple[int, int], _Found] = {}
    for file in found:
        status = file.path.stat()
        first = seen.setdefault((status.st_dev, status.st_ino), file)
        if first is not file:
            raise ConfigError(
                f"sources {str(first.named)!r} and {str(file.named)!r} are one and the same file",
                hint="name it once, by the path that the application uses",
            )


def _refuse_unmatched(schema_map: dict[str, str], found: Iterable[_Found]) -> None:
    names = {name for file in found for name in _names(file)}
    unmatched = [name for name in schema_map if name not in names]
    if unmatched:
        short = {name for name in names if "/" not in name}
        named = ", ".join(f"{name!r}{suggestion(name, short)}" for name in unmatched)
        raise ConfigError(
            f"schema_map names what is no source: {named}", hint="correct the entry or take it out"
        )


def _refuse_meetings(schemas: dict[_Found, str], explicit: dict[_Found, str | None]) -> None:
    meeting: dict[str, list[_Found]] = defaultdict(list)
    for file, schema in schemas.items():
        meeting[schema].append(file)
    for schema, files in meeting.items():
        if len(files) > 1 and not all(explicit[file] for file in files):
            paths = ", ".join(repr(str(file.named)) for file in files)
            raise ConfigError(f"sources {paths} would all go to schema {schema!r}", hint=_GIVE_SCHEMAS)


def _explicit_schema(file: _Found, settings: Settings) -> str | None:
    mapped = next((settings.schema_map[name] for name in _names(file) if name in settings.schema_map), None)
    return mapped or settings.schema_name


def _names(file: _Found) -> list[str]:
    """Return what `schema_map` may call the file by, the most exact first."""
    return [str(file.named), str(file.path), file.named.name, file.named.stem]
