"""Latency by stage: what the metrics add up to is what the receipts in the reports say."""

from collections.abc import Sequence

import prometheus_client
from ordergate.orders.v1 import orders_pb2 as orders

from gateway.latency import NAME, STAGES
from tests.integration.gateway.venue import Venue, reports_of, session, submit


def counted(sample: str) -> list[float]:
    """The values of the three stages in this process."""
    found = [prometheus_client.REGISTRY.get_sample_value(f"{NAME}_{sample}", {"stage": stage}) for stage in STAGES]
    return [value or 0.0 for value in found]


def receipts(reports: Sequence[orders.ExecutionReport]) -> list[float]:
    """What the receipts of reports add up to, in seconds by stage."""
    times = [(one.received_unix_ns, one.sequenced_unix_ns, one.durable_unix_ns, one.sent_unix_ns) for one in reports]
    assert all(received < sequenced <= durable <= sent for received, sequenced, durable, sent in times)
    return [sum(time[stage + 1] - time[stage] for time in times) / 1e9 for stage in range(3)]


async def test_stages_add_up_to_the_receipts(venue: Venue) -> None:
    """Unary answers, a session's reports and a report stream's are counted once each, with the times they carry."""
    counts, sums = counted("count"), counted("sum")
    seen = []
    async with session(venue, accounts=["DEMO"]) as client, reports_of(venue) as stream:
        await client.until("logon")
        assert (await anext(stream)).HasField("subscribed")
        seen.append(await venue.submit())
        await client.commands(*(submit(number) for number in range(1, 6)))
        seen += (await client.frames(reports=6)).reports
        while len(seen) < 1 + 6 + 6:
            message = await anext(stream)
            seen += [message.report] if message.HasField("report") else []
    assert [after - before for after, before in zip(counted("count"), counts, strict=True)] == [13, 13, 13]
    for added, expected in zip(
        (after - before for after, before in zip(counted("sum"), sums, strict=True)), receipts(seen), strict=True
    ):
        # The sums are floats that other tests of this process have added to before.
        assert abs(added - expected) < 1e-3 * max(1.0, expected)
