"""Tell the service manager how we are: systemd's notification socket, spoken without its library.

Every call does nothing when there is no such socket, and never fails the daemon when there is a broken one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

SEND_TIMEOUT = 1.0  # seconds; a service manager that reads this slowly is given up on for this message


class Notifier:
    """Send states to the service manager that started this process."""

    def __init__(self, address: str = "", watchdog_interval: float | None = None) -> None:
        # "@" stands for the zero byte in front of an abstract name
        self.address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_interval = watchdog_interval
        self._failed = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """Read NOTIFY_SOCKET and the watchdog's variables; ping twice in the time that is allowed for one."""
        address = environ.get("NOTIFY_SOCKET", "")
        # vsock: and the like are for virtual machines
        if not address.startswith(("/", "@")):
            address = ""
        return cls(address, _watchdog_interval(environ) if address else None)

    @property
    def active(self) -> bool:
        """Tell whether anybody listens."""
        return bool(self.address)

    def ready(self, status: str = "") -> None:
        """Say that the start, or a reload, is complete."""
        self._send("READY=1", *_status(status))

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(*_status(text))

    def reloading(self) -> None:
        """Say that the configuration is being read again; `ready` ends it."""
        # Type=notify-reload wants the time as well, to tell one reload from another
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> None:
        """Say that shutdown has begun."""
        self._send("STOPPING=1", *_status(status))

    def watchdog(self) -> None:
        """Say that we are alive."""
        self._send("WATCHDOG=1")

    async def keep_alive(self, healthy: Callable[[], bool] = lambda: True) -> None:
        """Ping the watchdog for as long as *healthy* says so; return at once when none is set.

        Run it on the loop that does the work: a loop that hangs then misses its pings and is restarted.
        """
        while self.watchdog_interval is not None:
            if healthy():
                self.watchdog()
            await asyncio.sleep(self.watchdog_interval)

    def _send(self, *assignments: str) -> None:
        if not self.address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(SEND_TIMEOUT)
                channel.sendto("\n".join(assignments).encode(), self.address)
        except OSError as error:
            # said once: it would come again with every ping
            if not self._failed:
                logger.warning("the service manager cannot be told our state: %s", error)
            self._failed = True
        else:
            self._failed = False


def _status(text: str) -> list[str]:
    # a line break would begin another assignment
    return [f"STATUS={' '.join(text.split())}"] if text else []


def _watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """Return half of the allowed time in seconds; None when no watchdog is set, or for another process."""
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not usec.isdigit() or int(usec) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 1_000_000 / 2
