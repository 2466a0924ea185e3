"""Units written to a folder, and taken away again; what is another's is left alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from config.errors import ConfigError

from .text import DROP_IN_MARK, UNIT_MARK, Name, Place, drop_in, unit

#: Where the administrator's units are.
UNITS = Path("/etc/systemd/system")
DROP_IN = "10-liteferry.conf"


def texts(name: Name, place: Place, program: Path) -> dict[str, str]:
    """Return the files of a service, by their paths in the folder of units. Pure."""
    instances = name.instance is not None
    return {name.unit_file: unit(program, instances=instances), f"{name.unit}.d/{DROP_IN}": drop_in(place)}


def write(folder: Path, wanted: Mapping[str, str]) -> list[Path]:
    """Write the files, each as a whole; return their paths. Raises ConfigError for one that is not ours."""
    paths = {folder / name: text for name, text in wanted.items()}
    for path in paths:
        _refuse_foreign(path)
    try:
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_text(text, encoding="utf-8")
            part.chmod(0o644)
            os.replace(part, path)
    except OSError as error:
        raise ConfigError(
            f"{error.filename!r} cannot be written: {error.strerror}",
            hint="run it as root, or give --out FOLDER",
        ) from None
    return list(paths)


def remove(folder: Path, name: Name) -> list[Path]:
    """Take a service's files away, the unit of several with the last of them; return their paths.

    Raises ConfigError for a file that is not ours.
    """
    own = folder / f"{name.unit}.d" / DROP_IN
    others = [path for path in folder.glob(f"liteferry@*.service.d/{DROP_IN}") if path != own]
    last = name.instance is None or not others
    gone = [path for path in (own, *([folder / name.unit_file] if last else [])) if os.path.lexists(path)]
    for path in gone:
        _refuse_foreign(path)
    for path in gone:
        path.unlink()
        if path == own and not any(path.parent.iterdir()):
            path.parent.rmdir()
    return gone


def _refuse_foreign(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    if not text.startswith((UNIT_MARK, DROP_IN_MARK)):
        raise ConfigError(f"{str(path)!r} is not a file of liteferry's", hint="move it away, and try again")
