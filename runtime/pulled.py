"""Streams that make each message when their reader takes it: market data and the audit log.

Nothing waits in such a stream, so a slow reader costs nothing and is not cut
for it. One that takes nothing gets nothing: after the message under way comes
the end that it was told, whenever it reads on. The contracts of these streams
have no notice of a coming end, only the end itself.
"""

from collections.abc import Callable

from ordergate.types.v1 import types_pb2 as types


class Pulled:
    """Such a stream, as `runtime.lifetimes` sees it."""

    def __init__(self, stop: Callable[[types.Reason.ValueType, str], None]) -> None:
        """`stop` makes the stream end in band with its next message."""
        self._stop = stop

    def finish(self, reason: types.Reason.ValueType, text: str) -> None:
        """Ends the stream in band."""
        self._stop(reason, text)

    def warn(self, notice: types.Draining) -> None:
        """Nothing: there is no message for it."""

    def stalled_s(self, _now_s: float) -> float:
        """Never: no message waits."""
        return 0.0

    def abort(self) -> None:
        """Nothing: gRPC would keep a call whose handler is cancelled in the middle of a message."""
