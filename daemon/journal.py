"""What has happened lately that an operator wants to know of: a bounded list in memory, made from the log.

Everything worth a line is logged where it happens, so the journal listens to the log instead of asking each
part to tell twice. Like the log it holds paths, names, counts and reasons, and never a row.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from config.secret import mask_text

from .news import Level, News, news

#: Events that are kept; an older one is in the log.
KEPT = 500


@dataclass(frozen=True)
class Event:
    """One thing that has happened; `number` counts from 1 since the daemon started."""

    number: int
    at: datetime
    news: News

    def as_dict(self) -> dict[str, Any]:
        """Return the event as the status has it."""
        return {
            "number": self.number,
            "at": self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": self.news.level,
            "kind": self.news.kind,
            "source": self.news.source,
            "text": self.news.text,
        }


class Journal:
    """The last events of one daemon; give its `hear` to `daemon.log.listening`."""

    def __init__(self, kept: int = KEPT) -> None:
        self._events: deque[Event] = deque(maxlen=kept)
        self._last = 0
        # the log is written from threads too
        self._lock = threading.Lock()

    @property
    def last(self) -> int:
        """Return the number of the newest event, 0 before the first."""
        return self._last

    def hear(self, level: str, event: str, values: Mapping[str, Any]) -> None:
        """Keep what a line of the log tells, if it is worth it."""
        told = news(level, event, values)
        if told is not None:
            self.add(told)

    def tell(self, kind: str, text: str, level: Level = "info") -> None:
        """Keep something that the log does not tell."""
        self.add(News(level, kind, text))

    def add(self, told: News) -> None:
        """Keep an event; what looks like a password is hidden."""
        with self._lock:
            self._last += 1
            masked = News(told.level, told.kind, mask_text(told.text), told.source)
            self._events.append(Event(self._last, datetime.now(UTC), masked))

    def since(self, number: int = 0) -> list[dict[str, Any]]:
        """Return the events behind a number, oldest first; all that are kept behind 0."""
        with self._lock:
            return [event.as_dict() for event in self._events if event.number > number]
