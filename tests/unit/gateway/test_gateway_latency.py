"""The histograms of the stages: what is counted where, and that they are what Prometheus reads."""

from ordergate.matching.v1 import events_pb2 as wire
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.events import Event
from gateway.latency import NAME, STAGES, Latency

NOW_NS = 1_800_000_000 * 10**9
MS = 10**6


def event(received_unix_ns: int, sequenced_unix_ns: int) -> Event:
    """The event of an order."""
    order = wire.OrderEvent(account="DEMO", received_unix_ns=received_unix_ns)
    return Event(wire.Event(seq=7, time_unix_ns=sequenced_unix_ns, order=order).SerializeToString())


def read(latency: Latency) -> dict[tuple[str, str, str], float]:
    """What a scrape reads: values by sample, stage and bound."""
    registry = CollectorRegistry()
    registry.register(latency)
    (family,) = text_string_to_metric_families(generate_latest(registry).decode())
    assert (family.name, family.type) == (NAME, "histogram")
    return {
        (sample.name.removeprefix(NAME), sample.labels["stage"], sample.labels.get("le", "")): sample.value
        for sample in family.samples
    }


def between(values: dict[tuple[str, str, str], float], stage: str) -> list[tuple[float, float]]:
    """The buckets of a stage that hold something: their lower and upper bounds, in seconds."""
    cumulated = [
        (float(bound), value) for (kind, name, bound), value in values.items() if (kind, name) == ("_bucket", stage)
    ]
    cumulated.sort()
    lower = [(0.0, 0.0), *cumulated]
    return [(low, high) for (low, before), (high, value) in zip(lower, cumulated, strict=False) if value > before]


def test_each_stage_takes_its_own_part() -> None:
    """A report counts once in each stage, with the time between that stage's two stamps."""
    latency = Latency()
    latency.count(event(NOW_NS, NOW_NS + 2 * MS), NOW_NS + 2 * MS + 300_000, NOW_NS + 60 * MS)
    values = read(latency)
    assert [values["_sum", stage, ""] for stage in STAGES] == [0.002, 0.0003, 0.0577]
    assert [values["_count", stage, ""] for stage in STAGES] == [1, 1, 1]
    for stage, elapsed_s in zip(STAGES, (0.002, 0.0003, 0.0577), strict=True):
        ((low, high),) = between(values, stage)
        assert low < elapsed_s <= high
        assert high == 2 * low


def test_buckets_hold_everything_up_to_their_bound() -> None:
    """Each bucket counts all that took less, up to +Inf which counts all; the bounds rise."""
    latency = Latency()
    for bits in range(40):
        latency.count(event(NOW_NS, NOW_NS), NOW_NS, NOW_NS + 2**bits)
    values = read(latency)
    buckets = sorted(
        (float(bound), value)
        for (kind, stage, bound), value in values.items()
        if kind == "_bucket" and stage == STAGES[2]
    )
    assert [value for _, value in buckets] == [sum(2**bits / 1e9 < bound for bits in range(40)) for bound, _ in buckets]
    assert buckets[-1] == (float("inf"), 40)


def test_the_past_is_not_counted() -> None:
    """A report out of history was not durable in this gateway's time, and says nothing about it."""
    latency = Latency()
    latency.count_all([(event(NOW_NS, NOW_NS + MS), 1, 0, 0)] * 3, NOW_NS + 5 * MS)
    assert all(value == 0 for value in read(latency).values())


def test_what_no_request_caused_has_no_first_stage() -> None:
    """An order that expired was received by nobody; the other stages count."""
    latency = Latency()
    latency.count_all([(event(0, NOW_NS), 1, NOW_NS + MS, 0)] * 3, NOW_NS + 5 * MS)
    assert [read(latency)["_count", stage, ""] for stage in STAGES] == [0, 3, 3]


def test_clocks_that_disagree_give_no_negative_time() -> None:
    """A stage that seems to end before it begins counts as taking no time."""
    latency = Latency()
    latency.count(event(NOW_NS, NOW_NS - MS), NOW_NS - 2 * MS, NOW_NS)
    values = read(latency)
    assert [values["_sum", stage, ""] for stage in STAGES] == [0, 0, 0.002]
    assert [values["_count", stage, ""] for stage in STAGES] == [1, 1, 1]
