"""What is to be known of the place where a source lies: permissions, file system, room, other processes.

The file itself is never opened here: closing it again would drop SQLite's locks.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from config.settings import Settings

from .backup import wal_size
from .checks import Findings, Level, shown
from .filesystem import NETWORK, foreign_owner, missing_permissions, mount_type
from .openers import Openers, openers

MIB = 1 << 20

#: How many times a source's size should be free beside it: its change log and WAL while the target is away,
#: and a backup, or what VACUUM writes.
ROOM = 3


def check_place(found: Findings, path: Path, settings: Settings) -> None:
    """Look at a source from outside."""
    _permissions(found, path)
    _file_system(found, path)
    _room(found, path, settings)
    _temporary(found, settings)
    _processes(found, openers(path))


def _permissions(found: Findings, path: Path) -> None:
    missing = missing_permissions(path)
    other = foreign_owner(path)
    if missing:
        hint = "run liteferry as the user that the application runs as"
        found.add("permissions", Level.FAIL, f"this user may not {', not '.join(missing)}", hint)
    elif other is not None:
        text = f"the file belongs to user {other}, liteferry runs as another"
        hint = "the -wal and -shm files that it makes may be closed to the application: run as the same user"
        found.add("permissions", Level.WARN, text, hint)
    else:
        found.add("permissions", Level.PASS, "file and folder can be written")


def _file_system(found: Findings, path: Path) -> None:
    kind = mount_type(path)
    if kind in NETWORK:
        hint = "move the file to a local disk, and run liteferry on the machine that has it"
        text = f"{kind} is a network file system: SQLite's locks cannot be relied on"
        found.add("file system", Level.FAIL, text, hint)
    else:
        found.add("file system", Level.PASS, kind or "not told by this system")


def _room(found: Findings, path: Path, settings: Settings) -> None:
    free = shutil.disk_usage(path.parent).free
    wanted = ROOM * (os.stat(path).st_size + wal_size(path))
    text = f"{free // MIB:,} MiB are free beside the file"
    hint = "change log and WAL grow while the target is away: make room"
    if free < settings.disk_min_free_mb * MIB:
        found.add("disk", Level.WARN, f"only {text}", hint)
    elif free < wanted:
        found.add("disk", Level.WARN, f"{text}, {ROOM} times its size are {wanted // MIB:,}", hint)
    else:
        found.add("disk", Level.PASS, text)


def _temporary(found: Findings, settings: Settings) -> None:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    text = f"{free // MIB:,} MiB are free in {folder}"
    if free < settings.batch_memory_mb * MIB:
        hint = "large batches wait there on their way: make room, or set TMPDIR"
        found.add("temporary files", Level.WARN, f"only {text}", hint)
    else:
        found.add("temporary files", Level.PASS, text)


def _processes(found: Findings, told: Openers | None) -> None:
    if told is None:
        found.add("other processes", Level.PASS, "not told by this system")
        return
    gone = [f"{one.name} ({one.pid})" for one in told.seen if one.deleted]
    if gone:
        text = f"a file that was replaced or deleted is still written to under this name: {shown(gone)}"
        hint = "restart these processes: what they write there is in no copy"
        found.add("other processes", Level.FAIL, text, hint)
        return
    names = [f"{one.name} ({one.pid})" for one in told.seen]
    text = f"it is open in {shown(names, as_they_are=True)}" if names else "nobody else has it open just now"
    if told.hidden:
        text += f"; {told.hidden} of other users cannot be looked at"
    found.add("other processes", Level.PASS, text)
