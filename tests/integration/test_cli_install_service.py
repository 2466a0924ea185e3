"""`liteferry install-service` writes what the settings lead to, and nothing that would not work."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.cli import Answer, Liteferry
from tests.fixtures.sqlite import MakeSource

Install = Callable[..., Answer]
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def install(make_source: MakeSource, tmp_path: Path, liteferry: Liteferry) -> Install:
    """Run the command on settings with one source."""
    path = make_source("app.db", "CREATE TABLE t(id INTEGER PRIMARY KEY)")
    config = tmp_path / "settings.toml"
    config.write_text(f'sources = ["{path}"]\ntarget = "postgresql://ferry@db/app"\n')

    def run(*arguments: str, user: str = ME) -> Answer:
        given = ["--config", str(config), "--out", str(tmp_path / "units"), "--user", user, *arguments]
        shell = {"DATABASE_URL": "postgresql://of-this-shell/x", "SQLITE_DIR": "/nowhere"}
        return liteferry("install-service", *given, env=shell)

    return run


def written(tmp_path: Path) -> set[str]:
    """Return the paths of all files below the folder of units."""
    units = tmp_path / "units"
    return {str(path.relative_to(units)) for path in units.rglob("*") if path.is_file()}


def test_a_service_is_written_and_taken_away_again(install: Install, tmp_path: Path) -> None:
    """Twice is as good as once; a dry run writes nothing."""
    shown = install("--dry-run")
    assert shown.status == 0, shown.errors
    assert f"User={ME}" in shown.output and "[Install]" in shown.output
    assert not (tmp_path / "units").exists()

    for _ in range(2):
        done = install()
        assert done.status == 0, done.errors
        assert "systemctl enable --now liteferry.service" in done.output
    assert written(tmp_path) == {"liteferry.service", "liteferry.service.d/10-liteferry.conf"}
    text = (tmp_path / "units" / "liteferry.service.d" / "10-liteferry.conf").read_text()
    assert f"ReadWritePaths={tmp_path}" in text and "settings.toml" in text
    assert "of-this-shell" not in text

    assert install("--remove").status == 0
    assert written(tmp_path) == set()
    assert "there is nothing" in install("--remove").output


def test_the_last_instance_takes_the_template_with_it(install: Install, tmp_path: Path) -> None:
    """Whoever removes one of two leaves the other alone."""
    for name in ("orders", "users"):
        assert install("--name", name).status == 0
    both = {f"liteferry@{name}.service.d/10-liteferry.conf" for name in ("orders", "users")}
    assert written(tmp_path) == {"liteferry@.service", *both}

    assert install("--name", "orders", "--remove").status == 0
    assert written(tmp_path) == {"liteferry@.service", "liteferry@users.service.d/10-liteferry.conf"}
    assert install("--name", "users", "--remove").status == 0
    assert written(tmp_path) == set()


def test_a_file_of_somebody_else_is_left_alone(install: Install, tmp_path: Path) -> None:
    """Neither overwritten nor removed, and nothing else is written."""
    foreign = tmp_path / "units" / "liteferry.service"
    foreign.parent.mkdir()
    foreign.write_text("[Service]\nExecStart=/bin/true\n")

    for arguments in ((), ("--remove",)):
        done = install(*arguments)
        assert done.status == 2
        assert "not a file of liteferry's" in done.errors
    assert written(tmp_path) == {"liteferry.service"}


def test_a_name_that_is_no_name_is_refused(install: Install) -> None:
    """It would be a path, or an option."""
    for name in ("../x", "a b", "", "-x"):
        assert install(f"--name={name}").status == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")
def test_a_user_that_could_not_do_the_work_is_refused(install: Install, tmp_path: Path) -> None:
    """What it may not do is said before anything is written."""
    done = install(user="nobody")

    assert done.status == 1
    assert "user nobody " in done.errors
    assert not (tmp_path / "units").exists()
    assert install(user="no-such-user").status == 2
