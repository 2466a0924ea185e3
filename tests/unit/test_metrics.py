"""The metrics: every declared one is exported, with the value the status has."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from daemon.metrics import METRICS, Kind, build_registry
from daemon.readings import STATES
from tests import statuses

SOURCE = (("source", "/data/app.db"),)
ORDERS = (("source", "/data/app.db"), ("table", "orders"))

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def full() -> dict[str, Any]:
    """Return a status in which every field has a value of its own."""
    orders = {
        "name": "orders", "target": "public.orders", "state": "streaming",
        "rows_copied": 101, "rows_estimate": 102, "changes_applied": 103,
    }  # fmt: skip
    source = {
        "path": "/data/app.db", "schema": "public", "state": "streaming", "pending_changes": 1,
        "oldest_unapplied_seconds": 2.5, "heartbeat_age_seconds": 3.5, "estimated_catch_up_seconds": 4.5,
        "position": 5, "consistent": True, "target_connected": False, "error": None, "retries": 6,
        "missing": True,
        "journal_mode": "wal", "source_bytes": 7, "wal_bytes": 8,
        "paused": {"since": "2026-11-22T11:40:00Z", "before": "streaming"}, "wal_used_bytes": 81,
        "write_wait_seconds": 0.25, "throttled_seconds": 82.5,
        "throttle": {"active": True, "limit_rows_per_second": 83, "factor": 0.125, "by": "disk"},
        "log_entries": 9, "disk_free_bytes": 10,
        "log_compacted": 23, "disk_low": True, "stale_tables": 24, "repaired_rows": 25,
        "unexplained_changes": 26, "comparison_age_seconds": 27.5,
        "verification_age_seconds": 30.5, "verification_equal": True, "quarantined": 29,
        "changes_captured": 36,
        "changes_applied": 11, "batches_applied": 12, "rows_copied": 13, "apply_rate": 14.5,
        "copy_rate": 15.5, "tables": [orders],
        "fallback": {
            "pending_changes": 31, "oldest_unapplied_seconds": 32.5, "changes_applied": 33,
            "rows_written": 34,
            "quarantined": 35, "error": None,
        },
    }  # fmt: skip
    cutover = {"outcome": "rehearsed", "pause_seconds": 0.03, "phases": [], "finished_at": None, "reason": ""}
    rollback = {**cutover, "outcome": "rolled_back", "pause_seconds": 0.05}
    return {
        "can_rollback": False, "rollback_reasons": ["is streaming, not cut over"], "rollback": rollback,
        "state": "streaming", "can_cutover": True, "reasons": [], "version": "0.1.0",
        "started_at": "2026-11-22T11:40:00Z", "predicted_pause_seconds": 0.04, "cutover": cutover,
        "clock_jumps": 28,
        "verification": {"running": {"rows_done": 3, "rows": 4}, "last": None},
        "sources": [source],
    }  # fmt: skip


EXPECTED: Series = {
    ("liteferry_build_info", (("version", "0.1.0"),)): 1,
    ("liteferry_start_time_seconds", ()): 1795347600,
    ("liteferry_state", (("state", "streaming"),)): 1,
    ("liteferry_ready_for_cutover", ()): 1,
    ("liteferry_predicted_cutover_pause_seconds", ()): 0.04,
    ("liteferry_cutover_pause_seconds", ()): 0.03,
    ("liteferry_cutover_outcome", (("outcome", "rehearsed"),)): 1,
    ("liteferry_ready_for_rollback", ()): 0,
    ("liteferry_rollback_pause_seconds", ()): 0.05,
    ("liteferry_rollback_outcome", (("outcome", "rolled_back"),)): 1,
    ("liteferry_fallback_pending_changes", SOURCE): 31,
    ("liteferry_fallback_oldest_unapplied_seconds", SOURCE): 32.5,
    ("liteferry_fallback_changes_applied_total", SOURCE): 33,
    ("liteferry_fallback_quarantined_rows", SOURCE): 35,
    ("liteferry_pending_changes", SOURCE): 1,
    ("liteferry_oldest_unapplied_seconds", SOURCE): 2.5,
    ("liteferry_heartbeat_age_seconds", SOURCE): 3.5,
    ("liteferry_estimated_catch_up_seconds", SOURCE): 4.5,
    ("liteferry_source_info", (("journal_mode", "wal"), ("schema", "public"), *SOURCE)): 1,
    ("liteferry_source_state", (*SOURCE, ("state", "streaming"))): 1,
    ("liteferry_source_missing", SOURCE): 1,
    ("liteferry_consistent", SOURCE): 1,
    ("liteferry_target_connected", SOURCE): 0,
    ("liteferry_retries_total", SOURCE): 6,
    ("liteferry_source_bytes", SOURCE): 7,
    ("liteferry_source_wal_bytes", SOURCE): 8,
    ("liteferry_source_paused", SOURCE): 1,
    ("liteferry_source_wal_used_bytes", SOURCE): 81,
    ("liteferry_source_write_wait_seconds", SOURCE): 0.25,
    ("liteferry_throttled_seconds_total", SOURCE): 82.5,
    ("liteferry_throttle_active", SOURCE): 1,
    ("liteferry_throttle_limit_rows_per_second", SOURCE): 83,
    ("liteferry_throttle_factor_ratio", SOURCE): 0.125,
    ("liteferry_throttle_cause", (("by", "disk"), *SOURCE)): 1,
    ("liteferry_change_log_entries", SOURCE): 9,
    ("liteferry_log_compacted_total", SOURCE): 23,
    ("liteferry_disk_low", SOURCE): 1,
    ("liteferry_stale_tables", SOURCE): 24,
    ("liteferry_repaired_rows_total", SOURCE): 25,
    ("liteferry_unexplained_changes_total", SOURCE): 26,
    ("liteferry_comparison_age_seconds", SOURCE): 27.5,
    ("liteferry_verification_age_seconds", SOURCE): 30.5,
    ("liteferry_verification_equal", SOURCE): 1,
    ("liteferry_verification_progress_ratio", ()): 0.75,
    ("liteferry_quarantined_rows", SOURCE): 29,
    ("liteferry_clock_jumps_total", ()): 28,
    ("liteferry_disk_free_bytes", SOURCE): 10,
    ("liteferry_changes_captured_total", SOURCE): 36,
    ("liteferry_changes_applied_total", SOURCE): 11,
    ("liteferry_batches_applied_total", SOURCE): 12,
    ("liteferry_rows_copied_total", SOURCE): 13,
    ("liteferry_table_rows_copied", ORDERS): 101,
    ("liteferry_table_rows_estimate", ORDERS): 102,
    ("liteferry_table_changes_applied_total", ORDERS): 103,
}


def scrape(status: Mapping[str, Any]) -> Series:
    """Return every sample of our own, as read back from the exported text."""
    text = generate_latest(build_registry(lambda: status)).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("liteferry_")
    }


def names(series: Series) -> set[str]:
    """Return the names that have at least one sample."""
    return {name for name, _ in series}


def test_every_declared_metric_has_its_value() -> None:
    """Each metric reads its own field of the status."""
    exported = scrape(full())

    assert {key: exported.get(key) for key in EXPECTED} == EXPECTED
    assert names(EXPECTED) == {metric.name for metric in METRICS}


def test_enumerations_have_a_series_for_every_member() -> None:
    """All states are there, one is 1 and the rest are 0."""
    exported = scrape(full())
    states = {dict(labels)["state"]: v for (name, labels), v in exported.items() if name == "liteferry_state"}

    assert states == {state: float(state == "streaming") for state in STATES}


def test_state_nobody_declared_is_still_exported() -> None:
    """A new state shows up under its name instead of as all zeros."""
    exported = scrape({**full(), "state": "levitating"})

    assert exported["liteferry_state", (("state", "levitating"),)] == 1
    assert exported["liteferry_state", (("state", "streaming"),)] == 0


def test_unknown_values_are_nan_and_no_series_vanishes() -> None:
    """A null in the status keeps its series: an absent one would make an alert silent."""
    source = dict.fromkeys(full()["sources"][0], None)
    table = {**dict.fromkeys(full()["sources"][0]["tables"][0], None), "name": "orders"}
    empty = {**source, "path": "/data/app.db", "tables": [table]}
    exported = scrape({**dict.fromkeys(full(), None), "sources": [empty]})

    assert names(exported) == {metric.name for metric in METRICS}
    for name, labels in EXPECTED:
        if not name.endswith(("_info", "_state", "_outcome", "_paused", "_cause")):
            assert math.isnan(exported[name, labels]), name


def test_fields_the_status_does_not_have_yet_are_nan() -> None:
    """A status from the first moment, with nothing but its path, can be scraped."""
    exported = scrape({"state": "new", "sources": [{"path": "/data/app.db"}]})

    assert math.isnan(exported["liteferry_pending_changes", SOURCE])
    assert exported["liteferry_state", (("state", "new"),)] == 1


def test_each_scrape_reads_the_status_anew() -> None:
    """No value is kept from one scrape to the next."""
    status = statuses.ready()
    registry = build_registry(lambda: status)
    before = generate_latest(registry)
    status["sources"][0]["pending_changes"] = 77

    assert b'liteferry_pending_changes{source="/data/app.db"} 0.0' in before
    assert b'liteferry_pending_changes{source="/data/app.db"} 77.0' in generate_latest(registry)


def test_odd_names_of_tables_survive_the_format() -> None:
    """Quotes, backslashes and line breaks in a name are escaped."""
    name = 'a "b" \\ c\nd'
    exported = scrape(statuses.status(statuses.source(tables=[statuses.table(name, 5)])))

    assert exported["liteferry_table_rows_copied", (*SOURCE, ("table", name))] == 5


def test_process_metrics_are_there() -> None:
    """Memory of the process is exported, so that it can be seen to stay flat."""
    assert b"process_resident_memory_bytes" in generate_latest(build_registry(full))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Any) -> None:
    """Counters and nothing else end in _total; units are base units; help is one sentence."""
    assert re.fullmatch(r"liteferry_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent|count)\b", metric.name)
    assert re.match("[A-Z1]", metric.help) and metric.help.endswith(".") and "|" not in metric.help


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_finds_nothing_to_say_about_them() -> None:
    """By its own tool: names, types and help texts."""
    text = generate_latest(build_registry(full))
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_no_name_is_declared_twice() -> None:
    """One name is one metric."""
    assert len({metric.name for metric in METRICS}) == len(METRICS)
