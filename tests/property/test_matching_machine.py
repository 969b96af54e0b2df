"""A small market as a state machine: whatever it is asked in whatever order, the core and the plain venue agree.

Few accounts and prices, so that what fails is shrunk to a story that a person
can follow; the books, balances and invariants are compared after each rule.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from matching.core import commands as c
from tests.simulation.story import (
    BUY,
    CLOSED,
    CLOSING,
    CONTINUOUS,
    DAY,
    FOK,
    GTC,
    GTD,
    HALTED,
    IOC,
    LIMIT,
    MARKET,
    OPENING,
    SELL,
    SHORT,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    Story,
)

ACCOUNTS = st.sampled_from("ABC")
SIDES = st.sampled_from((BUY, SELL, BUY, SELL, SHORT))
PRICES, LOTS = st.integers(98, 102), st.integers(1, 6)
MODES = st.integers(1, 4)
WATCHED = st.integers(0, 3)


class Market(RuleBasedStateMachine):
    """Three accounts, two of them of one owner, and one instrument."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story("A", "B", "C")

    @initialize()
    def begin(self) -> None:
        """One may sell short, two are of one owner, and there is a fee."""
        self.story.fees("F", -10, 25, 1)
        self.story.without_lots("A")
        self.story.configure("B", self_trade_group="G", fee_schedule="F")
        self.story.configure("C", self_trade_group="G")

    def keys(self) -> list[tuple[str, str]]:
        """The open orders."""
        return [(order.account, order.cl_ord_id) for order in self.story.pair.plain.live if order.is_open]

    @rule(
        account=ACCOUNTS,
        side=SIDES,
        qty=LOTS,
        price=PRICES,
        tif=st.sampled_from((DAY, GTC, IOC, FOK, GTD)),
        mode=MODES,
        display=st.integers(0, 2),
        flags=st.tuples(st.booleans(), st.booleans()),
    )
    def limit(
        self, account: str, side: int, qty: int, price: int, tif: int, mode: int, display: int, flags: tuple[bool, bool]
    ) -> None:
        """A limit order with whatever it may have."""
        expiry = self.story.now + 20 if tif == GTD else 0
        terms: dict[str, Any] = {"time_in_force": tif, "self_trade_prevention": mode, "expire_unix_ns": expiry}
        terms |= {"display_qty_lots": min(display, qty), "post_only": all(flags), "reduce_only": flags[0]}
        self.story.place(account, side, qty, price, ord_type=LIMIT, **terms)

    @rule(account=ACCOUNTS, side=SIDES, qty=LOTS, mode=MODES)
    def market(self, account: str, side: int, qty: int, mode: int) -> None:
        """A market order."""
        self.story.place(account, side, qty, ord_type=MARKET, self_trade_prevention=mode)

    @rule(account=ACCOUNTS, side=SIDES, qty=LOTS, price=st.integers(0, 3), stop=PRICES, watched=WATCHED)
    def stop(self, account: str, side: int, qty: int, price: int, stop: int, watched: int) -> None:
        """A stop, with a limit or without."""
        ord_type, limit = (STOP_LIMIT, 98 + price) if price else (STOP, 0)
        self.story.place(account, side, qty, limit, ord_type=ord_type, stop_px_ticks=stop, trigger_by=watched)

    @rule(account=ACCOUNTS, side=SIDES, qty=LOTS, offset=st.integers(1, 150), unit=st.integers(1, 2), watched=WATCHED)
    def trail(self, account: str, side: int, qty: int, offset: int, unit: int, watched: int) -> None:
        """A trailing stop."""
        terms = {"trail_offset": offset if unit == 2 else 1 + offset % 3, "trail_unit": unit, "trigger_by": watched}
        self.story.place(account, side, qty, ord_type=TRAILING_STOP, **terms)

    @rule(account=ACCOUNTS, kind=st.integers(1, 3), qty=LOTS, prices=st.tuples(PRICES, PRICES, PRICES))
    def contingent(self, account: str, kind: int, qty: int, prices: tuple[int, int, int]) -> None:
        """An OCO, an OTO or a bracket, as a list of orders."""
        list_id = self.story.key("l")
        sides = (SELL, SELL) if kind == 1 else (BUY, SELL, SELL)
        orders = [
            self.story.terms(account, side, qty, price, contingency_type=kind, list_id=list_id, leg=leg)
            for leg, (side, price) in enumerate(zip(sides, prices, strict=False), 1)
        ]
        loss = self.story.terms(account, SELL, qty, ord_type=STOP, stop_px_ticks=prices[2])
        for name in ("contingency_type", "list_id", "leg"):
            setattr(loss, name, getattr(orders[-1], name))
        self.story.do(c.NewOrderList(account, [*orders[:-1], loss]))

    @rule(data=st.data(), qty=st.integers(0, 7), price=st.sampled_from((0, 98, 100, 102)), other=st.integers(0, 2))
    def replace(self, data: st.DataObject, qty: int, price: int, other: int) -> None:
        """A change of an open order."""
        if keys := self.keys():
            account, key = data.draw(st.sampled_from(keys))
            more = {"display_qty": other} if qty % 2 else {"stop_px": 98 + other}
            self.story.replace(key, account, qty=qty, price=price, **more)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A cancel of an open order."""
        if keys := self.keys():
            self.story.cancel(*data.draw(st.sampled_from(keys)))

    @rule(sessions=st.sampled_from(((HALTED, OPENING), (HALTED,), (CLOSING,), (CLOSED,), (CONTINUOUS,))))
    def session(self, sessions: tuple[int, ...]) -> None:
        """Another market session, or back to trading."""
        for session in sessions:
            self.story.session(session)

    @rule(price=PRICES, bps=st.sampled_from((0, 0, 100, 200)))
    def reference(self, price: int, bps: int) -> None:
        """A reference price and a band around it."""
        self.story.reference(price)
        self.story.instrument(price_band_bps=bps)

    @rule(ns=st.integers(1, 30))
    def tick(self, ns: int) -> None:
        """Time passes."""
        self.story.do(c.TimeTick(), after_ns=ns)

    @rule(account=ACCOUNTS, bid=st.integers(97, 100), ask=st.integers(100, 103), qty=LOTS)
    def quote(self, account: str, bid: int, ask: int, qty: int) -> None:
        """A quote of both sides."""
        self.story.do(c.MassQuote(account, self.story.key("q"), [c.QuoteEntry("XYZ", bid, qty, ask, qty)]))

    def teardown(self) -> None:
        """When everything is cancelled nothing is held."""
        self.story.do(c.EngageKillSwitch(1, "", "end"))
        self.story.pair.check_drained()


TestMarket = Market.TestCase
TestMarket.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
