"""Which settings a running daemon takes over when it is told that they have changed, and which it refuses.

All parts of the daemon hold one and the same Settings, and those named here ask it each time that they need
one. Any other setting has become something by then, a plan, a pool of connections, a socket: it is taken at
the next start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from .names import key_of
from .settings import Settings

#: In the order in which the reference has them.
CHANGEABLE = frozenset(
    {
        "throttle_rows_per_second",
        "throttle_wal_mb",
        "throttle_write_latency_ms",
        "poll_interval",
        "heartbeat_interval",
        "prune_interval",
        "drift_interval",
        "compare_interval",
        "recheck_interval",
        "watch_interval",
        "on_schema_change",
        "on_type_drift",
        "install_timeout",
        "max_pause",
        "cutover_check",
        "ready_max_pending",
        "ready_max_age",
        "verify_max_age",
        "wal_warn_mb",
        "disk_min_free_mb",
        "disk_critical_mb",
        "on_disk_critical",
        "shutdown_timeout",
        "log_level",
        "log_format",
        "hook_timeout",
        "indexes_after_cutover",
        "hooks",
    }
)


@dataclass(frozen=True)
class Differences:
    """Fields whose value is another now: those that may be taken over, and those that may not."""

    changed: Mapping[str, Any]
    refused: tuple[str, ...]


def differences(now: Settings, then: Settings) -> Differences:
    """Compare the settings in force with those read again. Pure."""
    fields = [name for name in type(now).model_fields if getattr(now, name) != getattr(then, name)]
    return Differences(
        {name: getattr(then, name) for name in fields if name in CHANGEABLE},
        tuple(name for name in fields if name not in CHANGEABLE),
    )


def take_over(settings: Settings, found: Differences) -> None:
    """Change settings in place, all at once: whoever holds them sees the values from now on."""
    # past the frozen model on purpose: this is the one way in which they change
    vars(settings).update(found.changed)


def shown(value: object) -> str:
    """Return a value for the log: nothing that may hold a secret, and no long lists."""
    if isinstance(value, SecretStr | dict | list):
        return f"({len(value)} entries)" if not isinstance(value, SecretStr) else "(hidden)"
    return str(value)


def refusal(name: str) -> str:
    """Return what the operator is told of a setting that cannot be changed now."""
    return f"{key_of(name)!r} has changed, and is taken at the next start only: the old value stays in force"
