"""Which SQLite files are moved, and to which schema each goes.

Only names, inodes and the first sixteen bytes are looked at. Even that must happen before this process
opens a source with SQLite: closing any descriptor of a file drops the POSIX locks that the process holds on
it, and with them SQLite's protection.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
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
    #: Whether the schema was said outright; only then may another source go there too.
    explicit: bool = field(default=False, compare=False)
    #: Whether the file was found in a folder rather than named.
    in_folder: bool = field(default=False, compare=False)
    #: What `schema_map` and `prefix_map` may call the file by, the most exact first.
    names: tuple[str, ...] = field(default=(), compare=False)
    #: What stands before the names of its tables on the target.
    prefix: str = field(default="", compare=False)
    #: Why it cannot be taken; only files of a folder have it, for one that was named is refused at once.
    trouble: ConfigError | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class _Found:
    """One file as it was named, which gives the schema, and as it is, which gives the path."""

    named: Path
    path: Path
    in_folder: bool = field(default=False, compare=False)
    trouble: ConfigError | None = field(default=None, compare=False)


def resolve_sources(settings: Settings) -> list[SourceSpec]:
    """Return every source with its schema, in the order given; ConfigError when one is missing or ambiguous.

    Call it before any source is opened in this process (see the module's text).
    """
    specs = list_sources(settings)
    refuse_troubled(specs, settings)
    return specs


def list_sources(settings: Settings) -> list[SourceSpec]:
    """Return what `resolve_sources` does, with the trouble of a folder's files noted rather than raised.

    A daemon that is started again goes on with the sources it has: what else lies in a folder by then must
    not keep it from that. Whoever calls it decides about `refuse_troubled`.
    """
    given = _given(settings)
    if not given:
        raise ConfigError("no source was given", hint=_GIVE_SOURCES)
    found = _without_twins([file for entry in given for file in _expand(entry)])
    alone = len(found) == 1
    return [_spec(file, settings, DEFAULT_SCHEMA if alone else None) for file in found]


def newcomer(named: Path, settings: Settings) -> SourceSpec:
    """Return a file that appeared in a watched folder, with its schema: never the default of a lone file.

    Raises OSError when it is gone again.
    """
    return _spec(_Found(named, _real(named), in_folder=True), settings, None)


def folders(settings: Settings) -> list[Path]:
    """Return the folders among the sources, in which new files are looked for."""
    return [Path(os.path.realpath(path)) for path in _given(settings) if path.is_dir()]


def refuse_troubled(specs: Sequence[SourceSpec], settings: Settings) -> None:
    """Raise ConfigError for a source that cannot be taken, an entry of a map without one, and meetings."""
    refuse_unmatched(specs, settings)
    for spec in specs:
        if spec.trouble is not None:
            raise spec.trouble
    refuse_meetings(specs)


def refuse_meetings(specs: Iterable[SourceSpec], settled: Collection[Path] = ()) -> None:
    """Raise ConfigError when a source would go to the schema of another without having been sent there.

    `settled` are the paths of those that are there already: it is the others that must have been sent.
    """
    meeting: dict[str, list[SourceSpec]] = defaultdict(list)
    for spec in specs:
        meeting[spec.schema].append(spec)
    for schema, those in meeting.items():
        if len(those) > 1 and not all(spec.explicit or spec.path in settled for spec in those):
            paths = ", ".join(repr(str(spec.path)) for spec in those)
            raise ConfigError(f"sources {paths} would all go to schema {schema!r}", hint=_GIVE_SCHEMAS)


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


def _given(settings: Settings) -> list[Path]:
    return settings.sources or ([settings.sqlite_dir] if settings.sqlite_dir else [])


def _spec(file: _Found, settings: Settings, default: str | None) -> SourceSpec:
    explicit = _explicit_schema(file, settings)
    schema = explicit or default or schema_from_stem(file.named.stem)
    names = tuple(_names(file))
    prefix = next((settings.prefix_map[name] for name in names if name in settings.prefix_map), "")
    return SourceSpec(
        file.path, schema, explicit is not None, file.in_folder, names, prefix, trouble=file.trouble
    )


def _expand(entry: Path) -> list[_Found]:
    try:
        return _in_folder(entry) if entry.is_dir() else [_single(entry)]
    except FileNotFoundError:
        raise ConfigError(f"source {str(entry)!r} does not exist", hint=_GIVE_SOURCES) from None
    except OSError as error:
        raise unreadable(error.filename or entry, error) from None


def unreadable(path: object, error: OSError) -> ConfigError:
    """Return what to say of a file that the system does not let us read."""
    return ConfigError(
        f"source {str(path)!r} cannot be read: {error.strerror}",
        hint="the user that liteferry runs as needs to read and write the file and its folder",
    )


def _in_folder(folder: Path) -> list[_Found]:
    names = sorted(path for path in folder.iterdir() if is_candidate(path) and path.is_file())
    found = [file for path in names if (file := _candidate(path)) is not None]
    if not found:
        patterns = " ".join(f"*{suffix}" for suffix in SUFFIXES)
        raise ConfigError(
            f"folder {str(folder)!r} holds no SQLite database ({patterns})",
            hint="folders inside it are not searched; name files with other endings one by one",
        )
    return found


def _candidate(path: Path) -> _Found | None:
    try:
        return _Found(path, _real(path), in_folder=True) if has_magic(path) else None
    except OSError as error:
        return _Found(path, path, in_folder=True, trouble=unreadable(error.filename or path, error))


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


def _without_twins(found: Iterable[_Found]) -> list[_Found]:
    """Note as trouble, or raise for a file that was named, that one inode was given under two names."""
    seen: dict[tuple[int, int], _Found] = {}
    kept = []
    for file in found:
        status = file.path.stat()
        first = seen.setdefault((status.st_dev, status.st_ino), file)
        if first is not file:
            trouble = ConfigError(
                f"sources {str(first.named)!r} and {str(file.named)!r} are one and the same file",
                hint="name it once, by the path that the application uses",
            )
            if not file.in_folder:
                raise trouble
            file = replace(file, trouble=trouble)
        kept.append(file)
    return kept


def refuse_unmatched(specs: Iterable[SourceSpec], settings: Settings) -> None:
    """Raise ConfigError when an entry of a map names no source: most likely a typing error."""
    names = {name for spec in specs for name in spec.names}
    short = {name for name in names if "/" not in name}
    for setting, entries in (("schema_map", settings.schema_map), ("prefix_map", settings.prefix_map)):
        unmatched = [name for name in entries if name not in names]
        if unmatched:
            named = ", ".join(f"{name!r}{suggestion(name, short)}" for name in unmatched)
            raise ConfigError(
                f"{setting} names what is no source: {named}", hint="correct the entry or take it out"
            )


def _explicit_schema(file: _Found, settings: Settings) -> str | None:
    mapped = next((settings.schema_map[name] for name in _names(file) if name in settings.schema_map), None)
    return mapped or settings.schema_name


def _names(file: _Found) -> list[str]:
    """Return what `schema_map` and `prefix_map` may call the file by, the most exact first."""
    return [str(file.named), str(file.path), file.named.name, file.named.stem]
