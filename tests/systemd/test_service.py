"""The service under a real systemd: every promise of the unit, kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.systemd.machine import Machine

pytestmark = pytest.mark.timeout(600)

UNIT = "liteferry.service"
SOURCE = "/srv/app/data/app.db"
CONFIG = "/etc/liteferry/liteferry.toml"
PASSWORD = "/etc/liteferry/liteferry.password"
ENVIRONMENT = "/etc/liteferry/liteferry.env"
HASTE = "/etc/systemd/system/liteferry.service.d/90-test.conf"
SETTINGS = """\
sources = ["{source}"]
target = "postgresql://ferry@127.0.0.1/{database}"
http = "127.0.0.1:{port}"
heartbeat_interval = "1s"
"""


@dataclass
class Service:
    """The installed service, not started yet."""

    machine: Machine

    def start(self) -> None:
        """Start it; returns when it is ready."""
        self.machine.run("systemctl", "start", UNIT)

    def shown(self, key: str) -> str:
        """Return a property of the unit."""
        return self.machine.shown(UNIT, key)

    def restarted(self, before: int = 0) -> bool:
        """Tell whether systemd has restarted it, and it works."""
        return int(self.shown("NRestarts")) > before and self.shown("ActiveState") == "active"

    def carry(self, name: str) -> None:
        """Have the application write a row, and wait until PostgreSQL has it."""
        self.machine.sqlite(SOURCE, f"INSERT INTO t(name) VALUES ('{name}')")
        query = f"SELECT count(*) FROM public.t WHERE name = '{name}'"
        self.machine.until(lambda: self.machine.psql(query) == "1", f"row {name!r}")

    def override(self, text: str) -> None:
        """Change the unit for this test."""
        self.machine.write(HASTE, text)
        self.machine.run("systemctl", "daemon-reload")


@pytest.fixture
def service(machine: Machine) -> Iterator[Service]:
    """Install the service on a fresh source and database."""
    fresh(machine, SOURCE, "app")
    machine.write(CONFIG, SETTINGS.format(source=SOURCE, database="app", port=8321))
    machine.write(PASSWORD, "s3cret\n", 0o400)
    machine.write(ENVIRONMENT, "")
    told = machine.run("/opt/liteferry/bin/liteferry", "install-service")
    assert "systemctl enable --now liteferry.service" in told
    machine.run("systemctl", "daemon-reload")
    yield Service(machine)
    machine.run("systemctl", "stop", UNIT, check=False)
    (machine.root / HASTE.lstrip("/")).unlink(missing_ok=True)
    machine.run("systemctl", "reset-failed", check=False)
    machine.run("/opt/liteferry/bin/liteferry", "install-service", "--remove")
    machine.run("systemctl", "daemon-reload")


def fresh(machine: Machine, source: str, database: str) -> None:
    """Make an empty database, and a source with a row."""
    machine.psql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)", "postgres")
    machine.psql(f"CREATE DATABASE {database} OWNER ferry", "postgres")
    machine.run("install", "-d", "-o", "app", "-g", "app", source.rpartition("/")[0])
    machine.run("sh", "-c", f"rm -f {source}*")
    create = "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT)"
    machine.sqlite(source, "PRAGMA journal_mode = wal", create, "INSERT INTO t(name) VALUES ('first')")


def test_a_start_blocks_until_it_works(service: Service) -> None:
    """It waits for the target and says so; then it streams, as the files' owner, with the credential."""
    machine = service.machine
    machine.run("systemctl", "stop", "postgresql")
    machine.run("systemctl", "start", "--no-block", UNIT)
    machine.until(lambda: service.shown("StatusText") == "waiting for the target", "waiting for the target")
    assert service.shown("ActiveState") == "activating"

    machine.run("systemctl", "start", "postgresql")
    # returns with the job that is under way
    service.start()
    assert service.shown("ActiveState") == "active"
    service.carry("second")
    status = r"streaming, 0 changes pending, .+"
    machine.until(lambda: re.fullmatch(status, service.shown("StatusText")), "lag in the status")
    machine.until(lambda: service.shown("StatusText").endswith("ready for cutover"), "readiness")
    pid = service.shown("MainPID")
    assert machine.run("ps", "-o", "user=", "-p", pid).strip() == "app"
    assert "s3cret" not in machine.run("cat", f"/proc/{pid}/environ", f"/proc/{pid}/cmdline")
    assert "s3cret" not in machine.journal(UNIT)


def test_a_reload_changes_what_may_change(service: Service) -> None:
    """The process stays; a refused change and a broken file are told of, and change nothing."""
    machine = service.machine
    service.start()
    pid = service.shown("MainPID")

    text = SETTINGS.format(source=SOURCE, database="app", port=8321)
    machine.write(CONFIG, f'{text}max_pause = "2s"\nparallel = 2\n')
    machine.run("systemctl", "reload", UNIT)
    machine.until(lambda: "settings read again" in machine.journal(UNIT), "reload")
    assert '"setting": "max_pause", "reason"' not in machine.journal(UNIT)
    assert "'parallel' has changed" in machine.journal(UNIT)
    machine.write(CONFIG, "max_pause =")
    machine.run("systemctl", "reload", UNIT)
    machine.until(lambda: "the settings are not changed" in machine.journal(UNIT), "refusal")

    machine.until(lambda: service.shown("ActiveState") == "active", "end of the reload")
    assert (service.shown("MainPID"), service.shown("NRestarts")) == (pid, "0")
    service.carry("after the reload")


def test_a_wedged_tailer_is_restarted_and_streams_on(service: Service) -> None:
    """Its event loop turns, and the watchdog bites nevertheless."""
    machine = service.machine
    service.override("[Service]\nWatchdogSec=5\nRestartSec=1\n")
    machine.write(ENVIRONMENT, "LITEFERRY_FAILPOINTS=tail.reading@40=600\n")
    service.start()
    # read at each start: the next process does not stop there
    machine.write(ENVIRONMENT, "")
    machine.sqlite(SOURCE, "INSERT INTO t(name) VALUES ('while it is stuck')")

    machine.until(lambda: service.restarted(), "restart")
    assert "Watchdog timeout" in machine.run("journalctl", "--no-pager", "-o", "cat")
    assert "has not got on for" in machine.journal(UNIT) or '"stuck"' in machine.journal(UNIT)
    service.carry("after the restart")
    assert machine.psql("SELECT count(*) FROM public.t") == "3"


def test_waiting_for_others_is_no_reason_to_restart(service: Service) -> None:
    """The watchdog is pinged all the while, be the target away or the stream paused."""
    machine, control = service.machine, ("--control", "/run/liteferry/liteferry.sock")
    service.override("[Service]\nWatchdogSec=4\n")
    service.start()
    machine.run("/opt/liteferry/bin/liteferry", "pause", *control)
    machine.until(lambda: service.shown("StatusText").startswith("paused, "), "pause")
    machine.run("sleep", "12")
    machine.run("/opt/liteferry/bin/liteferry", "resume", *control)
    machine.run("systemctl", "stop", "postgresql")
    machine.sqlite(SOURCE, "INSERT INTO t(name) VALUES ('meanwhile')")
    machine.until(lambda: "the target is away" in service.shown("StatusText"), "news of the outage")
    machine.run("sleep", "12")
    machine.run("systemctl", "start", "postgresql")
    service.carry("after the outage")
    assert service.shown("NRestarts") == "0"


def test_a_killed_daemon_is_started_again(service: Service) -> None:
    """And goes on where it was."""
    service.override("[Service]\nRestartSec=1\n")
    service.start()
    service.machine.run("systemctl", "kill", "-s", "KILL", UNIT)
    service.machine.until(lambda: service.restarted(), "restart")
    service.carry("after the kill")


def test_a_crash_loop_ends(service: Service) -> None:
    """Twenty failed starts are no passing trouble; wrong settings are not even tried twice."""
    machine = service.machine
    service.override("[Service]\nRestartSec=100ms\n")
    before = len(machine.journal(UNIT))
    machine.write(PASSWORD, "wrong\n", 0o400)
    machine.run("systemctl", "start", UNIT, check=False)
    # twenty starts, of some seconds each on a busy machine
    ended = "end of the crash loop"
    machine.until(lambda: service.shown("ActiveState") == "failed", ended, patience=400)
    assert 15 <= int(service.shown("NRestarts")) <= 20
    # by the exit status of its class, and with no stack: on the Python of Debian 12 too
    assert service.shown("ExecMainStatus") == "4"
    assert "Traceback" not in machine.journal(UNIT)[before:]
    assert "refused the connection" in machine.journal(UNIT)

    machine.run("systemctl", "reset-failed", UNIT)
    machine.write(CONFIG, "max_pauze = 1\n")
    machine.run("systemctl", "start", UNIT, check=False)
    machine.until(lambda: service.shown("ActiveState") == "failed", "failure")
    assert (service.shown("ExecMainStatus"), service.shown("NRestarts")) == ("2", "0")


def test_a_stop_ends_it_in_order(service: Service) -> None:
    """With nothing left behind in /run, and a success."""
    machine = service.machine
    service.start()
    assert machine.run("stat", "-c", "%a %U", "/run/liteferry/liteferry.sock").strip() == "600 app"
    machine.run("systemctl", "stop", UNIT)
    assert (service.shown("Result"), service.shown("ActiveState")) == ("success", "inactive")
    assert "No such file" in machine.run("ls", "/run/liteferry", check=False)


def test_two_instances_run_beside_one_another(machine: Machine) -> None:
    """Each with settings, socket, folder and drop-in of its own; where the unit hides everything else."""
    places = {"orders": ("/var/tmp/orders/orders.db", 8331), "users": ("/home/app/data/users.db", 8332)}
    for name, (source, port) in places.items():
        fresh(machine, source, name)
        text = SETTINGS.format(source=source, database=name, port=port)
        machine.write(f"/etc/liteferry/{name}.toml", text)
        machine.write(f"/etc/liteferry/{name}.password", "s3cret\n", 0o400)
        machine.run("/opt/liteferry/bin/liteferry", "install-service", "--name", name)
    machine.run("systemctl", "daemon-reload")
    try:
        for name, (source, _) in places.items():
            machine.run("systemctl", "start", f"liteferry@{name}")
            socket = f"/run/liteferry-{name}/liteferry.sock"
            told = machine.run("/opt/liteferry/bin/liteferry", "status", "--json", "--control", socket)
            assert [one["path"] for one in json.loads(told)["sources"]] == [source]
            machine.sqlite(source, "INSERT INTO t(name) VALUES ('second')")
            machine.until(
                lambda name=name: machine.psql("SELECT count(*) FROM public.t", name) == "2",  # type: ignore[misc]
                "second row",
                f"liteferry@{name}",
            )
    finally:
        for name in places:
            machine.run("systemctl", "stop", f"liteferry@{name}", check=False)
            machine.run("/opt/liteferry/bin/liteferry", "install-service", "--name", name, "--remove")
    assert not list((machine.root / "etc/systemd/system").glob("liteferry*"))


def test_a_service_that_could_not_write_is_not_installed(service: Service) -> None:
    """A folder of another, and settings that only root may read, are found before anything is written."""
    machine = service.machine
    machine.run("chown", "root:root", "/srv/app/data")
    machine.run("chmod", "600", CONFIG)
    told = machine.run("/opt/liteferry/bin/liteferry", "install-service", "--user", "app", check=False)
    machine.run("chown", "app:app", "/srv/app/data")
    machine.run("chmod", "644", CONFIG)
    assert "user app may not make files in its folder" in told
    assert f"user app may not read {CONFIG}" in told
    assert "written:" not in told


def test_the_exposure_is_low(service: Service) -> None:
    """As systemd itself measures the loaded unit, with its drop-in."""
    told = service.machine.run("systemd-analyze", "security", "--no-pager", UNIT)
    level = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", told)
    assert level and float(level[1]) < 2.0, told[-500:]
