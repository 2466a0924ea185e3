"""Which other processes have a source open, where /proc tells it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROCESSES = Path("/proc")

DELETED = " (deleted)"


@dataclass(frozen=True)
class Opener:
    """A process that has a file open."""

    pid: int
    name: str
    #: What it has open was deleted or replaced: its writes go to a file that nobody else sees.
    deleted: bool


@dataclass(frozen=True)
class Openers:
    """The processes that have a file open, and how many could not be looked at."""

    seen: tuple[Opener, ...]
    hidden: int


def openers(path: Path, processes: Path = PROCESSES) -> Openers | None:
    """Return who has a file open besides us; None where the system does not tell."""
    if not processes.joinpath("self", "fd").is_dir():
        return None
    found, hidden = [], 0
    for folder in processes.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            kinds = set(_opened(folder, path))
        except PermissionError:
            hidden += 1
            continue
        except OSError:  # it has just ended
            continue
        if kinds:
            found.append(Opener(int(folder.name), _name(folder), kinds == {True}))
    return Openers(tuple(sorted(found, key=lambda one: one.pid)), hidden)


def _opened(folder: Path, path: Path) -> Iterator[bool]:
    """Yield for each time that a process has a file open whether it is a deleted one."""
    for number in os.listdir(folder / "fd"):
        try:
            leads_to = os.readlink(folder / "fd" / number)
        except FileNotFoundError:
            continue
        if leads_to == str(path):
            yield False
        elif leads_to == f"{path}{DELETED}":
            yield True


def _name(folder: Path) -> str:
    try:
        return folder.joinpath("comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "?"
