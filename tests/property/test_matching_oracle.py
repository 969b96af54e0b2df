"""The core against the plain venue: the same events in full, the same book, the same money, for any flow."""

import os
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ordergate.matching.v1 import events_pb2 as wire

from matching.convert import encode_events
from matching.core import commands as c
from matching.core.engine import Engine
from matching.core.events import Event, OrderEvent, Replay
from tests.simulation.matching_flow import ACCOUNTS, FIRST_TIME_UNIX_NS, LISTED, Flow, opening
from tests.simulation.plain_ledger import Holding, Said
from tests.simulation.plain_venue import PlainVenue

SEEDED_COMMANDS = 20_000
SEED = int(os.environ.get("ORDERGATE_TEST_SEED", "20261122"))
CHECKED_EVERY = 100
"""Commands between two looks at the whole state in the long run."""


def said(event: Event) -> Said:
    """What an event of the core says beyond zero."""
    told: Said = {name: getattr(event, name) for name in event.__struct_fields__}
    if isinstance(event, OrderEvent):
        terms = told.pop("terms")
        told |= {name: getattr(terms, name) for name in terms.__struct_fields__}
        risk = told.pop("risk")
        told["risk"] = (risk.rule, risk.unit, risk.limit, risk.current, risk.projected) if risk is not None else ()
    return {name: value for name, value in told.items() if value}


def said_on_the_wire(data: bytes) -> tuple[Said, bool]:
    """What the bytes of an event say beyond zero, and whether it is the last of its command."""
    event = wire.Event.FromString(data)
    body = getattr(event, event.WhichOneof("body") or "")
    told: Said = {field.name: value for field, value in body.ListFields()}
    told |= {"seq": event.seq, "command_seq": event.command_seq, "time_unix_ns": event.time_unix_ns}
    if event.actor:
        told["actor"] = event.actor
    if "risk" in told:
        risk = told["risk"]
        told["risk"] = (risk.rule, risk.unit, risk.limit, risk.current, risk.projected)
    if "instrument" in told:
        given = {field.name: value for field, value in told["instrument"].ListFields()}
        told["instrument"] = c.ListInstrument(**given)
    return told, event.last_of_command


class Pair:
    """The core and the plain venue, given the same commands."""

    def __init__(self, random: Random) -> None:
        self.engine, self.plain, self.flow = Engine(), PlainVenue(), Flow(random)
        self.commands = 0
        for command in opening():
            self.execute(command)

    def execute(self, command: c.Command) -> None:
        """Carries a command out twice and compares every word."""
        now = FIRST_TIME_UNIX_NS + self.commands
        self.commands += 1
        wanted = self.plain.execute(command, now)
        told = self.engine.execute(command, now)
        if isinstance(told, Replay):
            assert said(told.original) == wanted, command
            return
        assert [said(event) for event in told] == wanted, command
        self.flow.hear(told)
        self._check_bytes(told)

    def step(self) -> None:
        """The next command of the flow."""
        self.execute(self.flow.next())

    def _check_bytes(self, told: Sequence[Event]) -> None:
        encoded = [said_on_the_wire(data) for data in encode_events(told)]
        assert [words for words, _ in encoded] == [said(event) for event in told]
        assert [last for _, last in encoded] == [event is told[-1] for event in told]

    def check(self) -> None:
        """Compares the whole state, and holds it against the invariants."""
        for terms in LISTED:
            self._check_book(terms.symbol)
            lots = sum(self._holding(account, terms.symbol).lots for account in ACCOUNTS)
            assert self.engine.venue.listings[terms.symbol].lots == lots
        for account in ACCOUNTS:
            self._check_account(account)
        for currency in ("USD", "EUR"):
            owned = sum(account.cash[currency].cash_micro for account in self.engine.venue.accounts.values())
            assert self.engine.venue.money_micro[currency] == owned, "money is conserved"

    def _holding(self, account: str, symbol: str) -> Holding:
        return self.plain.accounts[account].holdings.get(symbol, Holding())

    def _check_book(self, symbol: str) -> None:
        book = self.engine.venue.listings[symbol].book
        for is_buy in (True, False):
            levels: dict[int, list[tuple[int, int]]] = {}
            for order in self.plain.resting(symbol, buys=is_buy):
                levels.setdefault(order.price, []).append((order.order_id, order.leaves))
            side = list(book.side(is_buy).best_first())
            assert {
                price: [(order.order_id, order.leaves_qty_lots) for order in level.orders.values()]
                for price, level in side
            } == levels
            assert [level.qty_lots for _, level in side] == [sum(qty for _, qty in rest) for rest in levels.values()]
        if book.bids.ranks and book.asks.ranks:
            assert book.bids.best_ticks() < book.asks.best_ticks(), "the book is crossed"

    def _check_account(self, name: str) -> None:
        mine, plain = self.engine.venue.accounts[name], self.plain.accounts[name]
        assert mine.account_seq == plain.seq
        for currency, cash in mine.cash.items():
            held = self.plain.held_cash(name, currency)
            assert (cash.cash_micro, cash.held_micro) == (plain.cash.get(currency, 0), held)
            assert cash.free_micro >= 0
        for symbol, position in mine.positions.items():
            wanted = self._holding(name, symbol)
            assert (position.qty_lots, position.held_lots) == (wanted.lots, self.plain.held_lots(name, symbol))
            assert (position.cost_ticks_lots, position.realized_pnl_micro) == (wanted.cost, wanted.pnl)
            assert 0 <= position.held_lots <= position.qty_lots
        live = [order for order in self.plain.live if order.is_open and order.command.account == name]
        assert list(mine.open_orders) == [order.order_id for order in live]
        for order in live:
            found = self.engine.lookup(name, order.order_id, "")
            assert found is not None
            assert (said(found[0]), found[1]) == (order.last, order.accepted)

    def drain(self) -> None:
        """Cancels every open order."""
        for order in [order for order in self.plain.live if order.is_open]:
            self.execute(c.Command(c.CancelOrder(order.command.account, "", order.order_id)))

    def check_drained(self) -> None:
        """Nothing is left in a book or on hold (invariant I11)."""
        self.check()
        for account in self.engine.venue.accounts.values():
            assert not account.open_orders
            assert [cash.held_micro for cash in account.cash.values() if cash.held_micro] == []
            assert [position.held_lots for position in account.positions.values() if position.held_lots] == []
        for listing in self.engine.venue.listings.values():
            assert (listing.book.bids.ranks, listing.book.asks.ranks) == ([], [])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False), st.integers(1, 60))
def test_any_flow_gives_the_plain_venues_events(random: Random, commands: int) -> None:
    """Every event, byte and balance is the plain venue's, after every command; shrunk to the shortest flow if not."""
    pair = Pair(random)
    for _ in range(commands):
        pair.step()
        pair.check()
    pair.drain()
    pair.check_drained()


def test_a_long_flow_gives_the_plain_venues_events() -> None:
    """The same for a market that has run for long; a failure names the seed and the command."""
    pair = Pair(Random(SEED))
    kinds: dict[str, int] = {}
    try:
        for number in range(SEEDED_COMMANDS):
            pair.step()
            if number % CHECKED_EVERY == 0:
                pair.check()
            for event in pair.plain.events:
                kind = f"{event.get('exec_type', 0)}/{event.get('reason', 0)}"
                kinds[kind] = kinds.get(kind, 0) + 1
        pair.drain()
        pair.check_drained()
    except BaseException as error:
        error.add_note(f"seed {SEED}, command {pair.commands}; ORDERGATE_TEST_SEED repeats it")
        raise
    assert_busy(kinds)


def assert_busy(kinds: dict[str, int]) -> None:
    """The flow must reach what it is meant to test: every kind of event and nearly every reason."""
    reached = {kind.split("/")[0] for kind in kinds}
    reasons = {int(kind.split("/")[1]) for kind in kinds}
    assert reached >= {"1", "2", "3", "4", "5", "7", "8"}
    assert reasons >= {0, 200, 203, 204, 205, 206, 208, 209, 211, 400, 401, 402, 414, 500, 501, 502, 503, 504, 508}
    assert reasons >= {509, 511, 512}
    assert kinds["2/0"] > SEEDED_COMMANDS // 4, "a market without trades proves nothing"


@pytest.mark.parametrize("symbol", [terms.symbol for terms in LISTED])
def test_the_plain_venue_trades_at_all(symbol: str) -> None:
    """The oracle itself, on one trade counted by hand: 2 lots at 101 between two accounts."""
    plain = PlainVenue()
    for number, command in enumerate(opening()):
        plain.execute(command, FIRST_TIME_UNIX_NS + number)
    terms: dict[str, Any] = {"symbol": symbol, "qty_lots": 2, "price_ticks": 101}
    plain.execute(c.Command(c.NewOrder("ALICE", "A1", side=2, **terms)), FIRST_TIME_UNIX_NS + 100)
    events = plain.execute(c.Command(c.NewOrder("BOB", "B1", side=1, **terms)), FIRST_TIME_UNIX_NS + 101)
    assert isinstance(events, list)
    assert [(event["exec_type"], event.get("last_qty_lots", 0)) for event in events] == [(1, 0), (2, 2), (2, 2)]
    assert (plain.accounts["ALICE"].holdings[symbol].lots, plain.accounts["BOB"].holdings[symbol].lots) == (148, 152)
