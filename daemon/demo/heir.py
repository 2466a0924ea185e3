"""What cleans up when the demonstration's own process is killed: a process that waits for its end.

Over a pipe it is told of every process and folder; when the pipe closes without a last word, it ends them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 10.0


class Heir:
    """The pipe to the process that waits."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def takes(self, kind: str, what: object) -> None:
        """Tell it of a `process` by number, or of a `folder` by path."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, f"{kind} {what}\n".encode())


@contextmanager
def heir() -> Iterator[Heir]:
    """Run it while inside; leaving in order, it does nothing."""
    # by its path, which needs nothing of the environment; a session of its own, so that Ctrl-C spares it
    process = subprocess.Popen(
        [sys.executable, "-I", __file__], stdin=subprocess.PIPE, start_new_session=True, cwd="/"
    )
    assert process.stdin is not None
    ours = Heir(process.stdin.fileno())
    try:
        yield ours
    finally:
        ours.takes("all", "ended")
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()


def main() -> None:
    """Read what there is until the end, and end it if nobody else has."""
    told = [line.rstrip("\n").partition(" ")[::2] for line in sys.stdin]
    if ("all", "ended") in told:
        return
    # SIGQUIT is PostgreSQL's immediate shutdown; it ends the others as well
    processes = [int(what) for kind, what in told if kind == "process"]
    _end(processes)
    for kind, what in told:
        if kind == "folder":
            shutil.rmtree(Path(what), ignore_errors=True)


def _end(processes: list[int]) -> None:
    for number, seconds in ((signal.SIGQUIT, PATIENCE_SECONDS), (signal.SIGKILL, 1.0)):
        alive = [one for one in processes if _signalled(one, number)]
        deadline = time.monotonic() + seconds
        while alive and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            alive = [one for one in alive if _signalled(one, 0)]
        if not alive:
            return


def _signalled(process: int, number: int) -> bool:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
