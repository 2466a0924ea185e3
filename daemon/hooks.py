"""The operator's commands at the turns of a cutover: run by the shell, with the facts in their environment.

A command belongs to the operator: its failure is told and never ends the daemon. Only `before_cutover` has a
say in what happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from config.errors import CutoverRefused
from config.fields.hooks import HookName
from config.secret import mask_text

log = structlog.get_logger("liteferry.hooks")

#: Of a command's output; what is before it is dropped.
KEPT_BYTES = 4096
CHUNK = 65_536

#: What a command that was told to end may take for it before it is killed.
GRACE_SECONDS = 2.0

#: What no command gets from our own environment: the target's address holds a password.
SECRETS = ("DATABASE_URL", "LITEFERRY_TARGET", "LITEFERRY_HTTP_TOKEN", "PGPASSWORD")


@dataclass(frozen=True)
class Outcome:
    """How a command went; `status` is None when it was ended for taking too long or could not be begun."""

    event: HookName
    status: int | None
    seconds: float
    output: str = ""

    @property
    def failed(self) -> bool:
        """Tell whether it ended in any way but well."""
        return self.status != 0

    @property
    def how(self) -> str:
        """Say how it ended."""
        if self.status is None:
            return f"did not end within its time ({self.seconds:.1f} s)"
        return f"ended with {self.status}" if self.status >= 0 else f"was ended by signal {-self.status}"

    def as_dict(self) -> dict[str, Any]:
        """Return it for reports, without the output, which may hold what is not ours to show."""
        return {"event": self.event, "status": self.status, "seconds": round(self.seconds, 3)}


class Hooks:
    """Runs the commands of one configuration."""

    def __init__(self, commands: Mapping[HookName, str], timeout: float) -> None:
        """Take the commands, and for how many seconds each may run."""
        self._commands = commands
        self._timeout = timeout

    async def run(self, event: HookName, facts: Mapping[str, object]) -> Outcome | None:
        """Run the command of an event, if there is one; never raises for what it does."""
        command = self._commands.get(event)
        if command is None:
            return None
        begun = time.monotonic()
        status, output = await self._carry_out(command, _environment(event, facts))
        outcome = Outcome(event, status, time.monotonic() - begun, output)
        tell = log.warning if outcome.failed else log.info
        tell("hook", hook=event, outcome=outcome.how, output=mask_text(output))
        return outcome

    async def ask(self, event: HookName, facts: Mapping[str, object]) -> None:
        """Run the command of an event that it may forbid. Raises CutoverRefused when it fails."""
        outcome = await self.run(event, facts)
        if outcome is not None and outcome.failed:
            last = outcome.output.strip().rpartition("\n")[2]
            raise CutoverRefused(
                f"the hook {event} {outcome.how}" + (f": {mask_text(last)}" if last else ""),
                hint="nothing was changed; streaming goes on",
            )

    async def _carry_out(self, command: str, environment: Mapping[str, str]) -> tuple[int | None, str]:
        try:
            process = await asyncio.create_subprocess_shell(
                command,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                # its children are to end with it
                start_new_session=True,
            )
        except OSError as error:
            return None, f"it could not be started: {error.strerror or type(error).__name__}"
        reading = asyncio.create_task(_tail(process))
        try:
            await asyncio.wait_for(process.wait(), self._timeout)
        except TimeoutError:
            await _end(process)
            return None, await _read(reading)
        except asyncio.CancelledError:
            reading.cancel()
            await asyncio.shield(_end(process))
            raise
        return process.returncode, await _read(reading)


async def _tail(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    kept = b""
    # all of it is read: a full pipe would make the command wait for us
    while chunk := await process.stdout.read(CHUNK):
        kept = (kept + chunk)[-KEPT_BYTES:]
    return kept


async def _read(reading: asyncio.Task[bytes]) -> str:
    # a child that it has left behind may hold the pipe open for as long as it lives
    done, _ = await asyncio.wait([reading], timeout=GRACE_SECONDS)
    if not done:
        reading.cancel()
        return ""
    return reading.result().decode("utf-8", "replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask a command and its children to end, then make them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
            return


def _environment(event: HookName, facts: Mapping[str, object]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name not in SECRETS}
    told = {f"LITEFERRY_{name.upper()}": str(value) for name, value in facts.items() if value is not None}
    return {**own, **told, "LITEFERRY_EVENT": event}
