"""Processes of the product without the second in which each would import it: forked from one that has.

`Forked` is started and asked like `subprocess.Popen`. The server is a program of its own, without a thread
and without an event loop, so that what is forked from it begins like a process that has just imported the
command line. A test of the very start (an interrupted import, the size in memory) starts a real process.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

MESSAGE_BYTES = 1 << 20
STATUS = struct.Struct("i")
#: Read while Python starts, or before the program's first line: too late for a process that is forked.
READ_AT_START = ("PYTHON", "LD_")


def fits(environment: Mapping[str, str], base: Mapping[str, str]) -> bool:
    """Tell whether a process with this environment can be forked from a server with that one."""
    names = environment.keys() | base.keys()
    return all(environment.get(n) == base.get(n) for n in names if n.startswith(READ_AT_START))


class Forked:
    """One process of the product."""

    def __init__(
        self, server: Server, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], output: int
    ) -> None:
        self._ended, theirs = os.pipe()
        self._returncode: int | None = None
        try:
            self.pid = server.fork(arguments, cwd, env, (output, theirs))
        finally:
            os.close(theirs)

    def poll(self) -> int | None:
        """Return the exit status, None while it runs, negative after a signal."""
        return self._look(0)

    def wait(self, timeout: float) -> int:
        """Wait for the end and return the exit status. Raises subprocess.TimeoutExpired."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal; harmless when it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once; harmless when it has ended."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float) -> int | None:
        if self._returncode is None and select.select([self._ended], [], [], timeout)[0]:
            told = os.read(self._ended, STATUS.size)
            os.close(self._ended)
            # the server itself is gone, and with it what would have told the status
            self._returncode = STATUS.unpack(told)[0] if told else -signal.SIGKILL
        return self._returncode


class Server:
    """The process that has imported the product, as the tests see it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                env=env,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # Ctrl-C is for the tests, which end what they have started
                start_new_session=True,
            )
        atexit.register(self.close)

    def fork(self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], ends: Sequence[int]) -> int:
        """Start a process that prints to the first end; its status goes to the second. Return its number."""
        message = json.dumps({"arguments": list(arguments), "cwd": str(cwd), "env": dict(env)})
        socket.send_fds(self._line, [message.encode()], list(ends))
        answer = self._line.recv(MESSAGE_BYTES)
        assert answer, "the server of processes has ended"
        return int(answer)

    def close(self) -> None:
        """End it, and with it all that still runs."""
        self._line.close()
        self._process.wait()


@functools.cache
def server(pid: int) -> Server:
    """Return this process's server; it is started by the first that asks."""
    from tests.processes import clean_environment

    return Server(clean_environment())


class Nest:
    """The server's own end: forks, and tells each end."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._statuses: dict[int, int] = {}

    def serve(self) -> Sequence[str] | None:
        """Fork what is asked for; return the arguments in each new process, None when nobody asks more."""
        signal.signal(signal.SIGCHLD, self._reap)
        while True:
            message, ends, _, _ = socket.recv_fds(self._line, MESSAGE_BYTES, 2)
            if not message:
                break
            told: dict[str, Any] = json.loads(message)
            output, status = ends
            # its end must not be noticed before its beginning is noted
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            pid = os.fork()
            if pid == 0:
                self._become(output, status, told["cwd"], told["env"])
                return list(told["arguments"])
            self._statuses[pid] = status
            os.close(output)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            self._line.send(str(pid).encode())
        for pid in list(self._statuses):
            os.kill(pid, signal.SIGKILL)
        return None

    def _reap(self, *_: object) -> None:
        while self._statuses:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            told = self._statuses.pop(pid)
            with contextlib.suppress(BrokenPipeError):
                os.write(told, STATUS.pack(os.waitstatus_to_exitcode(status)))
            os.close(told)

    def _become(self, output: int, status: int, cwd: str, env: dict[str, str]) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        self._line.close()
        for theirs in (status, *self._statuses.values()):
            os.close(theirs)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        time.tzset()


def main() -> NoReturn:
    """Import the product, then be it as often as one is asked."""
    import daemon.cli
    from daemon.cli.app import VERBS, verb
    from replicator import failpoint

    for name in VERBS:
        verb(name)
    gc.collect()
    gc.freeze()
    arguments = Nest(socket.socket(fileno=int(sys.argv[1]))).serve()
    if arguments is None:
        sys.exit()
    sys.argv[1:] = arguments
    failpoint.arm(os.environ.get(failpoint.VARIABLE, ""))
    daemon.cli.main(arguments)


if __name__ == "__main__":
    main()
