"""The daemon's end of a copier: it starts the right program, and leaves one that is of no use."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from replicator.control.throttle import Throttle
from replicator.loading import copier
from replicator.loading.copier import Copier, CopierFailed


async def copy() -> None:
    """Give one lane to a copier."""
    lane = SimpleNamespace(plan=None, at=SimpleNamespace(copied=False))
    work = SimpleNamespace(chunk_rows=10)
    await Copier().copy(cast("Any", work), cast("Any", lane), Throttle())


def test_the_program_of_a_copier_is_there() -> None:
    """Without a daemon at its other end it ends at once, and says nothing."""
    command = [sys.executable, "-c", copier.PROGRAM]
    ended = subprocess.run(command, input="", capture_output=True, timeout=30, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("program", "said"),
    [("import time; time.sleep(60)", "TimeoutError"), ("print('x' * 200_000)", "limit|found")],
    ids=["silent", "too long a line"],
)
async def test_a_copier_of_no_use_is_given_up(
    program: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the daemon copies itself."""
    monkeypatch.setattr(copier, "PROGRAM", program)
    monkeypatch.setattr(copier, "SILENT_SECONDS", 2.0)
    with pytest.raises(CopierFailed, match=said):
        await copy()
