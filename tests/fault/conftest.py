"""What several of the fault tests begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.shop import SCHEMA
from tests.fixtures.sqlite import MakeSource


@pytest.fixture
def source(make_source: MakeSource) -> Path:
    """Give a source with tables of several kinds."""
    return make_source(script=SCHEMA)
