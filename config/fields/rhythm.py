"""How often things are done."""

from __future__ import annotations

from pydantic import BaseModel, Field

from config.values import Duration


class Rhythm(BaseModel):
    """Hold the intervals."""

    poll_interval: Duration = Field(
        default=0.05,
        ge=0.001,
        le=60,
        description="Wait between looks at a source when no file event wakes us.",
    )
    heartbeat_interval: Duration = Field(
        default=5,
        ge=0.1,
        le=3600,
        description="Time between heartbeats, written to a source to time the whole trip.",
    )
    prune_interval: Duration = Field(
        default=5,
        ge=0.1,
        le=3600,
        description="Time between removals of change-log entries that the target has.",
    )
    drift_interval: Duration = Field(
        default=2,
        ge=0.1,
        le=3600,
        description="Time between checks that a source's tables and triggers are those of the plan.",
    )
    compare_interval: Duration = Field(
        default=86_400,
        ge=0,
        le=31_536_000,
        description="Time between background comparisons of all rows with the target's, at leisure while it "
        "streams; what differs is repaired. There is one after each start too, for nobody has watched while "
        "the daemon was down. 0: only when something was seen that may have changed rows without firing a "
        "trigger.",
    )
    recheck_interval: Duration = Field(
        default=300,
        ge=0,
        le=31_536_000,
        description="Time between comparisons of the rows that were written since all rows of their table "
        "were last found equal; what differs is repaired. A table where they are too many to remember waits "
        "for the next comparison of all rows. 0: never.",
    )
    watch_interval: Duration = Field(
        default=10,
        ge=0.1,
        le=3600,
        description="Time between looks at the free disk space and the size of the WAL.",
    )
