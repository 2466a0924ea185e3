"""Where a source lies, and what this user may do there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator.checking.filesystem import NETWORK, foreign_owner, missing_permissions, mount_type

NOBODY = 65_534

MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 22 0:27 / /proc rw - proc proc rw
40 22 0:44 / /srv rw shared:9 - nfs4 server:/export rw,vers=4.2
41 40 8:2 / /srv/local rw - xfs /dev/sdb1 rw
42 22 0:50 / /mnt/a\040b rw - cifs //server/share rw
43 22 0:51 / /over rw - ext4 /dev/sdc1 rw
44 22 0:52 / /over rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/app.db", "ext4"),
        ("/srv/app/app.db", "nfs4"),
        ("/srv/local/app.db", "xfs"),
        ("/srvx/app.db", "ext4"),
        ("/mnt/a b/app.db", "cifs"),
        ("/over/app.db", "tmpfs"),
    ],
)
def test_the_deepest_and_latest_mount_counts(path: str, kind: str) -> None:
    """A mount below hides what is above it, a later one what was there before."""
    assert mount_type(Path(path), MOUNTS) == kind


def test_an_unknown_list_of_mounts_tells_nothing() -> None:
    """Where no mount matches, no claim is made."""
    assert mount_type(Path("/data/app.db"), "") is None


def test_the_file_system_of_this_machine_is_local() -> None:
    """The real list is understood: tests run on a local disk."""
    assert mount_type(Path(__file__)) not in NETWORK


@pytest.fixture
def foreign() -> Iterator[Path]:
    """Make a file that everybody may read and nobody but its owner may write; be another user meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.db"
        path.touch(0o644)
        if os.geteuid() != 0:
            pytest.skip("only root can become somebody else")
        Path(folder).chmod(0o755)
        os.seteuid(NOBODY)
        try:
            yield path
        finally:
            os.seteuid(0)


def test_what_may_not_be_done_is_named(foreign: Path) -> None:
    """Reading is not enough: triggers are written, and side files made."""
    assert missing_permissions(foreign) == [
        "write the file",
        "make files in its folder (-wal, -shm, -journal)",
    ]


def test_a_file_of_somebody_else_is_noticed(foreign: Path) -> None:
    """Side files that we make would belong to us."""
    assert foreign_owner(foreign) == 0


def test_a_file_of_our_own_is_all_right(tmp_path: Path) -> None:
    """Nothing is missing where the file is ours."""
    (tmp_path / "app.db").touch()

    assert missing_permissions(tmp_path / "app.db") == []
    assert foreign_owner(tmp_path / "app.db") is None
