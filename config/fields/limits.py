"""What is warned of, waited for and given up."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from config.values import Duration, Unit


class Limits(BaseModel):
    """Hold the thresholds and the longest waits."""

    install_timeout: Duration = Field(
        default=60,
        ge=0.1,
        le=3600,
        description="How long the installation of triggers keeps asking for a source's write lock.",
    )
    max_pause: Duration = Field(
        default=5,
        ge=0.01,
        le=3600,
        description="Longest time that a cutover may keep the application's writers waiting. Over it, the "
        "cutover is undone and streaming goes on.",
    )
    cutover_check: Duration = Field(
        default=0.1,
        ge=0,
        le=60,
        description="How long a cutover may compare both sides while writers wait: the rows written since "
        "they were last found equal, then the numbers of rows, the smallest tables first. What there is no "
        "time for is named in its report. 0: only whether the file was changed by anything unknown is asked.",
    )
    ready_max_pending: Annotated[int, Unit("changes")] = Field(
        default=1000, ge=0, description="Changes not yet on the target with which a cutover may still begin."
    )
    ready_max_age: Duration = Field(
        default=5,
        ge=0,
        le=3600,
        description="Age of the oldest such change with which a cutover may still begin.",
    )
    verify_max_age: Duration = Field(
        default=0,
        ge=0,
        le=31_536_000,
        description="Age of the last clean verification of all tables with which a cutover may begin: by "
        "`liteferry verify`, or in the background, since the daemon started. 0: none is asked for.",
    )
    verification_reports: Annotated[int, Unit("reports")] = Field(
        default=20,
        ge=1,
        le=10_000,
        description="How many reports of each kind the target keeps, the newest: of verifications that were "
        "asked for, and of comparisons in the background.",
    )
    wal_warn_mb: Annotated[int, Unit("MiB")] = Field(
        default=256, ge=1, description="Size of a source's WAL file from which on a warning is given."
    )
    disk_min_free_mb: Annotated[int, Unit("MiB")] = Field(
        default=512,
        ge=0,
        description="Free space beside a source below which a warning is given, no heartbeats are written "
        "and no cutover begins.",
    )
    disk_critical_mb: Annotated[int, Unit("MiB")] = Field(
        default=64,
        ge=0,
        description="Free space beside a source below which `on_disk_critical` applies. 0: never.",
    )
    on_disk_critical: Literal["keep", "uninstall"] = Field(
        default="keep",
        description="What is done when the space is that short. `keep` logs an error and keeps the capture: "
        "the migration survives, and the change log grows with the application's writes. `uninstall` takes "
        "the triggers and the log out of the source and ends the daemon: the application has the space, the "
        "migration must start afresh.",
    )
    shutdown_timeout: Duration = Field(
        default=10,
        ge=0.1,
        le=600,
        description="How long the batch in hand may take to finish when told to stop.",
    )
