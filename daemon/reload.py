"""The settings read again while the daemon runs: what may change is taken over, the rest is refused."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from config.errors import LiteferryError
from config.names import key_of
from config.reload import differences, refusal, shown, take_over
from config.settings import Settings

from . import log as logs

log = structlog.get_logger("liteferry")

Read = Callable[[], Settings]


class Reload:
    """Reads one daemon's settings again."""

    def __init__(self, settings: Settings, read: Read, taken: Callable[[], None]) -> None:
        """Take the settings in force, what reads them again, and what is done after some have changed."""
        self._settings = settings
        self._read = read
        self._taken = taken
        #: What the operator should know of the last time.
        self.notices: list[str] = []

    def run(self) -> None:
        """Read the settings and take over what has changed; settings that cannot be read change nothing."""
        try:
            found = differences(self._settings, self._read())
        except LiteferryError as error:
            log.error("the settings are not changed", reason=str(error), hint=error.hint)
            self.notices = [f"the settings could not be read again, the old ones stay in force: {error}"]
            return
        self.notices = [refusal(name) for name in found.refused]
        for name in found.refused:
            log.error("a setting is not changed", setting=key_of(name), reason=refusal(name))
        before = {name: getattr(self._settings, name) for name in found.changed}
        take_over(self._settings, found)
        logs.configure(self._settings.log_level, self._settings.log_format)
        for name, value in found.changed.items():
            log.info(
                "a setting is changed", setting=key_of(name), before=shown(before[name]), now=shown(value)
            )
        self._taken()
        log.info("settings read again", changed=len(found.changed), refused=len(found.refused))
