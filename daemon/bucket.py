"""How often somebody may ask: token buckets, one for each peer, bounded in number. Pure; time is given."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

#: Peers that are remembered; one that has not asked for long has a full bucket anyway.
MOST_PEERS = 1024


@dataclass
class Bucket:
    """Holds up to `burst` tokens, and gets `rate` of them per second."""

    rate: float
    burst: float
    tokens: float
    at: float

    def take(self, now: float) -> float:
        """Take one token; return 0 when there was one, else the seconds until there is."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * self.rate)
        self.at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.rate


class Buckets:
    """One bucket for each peer."""

    def __init__(self, rate: float, burst: float, most: int = MOST_PEERS) -> None:
        self._rate, self._burst, self._most = rate, burst, most
        self._peers: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, peer: str, now: float) -> float:
        """Take one of a peer's tokens; return 0 when there was one, else the seconds until there is."""
        bucket = self._peers.pop(peer, None) or Bucket(self._rate, self._burst, self._burst, now)
        self._peers[peer] = bucket
        if len(self._peers) > self._most:
            # the one that has not asked for longest
            self._peers.popitem(last=False)
        return bucket.take(now)

    def wait(self, peer: str, now: float) -> float:
        """Return the seconds until a peer has a token, and take none."""
        bucket = self._peers.get(peer)
        if bucket is None:
            return 0.0
        missing = 1 - bucket.tokens - (now - bucket.at) * bucket.rate
        return max(0.0, missing / bucket.rate)
