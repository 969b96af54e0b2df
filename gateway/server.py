"""The gateway, wired together.

1 admission  requests become commands
2 link       commands to matching, durable events back
3 reports    events to the streams of their accounts
4 services   what clients call
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from ordergate.operations.v1.health_pb2_grpc import add_HealthServiceServicer_to_server
from ordergate.orders.v1.order_entry_pb2_grpc import add_OrderEntryServiceServicer_to_server
from ordergate.orders.v1.portfolio_pb2_grpc import add_PortfolioServiceServicer_to_server

from gateway.accounts import Accounts
from gateway.admission import Admission
from gateway.events import Event
from gateway.health_service import HealthService
from gateway.link import Link
from gateway.order_service import OrderEntryService
from gateway.portfolio_service import PortfolioService
from gateway.portfolio_stream import Portfolios
from gateway.rates.limits import RateLimits
from gateway.reports import Reports
from runtime.instruments import Instruments
from runtime.lifetimes import Lifetimes
from runtime.serve import Health, Register, end_if_failed, serve
from runtime.settings import Settings


@asynccontextmanager
async def parts(settings: Settings, health: Health) -> AsyncIterator[Sequence[Register]]:
    """Links to matching, and opens the doors for clients."""
    instruments = Instruments()
    reports = Reports(instruments)

    def hear(told: Sequence[Event], epoch: int, durable_unix_ns: int) -> None:
        reports.hear(told, epoch, durable_unix_ns)
        portfolios.hear(told)

    def changed(last_seq: int, epoch: int, *, up: bool) -> None:
        if up:
            reports.begin(last_seq, epoch)
            portfolios.begin(last_seq)
        health.set(up, "" if up else "no link to matching")

    link = Link(settings, instruments, hear, changed)
    linking = asyncio.create_task(link.run(), name="link")
    linking.add_done_callback(end_if_failed)
    admission = Admission(instruments, settings.gateway_id)
    lifetimes = Lifetimes(settings)
    watching = asyncio.create_task(lifetimes.run(), name="lifetimes")
    watching.add_done_callback(end_if_failed)
    limits = RateLimits(settings)
    renewing = asyncio.create_task(limits.run(), name="rate limits")
    renewing.add_done_callback(end_if_failed)
    accounts = Accounts(link, instruments)
    portfolios = Portfolios(settings, link, instruments, accounts, lifetimes)
    holdings = PortfolioService(link, instruments, accounts, portfolios, lifetimes, limits)
    orders = OrderEntryService(settings, link, reports, admission, instruments, lifetimes, limits)
    state = HealthService(settings, link)
    health.on_drain(partial(lifetimes.drain, settings.drain_notice_s))
    try:
        yield [
            partial(add_OrderEntryServiceServicer_to_server, orders),
            partial(add_PortfolioServiceServicer_to_server, holdings),
            partial(add_HealthServiceServicer_to_server, state),
        ]
    finally:
        # The calls have ended; their sessions' ends, and what callers did not wait for, may be on their way still.
        await link.drained(settings.drain_timeout_s)
        renewing.cancel()
        watching.cancel()
        linking.cancel()
        await asyncio.wait([linking, watching, renewing])
        await state.close()


def main() -> None:
    """Runs the gateway until it is told to stop."""
    serve("gateway", parts, Settings())
