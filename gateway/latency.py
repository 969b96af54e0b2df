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
        """Counts a report of `event`, which was durable (0 for one of the past) and sent at these times in unix ns."""
        self.count_all(((event, 0, durable_unix_ns, 0),), sent_unix_ns)

    def count_all(self, told: Iterable[tuple[Event, int, int, Any]], sent_unix_ns: int) -> None:
        """Counts the reports of one message; each is the event, its epoch, when it was durable, and what it answers.

        Clocks of two machines may disagree: what ends before it begins takes no
        time. Written out, for it runs for every report: a third of the time.
        """
        stages = self._received_sequenced, self._sequenced_durable, self._durable_sent
        first, second, third = (stage.counts for stage in stages)
        first_ns = second_ns = third_ns = 0
        for event, _, durable_unix_ns, _ in told:
            if not durable_unix_ns:
                continue
            state = event.state
            if state is None:
                sequenced_unix_ns, received_unix_ns = _times(event)
            else:
                sequenced_unix_ns, received_unix_ns = state[TIME], event.rest()[0]
            if received_unix_ns:
                elapsed_ns = max(sequenced_unix_ns - received_unix_ns, 0)
                first[elapsed_ns.bit_length()] += 1
                first_ns += elapsed_ns
            elapsed_ns = max(durable_unix_ns - sequenced_unix_ns, 0)
            second[elapsed_ns.bit_length()] += 1
            second_ns += elapsed_ns
            elapsed_ns = max(sent_unix_ns - durable_unix_ns, 0)
            third[elapsed_ns.bit_length()] += 1
            third_ns += elapsed_ns
        for stage, elapsed_ns in zip(stages, (first_ns, second_ns, third_ns), strict=True):
            stage.sum_ns += elapsed_ns

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The family of the three, as Prometheus reads it."""
        family = HistogramMetricFamily(NAME, "Time that the command of a report spent in each stage.", labels=["stage"])
        stages = (self._received_sequenced, self._sequenced_durable, self._durable_sent)
        for name, stage in zip(STAGES, stages, strict=True):
            family.add_metric([name], stage.buckets(), stage.sum_ns / NANOS_PER_SECOND)
        yield family


def _times(event: Event) -> tuple[int, int]:
    """When an event of another layout was sequenced, and when the request was received that caused it, 0 for none."""
    parsed = event.parsed()
    return parsed.time_unix_ns, parsed.order.received_unix_ns


latency = Latency()
"""Those of this gateway."""
REGISTRY.register(latency)
