"""How much is measured: in full, or just enough to see that everything works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes and repetitions of all benchmarks."""

    #: Rounds of the benchmarks that interleave what they compare.
    rounds: int
    snapshot_rows: int
    #: Rows in each table of the shop before the changes, and changes per round over all of them.
    catch_up_rows: int
    catch_up_changes: int
    latency_seconds: float
    #: Transactions of each kind in one block of the write benchmark, and how many rounds of blocks.
    write_transactions: int
    write_rounds: int
    cutover_rows: int
    rehearsals: int
    #: Between two rehearsals, so that the stream and the prediction settle.
    rest_seconds: float
    #: Changes of the target that wait when a rollback is ordered.
    rollback_changes: int
    memory_rows: int


FULL = Scale(
    rounds=3,
    snapshot_rows=1_000_000,
    catch_up_rows=150_000,
    catch_up_changes=510_000,
    latency_seconds=20,
    write_transactions=2_000,
    write_rounds=15,
    cutover_rows=999_000,
    rehearsals=10,
    rest_seconds=2,
    rollback_changes=10_000,
    memory_rows=5_000_000,
)

QUICK = Scale(
    rounds=1,
    snapshot_rows=20_000,
    catch_up_rows=2_000,
    catch_up_changes=3_000,
    latency_seconds=1,
    write_transactions=200,
    write_rounds=2,
    cutover_rows=3_000,
    rehearsals=2,
    rest_seconds=0.5,
    rollback_changes=300,
    memory_rows=50_000,
)
