"""The benchmarks run from end to end; how fast they are is nothing that a test may ask."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.figures import Figure, at_least, at_most, percentile, table

ROOT = Path(__file__).parents[2]

FIGURES = (
    "time / raw COPY's time",
    "speed / pgloader's, copy to keys built",
    "profile's time / copy's",
    "row changes/s",
    "commit to visible, p50",
    "commit to visible, p99",
    "with triggers / without, one-row transactions",
    "with triggers and streaming / without",
    "rehearsals: predicted pause",
    "rehearsals: application's longest stall",
    "cutover: pause",
    "cutover: application's longest stall",
    "peak resident memory",
)


def run_bench(*arguments: str) -> str:
    """Run the benchmarks in small and return what they print."""
    command = [sys.executable, "-m", "bench", "--quick", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_quick_run_prints_every_figure_and_the_machine() -> None:
    """One command measures everything and prints a table."""
    printed = run_bench()
    assert [name for name in FIGURES if name not in printed] == []
    assert "PostgreSQL" in printed.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_one_benchmark_alone_gives_json_with_bars_and_verdicts() -> None:
    """A program reads the figures of the benchmark that it named, and of no other."""
    told = json.loads(run_bench("memory", "--json"))
    assert [(f["bench"], f["unit"], f["bar"]) for f in told["figures"]] == [("memory", "MB", "<= 200 MB")]
    assert told["machine"]["cores"] >= 1
    assert told["machine"]["postgresql"]["fsync"] == "on"


def test_a_verdict_follows_the_bar() -> None:
    """Reaching a lower limit or staying under an upper one is ok, the rest is not."""
    found = [
        Figure("b", "f", 2.0, "x", bar).verdict for bar in (at_least(2), at_least(3), at_most(1.9), None)
    ]
    assert found == ["ok", "below", "below", ""]


def test_a_figure_without_a_value_says_why() -> None:
    """What could not be measured stays in the table with the reason."""
    printed = table([Figure("b", "f", None, "x", at_least(3), "pgloader is not installed")])
    assert "not measured  pgloader is not installed" in printed


def test_a_percentile_is_one_of_the_values() -> None:
    """The smallest value that the given share of all does not exceed."""
    assert [percentile([3, 1, 2, 4], share) for share in (0, 0.5, 0.75, 1)] == [1, 2, 3, 4]
