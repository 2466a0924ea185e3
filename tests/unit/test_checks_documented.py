"""Every finding that `liteferry check` may tell has its line in docs/reference/checks.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "checks.md"
FILES = [*sorted((ROOT / "replicator" / "checking").glob("*checks.py")), ROOT / "daemon" / "cli" / "check.py"]

#: The functions that take a finding's name first.
NOTING = ("add", "refused", "Check")


def names(tree: ast.AST) -> Iterator[str]:
    """Yield the first argument of every call that notes a finding."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if (
            called in NOTING
            and isinstance(call.args[0], ast.Constant)
            and isinstance(call.args[0].value, str)
        ):
            yield call.args[0].value


def test_every_finding_is_documented_and_none_besides() -> None:
    """By the name that JSON gives it."""
    told = {name for file in FILES for name in names(ast.parse(file.read_text()))}
    # said of what is left out, by its kind
    told |= {"views", "virtual tables"}
    documented = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(), re.MULTILINE)

    assert sorted(documented) == sorted(told)
