"""The market maker against the real gateway, matching and marketdata servers."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ordergate.marketdata.v1 import marketdata_pb2 as marketdata
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients import market_maker
from clients.sdk import Client, DevKeyTokens
from gateway import server as gateway_server
from marketdata import server as marketdata_server
from marketdata.feeds.simulation import STARTING_PRICES
from matching import server as matching_server
from runtime.channels import client_channel
from runtime.serve import Parts, running
from runtime.settings import Server, Settings
from runtime.stack.home import environment, isolated
from runtime.tokens import make_keys

BUY, SELL = types.SIDE_BUY, types.SIDE_SELL
QUOTED = sorted(STARTING_PRICES)
LEVELS = 2 * market_maker.LEVELS
PARTS: dict[Server, Parts] = {
    "matching": matching_server.parts,
    "marketdata": marketdata_server.parts,
    "gateway": gateway_server.parts,
}


class Venue:
    """The three servers, each of which can be restarted on its port."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._servers: dict[Server, AsyncExitStack] = {}

    async def start(self, name: Server) -> None:
        """Starts a server and waits until it serves."""
        stack = self._servers[name] = AsyncExitStack()
        server = await stack.enter_async_context(running(name, PARTS[name], self.settings))
        async with client_channel(f"127.0.0.1:{server.port}") as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest())
            async for state in watch:
                if state.status == health_pb2.HealthCheckResponse.SERVING:
                    watch.cancel()
                    return

    async def stop(self, name: Server) -> None:
        """Ends a server in order."""
        await self._servers.pop(name).aclose()

    async def stop_all(self) -> None:
        """Ends what runs, clients' side first."""
        for name in reversed(list(self._servers)):
            await self.stop(name)

    def client(self, account: str, role: str) -> Client:
        """A client of an account."""
        tokens = DevKeyTokens.from_settings(self.settings, subject="somebody", roles=[role], accounts=[account])
        return Client(self.settings.gateway_address, marketdata=self.settings.marketdata_address, token=tokens)

    async def open_orders(self) -> list[orders.Order]:
        """The open orders of the market maker."""
        async with self.client(market_maker.ACCOUNT, "market_maker") as client:
            return [order async for order in client.list_orders(market_maker.ACCOUNT, open_only=True)]

    @asynccontextmanager
    async def market_maker(self) -> AsyncIterator[None]:
        """The market maker in this process; ends in order."""
        quoting = asyncio.create_task(market_maker.quote(self.settings))
        try:
            yield
        finally:
            quoting.cancel()
            with suppress(asyncio.CancelledError):
                await quoting

    async def quotes(self, wanted: Callable[[dict[str, marketdata.Quote]], bool], *symbols: str) -> None:
        """Waits until the present quotes of the symbols are as wanted."""
        present: dict[str, marketdata.Quote] = {}
        async with self.client("DEMO", "trader") as client:
            async for update in client.ticks(*symbols or QUOTED):
                if update.HasField("quote"):
                    present[update.symbol] = update.quote
                    if wanted(present):
                        return


def all_quoted(present: dict[str, marketdata.Quote]) -> bool:
    """Whether every priced symbol has a bid and an ask, the bid below the ask."""
    return sorted(present) == QUOTED and all(
        quote.bid_px and quote.ask_px and float(quote.bid_px) < float(quote.ask_px) for quote in present.values()
    )


@pytest_asyncio.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Venue]:
    """A running venue without a market maker."""
    settings = isolated(tmp_path, feed_interval_ms=50, heartbeat_interval_s=1.0, journal_segment_bytes=1 << 20)
    make_keys(tmp_path / "keys")
    started = Venue(settings)
    try:
        for name in PARTS:
            await started.start(name)
        yield started
    finally:
        await started.stop_all()


async def test_every_priced_symbol_is_quoted_and_trades_are_filled_up(venue: Venue) -> None:
    """Orders of other clients trade with the market maker's, which then stand there again; AMZN is left alone."""
    async with venue.market_maker(), venue.client("DEMO", "trader") as demo:
        await venue.quotes(all_quoted)
        terms = orders.OrderTerms(
            account="DEMO",
            symbol="AAPL",
            side=BUY,
            ord_type=types.ORD_TYPE_MARKET,
            time_in_force=types.TIME_IN_FORCE_IOC,
            qty="250",
        )
        report = await demo.submit(terms)
        order = await demo.get_order("DEMO", order_id=report.order_id)
        assert order.cum_qty == "250"
        await venue.quotes(all_quoted)
        (amzn,) = (await demo.market_data("AMZN")).market_data
        assert amzn.quote == marketdata.Quote()
        (aapl,) = (await demo.market_data("AAPL")).market_data
        assert aapl.last_trade.aggressor_side == BUY
    assert await venue.open_orders() == []


async def test_its_own_orders_never_trade_with_each_other_and_come_slowly(venue: Venue) -> None:
    """Over a stretch of moving prices no report of the account is a fill or a refusal, and the rate stays bounded."""
    async with venue.client(market_maker.ACCOUNT, "market_maker") as client, venue.market_maker():
        began_s = time.monotonic()
        count = 0
        async for report in client.reports(market_maker.ACCOUNT, resume_after=0):
            if report.request != types.REQUEST_KIND_UNSPECIFIED:
                count += 1
            assert report.exec_type in (types.EXEC_TYPE_NEW, types.EXEC_TYPE_REPLACED, types.EXEC_TYPE_CANCELED)
            if count >= 4 * LEVELS * len(QUOTED):
                break
        passed_s = time.monotonic() - began_s
    assert count <= market_maker.COMMANDS_PER_S * (passed_s + 1) + 1


@pytest.mark.parametrize("name", ["gateway", "marketdata", "matching"])
async def test_it_survives_the_restart_of_a_server(venue: Venue, name: Server) -> None:
    """After a server was away quotes follow the reference price again, with one order for each place of a ladder."""
    async with venue.market_maker():
        await venue.quotes(all_quoted)
        await venue.stop(name)
        await venue.start(name)
        async with venue.client("DEMO", "trader") as demo:
            before = {one.symbol: one.quote for one in (await demo.market_data(*QUOTED)).market_data}
        moved: set[str] = set()

        def follows(present: dict[str, marketdata.Quote]) -> bool:
            moved.update(symbol for symbol, quote in present.items() if quote != before[symbol])
            return {"AAPL", "MSFT", "NVDA", "BTCUSD", "EURUSD"} <= moved and all_quoted(present)

        await venue.quotes(follows)
        assert await exactly_one_order_for_each_rung(venue)
    assert await venue.open_orders() == []


async def exactly_one_order_for_each_rung(venue: Venue) -> bool:
    """Waits until each priced symbol has its orders; never are there more."""
    while True:
        found = await venue.open_orders()
        by_symbol = {symbol: [one for one in found if one.terms.symbol == symbol] for symbol in QUOTED}
        assert all(len(standing) <= LEVELS for standing in by_symbol.values())
        if all(len(standing) == LEVELS for standing in by_symbol.values()):
            return len(found) == LEVELS * len(QUOTED)


async def test_a_killed_one_leaves_orders_that_the_next_one_cancels(venue: Venue) -> None:
    """kill -9 leaves the orders in the book; the next run cancels them and quotes its own; SIGTERM leaves none."""
    first = await program(venue.settings)
    await venue.quotes(all_quoted)
    assert await exactly_one_order_for_each_rung(venue)
    left = {order.order_id for order in await venue.open_orders()}
    os.kill(first.pid, signal.SIGKILL)
    await first.wait()
    assert len(await venue.open_orders()) == LEVELS * len(QUOTED)
    second = await program(venue.settings)
    try:
        while left & {order.order_id for order in await venue.open_orders()}:
            assert second.returncode is None
        assert await exactly_one_order_for_each_rung(venue)
    finally:
        second.terminate()
        assert await second.wait() == 0
    assert await venue.open_orders() == []


async def program(settings: Settings) -> asyncio.subprocess.Process:
    """`ordergate market-maker`, as a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "clients.cli.main",
        "market-maker",
        env=environment(settings),
        stderr=asyncio.subprocess.DEVNULL,
    )
