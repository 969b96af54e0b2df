"""A token bucket in whole numbers: what one caller may send, with the time given to it.

Level and cap are counted in parts of a token, so many that a nanosecond gives
back a whole number of them: nothing is rounded but the rate, once. In any span
of t seconds at most burst + rate * t tokens pass. Pure; `gateway.rates.limits`
holds one for each account and session.
"""

from __future__ import annotations

from typing import Final

PARTS: Final = 10**12
"""Parts of a token: a rate of one thousandth of a token in a second gives back one part in a nanosecond."""
RATE_STEPS_PER_S: Final = 1_000
NEVER_NS: Final = -1
"""What `take` says when no wait would help."""
RENEWING_NS: Final = -2
"""What `take` says when a lease is used up and the bucket that it comes from may have more: it is asked at once."""


def parts_per_ns(rate_per_s: float) -> int:
    """Parts of a token that come back in a nanosecond; the rate is taken to the next thousandth, at least one."""
    return max(1, round(rate_per_s * RATE_STEPS_PER_S))


class Bucket:
    """A bucket that is full at first."""

    __slots__ = ("_at_ns", "_cap", "_level", "_rate", "burst")

    shared: Final = False
    """Whether other gateways draw from it too."""

    def __init__(self, burst: int, rate_per_s: float, now_ns: int, tokens: int | None = None) -> None:
        """Makes a bucket.

        Args:
            burst: tokens that it holds, above 0.
            rate_per_s: tokens that come back in a second, above 0.
            now_ns: the present, ns of a clock that never goes back.
            tokens: tokens that it begins with; all when not given.
        """
        self.burst = burst
        self._rate = parts_per_ns(rate_per_s)
        self._cap = burst * PARTS
        self._level = self._cap if tokens is None else min(tokens * PARTS, self._cap)
        self._at_ns = now_ns

    def take(self, now_ns: int, count: int = 1) -> int:
        """Takes `count` tokens, or none of them.

        Returns:
            0 when they were taken; else after how many ns they can be, if nobody
            else takes any until then; NEVER_NS when they never fit at once.
        """
        level = self._refilled(now_ns)
        wanted = count * PARTS
        if wanted <= level:
            self._level = level - wanted
            return 0
        if wanted > self._cap:
            return NEVER_NS
        return -((level - wanted) // self._rate)

    def give_back(self, count: int) -> None:
        """Puts tokens back that were taken for something that was not done after all."""
        self._level = min(self._cap, self._level + count * PARTS)

    def wait_ns(self, now_ns: int, count: int = 1) -> int:
        """What `take` would say, without taking."""
        missing = count * PARTS - self._refilled(now_ns)
        if missing <= 0:
            return 0
        return NEVER_NS if count > self.burst else -(-missing // self._rate)

    def remaining(self, now_ns: int) -> int:
        """Whole tokens that are in it."""
        return self._refilled(now_ns) // PARTS

    def reset_ns(self, now_ns: int) -> int:
        """After how many ns it is full again."""
        return -(-(self._cap - self._refilled(now_ns)) // self._rate)

    def is_full(self, now_ns: int) -> bool:
        """Whether it is like a new one."""
        return self._refilled(now_ns) >= self._cap

    def _refilled(self, now_ns: int) -> int:
        """The level now; time that seems to go back adds nothing."""
        elapsed_ns = now_ns - self._at_ns
        if elapsed_ns > 0:
            self._level = min(self._cap, self._level + elapsed_ns * self._rate)
            self._at_ns = now_ns
        return self._level
