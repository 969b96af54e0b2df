"""Latency by stage, as the receipts in every report give it, for Prometheus.

Three stages make up the time of a command inside the venue: received to
sequenced, sequenced to durable, durable to sent. Every live report that this
gateway writes is counted once in each. That happens for each of them, so it is
an addition in a list: the bounds are powers of two of a nanosecond. Only the
event loop writes; a scrape reads whatever is there. What is of the past has no
durable time and is not counted, and what no request caused has no first stage.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from gateway.events import Event
from runtime.clock import NANOS_PER_SECOND

NAME = "ordergate_gateway_stage_seconds"
STAGES = ("received_sequenced", "sequenced_durable", "durable_sent")
BITS_MIN, BITS_MAX = 13, 33
"""The first bound is 2^13 ns, 8 microseconds, the last one 2^33 ns, 8.6 seconds."""
TIME = 3
"""Where the numbers of an event have the time at which it was sequenced."""


class _Stage:
    """One stage's histogram: how many took less than 2^n ns and no less than half of it, by n."""

    __slots__ = ("counts", "sum_ns")

    def __init__(self) -> None:
        self.counts = [0] * 65
        self.sum_ns = 0

    def add(self, elapsed_ns: int) -> None:
        """Counts one; clocks of two machines may disagree, and what ends before it begins takes no time."""
        if elapsed_ns > 0:
            self.counts[elapsed_ns.bit_length()] += 1
            self.sum_ns += elapsed_ns
        else:
            self.counts[0] += 1

    def buckets(self) -> list[tuple[str, float]]:
        """How many took at most so many seconds, as Prometheus wants them."""
        counts = list(self.counts)
        cumulated = [
            (str(2**bits / NANOS_PER_SECOND), float(sum(counts[: bits + 1]))) for bits in range(BITS_MIN, BITS_MAX + 1)
        ]
        return [*cumulated, ("+Inf", float(sum(counts)))]


class Latency(Collector):
    """The three histograms."""

    def __init__(self) -> None:
        self._received_sequenced, self._sequenced_durable, self._durable_sent = _Stage(), _Stage(), _Stage()

    def count(self, event: Event, durable_unix_ns: int, sent_unix_ns: int) -> None:
        """Counts a report of `event`, which was durable (0 for one of the past) and sent at these times."""
        state = event.state
        if not durable_unix_ns:
            return
        if state is not None:
            sequenced_unix_ns, received_unix_ns = state[TIME], event.rest()[0]
        else:
            parsed = event.parsed()
            sequenced_unix_ns, received_unix_ns = parsed.time_unix_ns, parsed.order.received_unix_ns
        if received_unix_ns:
            self._received_sequenced.add(sequenced_unix_ns - received_unix_ns)
        self._sequenced_durable.add(durable_unix_ns - sequenced_unix_ns)
        self._durable_sent.add(sent_unix_ns - durable_unix_ns)

    def count_all(self, told: Iterable[tuple[Event, int, int, Any]], sent_unix_ns: int) -> None:
        """Counts the reports of one message; each is the event, its epoch, when it was durable, and what it answers."""
        count = self.count
        for event, _, durable_unix_ns, _ in told:
            count(event, durable_unix_ns, sent_unix_ns)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The family of the three, as Prometheus reads it."""
        family = HistogramMetricFamily(NAME, "Time that the command of a report spent in each stage.", labels=["stage"])
        stages = (self._received_sequenced, self._sequenced_durable, self._durable_sent)
        for name, stage in zip(STAGES, stages, strict=True):
            family.add_metric([name], stage.buckets(), stage.sum_ns / NANOS_PER_SECOND)
        yield family


latency = Latency()
"""Those of this gateway."""
REGISTRY.register(latency)
