"""A terminal that is painted anew now and then: no flicker, nothing wrapped, and left as it was found."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

#: Another screen beside the shell's, and no cursor that jumps about on it.
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"

#: The cursor to the top left, and erase from there on: no flicker, as a full clear would give. Terminals that
#: know how show all between the last two at once; others ignore them.
HOME, ERASE_LINE, ERASE_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"

STYLES: dict[str, dict[str, Any]] = {
    "plain": {},
    "dim": {"dim": True},
    "bold": {"bold": True},
    "ok": {"fg": "green", "bold": True},
    "busy": {"fg": "blue", "bold": True},
    "warn": {"fg": "yellow", "bold": True},
    "bad": {"fg": "red", "bold": True},
    "ok large": {"fg": "black", "bg": "green", "bold": True},
    "busy large": {"fg": "white", "bg": "blue", "bold": True},
    "warn large": {"fg": "black", "bg": "yellow", "bold": True},
    "bad large": {"fg": "white", "bg": "red", "bold": True},
}


@dataclass(frozen=True)
class Part:
    """Some text of a line in one style."""

    text: str
    style: str = "plain"


Line = Sequence[Part]


def is_screen() -> bool:
    """Tell whether standard output is a terminal that can be painted on."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def can_draw() -> bool:
    """Tell whether it can show what is not ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def width_of(text: str) -> int:
    """Return how many columns a text takes: some characters take two, some none."""
    return sum(_width(c) for c in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Return as much of a text as fits into some columns."""
    taken = 0
    for i, character in enumerate(text):
        taken += _width(character)
        if taken > width:
            return text[:i]
    return text


def fitted(line: Line, width: int) -> list[Part]:
    """Return a line cut to some columns."""
    parts = []
    for part in line:
        text = cut(part.text, width)
        parts.append(Part(text, part.style))
        width -= width_of(text)
        if len(text) < len(part.text):
            break
    return parts


def rendered(line: Line, *, colour: bool) -> str:
    """Return a line as a terminal takes it."""
    if not colour:
        return "".join(part.text for part in line)
    return "".join(click.style(p.text, **STYLES[p.style]) if STYLES[p.style] else p.text for p in line)


class Screen:
    """Standard output as a screen of its own; use `open_screen`."""

    def __init__(self) -> None:
        self._colour = "NO_COLOR" not in os.environ
        self._last: list[Line] = []

    @property
    def size(self) -> tuple[int, int]:
        """Return columns and lines that can be written on."""
        width, height = shutil.get_terminal_size()
        # a terminal may wrap behind the last column already
        return width - 1, height - 1

    def paint(self, lines: Sequence[Line]) -> None:
        """Show these lines and nothing else; what does not fit is cut off."""
        width, height = self.size
        self._last = [fitted(line, width) for line in lines[:height]]
        text = "".join(rendered(line, colour=self._colour) + ERASE_LINE + "\n" for line in self._last)
        self._write(BEGIN + HOME + text + ERASE_BELOW + END)

    def leave(self) -> None:
        """Give the shell its screen back, with what was shown last on it."""
        text = "".join(rendered(line, colour=self._colour) + "\n" for line in self._last)
        self._write(LEAVE + text)

    def _write(self, text: str) -> None:
        # one write: a frame that comes in pieces is what flickers
        click.echo(text, nl=False, color=True)


@contextmanager
def open_screen() -> Iterator[Screen]:
    """Open a screen, and leave it whatever happens."""
    screen = Screen()
    click.echo(ENTER, nl=False, color=True)
    try:
        yield screen
    finally:
        screen.leave()
