"""A unix socket that only its owner can reach, and that is never taken from a living process."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from config.errors import ConfigError

MODE = 0o600
FOLDER_MODE = 0o700
BACKLOG = 128
PROBE_TIMEOUT_SECONDS = 1.0


@contextmanager
def private_socket(path: Path) -> Iterator[socket.socket]:
    """Yield a listening socket at the path, mode 0600; at exit it is closed and its file removed.

    A missing folder is made with mode 0700; a file left behind by a process that died is replaced.
    Raises ConfigError when a process listens there, when the path is something else than a socket, or
    when it cannot be bound.
    """
    try:
        path.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
        with _folder_locked(path.parent):
            _remove_stale(path)
            sock = _listen(path)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on the unix socket {str(path)!r}: {error.strerror or error}",
            hint="its folder must be writable, and the path be shorter than about 100 bytes",
        ) from error
    identity = _identity(path)
    try:
        yield sock
    finally:
        sock.close()
        # somebody may have removed our file by hand and bound the path anew: then it is not ours
        with suppress(FileNotFoundError):
            if _identity(path) == identity:
                path.unlink()


@contextmanager
def _folder_locked(folder: Path) -> Iterator[None]:
    # else of two processes starting together one could remove, as stale, the file that the other
    # has bound but does not listen on yet
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(
            f"the path {str(path)!r} exists and is no socket",
            hint="choose another path with --control, or move that file away",
        )
    if _answers(path):
        raise ConfigError(
            f"another process listens on the unix socket {str(path)!r}",
            hint="a liteferry may be running already; choose another path with --control for a second one",
        )
    path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_TIMEOUT_SECONDS)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True  # busy or not ours: anything but a refusal may be somebody alive
    return True


def _listen(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(str(path))
        # nobody can connect before listen(), so there is no moment with a wider mode; the umask is
        # left alone because it belongs to all threads, and some of them create files
        path.chmod(MODE)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
