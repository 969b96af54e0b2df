"""Streams that make each message when their reader takes it: market data and the audit log.

Nothing waits in such a stream, so a slow reader costs nothing and is not cut
for it. But one that takes nothing would never come to the end that it was told,
and keep its place for ever: its call is broken off. The contracts of these
streams have no notice of a coming end, only the end itself.
"""

import asyncio
import time
from collections.abc import Callable

from ordergate.types.v1 import types_pb2 as types


class Pulled:
    """Such a stream, as `runtime.lifetimes` sees it. Made in the task of its call."""

    def __init__(self, stop: Callable[[types.Reason.ValueType, str], None]) -> None:
        """`stop` makes the stream end in band with its next message."""
        self._stop = stop
        self._call = asyncio.current_task()
        self._told_s: float | None = None

    def finish(self, reason: types.Reason.ValueType, text: str) -> None:
        """Ends the stream in band; the first reason counts."""
        if self._told_s is None:
            self._told_s = time.monotonic()
            self._stop(reason, text)

    def warn(self, notice: types.Draining) -> None:
        """Nothing: there is no message for it."""

    def stalled_s(self, now_s: float) -> float:
        """How long the reader has not taken the end, at monotonic time `now_s`."""
        return 0.0 if self._told_s is None else now_s - self._told_s

    def abort(self) -> None:
        """Breaks the call off."""
        if self._call is not None:
            self._call.cancel()
