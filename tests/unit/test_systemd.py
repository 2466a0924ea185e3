"""The unit files: systemd finds nothing wrong with them, they are locked up well, and they are one text."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from config.settings import Settings
from daemon.unit.text import PROGRAM, Name, Place, drop_in, quoted, unit

ROOT = Path(__file__).parents[2] / "systemd"
UNITS = {"liteferry.service": False, "liteferry@.service": True}
ANALYZE = shutil.which("systemd-analyze")
HIGHEST_EXPOSURE = 20  # tenths; of 100, and systemd calls up to 29 "OK"


def assignments(text: str) -> dict[str, list[str]]:
    """Return a unit's assignments, every value of a key that stands several times."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.fixture(params=UNITS)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give a copy whose program exists on this machine, too, with a drop-in."""
    path = tmp_path / str(request.param)
    text = unit(PROGRAM, instances=UNITS[path.name])
    path.write_text(re.sub("^ExecStart=.*$", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    if UNITS[path.name]:
        path = path.rename(tmp_path / "liteferry@orders.service")
    folder = tmp_path / f"{path.name}.d"
    folder.mkdir()
    place = Place("root", "root", [Path("/srv/app data"), Path("/home/app/data")], password=Path("/etc/p"))
    (folder / "10-liteferry.conf").write_text(drop_in(place))
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
    threshold = f"--threshold={HIGHEST_EXPOSURE}"
    done = analyze("security", "--no-pager", "--offline=true", threshold, str(installed))

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.parametrize("name", UNITS)
def test_the_written_unit_is_current(name: str) -> None:
    """What is copied by hand is what `install-service` writes."""
    argument = name.removesuffix(".service")
    told = f"run: python -m daemon.unit {argument} > systemd/{name}"
    assert (ROOT / name).read_text() == unit(PROGRAM, instances=UNITS[name]), told


@pytest.mark.parametrize(
    ("key", "value", "of_instance"),
    [
        ("Type", "notify", "notify"),
        ("NotifyAccess", "main", "main"),
        ("WatchdogSec", "30", "30"),
        ("Restart", "on-failure", "on-failure"),
        ("RestartPreventExitStatus", "2", "2"),
        ("StartLimitBurst", "20", "20"),
        ("ExecReload", "/bin/kill -HUP $MAINPID", "/bin/kill -HUP $MAINPID"),
        ("EnvironmentFile", "-/etc/liteferry/liteferry.env", "-/etc/liteferry/%i.env"),
        (
            "ExecStart",
            "/opt/liteferry/bin/liteferry run --config /etc/liteferry/liteferry.toml",
            "/opt/liteferry/bin/liteferry run --config /etc/liteferry/%i.toml",
        ),
        ("RuntimeDirectory", "liteferry", "liteferry-%i"),
        ("LimitCORE", "0", "0"),
        ("ProtectSystem", "strict", "strict"),
        ("ProtectHome", "tmpfs", "tmpfs"),
        ("NoNewPrivileges", "yes", "yes"),
        ("CapabilityBoundingSet", "", ""),
        ("MemoryDenyWriteExecute", "yes", "yes"),
        ("SystemCallArchitectures", "native", "native"),
        ("WantedBy", "multi-user.target", "multi-user.target"),
    ],
)
def test_the_unit_says(key: str, value: str, of_instance: str) -> None:
    """What the documentation and the other tests rely on."""
    assert assignments(unit(PROGRAM, instances=False))[key] == [value]
    assert assignments(unit(PROGRAM, instances=True))[key] == [of_instance]


def test_no_placeholder_is_left() -> None:
    """Each is filled in."""
    for instances in (False, True):
        assert re.findall(r"@[A-Z_]+@", unit(PROGRAM, instances=instances)) == []


def test_stopping_is_given_more_time_than_the_daemon_takes() -> None:
    """Otherwise systemd kills it in the middle of its orderly end."""
    seconds = int(assignments(unit(PROGRAM, instances=False))["TimeoutStopSec"][0])
    assert seconds > Settings.model_fields["shutdown_timeout"].default


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/srv/app", "/srv/app"),
        ("/srv/100%", "/srv/100%%"),
        ("/srv/my app", '"/srv/my app"'),
        ('/srv/a"b\\c', '"/srv/a\\"b\\\\c"'),
    ],
)
def test_paths_are_quoted_as_units_want_them(path: str, text: str) -> None:
    """A percent sign begins a specifier, and a space another path."""
    assert quoted(Path(path)) == text


def test_a_folder_at_home_is_bound_and_nothing_else_of_it_seen() -> None:
    """The unit hides /home; a program there must be seen as well, and what lies in it only once."""
    place = Place(
        "app",
        "www",
        [Path("/home/app/data"), Path("/srv/other")],
        [Path("/home/app/venv"), Path("/home/app"), Path("/usr")],
        command=("/home/app/venv/bin/liteferry", "run", "--config", "/home/app/l.toml"),
    )
    found = assignments(drop_in(place))

    assert (found["User"], found["Group"]) == (["app"], ["www"])
    assert found["ReadWritePaths"] == found["RequiresMountsFor"] == ["/home/app/data", "/srv/other"]
    assert found["BindPaths"] == ["/home/app/data"]
    assert found["BindReadOnlyPaths"] == ["/home/app"]
    assert found["ExecStart"] == ["", "/home/app/venv/bin/liteferry run --config /home/app/l.toml"]
    assert "LoadCredential" not in found


def test_an_instance_has_everything_of_its_own() -> None:
    """Two migrations on one machine share the program and nothing else."""
    name = Name("orders")
    assert (name.unit, name.unit_file, name.stem) == (
        "liteferry@orders.service",
        "liteferry@.service",
        "orders",
    )
    assert str(name.socket) == "/run/liteferry-orders/liteferry.sock"
    assert str(Name().socket) == "/run/liteferry/liteferry.sock"
