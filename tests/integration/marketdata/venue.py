"""A marketdata server over a real matching server, and what its tests ask it with."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from ordergate.marketdata.v1 import marketdata_pb2_grpc
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import matching_pb2 as matching
from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.types.v1 import types_pb2 as types

from marketdata import server as marketdata_server
from matching import server as matching_server
from runtime import tokens
from runtime.channels import client_channel
from runtime.clock import unix_ns
from runtime.serve import Running, running
from runtime.settings import Settings
from runtime.stack.home import isolated

BUY, SELL = types.SIDE_BUY, types.SIDE_SELL
SEED = 7


class Venue:
    """A real matching server and the real marketdata server that follows it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.key = settings.auth_dev_key_file.read_bytes()
        self._matching = AsyncExitStack()
        self._marketdata = AsyncExitStack()
        self._numbers = iter(range(1, 10**6))
        self.marketdata: Running

    async def start_matching(self) -> None:
        """Starts matching."""
        await self._matching.enter_async_context(running("matching", matching_server.parts, self.settings))

    async def start_marketdata(self) -> None:
        """Starts marketdata and opens a channel to it."""
        self.marketdata = await self._marketdata.enter_async_context(
            running("marketdata", marketdata_server.parts, self.settings)
        )
        channel = await self._marketdata.enter_async_context(client_channel(f"127.0.0.1:{self.marketdata.port}"))
        self.stub = marketdata_pb2_grpc.MarketDataServiceStub(channel)
        self.health: Any = health_pb2_grpc.HealthStub(channel)

    async def stop_matching(self) -> None:
        """Ends matching in order."""
        await self._matching.aclose()

    async def stop_marketdata(self) -> None:
        """Ends marketdata in order."""
        await self._marketdata.aclose()

    async def serving(self) -> None:
        """Waits until marketdata says that it serves."""
        watch = self.health.Watch(health_pb2.HealthCheckRequest())
        async for state in watch:
            if state.status == health_pb2.HealthCheckResponse.SERVING:
                watch.cancel()
                return

    def as_role(self, *roles: str) -> tuple[tuple[str, str], ...]:
        """Call metadata of a person with the roles."""
        token = tokens.issue(
            self.key,
            kid=tokens.DEV_KID,
            subject="somebody",
            roles=roles,
            accounts=["DEMO"],
            ttl_s=600,
            issuer=self.settings.auth_issuer,
            audience=self.settings.auth_audience,
        )
        return (("authorization", f"Bearer {token}"),)

    async def carry_out(self, *orders: commands.Command) -> int:
        """Has commands carried out and made durable; gives the last seq."""
        metadata = tokens.service_metadata(self.settings, "gateway-test")
        async with client_channel(self.settings.matching_address) as channel:
            call = matching_pb2_grpc.MatchingServiceStub(channel).Link(metadata=metadata)
            await call.write(
                matching.LinkRequest(logon=matching.LinkLogon(gateway_id="gateway-test", incarnation=unix_ns()))
            )
            frame = matching.LinkFrame(first_correlation=1, commands=[one.SerializeToString() for one in orders])
            await call.write(matching.LinkRequest(frame=frame))
            done: list[int] = []
            async for response in call:
                for batch in (response.batch, *response.further):
                    done.extend(batch.correlations)
                if len(done) == len(orders):
                    break
            call.cancel()
        return await self.journal_seq()

    async def journal_seq(self) -> int:
        """The last durable event."""
        metadata = tokens.service_metadata(self.settings, "gateway-test")
        async with client_channel(self.settings.matching_address) as channel:
            stub = matching_pb2_grpc.MatchingServiceStub(channel)
            return (await stub.ListInstruments(matching.ListInstrumentsRequest(), metadata=metadata)).as_of_seq

    def limit(
        self, side: types.Side.ValueType, price_ticks: int, lots: int, symbol: str = "AAPL", **more: Any
    ) -> commands.Command:
        """A limit order of DEMO, or of MM where it sells."""
        terms = {"time_in_force": types.TIME_IN_FORCE_GTC, "account": "DEMO" if side == BUY else "MM"} | more
        order = commands.NewOrder(
            cl_ord_id=f"order-{next(self._numbers)}",
            symbol=symbol,
            side=side,
            ord_type=types.ORD_TYPE_LIMIT,
            qty_lots=lots,
            price_ticks=price_ticks,
            self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
            **terms,
        )
        return commands.Command(actor="somebody", gateway_id="gateway-test", new_order=order)


@asynccontextmanager
async def venue_in(home: Path, **more: Any) -> AsyncIterator[Venue]:
    """A venue that keeps everything in `home`."""
    tokens.make_keys(home / "keys")
    given = {"feed_interval_ms": 20, "feed_seed": SEED, "heartbeat_interval_s": 0.5, "journal_segment_bytes": 1 << 20}
    venue = Venue(isolated(home, **given | more))
    await venue.start_matching()
    try:
        await venue.start_marketdata()
        try:
            await venue.serving()
            yield venue
        finally:
            await venue.stop_marketdata()
    finally:
        await venue.stop_matching()


async def until(call: Any, wanted: Callable[[Any], bool]) -> list[Any]:
    """The messages of a stream up to the first that is wanted."""
    messages = []
    async for message in call:
        messages.append(message)
        if wanted(message):
            return messages
    raise AssertionError(f"the stream ended: {messages[-1]}")


def chained(messages: list[Any]) -> bool:
    """Whether each message names the one before."""
    pairs = pairwise(messages)
    return messages[0].prev_seq == 0 and all(after.prev_seq == before.seq for before, after in pairs)


def reason_of(error: grpc.aio.AioRpcError) -> tuple[grpc.StatusCode, str]:
    """Status code and reason of an error."""
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(cast(Any, error))
    assert status is not None
    assert status.details[0].Unpack(info)
    return error.code(), info.reason
