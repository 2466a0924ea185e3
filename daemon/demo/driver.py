"""The frame of the demonstration: its limits, its end by a signal, its cleaning up and its verdict."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import asyncpg

from config.errors import LiteferryError
from replicator.cutover.cutover import uninterrupted

from .report import Figures, ten_lines
from .screen import Screen
from .story import Options, Story

#: What all but the streaming may take for the usual rows: the demonstration ends by itself whatever happens.
LIMIT_SECONDS = 100.0

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """The first signal that asks us to end; later ones must not cut the cleaning up short."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._task = asyncio.current_task()
        self._closing = False

    def arrived(self, number: int) -> None:
        """Take a signal."""
        if self.number is None and not self._closing and self._task is not None:
            self.number = number
            self._task.cancel()

    def close(self) -> None:
        """Take no more signals."""
        self._closing = True


@contextmanager
def interrupts() -> Iterator[Interrupt]:
    """Catch the signals that end a process while inside."""
    loop, interrupt = asyncio.get_running_loop(), Interrupt()
    for number in SIGNALS:
        loop.add_signal_handler(number, interrupt.arrived, number)
    try:
        yield interrupt
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


async def demonstrate(options: Options, screen: Screen) -> int:
    """Move the shop, show it, clean up; return the exit status: 0 when all was right, else 1.

    128 and the signal's number when a signal ended it before it had come to its verdict.
    """
    figures, judged = Figures(), False
    with interrupts() as interrupt:
        stack = AsyncExitStack()
        story = Story(options, screen, figures, stack)
        try:
            await _told(story, options)
            await _judged(story, screen)
            judged = True
            if options.keep and story.folder is not None:
                await _kept(story.folder, screen, go_on=not figures.problems)
        except asyncio.CancelledError:
            if interrupt.number is None:
                raise
        finally:
            interrupt.close()
            await uninterrupted(stack.aclose())
    if interrupt.number is not None and not judged:
        screen.say(f"ended by {signal.Signals(interrupt.number).name}, and cleaned up")
        return 128 + interrupt.number
    return 1 if figures.problems else 0


async def _kept(folder: Path, screen: Screen, *, go_on: bool) -> None:
    """Say what stays; with `go_on` keep everything running until a signal."""
    screen.say(f"the files stay in {folder}")
    if go_on:
        screen.say("PostgreSQL and the daemon go on until Ctrl-C")
        await asyncio.Event().wait()


async def _told(story: Story, options: Options) -> None:
    """Tell the story; what stops it becomes a problem among the figures."""
    problems = story.figures.problems
    limit = LIMIT_SECONDS * max(1, options.size) + options.seconds
    try:
        async with asyncio.timeout(limit):
            await story.tell()
    except TimeoutError:
        problems.append(f"it did not come to its end within {limit:.0f} s")
    except LiteferryError as error:
        problems.append(f"{error} ({error.hint})" if error.hint else str(error))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        problems.append(f"{type(error).__name__}: {error}")


async def _judged(story: Story, screen: Screen) -> None:
    """Say what happened in ten lines, after the last words of the processes when something was wrong."""
    figures = story.figures
    await story.finish()
    figures.judge()
    if figures.problems:
        for line in story.last_words():
            screen.say(line)
    screen.title("What happened")
    *lines, verdict = ten_lines(figures)
    for line in lines:
        screen.say(line)
    screen.say(screen.coloured(verdict, "red" if figures.problems else "green"))
