"""The operator's limit is one for all readers, and every throttle says why it is there."""

from __future__ import annotations

import asyncio
import time

from replicator.control.easing import Cause, Trouble
from replicator.control.throttle import Allowance, Throttle, summed


def test_several_readers_together_keep_to_the_limit() -> None:
    """Each is told from when on it may read; together they get what one would."""
    allowance = Allowance(lambda: 1000)
    due = [allowance.take(100, now=10.0) for _ in range(5)]
    assert [round(at - 10.0, 6) for at in due] == [0.1, 0.2, 0.3, 0.4, 0.5]
    # what was not used is not saved up
    assert round(allowance.take(100, now=60.0), 6) == 60.1


def test_an_order_outweighs_the_setting_until_it_is_taken_back() -> None:
    """0 is an order too: none at all."""
    allowance = Allowance(lambda: 500)
    assert (allowance.rate, allowance.reason) == (500, "throttle_rows_per_second is 500")
    allowance.order(50, 1.0)
    assert (allowance.rate, allowance.reason) == (50, "`liteferry throttle 50` was ordered")
    allowance.order(0, 2.0)
    assert (allowance.rate, allowance.reason, allowance.since) == (None, None, 2.0)
    allowance.order(None, 3.0)
    assert (allowance.rate, allowance.since) == (500, None)


def test_portions_shrink_with_the_limit_and_the_share() -> None:
    """So that a rest is never longer than it must be; at least one row is read."""
    throttle = Throttle(Allowance(lambda: 1000))
    assert throttle.most(50_000) == 500
    throttle.allowance.order(1, 0.0)
    assert throttle.most(50_000) == 1
    throttle.allowance.order(0, 0.0)
    throttle.easing.look(Trouble(Cause.DISK, "full"), 0.0)
    assert throttle.most(50_000) == 25_000


async def test_half_speed_rests_for_as_long_as_it_reads_and_a_changed_limit_ends_a_rest() -> None:
    """What was rested is counted."""
    throttle = Throttle()
    throttle.easing.look(Trouble(Cause.WRITE_LATENCY, "slow"), 0.0)
    begun = time.monotonic()
    await throttle.rest(10, 0.1)
    assert 0.1 <= time.monotonic() - begun < 1
    assert throttle.rested >= 0.1

    throttle.allowance.order(1, 0.0)
    resting = asyncio.create_task(throttle.rest(1000, 0.0))
    done, _ = await asyncio.wait([resting], timeout=0.3)
    assert not done
    throttle.allowance.order(0, 0.0)
    async with asyncio.timeout(5):
        await resting


def test_the_reason_is_always_told() -> None:
    """Of several sources the slowest speaks, with what all of them have to say."""
    allowance = Allowance()
    one, other = Throttle(allowance), Throttle(allowance)
    free = summed([one.as_dict(), other.as_dict()])
    assert (
        free
        == summed([])
        == {
            "active": False,
            "limit_rows_per_second": None,
            "factor": 1.0,
            "reason": None,
            "by": None,
            "since": None,
        }
    )
    allowance.order(70, 0.0)
    told = summed([one.as_dict(), other.as_dict()])
    assert told["active"] and told["by"] == "operator" and "throttle 70" in told["reason"]
    assert told["since"] == "1970-01-01T00:00:00Z"
    other.easing.look(Trouble(Cause.SOURCE_WAL, "the WAL grows"), 0.0)
    other.eased(60.0)
    told = summed([one.as_dict(), other.as_dict()])
    assert told["by"] == "source_wal" and told["factor"] == 0.5 and told["limit_rows_per_second"] == 70
    assert "the WAL grows" in told["reason"] and "throttle 70" in told["reason"]
    assert told["since"] == "1970-01-01T00:01:00Z"
