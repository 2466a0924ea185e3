"""What the demonstration has found, and the ten lines that say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .comparison import Difference
from .probe import quantile
from .screen import duration

NOT_REACHED = "not reached"


@dataclass
class Figures:
    """The figures of one demonstration, as far as it came; durations in seconds."""

    copied: int | None = None
    copy_seconds: float = 0.0
    changes: int | None = None
    batches: int = 0
    lags: list[float] = field(default_factory=list)
    verified: int | None = None
    rehearsal: float | None = None
    predicted: float | None = None
    pause: float | None = None
    #: The application's own summary, see daemon.demo.application.
    application: dict[str, Any] | None = None
    comparison: Difference | None = None
    #: Transactions that the target has a record of, of those that the application was told are done.
    recorded: int | None = None
    problems: list[str] = field(default_factory=list)

    def judge(self) -> None:
        """Note as problems whatever the figures say is wrong."""
        told = self.application
        if self.recorded is None and not self.problems:
            self.problems.append("it did not come to its end")
        if self.comparison is not None and not self.comparison.equal:
            self.problems.append(f"the sides differ after the cutover, {self.comparison.shown()}")
        if told is None:
            if not self.problems:
                self.problems.append("the application told nothing at its end")
            return
        if told["error_count"]:
            first = told["errors"][0]
            self.problems.append(f"{told['error_count']} writes of the application failed: {first}")
        if told["refused"] > told["repeated"]:
            open_ = told["refused"] - told["repeated"]
            self.problems.append(f"{open_} writes were refused and could not be repeated")
        done = told["sqlite_writes"] + told["postgres_writes"]
        if self.recorded is not None and self.recorded != done:
            self.problems.append(f"{done} transactions were confirmed, PostgreSQL has {self.recorded}")


Line = tuple[str, Callable[[Figures], str | None]]


def ten_lines(figures: Figures) -> list[str]:
    """Return what happened in ten lines."""
    return [f"{name:<12}{tell(figures) or NOT_REACHED}" for name, tell in LINES]


def _copied(figures: Figures) -> str | None:
    if figures.copied is None:
        return None
    rate = figures.copied / max(figures.copy_seconds, 0.001)
    return f"{figures.copied:,} rows in {duration(figures.copy_seconds)}, {rate:,.0f} rows/s, while it wrote"


def _streamed(figures: Figures) -> str | None:
    if figures.changes is None:
        return None
    return f"{figures.changes:,} changes in {figures.batches:,} transactions on PostgreSQL"


def _lag(figures: Figures) -> str | None:
    if not figures.lags:
        return None
    middle, high = (duration(quantile(figures.lags, part)) for part in (0.5, 0.99))
    return f"p50 {middle}, p99 {high}, commit to visible ({len(figures.lags)} samples taken on PostgreSQL)"


def _verified(figures: Figures) -> str | None:
    if figures.verified is None:
        return None
    return f"{figures.verified:,} rows by liteferry while the application wrote: no difference"


def _rehearsed(figures: Figures) -> str | None:
    if figures.rehearsal is None:
        return None
    return f"a cutover with everything but the commit, writers stalled for {duration(figures.rehearsal)}"


def _cut_over(figures: Figures) -> str | None:
    if figures.pause is None:
        return None
    return f"pause {duration(figures.pause)}, predicted {duration(figures.predicted)}"


def _stalled(figures: Figures) -> str | None:
    told = figures.application
    if told is None or told["stall_ms"] is None:
        return None
    return (
        f"{told['stall_ms']:.0f} ms at most in the application: {told['refused_ms']:.0f} ms until SQLite "
        "refused the write, then PostgreSQL took it"
    )


def _wrote(figures: Figures) -> str | None:
    told = figures.application
    if told is None:
        return None
    refused, repeated = told["refused"], told["repeated"]
    again = "all" if refused == repeated else f"{repeated} of them"
    errors = f"{told['error_count']} errors" if told["error_count"] else "no error"
    return (
        f"{told['sqlite_writes']:,} transactions to SQLite, {told['postgres_writes']:,} to PostgreSQL; "
        f"{refused} refused at the switch, {again} repeated; {errors}"
    )


def _compared(figures: Figures) -> str | None:
    if figures.comparison is None:
        return None
    rows, tables = sum(figures.comparison.rows.values()), len(figures.comparison.rows)
    outcome = "all equal" if figures.comparison.equal else figures.comparison.shown()
    return f"{rows:,} rows in {tables} tables, one by one, independently of liteferry: {outcome}"


def _verdict(figures: Figures) -> str:
    if figures.problems:
        return "WRONG: " + "; ".join(figures.problems)
    return "all right: nothing lost, nothing changed, no write failed"


LINES: tuple[Line, ...] = (
    ("copied", _copied),
    ("streamed", _streamed),
    ("lag", _lag),
    ("verified", _verified),
    ("rehearsed", _rehearsed),
    ("cut over", _cut_over),
    ("stalled", _stalled),
    ("wrote", _wrote),
    ("compared", _compared),
    ("verdict", _verdict),
)
