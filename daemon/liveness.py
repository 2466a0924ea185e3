"""Whether the work gets on: what the watchdog is pinged by, and what a probe is told."""

from __future__ import annotations

import structlog

from triggers import pulse
from triggers.pulse import Stall

log = structlog.get_logger("liteferry")

#: How long work may give no sign where no service manager has said how long.
ALLOWED_SECONDS = 60.0


class Liveness:
    """Looks whether anything in hand is stuck, and tells of it once."""

    def __init__(self, allowed: float | None = None) -> None:
        """Take for how many seconds work may be silent."""
        self._allowed = allowed or ALLOWED_SECONDS
        self._stall: Stall | None = None

    def healthy(self) -> bool:
        """Tell whether all work gets on, or waits for what is not ours: a target, an operator, a writer."""
        before, self._stall = self._stall, pulse.stalled(self._allowed)
        if self._stall is not None and before is None:
            log.error(
                "stuck",
                what=self._stall.what,
                seconds=round(self._stall.seconds, 1),
                hint="the watchdog is no longer pinged; a restart goes on where it was",
            )
        elif before is not None and self._stall is None:
            log.warning("no longer stuck", what=before.what)
        return self._stall is None

    @property
    def trouble(self) -> str | None:
        """Say what was stuck at the last look; None when nothing was."""
        return None if self._stall is None else str(self._stall)
