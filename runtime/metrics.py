"""The metrics that every gRPC server has, under their conventional names, and the endpoint that shows them."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram, start_http_server

LABELS = ("grpc_type", "grpc_service", "grpc_method")
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

started = Counter("grpc_server_started_total", "Calls begun.", LABELS)
handled = Counter("grpc_server_handled_total", "Calls ended, by status.", (*LABELS, "grpc_code"))
received = Counter("grpc_server_msg_received_total", "Messages received.", LABELS)
sent = Counter("grpc_server_msg_sent_total", "Messages sent.", LABELS)
handling = Histogram(
    "grpc_server_handling_seconds", "Time from the start of a call to its end.", LABELS, buckets=SECONDS
)


@contextmanager
def exposed(host: str, port: int) -> Iterator[int]:
    """Serves `/metrics` on `port` (0 lets the system choose) and gives the port.

    Raises:
        OSError: the port is taken.
    """
    server, thread = start_http_server(port, addr=host)
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
