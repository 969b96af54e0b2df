"""Time from outside: the only place that reads the clock."""

import time

from google.protobuf.timestamp_pb2 import Timestamp

NANOS_PER_SECOND = 1_000_000_000


def unix_ns() -> int:
    """Nanoseconds since 1970-01-01 UTC."""
    return time.time_ns()


def timestamp(at_unix_ns: int) -> Timestamp:
    """The same moment as a protobuf Timestamp."""
    return Timestamp(seconds=at_unix_ns // NANOS_PER_SECOND, nanos=at_unix_ns % NANOS_PER_SECOND)
