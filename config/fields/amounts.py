"""How much is done at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from config.values import Unit


class Amounts(BaseModel):
    """Hold how many rows, tables and milliseconds are taken at a time."""

    batch_size: Annotated[int, Unit("rows")] = Field(
        default=10_000, ge=100, le=1_000_000, description="Rows per COPY chunk of the first copy."
    )
    parallel: Annotated[int, Unit("tables")] = Field(
        default=4,
        ge=1,
        le=32,
        description="Tables copied at the same time; each takes one connection to the target.",
    )
    lane_rows: Annotated[int, Unit("rows")] = Field(
        default=250_000,
        ge=1_000,
        description="A table of at least that many rows is copied by processes of its own, as many at once "
        "as there are cores (and `parallel` allows), in lanes of about that many rows each. Smaller tables, "
        "and all tables of a source in rollback-journal mode, are copied by the daemon itself.",
    )
    batch_memory_mb: Annotated[int, Unit("MiB")] = Field(
        default=16,
        ge=1,
        le=4096,
        description="Memory that the rows of one batch may take before they are sent on.",
    )
    read_slice_ms: Annotated[int, Unit("ms")] = Field(
        default=50,
        ge=1,
        le=5000,
        description="Longest read transaction of the first copy on a source in WAL mode. Longer ones let the "
        "WAL grow, which slows the application's commits.",
    )
    read_slice_ms_rollback: Annotated[int, Unit("ms")] = Field(
        default=5,
        ge=1,
        le=1000,
        description="The same in rollback-journal mode, where the application's writers wait for it.",
    )
    prune_batch: Annotated[int, Unit("entries")] = Field(
        default=1000,
        ge=10,
        le=100_000,
        description="Most entries removed per transaction; ten thousand hold the source's write lock for "
        "2 ms. Fewer where they take longer than `lock_hold_ms`.",
    )
    compact_entries: Annotated[int, Unit("entries")] = Field(
        default=50_000,
        ge=100,
        description="Entries waiting for the target, for some seconds at least, from which on those that a "
        "newer one of the same key has made superfluous are removed. The change log then holds at most about "
        "twice as many entries as there are changed rows, and twice this many more.",
    )
    lock_hold_ms: Annotated[int, Unit("ms")] = Field(
        default=5,
        ge=1,
        le=100,
        description="How long one removal may hold the source's write lock; the number of entries adapts "
        "to it. Between two of them others have at least twice as long.",
    )
