"""Streams of portfolios against the real venue: every change, conflated, each consistent with its sequence."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any

import grpc
import pytest
import pytest_asyncio
from ordergate.matching.v1 import commands_pb2
from ordergate.orders.v1 import portfolio_pb2 as portfolio

from tests.integration.gateway.conftest import NewVenue
from tests.integration.gateway.plain_ledger import PlainLedger
from tests.integration.gateway.streaming import drop_copy, until
from tests.integration.gateway.test_gateway_portfolio import at_random, portfolio_of
from tests.integration.gateway.venue import BUY, SELL, Metadata, Venue, eventually, refused
from tests.simulation.gateway_link import connected, linked

Message = portfolio.StreamPortfolioResponse


@pytest_asyncio.fixture
async def fresh(own_venue: NewVenue) -> Venue:
    """A venue of the test's own on which nothing has happened yet."""
    venue = own_venue()
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    return venue


@asynccontextmanager
async def portfolios(
    venue: Venue, account: str = "DEMO", interval_ms: int = 10, metadata: Metadata | None = None
) -> AsyncIterator[AsyncIterator[Message]]:
    """A stream of portfolios; each message must follow the one before it."""
    call = venue.portfolio.StreamPortfolio(
        portfolio.StreamPortfolioRequest(account=account, interval_ms=interval_ms),
        metadata=venue.as_role(accounts=[account]) if metadata is None else metadata,
    )

    async def chained() -> AsyncIterator[Message]:
        seq = None
        async for message in call:
            assert seq is None or message.prev_seq == seq, "the chain is broken"
            assert message.seq >= message.prev_seq
            assert not message.HasField("portfolio") or message.portfolio.as_of_seq == message.seq
            seq = message.seq
            yield message

    try:
        yield chained()
    finally:
        call.cancel()


async def next_portfolio(messages: AsyncIterator[Message]) -> portfolio.GetPortfolioResponse:
    """The next portfolio."""
    while not (message := await anext(messages)).HasField("portfolio"):
        pass
    return message.portfolio


async def portfolio_at(messages: AsyncIterator[Message], seq: int) -> portfolio.GetPortfolioResponse:
    """The first portfolio at or after a sequence."""
    while (told := await next_portfolio(messages)).as_of_seq < seq:
        pass
    return told


async def carry_out(venue: Venue, **body: Any) -> int:
    """Carries a command out past the gateway; gives the sequence of its first event."""
    command = commands_pb2.Command(actor="tests", **body).SerializeToString()
    async with connected(venue.settings, venue.settings.matching_port) as stub, linked(venue.settings, stub) as link:
        (result,) = await link.carry_out(command)
    return result.seq


async def test_it_begins_with_the_portfolio(fresh: Venue) -> None:
    """What was subscribed, then all of it as it is, at once: the same as the call gives."""
    last = await fresh.submit()
    async with portfolios(fresh) as messages:
        first = await anext(messages)
        assert [result.key for result in first.subscribed.results] == ["DEMO"]
        assert first.seq == first.prev_seq == first.subscribed.resume_after == last.seq
        second = await anext(messages)
        assert second.portfolio == await portfolio_of(fresh)
        assert second.portfolio.as_of_seq == second.seq == last.seq
        assert second.epoch == 1


async def test_every_portfolio_is_that_of_its_sequence(fresh: Venue) -> None:
    """Beside a random market: each is what the reports up to its sequence come to, and the last is what calls give."""
    ledger = PlainLedger(fresh.settings.genesis_file)
    told: dict[str, list[portfolio.GetPortfolioResponse]] = {"DEMO": [], "MM": []}

    async def collect(account: str) -> None:
        async with portfolios(fresh, account) as messages:
            async for message in messages:
                if message.HasField("portfolio"):
                    told[account].append(message.portfolio)

    collecting = [asyncio.create_task(collect(account)) for account in told]
    await at_random(fresh, 11, 200)
    lasts = [await fresh.submit(accounts=[account]) for account in told]
    for (account, seen), last in zip(told.items(), lasts, strict=True):
        await eventually(partial(has_reached, seen, last.seq))
        assert seen[-1].positions == (await portfolio_of(fresh, account)).positions
    for task in collecting:
        task.cancel()
    await asyncio.wait(collecting)
    async with drop_copy(fresh, resume_after=0) as messages:
        reports = await until(messages, lasts[-1].seq)
    everything = sorted((one for seen in told.values() for one in seen), key=lambda one: one.as_of_seq)
    assert len(everything) > 20
    heard = 0
    for one in everything:
        while heard < len(reports) and reports[heard].seq <= one.as_of_seq:
            ledger.hear(reports[heard])
            heard += 1
        ledger.check(one)


def has_reached(seen: list[portfolio.GetPortfolioResponse], seq: int) -> bool:
    """Whether the last portfolio is at or after a sequence."""
    return bool(seen) and seen[-1].as_of_seq >= seq


def held_in_dollars(told: portfolio.GetPortfolioResponse) -> Decimal:
    """What open orders hold."""
    (dollars,) = [one for one in told.balances if one.currency == "USD"]
    return Decimal(dollars.held)


async def test_an_event_of_the_account_brings_the_portfolio(fresh: Venue) -> None:
    """Also one that changes nothing in it, so that its client can wait for its sequence."""
    async with portfolios(fresh) as messages:
        first = await next_portfolio(messages)
        placed = await fresh.submit(qty="5", price="1.00")
        second = await portfolio_at(messages, placed.seq)
        assert second.open_orders == first.open_orders + 1
        assert held_in_dollars(second) - held_in_dollars(first) >= 5
        with pytest.raises(grpc.aio.AioRpcError):
            await fresh.submit(qty="1000000", price="1000.00")
        third = await next_portfolio(messages)
        assert third.as_of_seq > second.as_of_seq
        assert (third.balances, third.positions) == (second.balances, second.positions)


async def test_a_price_of_what_it_holds_brings_the_portfolio(fresh: Venue) -> None:
    """Others trade what the account holds, or its reference price is set: it is worth something else."""
    async with portfolios(fresh) as messages:
        before = await next_portfolio(messages)
        assert [one.mark_px for one in before.positions if one.symbol == "MSFT"] == [""]
        await fresh.submit(accounts=["MM"], symbol="MSFT", side=SELL, qty="1", price="411.00")
        order = {"account": "FLOW-TAKER", "symbol": "MSFT", "side": BUY, "qty": "1", "price": "411.00"}
        await fresh.submit(accounts=["FLOW-TAKER"], **order)
        traded = await next_portfolio(messages)
        (position,) = [one for one in traded.positions if one.symbol == "MSFT"]
        assert (position.mark_px, position.unrealized_pnl, position.market_value) == (
            "411.00",
            "10000.00",
            "4110000.00",
        )
        reference = commands_pb2.SetReferencePrice(symbol="MSFT", price_ticks=40_900)
        seq = await carry_out(fresh, set_reference_price=reference)
        valued = await portfolio_at(messages, seq)
        (position,) = [one for one in valued.positions if one.symbol == "MSFT"]
        assert (position.mark_px, position.unrealized_pnl) == ("409.00", "-10000.00")


async def test_what_changes_nothing_is_not_told(fresh: Venue) -> None:
    """Trades of what the account does not hold, and such as do not move the mark: the next portfolio is its own."""
    await carry_out(fresh, set_reference_price=commands_pb2.SetReferencePrice(symbol="AAPL", price_ticks=19_000))
    async with portfolios(fresh) as messages:
        await next_portfolio(messages)
        for symbol, price in (("AAPL", "191.00"), ("NVDA", "121.00")):
            await fresh.submit(accounts=["MM"], symbol=symbol, side=SELL, qty="1", price=price)
            order = {"account": "FLOW-TAKER", "symbol": symbol, "side": BUY, "qty": "1", "price": price}
            await fresh.submit(accounts=["FLOW-TAKER"], **order)
        placed = await fresh.submit()
        assert (await next_portfolio(messages)).as_of_seq >= placed.seq


async def test_cash_that_is_paid_in_is_told(fresh: Venue) -> None:
    """What is done to the account by administration counts too."""
    async with portfolios(fresh) as messages:
        await next_portfolio(messages)
        paid = commands_pb2.AdjustCash(account="DEMO", currency="CHF", amount_micro=5_500_000, request_id="paid-in")
        seq = await carry_out(fresh, adjust_cash=paid)
        told = await portfolio_at(messages, seq)
        assert [(one.currency, one.cash) for one in told.balances if one.currency == "CHF"] == [("CHF", "5.50")]
        lent = commands_pb2.AdjustPosition(
            account="DEMO", symbol="NVDA", qty_lots=3, price_ticks=12_000, request_id="booked-in"
        )
        seq = await carry_out(fresh, adjust_position=lent)
        told = await portfolio_at(messages, seq)
        assert [(one.qty, one.market_value) for one in told.positions if one.symbol == "NVDA"] == [("3", "360.00")]


async def test_changes_are_conflated(fresh: Venue) -> None:
    """Many events, few portfolios: not more than the interval lets, and the last has everything."""
    interval_ms = 250
    async with portfolios(fresh, interval_ms=interval_ms) as messages:
        await next_portfolio(messages)
        begun_s = time.monotonic()
        placing = asyncio.create_task(place(fresh, 300))
        told: list[portfolio.GetPortfolioResponse] = []
        while not placing.done() or told[-1].as_of_seq < placing.result():
            told.append(await next_portfolio(messages))
        passed_ms = (time.monotonic() - begun_s) * 1_000
    assert told[-1].open_orders == 300
    assert len(told) <= passed_ms / interval_ms + 1


async def place(venue: Venue, number: int) -> int:
    """Places orders; gives the sequence of the last."""
    for _ in range(number - 1):
        await venue.submit()
    return (await venue.submit()).seq


async def test_a_slow_reader_gets_the_newest(own_venue: NewVenue) -> None:
    """Whoever does not read is not cut, and does not get what is old: a few at most were on their way."""
    venue = own_venue(slow_reader_s=0.2)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    async with portfolios(venue) as slow, portfolios(venue) as fast:
        await next_portfolio(slow)
        await next_portfolio(fast)
        last_seq = await place(venue, 200)
        await portfolio_at(fast, last_seq)
        newest = await portfolio_at(slow, last_seq)
        assert newest == await portfolio_of(venue)
        placed = await venue.submit()
        assert (await portfolio_at(slow, placed.seq)).open_orders == 201


async def test_heartbeats_say_up_to_where_it_stands(own_venue: NewVenue) -> None:
    """While nothing happens to the account the portfolio holds for ever later sequences."""
    venue = own_venue(heartbeat_interval_s=0.05)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    async with portfolios(venue) as messages:
        told = await next_portfolio(messages)
        beat = await anext(messages)
        assert (beat.WhichOneof("message"), beat.heartbeat.last_seq, beat.seq) == (
            "heartbeat",
            told.as_of_seq,
            told.as_of_seq,
        )
        other = await venue.submit(accounts=["FLOW-BID"], symbol="AMZN")
        while (beat := await anext(messages)).seq < other.seq:
            pass
        assert beat.WhichOneof("message") == "heartbeat"


async def test_a_long_interval_does_not_silence_it(own_venue: NewVenue) -> None:
    """Between two portfolios come heartbeats, which do not pretend that nothing has happened."""
    venue = own_venue(heartbeat_interval_s=0.05)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    async with portfolios(venue, interval_ms=700) as messages:
        first = await next_portfolio(messages)
        placed = await venue.submit()
        second = await portfolio_at(messages, placed.seq)
        placed = await venue.submit()
        beats = []
        while not (message := await anext(messages)).HasField("portfolio"):
            beats.append(message)
        assert first.as_of_seq < second.as_of_seq < placed.seq <= message.seq
        assert beats
        assert {beat.seq for beat in beats} == {second.as_of_seq}


async def test_it_goes_on_after_a_restart_of_matching(fresh: Venue) -> None:
    """The portfolio comes again once the link stands, and then whenever something happens."""
    async with portfolios(fresh) as messages:
        first = await next_portfolio(messages)
        await fresh.stop_matching()
        await fresh.becomes(serving=False)
        await fresh.start_matching()
        await fresh.becomes(serving=True)
        placed = await fresh.submit()
        after = await portfolio_at(messages, placed.seq)
        assert after.open_orders == first.open_orders + 1
        assert after.exposures == (await portfolio_of(fresh)).exposures


async def test_what_is_refused(venue: Venue) -> None:
    """An interval out of range, an account that is unknown, of others or not named, before any message."""
    officer = venue.as_role("risk_officer", accounts=[])
    for interval_ms in (9, 60_001):
        async with portfolios(venue, interval_ms=interval_ms) as messages:
            code, info = await refused(anext(messages))
        assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    for account, metadata, reason in (
        ("NOBODY", officer, "ACCOUNT_UNKNOWN"),
        ("", officer, "FIELD_MISSING"),
        ("MM", venue.as_role(), "ACCOUNT_NOT_ALLOWED"),
    ):
        async with portfolios(venue, account, metadata=metadata) as messages:
            assert (await refused(anext(messages)))[1].reason == reason


async def test_without_matching_no_stream_begins(fresh: Venue) -> None:
    """UNAVAILABLE, before anything is said."""
    await fresh.stop_matching()
    await fresh.becomes(serving=False)
    async with portfolios(fresh) as messages:
        assert (await refused(anext(messages)))[1].reason == "MATCHING_UNAVAILABLE"


async def test_oversight_sees_any_account(venue: Venue) -> None:
    """An auditor names it."""
    async with portfolios(venue, "MM", metadata=venue.as_role("auditor", accounts=[])) as messages:
        told = await next_portfolio(messages)
    assert told.account == "MM"
