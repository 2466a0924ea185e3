"""Metrics for Prometheus, read from the status at the moment of a scrape.

Nothing is stored between scrapes, so no series can freeze at an old value or vanish when its part of the
daemon stops: every declared metric is there for every source and table the status names, and what the
status does not know (null, or a field that is missing) is exported as NaN. `METRICS` is the only place
where a metric is declared; docs/reference/metrics.md is compared with it by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from . import readings
from .readings import Reader, Status


class Kind(Enum):
    """What a series may do over time, in Prometheus' words."""

    GAUGE = "gauge"  # goes up and down
    COUNTER = "counter"  # only grows, and starts again at 0 with the process


@dataclass(frozen=True)
class Metric:
    """One declared metric: its name, its kind, what it means, its labels and how it is read."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...]
    read: Reader

    def family(self, status: Status) -> GaugeMetricFamily | CounterMetricFamily:
        """Return the metric with its present values, as prometheus-client wants it."""
        make = CounterMetricFamily if self.kind is Kind.COUNTER else GaugeMetricFamily
        family = make(self.name, self.help, labels=self.labels)
        for labels, value in self.read(status):
            family.add_metric(labels, value)
        return family


def _gauge(name: str, read: Reader, help: str, *labels: str) -> Metric:
    return Metric("liteferry_" + name, Kind.GAUGE, help, labels, read)


def _counter(name: str, read: Reader, help: str, *labels: str) -> Metric:
    return Metric("liteferry_" + name, Kind.COUNTER, help, labels, read)


METRICS: tuple[Metric, ...] = (
    # the run
    _gauge(
        "build_info", readings.build_info, "Always 1; the label carries the version that runs.", "version"
    ),
    _gauge("start_time_seconds", readings.start_time, "When the daemon started, in seconds since the epoch."),
    _gauge("state", readings.state, "1 for the state the migration is in, 0 for every other.", "state"),
    _gauge(
        "ready_for_cutover",
        readings.overall("can_cutover"),
        "1 when a cutover would be accepted now, else 0.",
    ),
    _gauge(
        "predicted_cutover_pause_seconds",
        readings.overall("predicted_pause_seconds"),
        "How long a cutover now is expected to hold the application's writes.",
    ),
    _gauge(
        "cutover_pause_seconds",
        readings.cutover_pause,
        "How long the last cutover or rehearsal held the application's writes.",
    ),
    _gauge(
        "cutover_outcome",
        readings.cutover_outcome,
        "1 for the outcome of the last cutover or rehearsal, 0 for every other.",
        "outcome",
    ),
    _gauge(
        "ready_for_rollback", readings.overall("can_rollback"), "1 when a rollback would be accepted now."
    ),
    _gauge(
        "rollback_pause_seconds",
        readings.rollback_pause,
        "How long the last rollback or rehearsal of one held the application's writes.",
    ),
    _gauge(
        "rollback_outcome",
        readings.rollback_outcome,
        "1 for the outcome of the last rollback or rehearsal of one, 0 for every other.",
        "outcome",
    ),
    _counter(
        "clock_jumps_total",
        readings.overall("clock_jumps"),
        "Jumps of the wall clock by more than a second since the daemon started.",
    ),
    _gauge(
        "verification_progress_ratio",
        readings.verification_progress,
        "Share of the rows that the verification under way has compared; absent while none is.",
    ),
    # lag
    _gauge(
        "pending_changes",
        readings.of_source("pending_changes"),
        "Changes in the source's change log that are not yet on the target.",
        "source",
    ),
    _gauge(
        "oldest_unapplied_seconds",
        readings.of_source("oldest_unapplied_seconds"),
        "Age of the oldest change that is not yet on the target; 0 when there is none.",
        "source",
    ),
    _gauge(
        "heartbeat_age_seconds",
        readings.of_source("heartbeat_age_seconds"),
        "Time since a heartbeat written into the source last arrived on the target.",
        "source",
    ),
    _gauge(
        "estimated_catch_up_seconds",
        readings.of_source("estimated_catch_up_seconds"),
        "Time until the pending changes are applied at the present rate.",
        "source",
    ),
    # the way back
    _gauge(
        "fallback_pending_changes",
        readings.of_fallback("pending_changes"),
        "Changes of the target since the cutover that are not yet in the source.",
        "source",
    ),
    _gauge(
        "fallback_oldest_unapplied_seconds",
        readings.of_fallback("oldest_unapplied_seconds"),
        "Age of the oldest of them; 0 when there is none.",
        "source",
    ),
    _counter(
        "fallback_changes_applied_total",
        readings.of_fallback("changes_applied"),
        "Changes of the target brought back to the source since the daemon started.",
        "source",
    ),
    _gauge(
        "fallback_quarantined_rows",
        readings.of_fallback("quarantined"),
        "Rows of the target that SQLite cannot hold and that are kept aside.",
        "source",
    ),
    # one source
    _gauge(
        "source_info",
        readings.source_info,
        "Always 1; the labels carry the target schema and the journal mode of the source.",
        "source",
        "schema",
        "journal_mode",
    ),
    _gauge(
        "source_state",
        readings.source_state,
        "1 for the state the source is in, 0 for every other.",
        "source",
        "state",
    ),
    _gauge(
        "source_paused",
        readings.paused,
        "1 while an operator has ordered that nothing is carried over, in either direction, else 0.",
        "source",
    ),
    _gauge(
        "throttle_active",
        readings.of_throttle("active"),
        "1 while rows are copied and compared more slowly than they could be, else 0.",
        "source",
    ),
    _gauge(
        "throttle_factor_ratio",
        readings.of_throttle("factor"),
        "Share of full speed that the automatic throttle leaves to copying and comparing.",
        "source",
    ),
    _gauge(
        "throttle_limit_rows_per_second",
        readings.of_throttle("limit_rows_per_second"),
        "Rows copied and compared per second at most, of all sources together; absent without a limit.",
        "source",
    ),
    _gauge(
        "throttle_cause",
        readings.throttle_cause,
        "1 for what the throttle is active for, 0 for every other.",
        "source",
        "by",
    ),
    _counter(
        "throttled_seconds_total",
        readings.of_source("throttled_seconds"),
        "Time that copying and comparing have rested for the throttle, of all workers together.",
        "source",
    ),
    _gauge(
        "source_missing",
        readings.of_source("missing"),
        "1 while the SQLite file that is followed is not under its name, else 0.",
        "source",
    ),
    _gauge(
        "consistent",
        readings.of_source("consistent"),
        "1 when the target holds a state that the source really had, else 0.",
        "source",
    ),
    _gauge(
        "target_connected",
        readings.of_source("target_connected"),
        "1 while the daemon reaches PostgreSQL for this source, else 0.",
        "source",
    ),
    _gauge(
        "change_log_entries",
        readings.of_source("log_entries"),
        "Entries held in the source's change log.",
        "source",
    ),
    _counter(
        "log_compacted_total",
        readings.of_source("log_compacted"),
        "Entries of the change log deleted because a newer one of the same key waits too.",
        "source",
    ),
    _gauge("source_bytes", readings.of_source("source_bytes"), "Size of the SQLite file.", "source"),
    _gauge(
        "source_wal_bytes",
        readings.of_source("wal_bytes"),
        "Size of the SQLite file's write-ahead log.",
        "source",
    ),
    _gauge(
        "source_wal_used_bytes",
        readings.of_source("wal_used_bytes"),
        "What of the write-ahead log's file the present log takes up.",
        "source",
    ),
    _gauge(
        "source_write_wait_seconds",
        readings.of_source("write_wait_seconds"),
        "How long the source's write lock was waited for; measured, and present, only while rows are read.",
        "source",
    ),
    _gauge(
        "disk_free_bytes",
        readings.of_source("disk_free_bytes"),
        "Space left on the file system of the SQLite file.",
        "source",
    ),
    _gauge(
        "disk_low",
        readings.of_source("disk_low"),
        "1 while that is less than disk_min_free_mb and nothing is written that can be left out, else 0.",
        "source",
    ),
    _gauge(
        "quarantined_rows",
        readings.of_source("quarantined"),
        "Rows that PostgreSQL cannot hold and that are kept aside.",
        "source",
    ),
    _gauge(
        "stale_tables",
        readings.of_source("stale_tables"),
        "Tables that may have missed something and are being read again.",
        "source",
    ),
    _gauge(
        "comparison_age_seconds",
        readings.of_source("comparison_age_seconds"),
        "Time since all rows were last copied or compared; absent while they must be.",
        "source",
    ),
    _gauge(
        "verification_age_seconds",
        readings.of_source("verification_age_seconds"),
        "Time since the daemon last compared all tables; absent before it has.",
        "source",
    ),
    _gauge(
        "verification_equal",
        readings.of_source("verification_equal"),
        "1 when that found rows and structure equal, or has made the rows so, else 0.",
        "source",
    ),
    _counter(
        "repaired_rows_total",
        readings.of_source("repaired_rows"),
        "Rows written or deleted on the target because they were not the source's.",
        "source",
    ),
    _counter(
        "unexplained_changes_total",
        readings.of_source("unexplained_changes"),
        "Changes of the source, or of its schema, that may have changed rows without firing a trigger.",
        "source",
    ),
    _counter(
        "changes_captured_total",
        readings.of_source("changes_captured"),
        "Changes that the triggers have written down, heartbeats with them.",
        "source",
    ),
    _counter(
        "changes_applied_total",
        readings.of_source("changes_applied"),
        "Changes applied to the target.",
        "source",
    ),
    _counter(
        "batches_applied_total",
        readings.of_source("batches_applied"),
        "Batches committed on the target, one transaction each.",
        "source",
    ),
    _counter(
        "rows_copied_total", readings.of_source("rows_copied"), "Rows copied by the snapshot.", "source"
    ),
    _counter(
        "retries_total", readings.of_source("retries"), "Attempts repeated after a passing error.", "source"
    ),
    # one table
    _gauge(
        "table_rows_copied",
        readings.of_table("rows_copied"),
        "Rows of the table that the snapshot has copied.",
        "source",
        "table",
    ),
    _gauge(
        "table_rows_estimate",
        readings.of_table("rows_estimate"),
        "Rows the table is estimated to hold on the source.",
        "source",
        "table",
    ),
    _counter(
        "table_changes_applied_total",
        readings.of_table("changes_applied"),
        "Changes of the table applied to the target.",
        "source",
        "table",
    ),
)


class StatusCollector(Collector):
    """Turn the status into metric families, anew for each scrape."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yield every declared metric with the values of one single status."""
        status = self._status()
        for metric in METRICS:
            yield metric.family(status)


def build_registry(status: Callable[[], Status]) -> CollectorRegistry:
    """Return a registry of its own: the declared metrics, and memory, CPU and open files of the process."""
    registry = CollectorRegistry()
    registry.register(StatusCollector(status))
    ProcessCollector(registry=registry)
    return registry
