"""A private PostgreSQL server in a folder of its own, for the demo and the tests."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from config.errors import LiteferryError

from .pgbinaries import copy_for_others, find_binaries, passable, runnable, server_account, temporary_root
from .processtree import kill_tree

START_SECONDS = 60.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.02
LOG_TAIL_LINES = 20
PORT_ATTEMPTS = 10
# Below the range from which Linux (32768) and macOS (49152) take the ports of outgoing connections: a port
# from that range could be gone when the stopped server wants it again.
PORTS = range(15_000, 32_000)
SOCKET_PATH_BYTES = 107
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class EmbeddedPostgres:
    """Run one PostgreSQL server (14 to 18) on 127.0.0.1, for as long as this object lives.

    Without `directory` everything is in a temporary folder and gone after `remove` or the `with` block;
    with it, the data stays there and is used again. `settings` are PostgreSQL's own, by name. As root the
    server runs as an unprivileged user, and no existing folder's permissions are changed for it.
    Raise LiteferryError when no binaries are found, or when the server does not start.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        bin_dir: Path | None = None,
        settings: Mapping[str, str] = {},
    ) -> None:
        self._account = server_account()
        self._bin = find_binaries(bin_dir)
        self._settings = dict(settings)
        self._scratch = Path(tempfile.mkdtemp(prefix="liteferry-pg-", dir=temporary_root(self._account)))
        self._scratch.chmod(0o755)
        self._running: list[subprocess.Popen[bytes]] = []
        self._finalizer = weakref.finalize(self, _abandon, os.getpid(), self._running, self._scratch)
        self._temporary = directory is None
        self.directory = self._scratch if directory is None else directory.absolute()
        self.log = self.directory / "postgres.log"
        self._data = self.directory / "data"
        self._log_start = 0
        self._port: int | None = None
        if not runnable(self._bin, self._account):
            self._bin = copy_for_others(self._bin, self._scratch / "pginstall")

    @property
    def port(self) -> int:
        """Return the TCP port; it is chosen at the first start and then stays."""
        if self._port is None:
            raise LiteferryError("the embedded PostgreSQL has no port before its first start")
        return self._port

    @property
    def pid(self) -> int | None:
        """Return the server's process, None while it does not run."""
        return self._running[0].pid if self._running else None

    @property
    def scratch(self) -> Path:
        """Return the folder of its temporary files."""
        return self._scratch

    @property
    def url(self) -> str:
        """Return the URL of the database `postgres`, as the superuser `postgres`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def version(self) -> str:
        """Return the server's version, such as 18.6; needs no started server."""
        output = self._run("postgres", "--version").stdout
        found = re.search(r"\(PostgreSQL\) (\S+)", output)
        return found[1] if found else output.strip()

    def configure(self, **settings: str) -> None:
        """Add settings of PostgreSQL's for the next start."""
        self._settings |= settings

    def start(self) -> None:
        """Start the server and return when it accepts connections; do nothing when it runs."""
        if self._running:
            return
        self._prepare()
        if self._port is not None:
            self._launch(self._port)
            return
        for attempt in range(PORT_ATTEMPTS):
            port = _free_port()
            try:
                self._launch(port)
            except LiteferryError as error:
                # between our look and the server's bind another process may have taken the port
                if "Address already in use" not in error.hint or attempt == PORT_ATTEMPTS - 1:
                    raise
            else:
                self._port = port
                return

    def stop(self, mode: str = "fast") -> None:
        """Stop the server as `pg_ctl stop -m` does (smart, fast, immediate); kill it after 60 s."""
        if not self._running:
            return
        process = self._running[0]
        process.send_signal(STOP_SIGNALS[mode])
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._running.clear()

    def kill(self) -> None:
        """Kill every process of the server with SIGKILL, as a power cut would."""
        if not self._running:
            return
        kill_tree(self._running.pop())

    def remove(self) -> None:
        """Stop the server and delete its data, its log and all temporary files."""
        self.stop("immediate")
        if not self._temporary:
            shutil.rmtree(self._data, ignore_errors=True)
            self.log.unlink(missing_ok=True)
        self._finalizer()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._finalizer()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._temporary:
            self.remove()
        else:
            self.stop()
            self._finalizer()

    def _prepare(self) -> None:
        if not self._finalizer.alive:
            raise LiteferryError("the embedded PostgreSQL was removed and cannot start again")
        self._own_folder(self._scratch / "socket")
        if not self.directory.exists():
            self.directory.mkdir(parents=True)
            self.directory.chmod(0o755)
        if not passable(self.directory, self._account):
            raise LiteferryError(
                f"the folder {str(self.directory)!r} cannot be entered by the user the server runs as",
                hint="PostgreSQL does not run as root; give a folder that other users may enter, or none",
            )
        if not (self._data / "PG_VERSION").exists():
            self._own_folder(self._data)
            self._initialise()

    def _initialise(self) -> None:
        arguments = ["-D", str(self._data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8"]
        for locale in ("C.UTF-8", "C"):
            done = self._run("initdb", *arguments, f"--locale={locale}")
            if done.returncode == 0:
                return
        raise LiteferryError("initdb failed", hint=done.stdout.strip())

    def _launch(self, port: int) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": self._socket_directory(port),
            "logging_collector": "off",
            **self._settings,
        }
        options = [item for name, value in settings.items() for item in ("-c", f"{name}={value}")]
        command = [str(self._bin / "postgres"), "-D", str(self._data), *options]
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._process_options()
            )
        self._running.append(process)
        self._await_ready(process)

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise LiteferryError("the embedded PostgreSQL did not start", hint=self._log_tail())
            time.sleep(POLL_SECONDS)

    def _is_ready(self, pid: int) -> bool:
        """Read the state that the postmaster keeps for pg_ctl in the eighth line of its pid file."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _log_tail(self) -> str:
        text = self.log.read_bytes()[self._log_start :].decode(errors="replace")
        return "\n".join([f"the end of {self.log}:", *text.splitlines()[-LOG_TAIL_LINES:]])

    def _socket_directory(self, port: int) -> str:
        path = self._scratch / "socket"
        fits = len(os.fsencode(path / f".s.PGSQL.{port}.lock")) <= SOCKET_PATH_BYTES
        return f'"{path}"' if fits else ""

    def _own_folder(self, path: Path) -> None:
        path.mkdir(mode=0o700, exist_ok=True)
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._bin / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            **self._process_options(),
        )

    def _process_options(self) -> dict[str, Any]:
        # PGPORT, PGDATA and a locale that this machine lacks would all change what is started
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
        # a session of its own, so that Ctrl-C in the terminal reaches only us and we stop it in order
        options: dict[str, Any] = {"env": environment, "cwd": self._scratch, "start_new_session": True}
        if self._account:
            options |= {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        return options


def _free_port() -> int:
    # the system's randomness: test runners seed the other, and two runs would then want the same ports
    source = random.SystemRandom()
    for _ in range(1000):
        port = source.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise LiteferryError(f"no free port on 127.0.0.1 between {PORTS.start} and {PORTS.stop}")


def _abandon(owner: int, running: list[subprocess.Popen[bytes]], scratch: Path) -> None:
    if os.getpid() != owner:  # a fork of us; the server is not its own
        return
    while running:
        process = running.pop()
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            kill_tree(process)
    shutil.rmtree(scratch, ignore_errors=True)
