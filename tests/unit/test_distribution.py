"""Our top-level package names are common ones; nobody else may own them in this environment."""

from __future__ import annotations

from importlib import metadata

import pytest


@pytest.mark.parametrize("package", ["config", "daemon", "replicator", "triggers"])
def test_no_other_distribution_owns_our_package_names(package: str) -> None:
    """A second owner of a name would overwrite our files, or delete them when it is uninstalled."""
    owners = set(metadata.packages_distributions().get(package, []))

    assert owners <= {"liteferry"}
