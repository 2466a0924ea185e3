"""One machine for all tests of the service; they are run by `make test-systemd`, which prepares it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.systemd.machine import Machine, booted, needed

#: The archive of the root, and the folder of wheels: set by the Makefile.
ARCHIVE, WHEELS = "LITEFERRY_SYSTEMD_ROOT", "LITEFERRY_WHEELS"

collect_ignore_glob = [] if ARCHIVE in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """Boot a machine, with a database and a role whose password is asked for."""
    missing = needed()
    if missing:
        pytest.fail(f"a machine cannot be booted here: {', '.join(missing)} missing")
    archive, wheels = Path(os.environ[ARCHIVE]), Path(os.environ[WHEELS])
    with (
        tempfile.TemporaryDirectory(prefix="lf-", dir="/var/tmp") as folder,
        booted(archive, wheels, Path(folder)) as running,
    ):
        running.until(lambda: "accepting" in running.run("pg_isready", check=False), "PostgreSQL")
        running.psql("CREATE ROLE ferry LOGIN PASSWORD 's3cret'", "postgres")
        yield running
