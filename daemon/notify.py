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
        self._shown = ""

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

    @property
    def watchdog_seconds(self) -> float | None:
        """Return the time within which a ping must come; None when no watchdog is set."""
        return None if self.watchdog_interval is None else self.watchdog_interval * 2

    def ready(self, status: str = "") -> None:
        """Say that the start, or a reload, is complete."""
        self._send("READY=1", *_status(status))

    def status(self, text: str) -> None:
        """Set the line that `systemctl status` shows, if it is another one."""
        if text != self._shown and self._send(*_status(text), wait=0):
            self._shown = text

    def reloading(self) -> None:
        """Say that the configuration is being read again; `ready` ends it."""
        # Type=notify-reload wants the time as well, to tell one reload from another
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "", seconds: float = 0) -> None:
        """Say that shutdown has begun, and how many seconds it may take if that is longer than usual."""
        extend = [f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}"] if seconds else []
        self._send("STOPPING=1", *extend, *_status(status))

    def watchdog(self) -> None:
        """Say that we are alive."""
        self._send("WATCHDOG=1", wait=0)

    async def keep_alive(self, healthy: Callable[[], bool] = lambda: True) -> None:
        """Ping the watchdog for as long as *healthy* says so; return at once when none is set.

        Run it on the loop that does the work: a loop that hangs then misses its pings and is restarted, and
        so is one that turns while a thread of it is stuck, if *healthy* knows of it.
        """
        while self.watchdog_interval is not None:
            if healthy():
                self.watchdog()
            await asyncio.sleep(self.watchdog_interval)

    def _send(self, *assignments: str, wait: float = SEND_TIMEOUT) -> bool:
        """Send a message, waiting for a slow reader for so many seconds; tell whether it was sent."""
        if not self.address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(wait)
                channel.sendto("\n".join(assignments).encode(), self.address)
        except BlockingIOError:
            # it has plenty to read; what we do shall not wait for that, and the next one comes soon
            return False
        except OSError as error:
            # said once: it would come again with every ping
            if not self._failed:
                logger.warning("the service manager cannot be told our state: %s", error)
            self._failed = True
            return False
        self._failed = False
        return True


def _status(text: str) -> list[str]:
    # a line break would begin another assignment
    return [f"STATUS={' '.join(text.split())}"] if text else []


def _watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """Return half of the allowed time in seconds; None when no watchdog is set, or for another process."""
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not usec.isdigit() or int(usec) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 1_000_000 / 2
