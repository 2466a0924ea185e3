"""`python -m daemon.healthcheck`: exit 0 when the daemon of this container is well, 1 when it is not.

With the standard library alone, for it runs every half minute: the command line would take a second of a
core each time.
"""

from __future__ import annotations

import os
import socket
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path

#: Where the image has the daemon listen unless it is told otherwise.
CONTROL = "/run/liteferry/liteferry.sock"
PATIENCE = 5.0


class _Unix(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("liteferry", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of to a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def health(path: Path) -> tuple[bool, str]:
    """Ask the daemon behind a socket; return whether it is well, and what it says."""
    connection = _Unix(path)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status == 200, answer.read().decode().strip()
    except (OSError, HTTPException) as error:
        return False, f"no daemon answers on {str(path)!r}: {error}"
    finally:
        connection.close()


if __name__ == "__main__":
    well, said = health(Path(os.environ.get("LITEFERRY_CONTROL", CONTROL)))
    sys.stdout.write(f"{said}\n")
    sys.exit(0 if well else 1)
