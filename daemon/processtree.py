"""The death of a process together with its children."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

GONE_SECONDS = 60.0
POLL_SECONDS = 0.02


def kill_tree(parent: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children with SIGKILL; return when all are gone, after 60 s at the latest."""
    # stopped first, so that it starts no new process while we look for those that it has; they are in
    # sessions of their own and some would outlive it for a while
    parent.send_signal(signal.SIGSTOP)
    children = _children(parent.pid)
    for pid in (*children, parent.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + GONE_SECONDS
    while any(_is_alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _children(parent: int) -> list[int]:
    if not Path("/proc/self/stat").exists():
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
        pairs = [line.split() for line in listing.stdout.splitlines()]
        return [int(pid) for pid, of in pairs if int(of) == parent]
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if (fields := _stat(pid)) and int(fields[1]) == parent]


def _is_alive(pid: int) -> bool:
    if Path("/proc/self/stat").exists():
        fields = _stat(pid)
        return bool(fields) and fields[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _stat(pid: int) -> list[str]:
    """Return /proc's fields of a process from its state on; none when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
