"""The operator's own commands at the turns of a cutover."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from config.values import Duration, check_command, check_index

#: When a command may be run, in the order of a cutover's life.
HookName = Literal[
    "on_ready", "before_cutover", "after_fence", "after_cutover", "on_failed", "after_rollback"
]
Command = Annotated[str, AfterValidator(check_command)]
IndexStatement = Annotated[str, AfterValidator(check_index)]


class Hooks(BaseModel):
    """Hold what is run, and built, around a cutover."""

    hook_timeout: Duration = Field(
        default=60,
        ge=0.1,
        le=86_400,
        description="How long a command of `hooks` may take before it is ended together with its children. "
        "A `before_cutover` that takes longer forbids the cutover.",
    )
    indexes_after_cutover: list[IndexStatement] = Field(
        default=[],
        description="CREATE INDEX statements for the target, carried out one after the other after the "
        "cutover, CONCURRENTLY, beside the application's writes. Each must name its index.",
        examples=[["CREATE INDEX orders_open ON public.orders (customer) WHERE NOT paid"]],
    )
    hooks: dict[HookName, Command] = Field(
        default={},
        description="Commands for the shell, run at `on_ready`, `before_cutover` (its failure forbids the "
        "cutover), `after_fence`, `after_cutover`, `on_failed` and `after_rollback`. What they learn from "
        "their environment is in `docs/howto/hooks.md`.",
        examples=[{"after_cutover": "systemctl restart app", "on_failed": "/usr/local/bin/page-me"}],
    )
