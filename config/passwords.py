"""Files that hold the target's password, and who may read them."""

from __future__ import annotations

import stat
from pathlib import Path

from .passfile import passfile
from .secret import has_password
from .settings import Settings

#: What a service manager or a container engine puts there is theirs to guard, whatever its mode.
GUARDED = (Path("/run/secrets"), Path("/run/credentials"), Path("/var/run/secrets"))


def exposed_files(settings: Settings) -> list[tuple[Path, int]]:
    """Return the files with a password that other users can read, with their modes."""
    found = []
    for path in _files(settings):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077 and not any(path.is_relative_to(place) for place in GUARDED):
            found.append((path, mode))
    return found


def _files(settings: Settings) -> list[Path]:
    files = []
    if settings.config is not None and _says_password(settings.config):
        files.append(settings.config)
    if settings.target_password_file is not None:
        files.append(settings.target_password_file)
    elif settings.target is not None and not has_password(settings.target.get_secret_value()):
        files.append(passfile(settings.target.get_secret_value()))
    return files


def _says_password(config: Path) -> bool:
    try:
        lines = config.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    urls = [
        line.partition("=")[2].strip(" \"'") for line in lines if line.partition("=")[0].strip() == "target"
    ]
    return any(_has(url) for url in urls)


def _has(url: str) -> bool:
    try:
        return has_password(url)
    except ValueError:
        return True  # malformed, most likely by its password
