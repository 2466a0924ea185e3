"""Named points at which a test makes the daemon die, stop or wait; without the setting they do nothing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

#: `name=kill`, `name=stop`, `name=<seconds>` or `name=/file`, which is made and waited for until it is gone;
#: several separated by commas; `name@3=kill` on the third pass.
VARIABLE = "LITEFERRY_FAILPOINTS"


def _parse(text: str) -> dict[str, tuple[int, str]]:
    points = {}
    for part in filter(None, text.split(",")):
        name, _, action = part.partition("=")
        name, _, nth = name.partition("@")
        points[name] = (int(nth or 1), action)
    return points


_points: dict[str, tuple[int, str]] = {}
_passed: dict[str, int] = {}


def arm(text: str) -> None:
    """Set the points, as the setting spells them."""
    _points.update(_parse(text))


arm(os.environ.get(VARIABLE, ""))


def reach(name: str) -> None:
    """Pass a named point; do there what the environment asks for."""
    if not _points or name not in _points:
        return
    _passed[name] = _passed.get(name, 0) + 1
    nth, action = _points[name]
    if _passed[name] != nth:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGTERM)
    elif action.startswith("/"):
        _hold(Path(action))
    else:
        # blocks the whole process on purpose: a test wants to find it exactly here
        time.sleep(float(action))


def _hold(sign: Path) -> None:
    sign.touch()
    while sign.exists():
        time.sleep(0.002)
