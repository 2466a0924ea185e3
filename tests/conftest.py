"""Load the fixtures, and leave out soak tests unless they are asked for."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

if (
    importlib.util.find_spec("daemon") is None
):  # not installed: test the checkout; an installed wheel goes first
    sys.path.insert(0, str(Path(__file__).parents[1]))

pytest_plugins = [
    "tests.fixtures.cli",
    "tests.fixtures.daemon",
    "tests.fixtures.pgbouncer",
    "tests.fixtures.postgres",
    "tests.fixtures.proxy",
    "tests.fixtures.sqlite",
    "tests.fixtures.tls",
    "tests.fixtures.writer",
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the soak tests when neither -m nor a name on the command line says otherwise."""
    if "soak" in config.option.markexpr or any("::" in argument for argument in config.args):
        return
    soak = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=soak)
    items[:] = [item for item in items if item not in soak]
