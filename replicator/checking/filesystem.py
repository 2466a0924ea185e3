"""What the system says about the place where a source lies."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

#: File systems between machines: SQLite's locks and the WAL's shared memory cannot be relied on there.
NETWORK = frozenset(
    {"9p", "afs", "ceph", "cifs", "coda", "davfs", "fuse.davfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs"}
    | {
        "fuse.sshfs",
        "fuse.vmhgfs-fuse",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb2",
        "smb3",
    }
    | {"smbfs", "vboxsf", "virtiofs", "vmhgfs"}
)

_OCTAL = re.compile(r"\\([0-7]{3})")


def mount_type(path: Path, mounts: str | None = None) -> str | None:
    """Return the type of the file system that holds a path, None where the system does not tell.

    `mounts` is the text of a mountinfo; without it the running system's is read.
    """
    if mounts is None:
        try:
            mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        place, kind = _mount(line)
        # a later mount on the same place hides an earlier one
        if path.is_relative_to(place) and (found is None or len(place.parts) >= found[0]):
            found = len(place.parts), kind
    return found[1] if found else None


def _mount(line: str) -> tuple[Path, str]:
    left, _, right = line.partition(" - ")
    place = _OCTAL.sub(lambda match: chr(int(match[1], 8)), left.split(" ")[4])
    return Path(place), right.split(" ")[0]


def missing_permissions(path: Path) -> list[str]:
    """Return what this process may not do that it must: read, write, and make files beside it."""
    wanted = [
        (path, os.R_OK, "read the file"),
        (path, os.W_OK, "write the file"),
        (path.parent, os.W_OK | os.X_OK, "make files in its folder (-wal, -shm, -journal)"),
    ]
    for end in ("-wal", "-shm", "-journal"):
        side = path.with_name(path.name + end)
        if side.exists():
            wanted.append((side, os.R_OK | os.W_OK, f"write the file beside it, {side.name}"))
    return [what for place, mode, what in wanted if not os.access(place, mode, effective_ids=True)]


def foreign_owner(path: Path) -> int | None:
    """Return the user a file belongs to when that is another than this one; None for root, who may be any.

    SQLite makes side files as the user it runs as; only for root it gives them to the file's owner.
    """
    belongs, mine = path.stat().st_uid, os.geteuid()
    return None if mine in (0, belongs) else belongs
