"""The demonstration's output: lines that stay, and one that is rewritten in place on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TextIO

import click

#: Where nothing can be rewritten, the moving line comes this often.
SECONDS_BETWEEN_LINES = 1.0

BAR_CELLS = 24


class Screen:
    """Writes to a terminal, or to a file or pipe without any control character."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._coloured = self._terminal and not os.environ.get("NO_COLOR")
        self._moving = False
        self._last = 0.0

    def say(self, text: str = "") -> None:
        """Write a line that stays."""
        self._write(f"{text}\n")
        # a moving line belongs to what is under way now, not to what comes next
        self._last = 0.0

    def title(self, text: str) -> None:
        """Write a line that stays, with an empty one before it."""
        self.say()
        self.say(self.coloured(text, None))

    def live(self, text: str) -> None:
        """Show what changes all the time: in place, or as a line now and then."""
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._write(text[:width], moving=True)
        elif time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._write(f"{text}\n")
            self._last = time.monotonic()

    def coloured(self, text: str, colour: str | None) -> str:
        """Return a text in bold and in a colour, or as it is where no colours are wanted."""
        return click.style(text, fg=colour, bold=True) if self._coloured else text

    def _write(self, text: str, moving: bool = False) -> None:
        self._stream.write(("\r\x1b[2K" if self._moving else "") + text)
        self._stream.flush()
        self._moving = moving


def bar(done: int, of: int) -> str:
    """Return a bar with its percentage."""
    part = min(1.0, done / of) if of else 1.0
    full = round(part * BAR_CELLS)
    return f"[{'#' * full}{'.' * (BAR_CELLS - full)}] {part:4.0%}"


def duration(seconds: float | None) -> str:
    """Return a duration as a person reads it."""
    if seconds is None:
        return "unknown"
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
