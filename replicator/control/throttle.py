"""The throttle: how fast rows are read to be copied or compared, by the operator's word and for good reason.

The stream is never held back by it: its changes would only wait in the source's log.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from .easing import Cause, Easing

#: Rows that are read at once under a limit: those of so many seconds.
PORTION_SECONDS = 0.5

#: A rest is looked at again so often, for the limit may have changed.
LOOK_SECONDS = 0.25

#: How long after the last rows reading still counts as going on.
USED_SECONDS = 2.0


class Allowance:
    """The operator's limit in rows per second, shared by all that reads rows; time is given to it."""

    def __init__(self, setting: Callable[[], int] = lambda: 0) -> None:
        """Take what tells the limit of the settings, 0 for none; they may change meanwhile."""
        self._setting = setting
        self._ordered: int | None = None
        self._since: float | None = None
        self._due = float("-inf")

    @property
    def rate(self) -> int | None:
        """Return the limit that counts, None for none."""
        return (self._setting() if self._ordered is None else self._ordered) or None

    @property
    def since(self) -> float | None:
        """Return the Unix time of the order, None where the setting counts."""
        return self._since

    @property
    def reason(self) -> str | None:
        """Return who has limited it, None for nobody."""
        if self.rate is None:
            return None
        if self._ordered is None:
            return f"throttle_rows_per_second is {self.rate}"
        return f"`liteferry throttle {self.rate}` was ordered"

    def order(self, rate: int | None, at: float | None) -> None:
        """Go by an order, 0 for no limit, or by the setting again where it is None."""
        self._ordered, self._since = rate, at if rate is not None else None
        # nobody goes on waiting for what was allowed before
        self._due = float("-inf")

    def most(self, rows: int) -> int:
        """Return how many of `rows` may be read at once."""
        return rows if self.rate is None else max(1, min(rows, int(self.rate * PORTION_SECONDS)))

    def take(self, rows: int, now: float) -> float:
        """Count rows that were read; return from which time on more may be."""
        if self.rate is None:
            return now
        self._due = max(self._due, now) + rows / self.rate
        return self._due


class Throttle:
    """Holds back the reading of one source."""

    def __init__(
        self, allowance: Allowance | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take what all sources share."""
        self.allowance = allowance or Allowance()
        self.easing = Easing()
        self._clock = clock
        self._used_at = float("-inf")
        self._eased_since: float | None = None
        #: Seconds that were rested because of it.
        self.rested = 0.0

    @property
    def in_use(self) -> bool:
        """Tell whether rows are being read."""
        return self._clock() - self._used_at < USED_SECONDS

    @property
    def active(self) -> bool:
        """Tell whether anything holds it back."""
        return self.allowance.rate is not None or self.easing.factor < 1

    def most(self, rows: int) -> int:
        """Return how many of `rows` may be read at once: fewer where long rests follow."""
        self._used_at = self._clock()
        return self.allowance.most(max(1, int(rows * self.easing.factor)))

    async def rest(self, rows: int, seconds: float) -> None:
        """Rest after rows were read in so many seconds."""
        begun = self._clock()
        due, rate = self.allowance.take(rows, begun), self.allowance.rate
        until = max(due, begun + seconds * (1 / self.easing.factor - 1))
        while (left := until - self._clock()) > 0:
            self._used_at = self._clock()
            await asyncio.sleep(min(left, LOOK_SECONDS))
            if self.allowance.rate != rate:
                # what is left is by a limit that counts no more
                break
        self._used_at = self._clock()
        self.rested += max(0.0, self._used_at - begun)

    def eased(self, at: float) -> None:
        """Note when it was eased first, and forget it at full speed; Unix time."""
        self._eased_since = None if self.easing.factor == 1 else self._eased_since or at

    def as_dict(self) -> dict[str, Any]:
        """Return it as the status shows it."""
        trouble, limit = self.easing.trouble, self.allowance.rate
        reasons = [trouble.reason if trouble else None, self.allowance.reason]
        by = trouble.cause if trouble else Cause.OPERATOR if limit is not None else None
        since = self._eased_since if trouble else self.allowance.since
        return {
            "active": by is not None,
            "limit_rows_per_second": limit,
            "factor": self.easing.factor,
            "reason": "; ".join(r for r in reasons if r) or None,
            "by": by.value if by else None,
            "since": _iso(since),
        }


def summed(throttles: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the throttle of several sources as one: that of the slowest, with everybody's reason."""
    found = list(throttles)
    if not found:
        return Throttle().as_dict()
    slowest = min(found, key=lambda one: (one["factor"], not one["active"]))
    reasons = dict.fromkeys(one["reason"] for one in found if one["reason"])
    return {**slowest, "reason": "; ".join(reasons) or None}


def _iso(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
