"""What is shipped for Prometheus and Grafana names metrics that there are, and each alert has its section."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "liteferry.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "liteferry.json"
RUNBOOK = ROOT / "docs" / "howto" / "runbook.md"

#: Of the Prometheus client, and of Prometheus.
OTHERS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


def documented() -> set[str]:
    """Return the metrics that the reference lists; a test of its own compares it with what is exported."""
    text = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    return set(re.findall(r"^\| `(liteferry_\w+)`", text, re.MULTILINE))


def metrics_in(text: str) -> set[str]:
    """Return what looks like the name of a metric in an expression."""
    return set(re.findall(r"\b((?:liteferry|process)_\w+)\b", text))


def alerts() -> list[str]:
    """Return the names of the alerts, in their order."""
    return re.findall(r"- alert: (\w+)", RULES.read_text())


def test_alerts_are_about_metrics_that_there_are() -> None:
    """A misspelt name would never fire."""
    expressions = "\n".join(line for line in RULES.read_text().splitlines() if "liteferry_" in line)
    used = metrics_in(expressions)
    assert used
    assert used <= documented()


def test_panels_are_about_metrics_that_there_are() -> None:
    """A misspelt name would be an empty panel."""
    board = json.loads(DASHBOARD.read_text())
    used = {m for panel in board["panels"] for t in panel["targets"] for m in metrics_in(t["expr"])}
    used |= {m for note in board["annotations"]["list"] for m in metrics_in(note["expr"])}
    assert len(used) > 15
    assert used - OTHERS <= documented()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_panels_ask_what_prometheus_understands(tmp_path: Path) -> None:
    """Each expression is parsed by Prometheus's own tool, with the variables of the dashboard filled in."""
    board = json.loads(DASHBOARD.read_text())
    asked = [t["expr"] for panel in board["panels"] for t in panel["targets"]]
    asked += [note["expr"] for note in board["annotations"]["list"]]
    filled = [e.replace("$__rate_interval", "5m").replace("$source", ".*") for e in asked]
    rules = [{"record": f"panel:{i}", "expr": expression} for i, expression in enumerate(filled)]
    # JSON is YAML
    (tmp_path / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", "panels.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "$" not in "".join(filled)


def test_panels_do_not_cover_one_another() -> None:
    """Each place of the grid is taken once."""
    places = [
        (x, y)
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24


def test_each_alert_has_its_section_in_the_runbook_in_the_same_order() -> None:
    """Whoever is woken by it finds what to do by its name, and by its link."""
    assert re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE) == alerts()
    links = re.findall(r"runbook_url: docs/howto/runbook\.md#(\w+)", RULES.read_text())
    assert links == [name.lower() for name in alerts()]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "arguments", [("check", "rules", RULES.name), ("test", "rules", "liteferry.rules.test.yml")]
)
def test_the_alerts_fire_when_they_should_and_not_otherwise(arguments: tuple[str, ...]) -> None:
    """By Prometheus's own tool, over hours of invented series."""
    done = subprocess.run(
        ["promtool", *arguments], cwd=RULES.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested() -> None:
    """One that is added without a test would go unnoticed."""
    tests = (RULES.parent / "liteferry.rules.test.yml").read_text()
    assert [name for name in alerts() if f'alertname="{name}"' not in tests] == []
