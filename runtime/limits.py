"""What a server takes at most, and how both ends of a connection find out that the other is gone.

Everything that is counted or measured before a servicer is asked stands here;
Envoy's counterpart is `k8s/base/envoy/envoy.yaml`. `runtime.serve` and
`runtime.channels` make gRPC's options of it, so that a client of ours and a
server of ours always agree.
"""

import resource
from contextlib import suppress

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
"""The largest message that a client takes."""
REQUEST_BYTES_RECEIVED_MAX = 4 * 1024 * 1024
"""The largest message that a server takes from the wire; above it gRPC itself refuses. What a request may have is less
(`runtime.calls`), and refused with a reason."""
UNLIMITED = -1
"""What a server sends, and another server takes from it: all events of one
command travel in one message, and a day's end may be one for every open order."""
METADATA_BYTES_MAX = 16 * 1024
"""The metadata of a call as HTTP/2 counts it: names, values, and 32 bytes for each pair. A token with 64 accounts has
about a tenth of it."""
STREAMS_MAX = 1_000
"""Calls at once on one connection; a client of gRPC waits with the next one."""
CONNECTIONS_MAX = 4_000
"""Connections at once to one server; one more is closed at once, and its client tries again later."""
CALLS_MAX = 20_000
"""Calls at once on all connections of a server, streams included."""

KEEPALIVE_MS = 15_000
"""Silence after which a side asks the other whether it is still there."""
KEEPALIVE_TIMEOUT_MS = 10_000
"""How long it waits for the answer; both together are the time in which a dead peer is found. Not shorter: a process
that was held up for some seconds is not dead."""
PING_INTERVAL_MIN_MS = 10_000
"""A client that asks more often than this, again and again, is cut."""
PING_STRIKES_MAX = 2
"""How often it may."""

Options = tuple[tuple[str, int], ...]


def keepalive(interval_ms: int, timeout_ms: int) -> Options:
    """The options with which either side of a connection looks after the other."""
    return (
        ("grpc.keepalive_time_ms", interval_ms),
        ("grpc.keepalive_timeout_ms", timeout_ms),
        # What counts once the question is written; without it gRPC waits a minute for the answer.
        ("grpc.http2.ping_timeout_ms", timeout_ms),
        ("grpc.keepalive_permit_without_calls", 1),
        # Or a side that only listens would stop asking after two questions.
        ("grpc.http2.max_pings_without_data", 0),
    )


def server_options() -> Options:
    """The options of every server."""
    return (
        # Without this two servers share a port silently and each gets half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", REQUEST_BYTES_RECEIVED_MAX),
        ("grpc.max_send_message_length", UNLIMITED),
        # Both: between a soft and a hard limit gRPC refuses at random.
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.max_concurrent_streams", STREAMS_MAX),
        ("grpc.max_allowed_incoming_connections", CONNECTIONS_MAX),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MIN_MS),
        ("grpc.http2.max_ping_strikes", PING_STRIKES_MAX),
        *keepalive(KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS),
    )


def allow_open_files() -> None:
    """Lets the process have as many connections as it may; what a shell allows by default can be fewer."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS says that there is no limit and then refuses what is above one of its own.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
