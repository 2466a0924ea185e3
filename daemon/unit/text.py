"""The text of the unit, for one daemon or for an instance of several, and of the drop-in. Pure.

`systemd/` holds what these functions give, for those who install by hand; a test fails when it is stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from config.errors import ConfigError

#: Where the program is when it is installed as the documentation says.
PROGRAM = Path("/opt/liteferry/bin/liteferry")

#: Where settings are looked for.
SETTINGS = Path("/etc/liteferry")

#: How each file of ours begins: another's is left alone.
UNIT_MARK = "# Carries a live SQLite application to PostgreSQL; see `liteferry --help`.\n"
DROP_IN_MARK = "# Written by `liteferry install-service`, which also takes it away: --remove.\n"

_INSTANCES = """\
# One instance for each migration: liteferry@orders has its settings in /etc/liteferry/orders.toml, its socket
# in /run/liteferry-orders, and its drop-in in liteferry@orders.service.d. Each needs an `http` of its own.
#
"""

#: Folders that the unit hides from the service, with ProtectHome= and with PrivateTmp=.
_HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))


@dataclass(frozen=True)
class Name:
    """What a service is called: the only one of a machine, or one of several."""

    instance: str | None = None

    @property
    def unit(self) -> str:
        """Return the name of the unit that is started."""
        return "liteferry.service" if self.instance is None else f"liteferry@{self.instance}.service"

    @property
    def unit_file(self) -> str:
        """Return the name of the file that it comes from."""
        return "liteferry.service" if self.instance is None else "liteferry@.service"

    @property
    def stem(self) -> str:
        """Return what its files in the folder of settings are called."""
        return self.instance or "liteferry"

    @property
    def socket(self) -> Path:
        """Return where its daemon listens."""
        run = "liteferry" if self.instance is None else f"liteferry-{self.instance}"
        return Path("/run") / run / "liteferry.sock"


@dataclass(frozen=True)
class Place:
    """What a machine adds to the unit."""

    user: str
    group: str
    #: Folders of the SQLite files.
    folders: Sequence[Path]
    #: Folders of the program and the settings, which the service must see.
    seen: Sequence[Path] = ()
    #: The file with the password, if the service manager is to hand one over.
    password: Path | None = None
    #: The command to run, where it is another than the unit's.
    command: Sequence[Path | str] = ()


def unit(program: Path, *, instances: bool) -> str:
    """Return the unit; with `instances` the one that several are made of."""
    template = (files("daemon") / "unit" / "liteferry.service.in").read_text(encoding="utf-8")
    example = "orders" if instances else "liteferry"
    words = {
        "UNIT": "liteferry@" if instances else "liteferry",
        "NAMED": " --name NAME" if instances else "",
        "INSTANCES": _INSTANCES if instances else "",
        "OF": " (%i)" if instances else "",
        "WHICH": "%i" if instances else "liteferry",
        "RUN": "liteferry-%i" if instances else "liteferry",
        "EXAMPLE": example,
        "EXAMPLE_UNIT": f"liteferry@{example}" if instances else "liteferry",
        "EXAMPLE_RUN": f"liteferry-{example}" if instances else "liteferry",
        "PROGRAM": quoted(program),
    }
    for word, text in words.items():
        template = template.replace(f"@{word}@", text)
    return template


def drop_in(place: Place) -> str:
    """Return the drop-in of one service. Raises ConfigError for a path that no unit can name."""
    lines = ["[Unit]", "# a source that is missing ends the daemon, and it is not started again by itself"]
    lines += [f"RequiresMountsFor={quoted(folder)}" for folder in place.folders]
    lines += ["", "[Service]", f"User={place.user}", f"Group={place.group}"]
    if place.command:
        lines += ["ExecStart=", f"ExecStart={' '.join(quoted(part) for part in place.command)}"]
    lines.append("# the folders of the SQLite files: -wal, -shm and -journal come and go beside them")
    lines += [f"ReadWritePaths={quoted(folder)}" for folder in place.folders]
    hidden = [folder for folder in place.folders if _is_in(folder, _HIDDEN)]
    seen = [folder for folder in place.seen if _is_in(folder, _HIDDEN)]
    if hidden or seen:
        lines.append("# what the unit hides otherwise: of all that is there, only these")
    lines += [f"BindReadOnlyPaths={_bound(folder)}" for folder in _outermost(seen)]
    lines += [f"BindPaths={_bound(folder)}" for folder in hidden]
    if place.password is not None:
        lines.append(f"LoadCredential=target-password:{quoted(place.password)}")
    return DROP_IN_MARK + "\n".join(lines) + "\n"


def quoted(part: Path | str) -> str:
    """Return a path or an argument as a unit has it. Raises ConfigError for one with a line break in it."""
    text = str(part)
    if any(ord(character) < ord(" ") for character in text):
        raise ConfigError(
            f"{text!r} cannot be named in a unit", hint="give it a name without control characters"
        )
    text = text.replace("%", "%%")
    if any(character in text for character in " \"'\\"):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return text


def _bound(folder: Path) -> str:
    # the colon stands between two places
    return quoted(str(folder).replace("\\", "\\\\").replace(":", "\\:"))


def _is_in(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def _outermost(folders: Sequence[Path]) -> list[Path]:
    return [
        one for one in folders if not any(one != other and one.is_relative_to(other) for other in folders)
    ]
