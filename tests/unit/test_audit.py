"""The audit of dependencies fails for what is known, and never for what could not be looked up."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    """Load the script."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def package(name: str, *vulnerabilities: str) -> dict[str, Any]:
    """Return a package as pip-audit tells of it."""
    found = [{"id": v, "aliases": [f"CVE-{v}"], "fix_versions": ["2.0"]} for v in vulnerabilities]
    return {"name": name, "version": "1.0", "vulns": found}


RUNTIME = frozenset({"aiohttp", "click"})
AWAY = {"name": "click", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "ignore", "status", "line"),
    [
        ([package("click")], {}, 0, "audit: 1 packages looked up"),
        ([package("AioHTTP", "P-1")], {}, 1, "audit: VULNERABLE: AioHTTP 1.0: P-1, mended in 2.0"),
        ([package("aiohttp", "P-1")], {"P-1": "not used"}, 0, "audit: ignored: aiohttp 1.0: P-1: not used"),
        ([package("aiohttp", "P-1")], {"CVE-P-1": "no"}, 0, "audit: ignored: aiohttp 1.0: P-1: no"),
        ([package("click")], {"P-2": "gone"}, 0, "audit: ignored for nothing: P-2"),
        (
            [package("pytest", "P-1")],
            {},
            0,
            "audit: vulnerable tool of the developers: pytest 1.0: P-1, mended in 2.0",
        ),
        ([AWAY], {}, 0, "audit: NOT AUDITED: 1 packages, no advisory data for click"),
        (
            [AWAY, package("aiohttp", "P-1")],
            {},
            1,
            "audit: NOT AUDITED: 1 packages, no advisory data for click",
        ),
    ],
)
def test_what_a_report_comes_to(
    audit: ModuleType, packages: list[dict[str, Any]], ignore: dict[str, str], status: int, line: str
) -> None:
    """Known and in use: a failure. Known and ignored, or a tool's: told. Unknown: told loudly."""
    lines, given = audit.judge({"dependencies": packages}, ignore, RUNTIME)
    assert given == status
    assert line in lines


def test_a_program_that_is_not_there_is_no_failure(
    audit: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """It could not be installed: there is no network."""
    assert audit.main(["/nowhere/pip-audit", "."]) == 0
    assert "NOT AUDITED" in capsys.readouterr().out


def test_the_list_of_what_is_ignored_has_reasons(audit: ModuleType) -> None:
    """Each of them a sentence."""
    assert all(len(reason) > 10 for reason in audit.ignored(ROOT / "pyproject.toml").values())


def test_what_liteferry_runs_with_is_known(audit: ModuleType) -> None:
    """With what that needs, and without the tools."""
    needed = audit.closure("liteferry", str(Path(pytest.__file__).parents[1]))
    assert {"asyncpg", "aiohttp", "multidict", "pydantic"} <= needed
    assert not {"pytest", "ruff", "mypy"} & needed
