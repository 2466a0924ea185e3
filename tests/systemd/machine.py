"""A machine with a systemd, in a container of systemd-nspawn, with PostgreSQL and liteferry in it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

#: How long a unit may take to get where it is to be, on a busy machine.
PATIENCE = 120.0
LOOK_SECONDS = 0.25
#: What the machine is told of in place of this one's.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class Machine:
    """A machine that is running; files in `root` are its own."""

    def __init__(self, root: Path, leader: int) -> None:
        self.root = root
        self._leader = leader

    def run(self, *command: str, user: str | None = None, check: bool = True) -> str:
        """Run a command there; return what it printed. Fails when it does, unless told otherwise."""
        inside = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--"]
        as_user = ["runuser", "-u", user, "--"] if user else []
        done = subprocess.run(
            [*inside, *as_user, *command],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
        )
        if check and done.returncode:
            raise AssertionError(f"{shlex.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout + ("" if check else done.stderr)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of root's."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def sqlite(self, path: str, *statements: str) -> None:
        """Have the application write."""
        code = f"import sqlite3; c = sqlite3.connect({path!r}, timeout=10)\n"
        code += "".join(f"c.execute({statement!r})\n" for statement in statements) + "c.commit(); c.close()"
        self.run("python3", "-c", code, user="app")

    def psql(self, query: str, database: str = "app") -> str:
        """Ask PostgreSQL."""
        return self.run("psql", "-XAtq", "-d", database, "-c", query, user="postgres").strip()

    def shown(self, unit: str, key: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", key, unit).strip()

    def journal(self, unit: str) -> str:
        """Return what a unit has said since the machine was started."""
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit)

    def until(
        self,
        condition: Callable[[], object],
        what: str,
        unit: str = "liteferry",
        patience: float = PATIENCE,
    ) -> None:
        """Wait until something holds; fails with the unit's journal."""
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} within {patience:g} s:\n{self.journal(unit)[-4000:]}")
            time.sleep(LOOK_SECONDS)


@contextmanager
def booted(archive: Path, wheels: Path, folder: Path) -> Iterator[Machine]:
    """Unpack a root, install liteferry in it, and boot it; off at the end."""
    _prepare()
    root = folder / "root"
    root.mkdir()
    subprocess.run(["tar", "-C", root, "-xf", archive], check=True)
    _equip(root, wheels)
    with (folder / "console").open("wb") as console:
        nspawn = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network"]
            + ["--console=pipe", "--boot", "-D", str(root), "--machine=liteferry-test"],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
        )
    try:
        machine = Machine(root, _leader(nspawn, folder / "console"))
        machine.until(lambda: _is_up(machine), "end of the boot", "basic.target")
        yield machine
        machine.run("systemctl", "poweroff", check=False)
        nspawn.wait(PATIENCE)
    finally:
        nspawn.kill()
        nspawn.wait()
        shutil.rmtree(root, ignore_errors=True)


def _prepare() -> None:
    """Where this machine was booted without systemd, nspawn's folder is on the disk, which it refuses."""
    place = Path("/run/systemd/nspawn")
    place.mkdir(parents=True, exist_ok=True)
    if not (os.path.ismount(place) or os.path.ismount("/run")):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)


def _equip(root: Path, wheels: Path) -> None:
    shutil.copytree(wheels, root / "wheels")
    install = "/opt/liteferry/bin/pip install --quiet --no-index --find-links /wheels liteferry"
    for command in (
        "python3 -m venv /opt/liteferry",
        install,
        "useradd --create-home app",
        "install -d -o app -g app /srv/app/data /home/app/data",
    ):
        subprocess.run(["chroot", str(root), "sh", "-c", command], env=ENVIRONMENT, check=True)


def _leader(nspawn: subprocess.Popen[bytes], console: Path) -> int:
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and nspawn.poll() is None:
        for child in children.read_text().split():
            # the one that has become the init of the machine
            if re.search(r"^NSpid:\s+\d+\s+1$", Path(f"/proc/{child}/status").read_text(), re.MULTILINE):
                return int(child)
        time.sleep(LOOK_SECONDS)
    raise AssertionError(f"systemd-nspawn did not boot:\n{console.read_text(errors='replace')[-2000:]}")


def _is_up(machine: Machine) -> bool:
    return machine.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")


def needed() -> Sequence[str]:
    """Return which programs are missing to boot a machine."""
    missing = [name for name in ("systemd-nspawn", "nsenter", "chroot") if shutil.which(name) is None]
    return [*missing, *(["the rights of root"] if os.geteuid() else [])]
