"""How long to wait between attempts, and when to stop trying."""

import random
import time
from collections.abc import Callable

INITIAL_S = 0.05
FACTOR = 2.0
MAX_S = 2.0


class Backoff:
    """Exponential delays with full jitter, within a total patience.

    Args:
        patience_s: seconds of failing, since the last success, after which `next_delay` gives None.
        clock: monotonic seconds.
        jitter: a number in [0, 1).
    """

    def __init__(
        self,
        patience_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._jitter = jitter
        self._step_s = INITIAL_S
        self._failing_since: float | None = None

    def succeeded(self, patience_s: float | None = None) -> None:
        """Begins anew; a new `patience_s` counts from now on."""
        self._step_s = INITIAL_S
        self._failing_since = None
        if patience_s is not None:
            self._patience_s = patience_s

    def next_delay(self, at_least_s: float = 0.0) -> float | None:
        """Seconds to wait before the next attempt, or None when patience is over."""
        now = self._clock()
        if self._failing_since is None:
            self._failing_since = now
        delay = max(at_least_s, self._step_s * (0.5 + 0.5 * self._jitter()))
        self._step_s = min(self._step_s * FACTOR, MAX_S)
        return None if now + delay - self._failing_since > self._patience_s else delay
