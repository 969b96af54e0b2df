"""Random commands for the core: a busy market with every kind of request, repetitions and nonsense included.

All chance comes from one `Random`, so a seed, or Hypothesis, names the whole
flow. `Flow` gives commands and is told what became of them; `matching_story`
carries them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from random import Random
from typing import Any, TypeVar

from matching.core import commands as c
from matching.core.events import Event, OrderEvent, VenueEvent
from matching.core.keys import NEW_ORDER_FIELDS, content_of
from matching.core.words import ExecType, OrdType, Side, TimeInForce, TradingSession

Body = TypeVar("Body")
ACCOUNTS = ("ALICE", "BOB", "CAROL", "DAVE", "ERIN")
SYMBOLS = ("XYZ", "XYZ", "XYZ", "OPT", "COIN", "PAIR")
LISTED = (
    c.ListInstrument("XYZ", 1, "USD", 10**7, 10**9),
    c.ListInstrument("OPT", 2, "USD", 5 * 10**7, 10**9, multiplier=100, strike_nano=100 * 10**9, option_right="CALL"),
    c.ListInstrument("COIN", 4, "EUR", 10**7, 10**5),
    c.ListInstrument("PAIR", 3, "USD", 10**7, 10**9, base_currency="EUR"),
)
FIRST_TIME_UNIX_NS = 1_700_000_000_000_000_000
SECOND_NS = 10**9
FIRST_DAY = 20260101
ODD_NUMBERS = (0, -1, 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))
KNOWN_MAX = 60
"""Orders and requests that are remembered, to be asked for again."""
REPEATABLE = (c.NewOrder, c.ReplaceOrder, c.CancelOrder, c.AdjustCash, c.AdjustPosition, c.MassQuote, c.NewOrderList,
              c.MassCancel, c.SetLimits)  # fmt: skip


def opening() -> Iterator[c.Command]:
    """Lists the instruments and funds the accounts, so that some orders are denied and most are not."""
    for terms in LISTED:
        yield c.Command(terms)
    yield c.Command(c.SetFeeSchedule("F", "fees", -20, 100, 7))
    for account in ACCOUNTS:
        yield c.Command(c.OpenAccount(account))
        for currency in ("USD", "EUR"):
            yield c.Command(c.AdjustCash(account, currency, 2_000_000_000, f"cash-{currency}"))
        for terms in LISTED[:3]:
            yield c.Command(c.AdjustPosition(account, terms.symbol, 150, 100, f"lots-{terms.symbol}"))
    mask = ["short_sale_permitted", "fee_schedule"]
    yield c.Command(c.ConfigureAccount("BOB", "configure", mask, short_sale_permitted=True, fee_schedule="F"))
    yield c.Command(c.ConfigureAccount("CAROL", "configure", ["self_trade_group"], self_trade_group="G"))
    for number in (1, 2, 3):
        yield c.Command(c.OpenSession(f"s{number}", f"g{number % 2}", number != 2, 0))


def changed(body: Body, **values: Any) -> Body:
    """A copy of a command with other values."""
    return type(body)(**(values_of(body) | values))


def values_of(body: Any) -> dict[str, Any]:
    """The fields of a command."""
    names = (*NEW_ORDER_FIELDS, "client_unix_ns") if isinstance(body, c.NewOrder) else _names(body)
    return {name: getattr(body, name) for name in names}


def _names(part: Any) -> tuple[str, ...]:
    """The fields of any part of a command; of ReplaceOrder and CancelOrder those that the core compares."""
    plain = isinstance(part, (c.ReplaceOrder, c.CancelOrder))
    return content_of(part) if plain else tuple(field.name for field in fields(part))


class Flow:
    """An endless flow of commands; `hear` tells it what became of them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._number = 0
        self._now_unix_ns = FIRST_TIME_UNIX_NS
        self._day = FIRST_DAY
        self._orders: list[tuple[str, int, str]] = []
        self._requests: list[Any] = []
        self._mending: list[c.Body] = []
        """What ends a state in which nothing would happen any more."""
        self._kinds: dict[Callable[[], c.Body], float] = {
            self._new: 30,
            self._rich: 18,
            self._leg: 9,
            self._replace: 12,
            self._cancel: 8,
            self._again: 5,
            self._conflict: 3,
            self._quote: 5,
            self._basket: 2,
            self._mass_cancel: 1,
            self._adjust: 3,
            self._odd: 4,
            self._reference: 2,
            self._market: 0.5,
            self._session: 2,
            self._limit: 1,
            self._rule: 1,
            self._kill: 0.7,
            self._rare: 0.7,
        }

    def hear(self, events: Sequence[Event]) -> None:
        """Remembers accepted orders, and what stands in the way of more."""
        self._now_unix_ns = events[0].time_unix_ns
        for event in events:
            if isinstance(event, OrderEvent) and event.exec_type == ExecType.NEW:
                self._orders = [*self._orders[-KNOWN_MAX:], (event.terms.account, event.order_id, event.cl_ord_id)]
            elif isinstance(event, VenueEvent):
                self._mend(event)

    def next(self) -> c.Command:
        """The next command."""
        random = self._random
        self._number += 1
        if self._mending and random.random() < 0.1:
            return c.Command(self._mending.pop(random.randrange(len(self._mending))), "ann")
        body = random.choices([*self._kinds], [*self._kinds.values()])[0]()
        if isinstance(body, REPEATABLE):
            self._requests = [*self._requests[-KNOWN_MAX:], body]
        actor, received = random.choice(("ann", "bot-7", "")), random.choice((0, 5, 99))
        return c.Command(
            body, actor, received, random.choice(("", "", "s1", "s2", "s3", "s9")), random.choice(("", "g1"))
        )

    def _mend(self, event: VenueEvent) -> None:
        key = f"mend-{event.seq}"
        if event.name == "kill_switch_engaged":
            engaged: Any = event.fields["kill_switch"]
            self._mending.append(c.ReleaseKillSwitch(engaged.scope, engaged.target, key, "the chief"))
        elif event.name == "throttle_engaged":
            account, symbol = str(event.fields["account"]), str(event.fields["symbol"])
            self._mending.append(c.ReleaseThrottle(account, symbol, key))
        elif event.name == "limits_set":
            change: Any = event.fields["change"]
            if any(getattr(change.limits, name) for name in change.update_mask):
                reset = c.SetLimits(change.account, change.symbol, key, change.update_mask, c.Limits())
                self._mending.append(reset)
        elif event.name == "trading_session_changed":
            symbol, session = str(event.fields["symbol"]), event.fields["trading_session"]
            if session != TradingSession.CONTINUOUS:
                leads_on = session not in (TradingSession.CLOSING_AUCTION,)
                following = TradingSession.CONTINUOUS if leads_on else TradingSession.CLOSED
                self._mending.append(c.SetTradingSession(symbol, following))
        elif event.name == "session_closed":
            session_id = str(event.fields["session_id"])
            self._mending.append(c.OpenSession(session_id, "g1", self._number % 2 == 0, 3 * SECOND_NS))

    def _key(self) -> str:
        return f"k{self._number}"

    def _new(self) -> c.NewOrder:
        random = self._random
        is_limit = random.random() < 0.85
        return c.NewOrder(
            random.choice(ACCOUNTS),
            self._key(),
            random.choice(SYMBOLS),
            random.choice((Side.BUY, Side.BUY, Side.SELL, Side.SELL, Side.SELL_SHORT)),
            OrdType.LIMIT if is_limit else OrdType.MARKET,
            random.choice((TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)),
            random.randint(1, 30),
            random.randint(94, 106) if is_limit else 0,
            random.choice((1, 1, 2, 3, 4)),
            random.choice(("", "ann")),
            random.choice(("", "s1")),
        )

    def _rich(self) -> c.NewOrder:
        """An order with something beyond side, type, time in force, quantity and price."""
        random = self._random
        tif = random.choice((TimeInForce.DAY, TimeInForce.GTC))
        limit = changed(self._new(), ord_type=OrdType.LIMIT, time_in_force=tif, price_ticks=random.randint(94, 106))
        watched = random.choice((0, 1, 2, 3))
        stop = {"stop_px_ticks": random.randint(96, 104), "trigger_by": watched}
        trail: dict[str, int] = {"trail_offset": random.randint(1, 300), "trail_unit": random.choice((1, 2))}
        expire_unix_ns = self._now_unix_ns + random.choice((10**7, 10**8, SECOND_NS))
        return random.choice(
            (
                changed(limit, ord_type=OrdType.STOP, price_ticks=0, **stop),
                changed(limit, ord_type=OrdType.STOP_LIMIT, **stop),
                changed(limit, ord_type=OrdType.TRAILING_STOP, price_ticks=0, trigger_by=watched, **trail),
                changed(limit, display_qty_lots=random.randint(1, limit.qty_lots)),
                changed(limit, post_only=True),
                changed(limit, reduce_only=True, client_unix_ns=self._number),
                changed(limit, time_in_force=TimeInForce.IOC, min_qty_lots=random.randint(1, limit.qty_lots)),
                changed(limit, time_in_force=TimeInForce.GTD, expire_unix_ns=expire_unix_ns),
            )
        )

    def _leg(self) -> c.NewOrder:
        """A leg of a list; the lists are few, so that their legs find each other."""
        random = self._random
        kind = random.choice((1, 2, 3))
        leg = random.randint(1, (2, 4, 3)[kind - 1])
        list_id = f"list-{kind}-{self._number // 60}-{random.randint(1, 2)}"
        account = random.choice(ACCOUNTS[:2])
        basis = random.choice((self._new, self._rich))()
        return changed(basis, account=account, contingency_type=kind, leg=leg, list_id=list_id)

    def _known(self) -> tuple[str, int, str]:
        """The account and the ids of an order: either id may be absent, and sometimes the account is another."""
        random = self._random
        if not self._orders:
            return random.choice(ACCOUNTS), 7, "k0"
        account, order_id, key = random.choice(self._orders[-random.choice((8, KNOWN_MAX)) :])
        if random.random() < 0.05:
            account = random.choice(ACCOUNTS)
        return random.choice(((account, order_id, ""), (account, 0, key), (account, order_id, key)))

    def _replace(self) -> c.ReplaceOrder:
        random = self._random
        account, order_id, orig = self._known()
        qty_nano = random.choice((0, random.randint(1, 40))) * random.choice((10**9, 10**9, 10**5, 10**5 + 1))
        price_nano = random.choice((0, random.randint(94, 106))) * random.choice((10**7, 10**7, 5 * 10**7, 10**6))
        stop_px_nano = random.choice((0, 0, 0, random.randint(94, 106) * 10**7))
        display_nano = random.choice((0, 0, 0, random.randint(1, 9) * 10**9))
        return c.ReplaceOrder(account, self._key(), order_id, orig, qty_nano, price_nano, stop_px_nano, display_nano)

    def _cancel(self) -> c.CancelOrder:
        account, order_id, orig = self._known()
        return c.CancelOrder(account, self._random.choice(("", self._key())), order_id, orig)

    def _mass_cancel(self) -> c.MassCancel:
        random = self._random
        symbol, side = random.choice(("", *SYMBOLS)), random.choice((0, 1, 2))
        return c.MassCancel(
            random.choice((*ACCOUNTS, "NOBODY")),
            random.choice(("", self._key())),
            symbol,
            side,
            random.choice(("", "s1")),
        )

    def _quote(self) -> c.MassQuote:
        random = self._random

        def entry() -> c.QuoteEntry:
            bid, ask = random.randint(95, 101), random.randint(99, 105)
            sides = random.choice(((bid, ask), (bid, ask), (bid, 0), (0, ask), (0, 0)))
            return c.QuoteEntry(random.choice(SYMBOLS), sides[0], random.randint(1, 9), sides[1], random.randint(1, 9))

        key = random.choice((self._key(), self._key(), self._key(), ""))
        return c.MassQuote(random.choice(ACCOUNTS[1:]), key, [entry() for _ in range(random.randint(0, 3))])

    def _basket(self) -> c.NewOrderList:
        account = self._random.choice((*ACCOUNTS, "NOBODY"))
        orders = [
            changed(self._random.choice((self._new, self._rich))(), account=account, cl_ord_id=f"{self._key()}-{n}")
            for n in range(self._random.randint(0, 4))
        ]
        return c.NewOrderList(account, orders)

    def _again(self) -> c.Body:
        return self._random.choice(self._requests) if self._requests else self._new()

    def _conflict(self) -> c.Body:
        used = self._again()
        if not isinstance(used, c.NewOrder) or self._random.random() < 0.3:
            return changed(self._new(), cl_ord_id=getattr(used, "cl_ord_id", "k1"))
        other = self._random.choice(({"qty_lots": 31}, {"price_ticks": 90}, {"side": 2}))
        return changed(used, **other)

    def _adjust(self) -> c.Body:
        random = self._random
        account, request_id = random.choice((*ACCOUNTS, "NOBODY")), random.choice((self._key(), self._key(), "", "r1"))
        if random.random() < 0.5:
            currency = random.choice(("USD", "EUR", ""))
            return c.AdjustCash(account, currency, random.randint(-2_000, 2_000) * 1_000_003, request_id)
        symbol = random.choice(("XYZ", "OPT", "COIN", "NONE"))
        return c.AdjustPosition(account, symbol, random.randint(-50, 50), random.randint(-1, 200), request_id)

    def _reference(self) -> c.SetReferencePrice:
        return c.SetReferencePrice(self._random.choice((*SYMBOLS, "NONE")), self._random.randint(97, 103))

    def _market(self) -> c.SetTradingSession:
        return c.SetTradingSession(self._random.choice(SYMBOLS), self._random.randint(1, 6))

    def _session(self) -> c.Body:
        random = self._random
        session_id = f"s{random.randint(1, 4)}"
        return random.choice(
            (
                c.OpenSession(session_id, "g0", True, random.choice((0, 10**8, -1))),
                c.RenewSession(session_id),
                c.CloseSession(session_id),
                c.CloseSession(gateway_id=random.choice(("g0", "g1", "g2"))),
            )
        )

    def _limit(self) -> c.SetLimits:
        random = self._random
        limits = c.Limits(
            20, 3 * 10**7, 300, SECOND_NS, 5, 10**8, 1, 60 * SECOND_NS, 10**6, 10**8, 200, 10**8, 10**7, True
        )
        known = list(_names(limits))
        names = known if random.random() < 0.2 else random.sample(known, 2)
        scope = random.choice((("", ""), ("ALICE", ""), ("", "XYZ"), ("BOB", "XYZ"), ("NOBODY", "")))
        return c.SetLimits(*scope, self._key(), [*names, *random.choice(((), (), ("nonsense",)))], limits)

    def _rule(self) -> c.Body:
        random = self._random
        key = self._key()
        mask = ["short_sale_permitted", "short_margin_bps", "self_trade_group", "fee_schedule"]
        group, schedule = random.choice(("", "G")), random.choice(("", "F", "F2"))
        band = random.choice((0, 0, 400, 10_000))
        return random.choice(
            (
                c.ConfigureAccount(random.choice(ACCOUNTS), key, mask, random.random() < 0.5, 15_000, group, schedule),
                c.ConfigureInstrument(
                    random.choice(SYMBOLS), key, ["market_collar_bps", "price_band_bps"], random.randint(100, 900), band
                ),
                c.SetFeeSchedule(
                    random.choice(("F", "F2", "")), key, random.randint(-50, 50), 100, random.randint(0, 9)
                ),
            )
        )

    def _kill(self) -> c.Body:
        random = self._random
        scope, target = random.choice(
            ((1, ""), (2, "ALICE"), (2, "BOB"), (2, "NOBODY"), (3, "XYZ"), (3, "COIN"), (4, "s1"), (4, "s9"), (0, ""))
        )
        kill = c.EngageKillSwitch(scope, target, self._key(), "a test")
        return random.choice((kill, kill, c.ReleaseKillSwitch(scope, target, self._key(), random.choice(("", "ann")))))

    def _odd(self) -> c.Body:
        """Requests that a gateway would have stopped."""
        random = self._random
        odd = random.choice(ODD_NUMBERS)
        account, order_id, orig = self._known()
        names = ("side", "ord_type", "time_in_force", "self_trade_prevention", "trail_unit", "trigger_by", "leg")
        numbers = ("qty_lots", "price_ticks", "stop_px_ticks", "trail_offset", "display_qty_lots", "min_qty_lots")
        return random.choice(
            (
                changed(self._new(), **{random.choice(numbers): odd}),
                changed(self._rich(), **{random.choice(numbers): odd}),
                changed(self._new(), **{random.choice(names): random.choice((0, 3, 7, 9))}),
                changed(self._new(), symbol=random.choice(("", "NONE"))),
                changed(self._new(), account=random.choice(("", "NOBODY"))),
                changed(self._new(), cl_ord_id=random.choice(("", "käy ✓"))),
                c.ReplaceOrder(
                    account, random.choice(("", self._key())), order_id, orig, odd, random.choice(ODD_NUMBERS)
                ),
                c.CancelOrder(random.choice((account, "NOBODY")), "", random.choice((0, 3, 2**64 - 1)), orig),
                c.AdjustCash(account, "USD", odd, self._key()),
                c.AdjustPosition(account, "XYZ", odd, random.choice(ODD_NUMBERS), self._key()),
                c.SetReferencePrice("XYZ", min(odd, 0)),
            )
        )

    def _rare(self) -> c.Body:
        random = self._random
        self._day += random.choice((1, 1, 1, 0, -1))
        new = f"N{self._number // 500}"
        return random.choice(
            (
                c.CloseDay(self._day),
                c.TimeTick(),
                random.choice(LISTED),
                changed(LISTED[0], multiplier=2),
                changed(LISTED[0], symbol=new, trading_session=random.choice((0, 2, 4))),
                changed(self._new(), symbol=new),
                c.DelistInstrument(new, self._key()),
                c.OpenAccount(random.choice(ACCOUNTS)),
            )
        )
