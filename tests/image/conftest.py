"""The image beside an application and PostgreSQL, each in a container; run by `make test-image`."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

#: The image to test: set by the Makefile.
IMAGE = "LITEFERRY_IMAGE"
POSTGRES = os.environ.get("LITEFERRY_TEST_PG_IMAGE", "postgres:17")
PATIENCE = 120.0
LOOK_SECONDS = 0.25

collect_ignore_glob = [] if IMAGE in os.environ else ["test_*.py"]

#: The application: a row every hundredth of a second, until SQLite tells it that it has moved.
APPLICATION = """
import sqlite3, time
database = sqlite3.connect("/data/app.db", timeout=10, isolation_level=None)
database.execute("PRAGMA journal_mode = wal")
database.execute("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, name TEXT)")
while True:
    database.execute("INSERT INTO t(name) VALUES ('row')")
    time.sleep(0.01)
"""


def docker(*arguments: str, check: bool = True, errors: bool = False) -> str:
    """Run docker; return what it printed, with its `errors` if asked. Fails as it does, if to `check`."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=PATIENCE)
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return (done.stdout + (done.stderr if errors else "")).strip()


def until(condition: Callable[[], object], what: str, container: str) -> None:
    """Wait until something holds; fails with a container's log."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            log = subprocess.run(
                ["docker", "logs", "--tail", "30", container], capture_output=True, text=True
            )
            raise AssertionError(f"no {what} within {PATIENCE:g} s:\n{log.stdout}\n{log.stderr}")
        time.sleep(LOOK_SECONDS)


class Scene:
    """Three containers on a network, two of them on one volume."""

    def __init__(self, image: str) -> None:
        self.image = image
        self.name = f"lf-{uuid.uuid4().hex[:8]}"
        self.ferry, self.postgres, self.app = (f"{self.name}-{part}" for part in ("ferry", "postgres", "app"))

    @contextmanager
    def open(self) -> Iterator[Scene]:
        """Run PostgreSQL and the application; everything is removed at the end."""
        with ExitStack() as stack:
            docker("network", "create", self.name)
            stack.callback(docker, "network", "rm", self.name, check=False)
            docker("volume", "create", self.name)
            stack.callback(docker, "volume", "rm", self.name, check=False)
            for container in (self.ferry, self.postgres, self.app):
                stack.callback(docker, "rm", "--force", "--volumes", container, check=False)
            # a volume that the image has filled belongs to whom its folder belongs to
            python = ["--user", "10001:10001", "--volume", f"{self.name}:/data", "--entrypoint", "python"]
            docker("run", "--detach", "--name", self.app, *python, self.image, "-c", APPLICATION)
            given = {"POSTGRES_USER": "ferry", "POSTGRES_PASSWORD": "s3cret", "POSTGRES_DB": "app"}
            variables = [part for name, text in given.items() for part in ("--env", f"{name}={text}")]
            here = ["--network", self.name, "--network-alias", "db"]
            docker("run", "--detach", "--name", self.postgres, *here, *variables, POSTGRES)
            yield self

    def start(self) -> None:
        """Run liteferry as locked up as the documentation says."""
        docker(
            *("run", "--detach", "--name", self.ferry, "--network", self.name),
            *("--volume", f"{self.name}:/data", "--user", "10001:10001"),
            *("--read-only", "--tmpfs", "/tmp", "--tmpfs", "/run/liteferry:mode=1777"),
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--health-interval", "2s"),
            *("--env", "LITEFERRY_TARGET=postgresql://ferry@db/app", "--env", "PGPASSWORD=s3cret"),
            self.image,
        )

    def inside(self, *command: str, check: bool = True) -> str:
        """Run a command in liteferry's container."""
        return docker("exec", self.ferry, *command, check=check)

    def status(self) -> dict[str, Any]:
        """Return the status; empty while no daemon answers."""
        found: dict[str, Any] = json.loads(self.inside("liteferry", "status", "--json", check=False) or "{}")
        return found

    def wait_for(self, state: str) -> None:
        """Wait for a state."""
        until(lambda: self.status().get("state") == state, f"state {state}", self.ferry)

    def inspected(self, container: str, path: str) -> str:
        """Return a fact of a container, or of the image."""
        return docker("inspect", "--format", "{{" + path + "}}", container)

    def rows(self) -> int:
        """Count the rows that PostgreSQL has."""
        query = [
            "psql",
            "-XAtqh",
            "127.0.0.1",
            "-U",
            "ferry",
            "-d",
            "app",
            "-c",
            "SELECT count(*) FROM public.t",
        ]
        return int(docker("exec", "--env", "PGPASSWORD=s3cret", self.postgres, *query) or 0)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Run the application and PostgreSQL."""
    with Scene(os.environ[IMAGE]).open() as running:
        yield running
