"""The table of metrics in the reference says what the code declares."""

from __future__ import annotations

from pathlib import Path

from daemon.metrics import METRICS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def test_reference_lists_exactly_the_declared_metrics() -> None:
    """Name, type, labels and meaning agree, line by line and in the same order."""
    declared = [
        f"| `{metric.name}` | {metric.kind.value} | {', '.join(f'`{label}`' for label in metric.labels)} "
        f"| {metric.help} |".replace("|  |", "| |")
        for metric in METRICS
    ]
    documented = [line for line in REFERENCE.read_text().splitlines() if line.startswith("| `liteferry_")]

    assert documented == declared
