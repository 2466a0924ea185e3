"""The image: small, locked up, healthy when it works, and it ends and cuts over as it should."""

from __future__ import annotations

import json
import os
import time
import tomllib
from pathlib import Path

import pytest

from tests.image.conftest import Scene, docker, until

pytestmark = pytest.mark.timeout(600)

#: Megabytes, as `docker images` counts; more where the images it is built on are stand-ins.
LARGEST = int(os.environ.get("LITEFERRY_IMAGE_MB", "150"))
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_it_is_small_and_says_what_it_is(scene: Scene) -> None:
    """Labels by the convention of the Open Container Initiative, no root, and no more than it needs."""
    assert int(scene.inspected(scene.image, ".Size")) / 1e6 < LARGEST
    assert scene.inspected(scene.image, ".Config.User") == "10001:10001"
    labels = json.loads(scene.inspected(scene.image, "json .Config.Labels"))
    assert (
        labels["org.opencontainers.image.version"] == tomllib.loads(PROJECT.read_text())["project"]["version"]
    )
    wanted = {"title", "description", "licenses", "version", "documentation"}
    assert wanted <= {name.rpartition(".")[2] for name in labels}


def test_a_migration_goes_the_whole_way_in_it(scene: Scene) -> None:
    """Read-only and without rights it streams, is found well, and is cut over by `docker exec`."""
    scene.start()
    healthy = ".State.Health.Status"
    until(lambda: scene.inspected(scene.ferry, healthy) == "healthy", "health", scene.ferry)
    scene.wait_for("streaming")
    assert "Read-only" in scene.inside("sh", "-c", "touch /opt/x 2>&1; true")
    assert scene.inside("id", "-u") == "10001"

    docker("kill", "--signal", "HUP", scene.ferry)
    told = "settings read again"
    until(lambda: told in docker("logs", scene.ferry, errors=True), "reload", scene.ferry)
    report = json.loads(scene.inside("liteferry", "cutover", "--wait", "--yes", "--json"))
    assert report["pause_seconds"] < 5
    scene.wait_for("cut_over")
    # the fence has ended the application, with all that it had written on the other side
    until(
        lambda: scene.inspected(scene.app, ".State.Running") == "false", "end of the application", scene.app
    )
    assert "moved to PostgreSQL" in docker("logs", scene.app, errors=True)
    counted = (
        "import sqlite3; print(*sqlite3.connect('/data/app.db').execute('SELECT count(*) FROM t').fetchone())"
    )
    assert scene.rows() == int(scene.inside("python", "-c", counted)) > 0


def test_process_one_reaps_what_hooks_leave_behind(scene: Scene) -> None:
    """A grandchild whose parent is gone becomes the child of process 1."""
    assert scene.inside("cat", "/proc/1/comm") == "tini"
    scene.inside("sh", "-c", "(sleep 0.2 &) ; exit 0")
    dead = "cat /proc/[0-9]*/stat 2>/dev/null | awk '$3 == \"Z\"' | wc -l"
    time.sleep(1)
    assert scene.inside("sh", "-c", dead) == "0"


def test_a_stop_ends_it_within_its_grace(scene: Scene) -> None:
    """By SIGTERM and in order, and it goes on where it was."""
    begun = time.monotonic()
    docker("stop", "--time", "30", scene.ferry)
    assert time.monotonic() - begun < 20
    assert scene.inspected(scene.ferry, ".State.ExitCode") == "0"
    docker("start", scene.ferry)
    scene.wait_for("cut_over")
