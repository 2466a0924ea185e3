"""Look up known vulnerabilities of what is installed; `make audit` calls it.

A vulnerability in what liteferry runs with ends it with 1, unless pyproject.toml lists it under
[[tool.liteferry.audit.ignore]] with a reason. One in a tool of the developers is told. What could not be
looked up is told in capitals, and is no failure: a network that is away says nothing about a dependency.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SECONDS = 150


def main(arguments: Sequence[str]) -> int:
    """Audit the packages in a folder with a pip-audit: `audit.py PIP_AUDIT SITE_PACKAGES`."""
    program, folder = arguments
    try:
        done = subprocess.run(
            [program, "--path", folder, "--format", "json", "--progress-spinner", "off"],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        report = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        return _not_audited(type(error).__name__)
    except json.JSONDecodeError:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        return _not_audited(last[0])
    lines, status = judge(report, ignored(ROOT / "pyproject.toml"), closure("liteferry", folder))
    print("\n".join(lines))
    return status


def _not_audited(reason: str) -> int:
    print(f"audit: NOT AUDITED: {reason}")
    return 0


def judge(
    report: Mapping[str, Any], ignore: Mapping[str, str], runtime: frozenset[str]
) -> tuple[list[str], int]:
    """Return what to say about a report of pip-audit's, and the exit status; pure."""
    lines, status, looked_up, met = [], 0, 0, set()
    away = [one["name"] for one in report["dependencies"] if "skip_reason" in one]
    for one in report["dependencies"]:
        looked_up += "skip_reason" not in one
        for found in one.get("vulns", ()):
            names = {found["id"], *found.get("aliases", ())}
            reason = next((ignore[name] for name in sorted(names) if name in ignore), None)
            met |= names
            what = f"{one['name']} {one['version']}: {found['id']}"
            fixed = ", ".join(found.get("fix_versions") or ["no version"])
            if reason is not None:
                lines.append(f"audit: ignored: {what}: {reason}")
            elif _plain(one["name"]) in runtime:
                status = 1
                lines.append(f"audit: VULNERABLE: {what}, mended in {fixed}")
            else:
                lines.append(f"audit: vulnerable tool of the developers: {what}, mended in {fixed}")
    lines += [f"audit: ignored for nothing: {name}" for name in sorted(set(ignore) - met) if looked_up]
    if away:
        shown = ", ".join(sorted(away)[:5]) + (", ..." if len(away) > 5 else "")
        lines.append(f"audit: NOT AUDITED: {len(away)} packages, no advisory data for {shown}")
    lines.append(f"audit: {looked_up} packages looked up")
    return lines, status


def ignored(pyproject: Path) -> dict[str, str]:
    """Return the vulnerabilities to ignore with the reasons; KeyError for one without a reason."""
    settings = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    entries = settings.get("tool", {}).get("liteferry", {}).get("audit", {}).get("ignore", [])
    return {entry["id"]: entry["reason"] for entry in entries}


def closure(name: str, folder: str) -> frozenset[str]:
    """Return the plain names of what a package needs to run, and of what these need."""
    installed = {_plain(one.name): one for one in metadata.distributions(path=[folder])}
    wanted, found = [_plain(name)], set()
    while wanted:
        one = wanted.pop()
        if one in found or one not in installed:
            continue
        found.add(one)
        needs = [text for text in installed[one].requires or () if "extra ==" not in text]
        wanted += [_plain(match[0]) for text in needs if (match := re.match(r"[\w.-]+", text))]
    return frozenset(found)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
