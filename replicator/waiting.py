"""Waiting out what a retry may mend, and telling of it without flooding the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from config.errors import LiteferryError, SchemaChanged, SourceMissing, TargetAway

from .backoff import Backoff
from .status import Facts

log = structlog.get_logger("liteferry.waiting")


class Waiting:
    """Retries the work on one source, and keeps in its facts what it waits for."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._telling = Backoff()

    async def retrying(
        self, work: Callable[[], Awaitable[None]], give_way: Callable[[], None] = lambda: None
    ) -> None:
        """Do some work until it is done, waiting out whatever a retry may mend.

        What `give_way` raises before a try ends it.
        Raises SchemaChanged and SourceMissing at once, for then other work is to be done, and what is not
        retryable.
        """
        backoff = Backoff()
        while True:
            give_way()
            try:
                await work()
                break
            except (SchemaChanged, SourceMissing):
                raise
            except LiteferryError as error:
                if not error.retryable:
                    raise
                self.failed(error)
                await asyncio.sleep(backoff.failed())
        if backoff.failures:
            self.recovered()

    def failed(self, error: LiteferryError) -> None:
        """Note why something must be tried again."""
        self._facts.retries += 1
        self._facts.connected = self._facts.connected and not isinstance(error, TargetAway)
        self._facts.error = str(error)
        if self._telling.to_be_told(time.monotonic()):
            log.warning("waiting", source=self._facts.path, reason=str(error))
        self._telling.failed()

    def recovered(self) -> None:
        """Note that it works again."""
        self._facts.connected, self._facts.error = True, None
        failures = self._telling.recovered()
        if failures:
            log.info("recovered", source=self._facts.path, failures=failures)
