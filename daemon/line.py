"""The one line that the service manager shows of us."""

from __future__ import annotations

from collections.abc import Sequence

from replicator.state import State
from replicator.status import Facts


def line(state: State, sources: Sequence[Facts], reasons: Sequence[str], now: float) -> str:
    """Return state, lag and readiness in one line, at `now` on the monotonic clock. Pure."""
    if state is State.CUT_OVER:
        return f"cut over, {sum(f.fallback.pending for f in sources)} changes to bring back"
    parts = [state.value.replace("_", " ")]
    if state is State.SNAPSHOT:
        tables = [table for f in sources for table in f.tables.values()]
        parts.append(f"{sum(t.copied for t in tables)} of {len(tables)} tables copied")
    parts.append(_lag(sources, now))
    if any(not f.connected for f in sources):
        parts.append("the target is away")
    # it begins with the state, which stands here already
    ready = "ready for cutover" if not reasons else reasons[0] if state is State.STREAMING else ""
    return ", ".join(part for part in (*parts, ready) if part)


def _lag(sources: Sequence[Facts], now: float) -> str:
    pending = sum(f.pending for f in sources)
    oldest = max((f.oldest_now(now) for f in sources), default=0.0)
    return f"{pending} changes pending" + (f" for {oldest:.1f} s" if pending else "")
