"""The unit file: systemd finds nothing wrong with it, and it is locked up well."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from config.settings import Settings

UNIT = Path(__file__).parents[2] / "systemd" / "liteferry.service"
ANALYZE = shutil.which("systemd-analyze")
HIGHEST_EXPOSURE = 2.0  # of 10; systemd calls up to 2.9 "OK"


def settings() -> dict[str, list[str]]:
    """Return the unit's assignments, every value of a key that stands several times."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Give a copy whose program exists on this machine, too."""
    path = tmp_path / UNIT.name
    path.write_text(re.sub("^ExecStart=.*$", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    return path


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, or skip where there is none or it is too old to know the command."""
    if ANALYZE is None:
        pytest.skip("systemd-analyze is not installed; the keys are checked by test_the_unit_says")
    done = subprocess.run([ANALYZE, *arguments], capture_output=True, text=True)
    if "unrecognized option" in done.stderr or "Unknown command" in done.stderr:
        pytest.skip("this systemd-analyze is too old")
    return done


def test_systemd_finds_nothing_wrong(installed: Path) -> None:
    """No unknown key, no bad value."""
    done = analyze("verify", str(installed))

    # other units of this machine may have faults of their own
    assert [line for line in done.stderr.splitlines() if "liteferry" in line] == []


def test_the_exposure_is_low(installed: Path) -> None:
    """systemd's own measure of what a hijacked daemon could do."""
    done = analyze("security", "--no-pager", "--offline=true", str(installed))

    level = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", done.stdout)
    assert level, done.stderr
    assert float(level[1]) < HIGHEST_EXPOSURE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("WatchdogSec", "30"),
        ("Restart", "on-failure"),
        ("StartLimitBurst", "20"),
        ("EnvironmentFile", "-/etc/liteferry/liteferry.env"),
        ("ExecStart", "/opt/liteferry/bin/liteferry run --config /etc/liteferry/liteferry.toml"),
        ("RuntimeDirectory", "liteferry"),
        ("ProtectSystem", "strict"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
        ("SystemCallArchitectures", "native"),
        ("WantedBy", "multi-user.target"),
    ],
)
def test_the_unit_says(key: str, value: str) -> None:
    """What the documentation and the other tests rely on."""
    assert settings()[key] == [value]


def test_stopping_is_given_more_time_than_the_daemon_takes() -> None:
    """Otherwise systemd kills it in the middle of its orderly end."""
    assert int(settings()["TimeoutStopSec"][0]) > Settings.model_fields["shutdown_timeout"].default
