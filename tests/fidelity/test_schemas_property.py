"""Whatever schema, rows and writes: each row arrives equal or is in quarantine, and nothing else arrives.

LITEFERRY_FUZZ_EXAMPLES sets how many examples are tried, anew each time; LITEFERRY_FUZZ_SEED repeats a run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, event, given, seed, settings

from .engine import emptied
from .nasty import cases
from .passage import Case, carried

Test = TypeVar("Test", bound=Callable[..., Any])

#: Enough for a regression; what is new is found by the long runs.
EXAMPLES = int(os.environ.get("LITEFERRY_FUZZ_EXAMPLES", "0")) or 16
LONG = EXAMPLES > 40
SEED = os.environ.get("LITEFERRY_FUZZ_SEED")


def seeded(test: Test) -> Test:
    """Have a run repeat another one."""
    return seed(int(SEED))(test) if SEED else test


@pytest.mark.timeout(0 if LONG else 300)
@seeded
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not LONG and SEED is None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(case=cases())
async def test_every_row_is_on_the_target_or_in_quarantine(
    case: Case, tmp_path: Path, target_url: str
) -> None:
    """Tables of any types, keys and names with hostile values, written to while they are brought over."""
    result = await carried(case, tmp_path / "app.db", await emptied(target_url))
    event(result.how)
    assert result.faults == []
