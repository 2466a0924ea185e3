"""How far the copy holds itself back."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from config.values import Unit


class Throttle(BaseModel):
    """Hold the limits of reading for copy and comparison; the stream has none."""

    throttle_rows_per_second: Annotated[int, Unit("rows/s")] = Field(
        default=0,
        ge=0,
        description="Rows that are copied and compared per second at most, of all sources together. 0: as "
        "many as there are. `liteferry throttle` sets another limit while it runs, which outweighs this one.",
    )
    throttle_wal_mb: Annotated[int, Unit("MiB")] = Field(
        default=64,
        ge=0,
        description="What a source's WAL may hold while rows are copied or compared. While it grows beyond, "
        "which our reads can be the reason for, they are slowed down step by step, and sped up again when it "
        "does not. 0: never.",
    )
    throttle_write_latency_ms: Annotated[int, Unit("ms")] = Field(
        default=250,
        ge=0,
        description="How long the write lock of a source may have to be waited for, measured once a second "
        "while rows are copied or compared. Twice in a row above it, reading is slowed down step by step. An "
        "application with long write transactions of its own needs a higher value. 0: never measured.",
    )
