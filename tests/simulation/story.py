"""A market to count examples on by hand: both venues carry out the same, and it is told in short lines.

    a1 NEW                        accepted; PENDING_NEW: accepted, and waits
    b1 TRADE 5@101                one side of a trade
    a1 RESTATED 3 SELF_TRADE      its quantity now, and why
    b1 CANCELED NO_LIQUIDITY
    XYZ CONTINUOUS 101 x 5        a market session, with the price and quantity of an auction

Orders are called by their keys: the account's letter and a number, unless `key` is given.
"""

from collections import Counter
from typing import Any

from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation import traders
from tests.simulation.pair import Pair
from tests.simulation.plain.state import Said

SECOND_NS = 10**9
FIRST_TIME_UNIX_NS = 1_700_000_000 * SECOND_NS
CASH_MICRO, LOTS, COST_TICKS = 10**12, 1_000, 100
TICK_MICRO = 10_000
"""What one tick on one lot of XYZ is worth."""
EXEC_TYPES: dict[int, str] = {number: name.removeprefix("EXEC_TYPE_") for name, number in types.ExecType.items()}
REASONS: dict[int, str] = {number: name.removeprefix("REASON_") for name, number in types.Reason.items()}
SESSIONS: dict[int, str] = {number: name[16:] for name, number in types.TradingSession.items()}
MARKET, LIMIT, STOP = types.ORD_TYPE_MARKET, types.ORD_TYPE_LIMIT, types.ORD_TYPE_STOP
STOP_LIMIT, TRAILING_STOP = types.ORD_TYPE_STOP_LIMIT, types.ORD_TYPE_TRAILING_STOP
DAY, GTC, IOC, FOK, GTD = 1, 2, 3, 4, 6
BUY, SELL, SHORT = types.SIDE_BUY, types.SIDE_SELL, types.SIDE_SELL_SHORT
CANCEL_NEWEST, CANCEL_OLDEST, CANCEL_BOTH, DECREMENT = 1, 2, 3, 4
OCO, OTO, OTOCO = 1, 2, 3
BID_ASK, MARK = types.TRIGGER_BY_BID_ASK, types.TRIGGER_BY_MARK
CLOSED, PRE_OPEN, OPENING, CONTINUOUS, HALTED, CLOSING = range(1, 7)
INSTRUMENTS = (
    c.ListInstrument("XYZ", types.ASSET_CLASS_EQUITY, "USD", 10**7, 10**9),
    c.ListInstrument("ABC", types.ASSET_CLASS_EQUITY, "USD", 10**7, 10**9),
    c.ListInstrument("OPT", types.ASSET_CLASS_OPTION, "USD", 10**7, 10**9, 100, strike_nano=50 * 10**9),
    c.ListInstrument("EURUSD", types.ASSET_CLASS_FX, "USD", 10**5, 10**12, base_currency="EUR"),
)


def line_of(event: Said) -> str:
    """An event in a few words."""
    why = REASONS[event["reason"]] if "reason" in event else ""
    if event["kind"] == "trading_session_changed":
        price = event.get("auction_px_ticks", 0)
        auction = f"{price} x {event['auction_qty_lots']}" if price else ""
        parts = [event["symbol"], SESSIONS[event["trading_session"]], auction, why]
    elif event["kind"] == "command_refused":
        parts = ["refused", why, event.get("field", "")]
    elif event["kind"] != "order":
        parts = [event["kind"], str(event.get("canceled_orders", ""))]
    else:
        parts = [event.get("cl_ord_id", ""), _what(event), why, event.get("field", "")]
    return " ".join(part for part in parts if part)


def _what(event: Said) -> str:
    kind = EXEC_TYPES[event["exec_type"]]
    if kind == "NEW" and event["ord_status"] == types.ORD_STATUS_PENDING_NEW:
        return "PENDING_NEW"
    if kind == "TRADE":
        return f"TRADE {event['last_qty_lots']}@{event['last_px_ticks']}"
    return f"{kind} {event['qty_lots']}" if kind in ("RESTATED", "REPLACED") else kind


class Story:
    """Both venues; accounts A to F, each with 1,000,000.00 USD, as many EUR, 1,000 lots of XYZ and ABC at 100."""

    def __init__(self, *accounts: str) -> None:
        self.pair = Pair()
        self.now = FIRST_TIME_UNIX_NS
        self.numbers: Counter[str] = Counter()
        self.events: list[Said] = []
        bodies: list[c.Body] = list(INSTRUMENTS)
        for account in accounts or "ABCDEF":
            bodies.append(c.OpenAccount(account))
            bodies += [c.AdjustCash(account, currency, CASH_MICRO, currency) for currency in ("USD", "EUR")]
            bodies += [c.AdjustPosition(account, symbol, LOTS, COST_TICKS, symbol) for symbol in ("XYZ", "ABC")]
        for body in bodies:
            self.do(body)

    def do(self, body: c.Body, *, actor: str = "ann", session_id: str = "", after_ns: int = 1) -> list[str]:
        """Carries a command out on both; the events, in short lines."""
        self.now += after_ns
        self.events = self.pair.execute(c.Command(body, actor, 0, session_id), self.now)
        self.pair.check_invariants()
        self.pair.check_state()
        return [line_of(event) for event in self.events]

    def key(self, account: str) -> str:
        """A new key of an account."""
        self.numbers[account] += 1
        return f"{account.lower()}{self.numbers[account]}"

    def terms(self, account: str, side: int, qty: int, price: int = 0, **terms: Any) -> c.NewOrder:
        """An order: LIMIT with a price, MARKET without, unless `ord_type` says otherwise."""
        key = terms.pop("key", "") or self.key(account)
        ord_type = terms.pop("ord_type", LIMIT if price else MARKET)
        order = c.NewOrder(account, key, terms.pop("symbol", "XYZ"), side, ord_type, qty_lots=qty, price_ticks=price)
        return traders.copy(order, **terms)

    def buy(self, account: str, qty: int, price: int = 0, **terms: Any) -> list[str]:
        """A purchase; MARKET without a price."""
        return self.place(account, BUY, qty, price, **terms)

    def sell(self, account: str, qty: int, price: int = 0, **terms: Any) -> list[str]:
        """A sale."""
        return self.place(account, SELL, qty, price, **terms)

    def place(self, account: str, side: int, qty: int, price: int = 0, **terms: Any) -> list[str]:
        """An order, checked before it is placed: both decisions are the same."""
        session_id, after_ns = terms.pop("session_id", ""), terms.pop("after_ns", 1)
        body = self.terms(account, side, qty, price, **terms)
        command = c.Command(body, "ann", 0, session_id)
        self.pair.check(command, self.now + after_ns)
        return self.do(body, session_id=session_id, after_ns=after_ns)

    def trade(self, price: int, qty: int = 1, symbol: str = "XYZ") -> None:
        """E and F trade with each other: the last price is this."""
        self.sell("E", qty, price, symbol=symbol)
        self.buy("F", qty, price, symbol=symbol, time_in_force=IOC)

    def replace(self, orig: str, account: str = "", **changes: int) -> list[str]:
        """Changes an order of XYZ: quantities in lots, prices in ticks."""
        account = account or orig[0].upper()
        sizes = {"qty": 10**9, "display_qty": 10**9, "price": 10**7, "stop_px": 10**7}
        nano = {f"{name}_nano": value * sizes[name] for name, value in changes.items()}
        return self.do(c.ReplaceOrder(account, self.key(account), 0, orig, **nano))

    def cancel(self, account: str, key: str) -> list[str]:
        """Cancels an order."""
        return self.do(c.CancelOrder(account, "", 0, key))

    def short(self, account: str, qty: int, price: int = 0, **terms: Any) -> list[str]:
        """A short sale."""
        return self.place(account, SHORT, qty, price, **terms)

    def without_lots(self, account: str) -> None:
        """An account that holds nothing of XYZ, and may sell it short."""
        self.do(c.AdjustPosition(account, "XYZ", -LOTS, 0, self.key("r")))
        self.configure(account, short_sale_permitted=True)

    def session(self, session: int, symbol: str = "XYZ") -> list[str]:
        """Enters a market session."""
        return self.do(c.SetTradingSession(symbol, session))

    def reference(self, price: int, symbol: str = "XYZ") -> list[str]:
        """A reference price."""
        return self.do(c.SetReferencePrice(symbol, price))

    def configure(self, account: str, **settings: Any) -> None:
        """What an account may do and pays."""
        self.do(c.ConfigureAccount(account, self.key("r"), list(settings), **settings))

    def instrument(self, **settings: int) -> None:
        """Collar and band of XYZ."""
        self.do(c.ConfigureInstrument("XYZ", self.key("r"), list(settings), **settings))

    def fees(self, name: str, maker: int, taker: int, lot: int = 0) -> None:
        """A schedule of fees."""
        self.do(c.SetFeeSchedule(name, self.key("r"), maker, taker, lot))

    def limit(self, account: str = "", symbol: str = "", **limits: Any) -> None:
        """Limits of a scope."""
        self.do(c.SetLimits(account, symbol, self.key("r"), list(limits), c.Limits(**limits)))

    def risk(self) -> tuple[Any, ...]:
        """The numbers of the last denial: rule, limit, current, projected."""
        risk = self.events[-1]["risk"]
        return tuple(risk.get(name, 0) for name in ("rule", "limit", "current", "projected"))

    def shown(self, key: str) -> int:
        """What the book shows of an iceberg."""
        return int(self._order(key).shown)

    def leaves(self, key: str) -> int:
        """What is open of an order."""
        return int(self._order(key).leaves)

    def stop_px(self, key: str) -> int:
        """Where an order's trigger is."""
        return int(self._order(key).stop_px)

    def _order(self, key: str) -> Any:
        return next(order for order in self.pair.plain.live if key in order.keys)

    def queue(self, price: int, *, buys: bool) -> list[str]:
        """The orders at a price of XYZ, in their turn."""
        levels = dict((self.pair.engine.venue.listings["XYZ"].book.side(buys)).best_first())
        return [str(order.cl_ord_id) for order in levels[price].orders()] if price in levels else []

    def cash(self, account: str, currency: str = "USD") -> int:
        """Cash in 10^-6, beyond what the account began with."""
        return self.pair.plain.accounts[account].cash[currency] - CASH_MICRO

    def held(self, account: str, currency: str = "USD") -> int:
        """Cash that open orders hold."""
        return int(self.pair.engine.venue.accounts[account].cash[currency].held_micro)

    def position(self, account: str, symbol: str = "XYZ") -> tuple[int, int, int]:
        """Lots, cost in ticks times lots, realised profit in 10^-6."""
        holding = self.pair.plain.accounts[account].holding(symbol)
        return holding.lots, holding.cost, holding.pnl
