"""A market to tell stories on: the pure core with a clock, accounts, and verbs that give what has happened.

What a command gives is `Told`: its events, and `story`, the same as short lines:

    bid NEW                         accepted (PENDING_NEW: accepted, and waits)
    ask TRADE 5@101                 one side of a trade
    bid CANCELED NO_LIQUIDITY       ended, and why
    bid REJECTED FIELD_MISSING price

An order is called by its key, which a test gives as `key=`.
"""

from __future__ import annotations

from itertools import count
from typing import Any, cast

from matching.core import commands, words
from matching.core.commands import Command, NewOrder
from matching.core.engine import Engine
from matching.core.events import Event, OrderEvent, Replay, RiskNumbers, VenueEvent
from matching.core.ledger import Account, Cash, Position
from matching.core.orders import Order
from matching.core.refusals import Refusal
from matching.core.venue import Listing
from matching.core.words import ExecType, OrdStatus, OrdType, Side, TimeInForce, TradingSession

FIRST_TIME_UNIX_NS = 1_700_000_000_000_000_000
SECOND_NS = 10**9
CASH_MICRO = 10**12
"""What ALICE and BOB begin with: 1,000,000.00 USD."""
LOTS = 1_000
"""And their lots of XYZ, booked in at 100 ticks."""
TICK_MICRO = 10_000
"""What one tick on one lot of XYZ is worth: 0.01."""
XYZ = commands.ListInstrument("XYZ", 1, "USD", 10**7, 10**9)


def word(kind: type, number: int) -> str:
    """The name of a number among the words of the core."""
    return next(name for name, value in vars(kind).items() if value == number and not name.startswith("_"))


def line_of(event: Event) -> str:
    """An event as a line of a story."""
    if isinstance(event, VenueEvent):
        parts = [event.name]
        if "trading_session" in event.fields:
            parts.append(word(TradingSession, cast(int, event.fields["trading_session"])))
        if "reason" in event.fields:
            parts.append(word(words.Reason, cast(int, event.fields["reason"])))
        return " ".join([*parts, cast(str, event.fields.get("field", ""))]).strip()
    assert isinstance(event, OrderEvent)
    is_pending = event.exec_type == ExecType.NEW and event.ord_status == OrdStatus.PENDING_NEW
    parts = [event.cl_ord_id, "PENDING_NEW" if is_pending else word(ExecType, event.exec_type)]
    if event.exec_type == ExecType.TRADE:
        parts.append(f"{event.last_qty_lots}@{event.last_px_ticks}")
    if event.exec_type in (ExecType.RESTATED, ExecType.REPLACED):
        parts.append(str(event.qty_lots))
    if event.reason:
        parts.append(word(words.Reason, event.reason))
    return " ".join([part for part in (*parts, event.field) if part])


def numbers(risk: RiskNumbers | None) -> tuple[str, str, int, int, int, int]:
    """Rule, unit, limit, current, projected and version of a denial."""
    assert risk is not None, "a denial with numbers"
    return (
        risk.rule,
        word(words.RiskUnit, risk.unit),
        risk.limit,
        risk.current,
        risk.projected,
        risk.limits_version,
    )


def check_books(engine: Engine) -> None:
    """After every command: each level is the sum of its orders, and none is crossed in continuous trading."""
    for listing in engine.venue.listings.values():
        book = listing.book
        for side in (book.bids, book.asks):
            assert side.ranks == sorted(side.levels)
            for rank, level in side.levels.items():
                orders = level.orders()
                assert orders, "no level without an order"
                assert level.qty_lots == sum(order.leaves_qty_lots for order in orders)
                assert {order.price_ticks * side.sign for order in orders} == {rank}
        assert listing.trading_session != TradingSession.CONTINUOUS or not book.is_crossed()
        assert listing.first_print_ticks == 0
    assert not engine.venue.line
    assert not engine.venue.newly_throttled


def check_accounts(engine: Engine) -> None:
    """After every command: what accounts hold and count is the sum over their orders and positions."""
    for account in engine.venue.accounts.values():
        orders = account.open_orders()
        assert account.open_count == len(orders)
        assert all(order.cum_qty_lots + order.leaves_qty_lots == order.qty_lots for order in orders)
        positions = list(account.positions.values())
        for cash in account.cash.values():
            mine = [order for order in orders if order.position.cash is cash]
            based = [order for order in orders if order.position.base is cash and not order.is_buy]
            base_micro = sum(order.held_lots * order.listing.base_micro_per_lot for order in based)
            assert cash.held_micro == sum(order.held_micro for order in mine) + base_micro
            assert cash.open_micro == sum(order.counted_micro for order in mine)
            assert cash.realized_micro == sum(p.realized_pnl_micro for p in positions if p.cash is cash)
        for position in positions:
            mine = [order for order in orders if order.position is position]
            held = {side: sum(o.held_lots for o in mine if o.terms.side == side) for side in (1, 2, 5)}
            assert (position.open_buy_lots, position.held_lots, position.open_short_lots) == tuple(held.values())


class Told(list[Any]):
    """The events of one command."""

    @property
    def story(self) -> list[str]:
        """The events as lines."""
        return [line_of(event) for event in self]

    @property
    def numbers(self) -> tuple[str, str, int, int, int, int]:
        """The numbers of the denial that is its first event."""
        return numbers(self[0].risk)


class Market:
    """An engine whose clock ticks once for each command, and verbs to use it with."""

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or Engine()
        self.now_unix_ns = FIRST_TIME_UNIX_NS
        self.done: list[tuple[Command, int]] = []
        self._keys = count(1)

    def opened(self) -> Market:
        """With XYZ (tick 0.01, lot 1) in continuous trading, and ALICE and BOB, who own cash and lots."""
        self.tell(XYZ)
        self.open("ALICE")
        self.open("BOB")
        return self

    def open(self, account: str, cash: int = CASH_MICRO, lots: int = LOTS) -> None:
        """Opens an account with US dollars and lots of XYZ."""
        self.tell(commands.OpenAccount(account))
        if cash:
            self.tell(commands.AdjustCash(account, "USD", cash, "open-cash"))
        if lots:
            self.tell(commands.AdjustPosition(account, "XYZ", lots, 100, "open-lots"))

    # Commands.

    def execute(self, body: commands.Body, **origin: Any) -> list[Event] | Replay:
        """Carries out a command, one nanosecond after the one before."""
        self.now_unix_ns += 1
        command = Command(body, **({"actor": "ann"} | origin))
        self.done.append((command, self.now_unix_ns))
        told = self.engine.execute(command, self.now_unix_ns)
        check_books(self.engine)
        check_accounts(self.engine)
        return told

    def tell(self, body: commands.Body, **origin: Any) -> Told:
        """The events of a command that is no repetition."""
        events = self.execute(body, **origin)
        assert not isinstance(events, Replay), line_of(events.original)
        return Told(events)

    def repeat(self, body: commands.Body, **origin: Any) -> Any:
        """The original event of a command that is a repetition."""
        replay = self.execute(body, **origin)
        assert isinstance(replay, Replay), replay
        return replay.original

    def check(self, order: NewOrder, session_id: str = "") -> Refusal | None:
        """What CheckOrder says to an order now."""
        return self.engine.check(Command(order, "ann", session_id=session_id), self.now_unix_ns + 1)

    def order(self, account: str, side: int, qty: int, price: int = 0, **terms: Any) -> NewOrder:
        """An order: GTC, LIMIT when it has a price and MARKET when it has none; `key` is its cl_ord_id."""
        given: dict[str, Any] = {
            "cl_ord_id": terms.pop("key", None) or f"key-{next(self._keys)}",
            "symbol": "XYZ",
            "ord_type": OrdType.LIMIT if price else OrdType.MARKET,
            "time_in_force": TimeInForce.GTC,
        } | terms
        return NewOrder(account, side=side, qty_lots=qty, price_ticks=price, **given)

    def buy(self, account: str, qty: int, price: int = 0, session_id: str = "", **terms: Any) -> Told:
        """Buys."""
        return self.tell(self.order(account, Side.BUY, qty, price, **terms), session_id=session_id)

    def sell(self, account: str, qty: int, price: int = 0, session_id: str = "", **terms: Any) -> Told:
        """Sells what is held."""
        return self.tell(self.order(account, Side.SELL, qty, price, **terms), session_id=session_id)

    def short(self, account: str, qty: int, price: int = 0, **terms: Any) -> Told:
        """Sells short."""
        return self.tell(self.order(account, Side.SELL_SHORT, qty, price, **terms))

    def trade(self, price: int, qty: int = 1) -> None:
        """Lets ALICE sell to BOB at a price; nothing may rest in the way."""
        self.sell("ALICE", qty, price)
        assert self.buy("BOB", qty, price, time_in_force=TimeInForce.FOK)[2].ord_status == OrdStatus.FILLED

    def replace(self, order: OrderEvent, *, origin: dict[str, Any] | None = None, **changes: Any) -> Told:
        """Replaces the order of an event: `qty` and `display_qty` in lots, `price` and `stop_px` in ticks of XYZ."""
        units = {"qty": 10**9, "display_qty": 10**9, "price": 10**7, "stop_px": 10**7}
        values = {f"{name}_nano": changes.pop(name) * unit for name, unit in units.items() if name in changes}
        key = changes.pop("key", None) or f"key-{next(self._keys)}"
        body = commands.ReplaceOrder(order.terms.account, key, **({"order_id": order.order_id} | values | changes))
        return self.tell(body, **(origin or {}))

    def cancel(self, order: OrderEvent, key: str = "") -> Told:
        """Cancels the order of an event."""
        return self.tell(commands.CancelOrder(order.terms.account, key, order.order_id))

    def session(self, trading_session: int, symbol: str = "XYZ") -> Told:
        """Changes the trading session of an instrument."""
        return self.tell(commands.SetTradingSession(symbol, trading_session))

    def reference(self, price: int, symbol: str = "XYZ") -> Told:
        """Sets a reference price."""
        return self.tell(commands.SetReferencePrice(symbol, price))

    def limit(self, account: str = "", symbol: str = "", **values: Any) -> Told:
        """Sets the given limits of a scope."""
        key = f"key-{next(self._keys)}"
        return self.tell(commands.SetLimits(account, symbol, key, list(values), commands.Limits(**values)))

    def configure(self, account: str, **values: Any) -> Told:
        """Changes what an account may do."""
        return self.tell(commands.ConfigureAccount(account, f"key-{next(self._keys)}", list(values), **values))

    def configure_instrument(self, symbol: str = "XYZ", **values: Any) -> Told:
        """Changes an instrument's collar or band."""
        return self.tell(commands.ConfigureInstrument(symbol, f"key-{next(self._keys)}", list(values), **values))

    def fees(self, *accounts: str, maker_ppm: int = 0, taker_ppm: int = 0, lot_micro: int = 0) -> None:
        """Gives accounts a fee schedule."""
        self.tell(commands.SetFeeSchedule("F", f"key-{next(self._keys)}", maker_ppm, taker_ppm, lot_micro))
        for account in accounts:
            self.configure(account, fee_schedule="F")

    def wait_until(self, unix_ns: int) -> Told:
        """Lets time come to a moment, as the sequencer does when something is due."""
        self.now_unix_ns = unix_ns - 1
        return self.tell(commands.TimeTick(), actor="system")

    # State.

    def account(self, account: str) -> Account:
        """An account."""
        return self.engine.venue.accounts[account]

    def cash(self, account: str, currency: str = "USD") -> Cash:
        """An account's cash."""
        return self.account(account).cash[currency]

    def position(self, account: str, symbol: str = "XYZ") -> Position:
        """An account's position."""
        return self.account(account).positions[symbol]

    def listing(self, symbol: str = "XYZ") -> Listing:
        """An instrument."""
        return self.engine.venue.listings[symbol]

    def state(self, order: OrderEvent) -> Order:
        """The order of an event, as it is now."""
        return self.engine.venue.orders[order.order_id]

    def bids(self, symbol: str = "XYZ") -> list[str]:
        """Resting purchases, best and oldest first: key, open lots, price."""
        return self._resting(symbol, is_buy=True)

    def asks(self, symbol: str = "XYZ") -> list[str]:
        """Resting sales."""
        return self._resting(symbol, is_buy=False)

    def _resting(self, symbol: str, *, is_buy: bool) -> list[str]:
        levels = self.listing(symbol).book.side(is_buy).best_first()
        return [
            f"{order.cl_ord_id} {order.leaves_qty_lots}@{price}" for price, level in levels for order in level.orders()
        ]
