"""What a service needs on this machine, found out from its settings: user, folders, and if they will do."""

from __future__ import annotations

import grp
import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.errors import ConfigError
from config.names import PREFIX, SHARED_NAMES
from config.settings import Settings, load
from config.sources import folders, resolve_sources

from .text import SETTINGS, Name, Place

#: How long the look through the user's eyes may take.
LOOK_SECONDS = 60.0


@dataclass(frozen=True)
class User:
    """Who the service runs as."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        """Return the name, or the number where there is none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    @property
    def group(self) -> str:
        """Return the group's name, or its number."""
        try:
            return grp.getgrgid(self.gid).gr_name
        except KeyError:
            return str(self.gid)


def settings_of(config: Path, name: Name) -> Settings:
    """Return the settings that the service will have: none of this shell's. Raises ConfigError."""
    with _environment(os.environ, _variables(SETTINGS / f"{name.stem}.env")):
        settings = load(config)
        settings.target_url()
    return settings


@contextmanager
def _environment(environ: MutableMapping[str, str], service: Mapping[str, str]) -> Iterator[None]:
    """Have the service's variables in the place of this process's while inside."""
    before = dict(environ)
    for name in before:
        if name.startswith(PREFIX) or name in SHARED_NAMES.values() or name == "CREDENTIALS_DIRECTORY":
            del environ[name]
    environ.update(service)
    try:
        yield
    finally:
        environ.clear()
        environ.update(before)


def _variables(file: Path) -> dict[str, str]:
    """Return what an EnvironmentFile= sets, of the plain kind."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.strip().partition("=") for line in lines if line.strip() and line.strip()[0] not in "#;")
    return {name.strip(): value.strip().strip("\"'") for name, equals, value in pairs if equals}


def owner_of(files: Sequence[Path], wanted: str | None) -> User:
    """Return who the service should run as: the owner of the files, or the user that was asked for.

    Raises ConfigError for one that is not there, for files of several owners, and for root unless asked for.
    """
    owners = {path.stat().st_uid for path in files}
    gid = files[0].stat().st_gid
    if wanted is not None:
        return User(_uid(wanted), gid)
    if len(owners) > 1:
        names = ", ".join(sorted(User(uid, gid).name for uid in owners))
        raise ConfigError(
            f"the SQLite files belong to several users: {names}", hint="name the application's with --user"
        )
    if owners == {0}:
        raise ConfigError(
            "the SQLite files belong to root", hint="if the application runs as root, say so: --user root"
        )
    return User(owners.pop(), gid)


def _uid(wanted: str) -> int:
    try:
        return pwd.getpwnam(wanted).pw_uid
    except KeyError:
        if wanted.isdigit():
            return int(wanted)
        raise ConfigError(
            f"there is no user {wanted!r}", hint="name the one that the application runs as"
        ) from None


def place_of(config: Path, name: Name, settings: Settings, wanted: str | None, program: Path) -> Place:
    """Return what the service needs. Raises ConfigError for sources that are not there, or not its own."""
    files = [spec.path for spec in resolve_sources(settings)]
    user = owner_of(files, wanted)
    password = SETTINGS / f"{name.stem}.password"
    usual = config == SETTINGS / f"{name.stem}.toml"
    return Place(
        user.name,
        user.group,
        sorted({*(path.parent for path in files), *folders(settings)}),
        sorted({Path(sys.prefix), Path(sys.base_prefix), config.parent}),
        password if settings.target_password_file is None and password.exists() else None,
        () if usual else (program, "run", "--config", config),
    )


def troubles(place: Place, config: Path, files: Sequence[Path], settings: Settings) -> list[str]:
    """Return what keeps the service's user from its work, seen through that user's eyes."""
    needed = [config, *([settings.target_password_file] if settings.target_password_file else [])]
    user = User(_uid(place.user), _gid(place.group))
    command = [
        sys.executable,
        "-m",
        "daemon.unit.probe",
        json.dumps([list(map(str, files)), list(map(str, needed))]),
    ]
    if os.geteuid() not in (0, user.uid):
        return [f"whether user {user.name} can do it was not looked at: run this as root"]
    root = os.geteuid() == 0
    try:
        done = subprocess.run(
            command,
            env={"PATH": os.defpath},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=LOOK_SECONDS,
            user=user.uid if root else None,
            group=user.gid if root else None,
            extra_groups=_groups(user) if root else None,
        )
    except OSError as error:
        return [
            f"user {user.name} cannot run {sys.executable}: {error.strerror}; install it into /opt/liteferry"
        ]
    if done.returncode:
        told = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return [f"user {user.name} cannot run liteferry from {sys.prefix}: {told}"]
    return [f"user {user.name} may not {what}" for what in json.loads(done.stdout)]


def _gid(wanted: str) -> int:
    return int(wanted) if wanted.isdigit() else grp.getgrnam(wanted).gr_gid


def _groups(user: User) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(user.uid).pw_name, user.gid)
    except KeyError:
        return [user.gid]
