"""The command line: one module per verb."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from .concealment import conceal

__all__ = ["INTERRUPTED", "main"]

#: The exit status after Ctrl-C.
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, with the process's own arguments or these, and exit.

    Ctrl-C ends it without a traceback, also while modules are imported and when all is done.
    """
    if arguments is None:
        conceal()
    plain = signal.getsignal(signal.SIGINT)
    ours = plain is signal.default_int_handler and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, _end)
    # imported here: it takes the better part of a second, in which Ctrl-C must not show a traceback
    from .app import main as run

    try:
        if ours:
            signal.signal(signal.SIGINT, plain)
        run(arguments)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    finally:
        if ours:
            signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:
    # nothing has been begun yet, or all is done: there is nothing to clean up
    os._exit(INTERRUPTED)
