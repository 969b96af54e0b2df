"""A gateway reduced to its link: sends commands to a real matching server and keeps what it is told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import grpc
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.matching.v1 import matching_pb2 as wire
from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.types.v1 import types_pb2 as types

from matching import server as matching_server
from runtime import tokens
from runtime.channels import service_channel
from runtime.clock import unix_ns
from runtime.serve import running
from runtime.settings import Settings

GENESIS = Path(__file__).parents[2] / "config" / "genesis.yaml"
NAME = "gateway-test"
if TYPE_CHECKING:
    Stub = matching_pb2_grpc.MatchingServiceAsyncStub
else:  # There is no class of this name at run time.
    Stub = matching_pb2_grpc.MatchingServiceStub


def settings_in(home: Path, **more: Any) -> Settings:
    """Settings of servers that keep everything in `home` and let the system choose their ports."""
    tokens.make_keys(home / "keys")
    given: dict[str, Any] = {
        "home": home,
        "genesis_file": GENESIS,
        "matching_port": 0,
        "matching_metrics_port": 0,
        "journal_segment_bytes": 1 << 18,
        "auth_jwks_file": home / "keys" / "jwks.json",
        "auth_service_key_file": home / "keys" / "service.pem",
        "auth_dev_key_file": home / "keys" / "dev.pem",
    }
    return Settings(**(given | more))


def order(account: str, side: int, qty_lots: int, price_ticks: int, cl_ord_id: str, **terms: Any) -> bytes:
    """An order for AAPL: a limit order good till cancelled, unless `terms` say otherwise."""
    given: dict[str, Any] = {
        "symbol": "AAPL",
        "ord_type": types.ORD_TYPE_LIMIT,
        "time_in_force": types.TIME_IN_FORCE_GTC,
        "self_trade_prevention": types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
    } | terms
    new = commands.NewOrder(
        account=account,
        side=cast(types.Side.ValueType, side),
        qty_lots=qty_lots,
        price_ticks=price_ticks,
        cl_ord_id=cl_ord_id,
        **given,
    )
    return commands.Command(actor="tester", gateway_id=NAME, new_order=new).SerializeToString()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a command: the seq of its first event, or the original event of a repetition."""

    seq: int
    original: bytes
    durable_unix_ns: int
    refused: int = 0
    """Why it was not sequenced."""

    @property
    def repeated(self) -> events.Event | None:
        """The original event, if the command was a repetition."""
        return events.Event.FromString(self.original) if self.original else None


@dataclass
class Link:
    """One life of a link."""

    stub: Stub
    call: Any
    accepted: wire.LinkResponse
    results: dict[int, Result] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    """Correlations in the order in which they were answered."""
    batches: list[wire.LinkBatch] = field(default_factory=list)
    heartbeats: list[int] = field(default_factory=list)
    sent: int = 0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def epoch(self) -> int:
        """The server's incarnation."""
        return self.accepted.epoch

    @property
    def events(self) -> list[bytes]:
        """All events since the link was accepted."""
        return [event for batch in self.batches for event in batch.events]

    async def send(self, *encoded: bytes) -> range:
        """Sends commands in one frame; gives their correlations."""
        async with self._writing:
            first, self.sent = self.sent + 1, self.sent + len(encoded)
            await self.call.write(wire.LinkRequest(frame=wire.LinkFrame(first_correlation=first, commands=encoded)))
        return range(first, first + len(encoded))

    async def results_of(self, correlations: Sequence[int]) -> list[Result]:
        """What became of some commands, once all are answered."""
        await self.until(lambda: all(number in self.results for number in correlations))
        return [self.results[number] for number in correlations]

    async def carry_out(self, *encoded: bytes) -> list[Result]:
        """Sends commands and waits for their results."""
        return await self.results_of(await self.send(*encoded))

    async def until(self, happened: Any) -> None:
        """Waits until something is true of what was received."""
        async with self._news, asyncio.timeout(60):
            await self._news.wait_for(happened)

    async def listen(self) -> None:
        """Takes in messages until the stream ends."""
        while (response := await self.call.read()) is not grpc.aio.EOF:
            async with self._news:
                self._take(response)
                self._news.notify_all()

    def _take(self, response: wire.LinkResponse) -> None:
        assert response.epoch == self.epoch
        if response.HasField("heartbeat"):
            self.heartbeats.append(response.heartbeat.last_seq)
            return
        for batch in (response.batch, *response.further):
            self._take_batch(batch)

    def _take_batch(self, batch: wire.LinkBatch) -> None:
        self.batches.append(batch)
        replays = {replay.correlation: replay.event for replay in batch.replays}
        refusals = {refusal.correlation: refusal.reason for refusal in batch.refusals}
        for correlation, seq in zip(batch.correlations, batch.command_seqs, strict=True):
            assert correlation not in self.results, "a command is answered once"
            self.order.append(correlation)
            self.results[correlation] = Result(
                seq, replays.get(correlation, b""), batch.durable_unix_ns, refusals.get(correlation, 0)
            )


@asynccontextmanager
async def connected(settings: Settings, port: int) -> AsyncIterator[Stub]:
    """The matching server's doors."""
    async with service_channel(f"127.0.0.1:{port}", settings, NAME) as channel:
        yield matching_pb2_grpc.MatchingServiceStub(channel)


@asynccontextmanager
async def linked(settings: Settings, stub: Stub, name: str = NAME) -> AsyncIterator[Link]:
    """A link of a run of its own that has been accepted; its messages are taken in until the block ends."""
    call = stub.Link(metadata=tokens.service_metadata(settings, NAME))
    await call.write(wire.LinkRequest(logon=wire.LinkLogon(gateway_id=name, incarnation=unix_ns())))
    accepted = await call.read()
    assert isinstance(accepted, wire.LinkResponse)
    assert accepted.HasField("accepted")
    link = Link(stub, call, accepted)
    listening = asyncio.create_task(link.listen())
    try:
        yield link
    finally:
        call.cancel()
        with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
            await listening


async def streamed(stub: Stub, after: int, until: int, accounts: Sequence[str] = ()) -> list[wire.StreamEventsResponse]:
    """The messages of the event feed after a seq, up to another."""
    request = wire.StreamEventsRequest(follower="test", resume_after=after, until_seq=until, accounts=accounts)
    async with asyncio.timeout(60):
        return [response async for response in stub.StreamEvents(request)]


async def day_closed(stub: Stub) -> int:
    """Waits until a new venue has closed the day before its first; gives that event's seq: nothing else comes."""
    async with asyncio.timeout(60):
        call = stub.StreamEvents(wire.StreamEventsRequest(follower="test"))
        async for response in call:
            for data in response.events:
                event = events.Event.FromString(data)
                if event.HasField("day_closed"):
                    call.cancel()
                    return event.seq
    raise AssertionError("the feed ended")


async def last_seq(stub: Stub) -> int:
    """The last durable event."""
    return (await stub.ListInstruments(wire.ListInstrumentsRequest())).as_of_seq


def parsed(encoded: list[bytes]) -> list[events.Event]:
    """Events from their bytes."""
    return [events.Event.FromString(data) for data in encoded]


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Stub]:
    """A matching server and a way to it."""
    async with running("matching", matching_server.parts, settings) as server, connected(settings, server.port) as stub:
        yield stub


async def feed(stub: Stub, after: int = 0) -> list[bytes]:
    """All events after a seq, as bytes."""
    return [data for response in await streamed(stub, after, await last_seq(stub)) for data in response.events]
