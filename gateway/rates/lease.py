"""A lease: the tokens of a shared bucket that one gateway may let pass without asking.

The bucket that all gateways draw from is in a store far away. A lease begins
with its size in tokens on credit; what was used of it is asked for in the
background and filled up to its size again. So gateways together let pass what
the bucket has given and, once, a lease's size each on top; in any span of t
seconds no more than burst + rate * t + gateways * size. Requests that do not
fit into what is at hand are asked for on top, and what they leave is given
back. Pure; `gateway.rates.shared` renews the leases.
"""

from __future__ import annotations

from typing import Final

from gateway.rates.bucket import NEVER_NS, RENEWING_NS, Bucket

LEASE_PARTS: Final = 8
"""A lease is so small a part of its bucket, but at least one token."""


def lease_size(burst: int) -> int:
    """How many tokens a gateway holds of a bucket."""
    return max(1, burst // LEASE_PARTS)


class Lease:
    """Tokens at hand, and what the bucket behind them had when it was heard of last."""

    __slots__ = ("_bucket", "_tokens", "_wanted", "burst", "key", "rate_per_s", "size")

    shared: Final = True
    """Whether other gateways draw from it too."""

    def __init__(self, key: str, burst: int, rate_per_s: float, now_ns: int, tokens: int | None = None) -> None:
        """Makes a lease.

        Args:
            key: the shared bucket's name.
            burst: tokens that the shared bucket holds.
            rate_per_s: tokens that come back to it in a second.
            now_ns: the present, ns of a clock that never goes back.
            tokens: tokens that it begins with; its size when not given.
        """
        self.key = key
        self.burst = burst
        self.size = lease_size(burst)
        self.rate_per_s = rate_per_s
        self._tokens = self.size if tokens is None else min(tokens, self.size)
        self._wanted = 0
        self._bucket = Bucket(burst, rate_per_s, now_ns)

    def take(self, now_ns: int, count: int = 1) -> int:
        """Takes `count` tokens, or none of them.

        Returns:
            0 when they were taken; RENEWING_NS when the bucket may have them; else
            after how many ns it has them, if nobody else takes any until then;
            NEVER_NS when they never fit at once.
        """
        if count <= self._tokens:
            self._tokens -= count
            return 0
        if count > self.burst:
            return NEVER_NS
        self._wanted = min(self.burst, self._wanted + count)
        return self._bucket.wait_ns(now_ns, count - self._tokens) or RENEWING_NS

    def give_back(self, count: int) -> None:
        """Puts tokens back that were taken for something that was not done after all."""
        self._tokens += count

    def is_low(self, now_ns: int) -> bool:
        """Whether it should be renewed now rather than with others, and its bucket has something as far as is known."""
        low = self._wanted > self._tokens or 2 * self._tokens <= self.size
        return low and self._bucket.remaining(now_ns) > 0

    def ask(self) -> int:
        """How many tokens to ask the bucket for; below 0 for those that are given back to it."""
        missing = max(self.size, self._wanted) - self._tokens
        self._wanted = 0
        if missing < 0:
            self._tokens += missing
        return missing

    def granted(self, tokens: int, left: int, now_ns: int) -> None:
        """Takes in tokens of the bucket, which has `left` now; below 0 for those that it has taken back."""
        self._tokens += max(0, tokens)
        self._bucket = Bucket(self.burst, self.rate_per_s, now_ns, left)

    @property
    def has_too_many(self) -> bool:
        """Whether more are at hand than a lease is meant to hold."""
        return self._tokens > self.size

    def remaining(self, now_ns: int) -> int:
        """Whole tokens that are at hand or in the bucket, as far as is known."""
        return min(self.burst, self._tokens + self._bucket.remaining(now_ns))

    def reset_ns(self, now_ns: int) -> int:
        """After how many ns nothing is missing, as far as is known."""
        return self._bucket.wait_ns(now_ns, max(0, self.burst - self._tokens))

    def is_full(self, now_ns: int) -> bool:
        """Whether it is like a new one."""
        return self._tokens >= self.size and self._bucket.is_full(now_ns)
