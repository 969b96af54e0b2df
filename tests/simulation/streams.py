"""Random commands for the core: a busy market with every kind of request, repetitions and nonsense included.

All chance comes from one `Random`, so a seed, or Hypothesis, names the whole
stream. The stream looks at the plain venue to know what there is to be replaced,
released or resumed; what it gives is a list of commands with their times that
can be carried out again without it.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation import traders
from tests.simulation.plain.state import Order, Place, Venue

FIRST_TIME_UNIX_NS = 1_700_000_000_000_000_000
FIRST_DAY = 20260101
SECOND_NS = 10**9
ACCOUNTS = ("ALICE", "ALAN", "BOB", "BETH", "CAROL", "DAVE")
GROUPS = {"ALICE": "G1", "ALAN": "G1", "BOB": "G2", "BETH": "G2"}
SCHEDULES = (
    c.SetFeeSchedule("STANDARD", "fees-1", 50, 150, 0),
    c.SetFeeSchedule("MAKER", "fees-2", -20, 100, 3),
    c.SetFeeSchedule("REBATE", "fees-3", -30, -10, 0),
)
OPEN_MAX = 60
"""Open orders after which many are cancelled: the plain venue looks at all of them."""


class Step(NamedTuple):
    """A command and its time."""

    command: c.Command
    now: int


class Slot(NamedTuple):
    """A kind of instrument: its terms but for the symbol, and where its prices are."""

    terms: c.ListInstrument
    center: int


def slots() -> list[Slot]:
    """One instrument of each kind, and two shares."""
    equity, option = types.ASSET_CLASS_EQUITY, types.ASSET_CLASS_OPTION
    strike = {"strike_nano": 2 * 10**9, "option_right": "C", "expiry_date": 20270115}
    return [
        Slot(c.ListInstrument("XYZ", equity, "USD", 10**7, 10**9), 100),
        Slot(c.ListInstrument("ABC", equity, "USD", 10**7, 10**9), 50),
        Slot(c.ListInstrument("OPT", option, "USD", 5 * 10**7, 10**9, 100, **strike), 40),  # type: ignore[arg-type]
        Slot(c.ListInstrument("EURUSD", types.ASSET_CLASS_FX, "USD", 10**5, 10**12, base_currency="EUR"), 10_800),
        Slot(c.ListInstrument("COIN", types.ASSET_CLASS_CRYPTO, "EUR", 10**7, 10**5, base_currency="BTC"), 6),
    ]


def opening() -> Iterator[c.Command]:
    """Lists the instruments and funds the accounts, so that some orders are denied and most are not."""
    bodies: list[c.Body] = [slot.terms for slot in slots()]
    bodies += SCHEDULES
    for number, account in enumerate(ACCOUNTS):
        bodies.append(c.OpenAccount(account))
        for currency in ("USD", "EUR"):
            bodies.append(c.AdjustCash(account, currency, 160_000_000_000 >> number, f"cash-{currency}"))
        for slot in slots():
            symbol = slot.terms.symbol
            sells_short = number % 2 == 0 and symbol in ("OPT", "COIN")
            if slot.terms.asset_class != types.ASSET_CLASS_FX and not sells_short:
                bodies.append(c.AdjustPosition(account, symbol, 600 >> number, slot.center, f"lots-{symbol}"))
        names = ["short_sale_permitted", "short_margin_bps", "self_trade_group", "fee_schedule"]
        schedule = ("", "STANDARD", "MAKER", "REBATE", "STANDARD", "")[number]
        group = GROUPS.get(account, "")
        bodies.append(c.ConfigureAccount(account, "setup", names, number % 2 == 0, 15_000, group, schedule))
    bodies += [c.OpenSession("s1", "gw-1", True, 0), c.OpenSession("s2", "gw-1", True, 5 * SECOND_NS)]
    return (c.Command(body) for body in bodies)


class Stream:
    """An endless stream of commands for a venue."""

    def __init__(self, random: Random, venue: Venue) -> None:
        self.random, self.venue = random, venue
        self.number = 0
        self.now = FIRST_TIME_UNIX_NS
        self.day = FIRST_DAY
        self.slots = slots()
        self.lists: list[tuple[str, str, int, int]] = []
        self.sent: list[c.Body] = []
        self.waiting: list[c.Body] = [command.body for command in opening()]

    def next(self) -> Step:
        """The next command and its time."""
        self.number += 1
        self.now += self._pause()
        body = self.waiting.pop(0) if self.waiting else self._choose()
        self.sent = [*self.sent[-80:], body]
        actor = self.random.choice(("ann", "ann", "ann", "bot-7", "bot-7", "", "system"))
        session_id = self.random.choice(("", "", "", "", "s1", "s2", "s3"))
        return Step(c.Command(body, actor, self.random.choice((0, 5)), session_id, "gw-1"), self.now)

    def _pause(self) -> int:
        """Mostly the next moment; sometimes a while, so that seconds, windows and timers pass."""
        chance = self.random.random()
        if chance < 0.7:
            return self.random.randint(1, 1_000)
        return self.random.randint(1, 200_000_000) if chance < 0.98 else self.random.randint(1, 5 * SECOND_NS)

    def key(self) -> str:
        """A key that is new."""
        return f"k{self.number}"

    def _choose(self) -> c.Body:
        if len(self.venue.live) > OPEN_MAX:
            return self._many_end()
        if (healing := self._heal()) is not None:
            return healing
        kinds: tuple[tuple[Callable[[], c.Body], int], ...] = (
            (self.new_order, 520),
            (self._replace, 150),
            (self._cancel, 60),
            (self._again, 18),
            (self._conflict, 14),
            (self._twin, 14),
            (self._order_list, 50),
            (self._quote, 40),
            (self._reference, 35),
            (self._adjust, 25),
            (self._limits, 16),
            (self._session_change, 10),
            (self._client, 20),
            (self._tick, 12),
            (self._mass_cancel, 6),
            (self._configure, 10),
            (self._odd, 30),
            (self._kill, 2),
            (self._day_end, 2),
            (self._rare, 1),
        )
        makers, weights = zip(*kinds, strict=True)
        maker: Callable[[], c.Body] = self.random.choices(makers, weights)[0]
        return maker()

    def _heal(self) -> c.Body | None:
        """What stops trading does not do so for long."""
        random, venue = self.random, self.venue
        if venue.switches and random.random() < 0.15:
            scope, target = random.choice(venue.switches)
            return c.ReleaseKillSwitch(scope, target, self.key(), random.choice(("olga", "olga", "ann", "")))
        for account in venue.accounts.values():
            if account.latched and random.random() < 0.03:
                return c.ReleaseThrottle(account.name, next(iter(account.latched)), self.key())
        for listing in venue.listings.values():
            if not listing.is_continuous and not listing.is_delisted and random.random() < 0.1:
                return self._next_session(listing.terms.symbol)
        limited = [scope for scope, limits in venue.limits.items() if any(limits.values())]
        if limited and random.random() < 0.01 * len(limited):
            name, symbol = random.choice(limited)
            return c.SetLimits(name, symbol, self.key(), list(traders.LIMITS), c.Limits())
        return None

    def _next_session(self, symbol: str) -> c.Body:
        return c.SetTradingSession(symbol, self.random.choice((1, 2, 3, 3, 4, 4, 4, 4, 5, 6)))

    def slot(self) -> Slot:
        """An instrument; one trades more than the others."""
        return self.random.choice((self.slots[0], self.slots[0], self.slots[0], *self.slots))

    def symbol(self) -> str:
        """The symbol of one."""
        return self.slot().terms.symbol

    def account(self) -> str:
        """An account; some trade more than others."""
        return self.random.choice((*ACCOUNTS, "ALICE", "BOB", "CAROL"))

    def _known(self) -> tuple[str, int, str]:
        """The account and the ids of an order: either id may be absent, and sometimes the account is another."""
        random = self.random
        orders = self.venue.live or list(self.venue.orders.values())[-20:]
        if random.random() < 0.06:
            orders = list(self.venue.orders.values())[-20:]
        if not orders:
            return self.account(), 7, "k0"
        order: Order = random.choice(orders)
        account = self.account() if random.random() < 0.03 else order.account
        chain = random.choice(order.keys) if order.keys else order.cl_ord_id
        return random.choice(((account, order.order_id, ""), (account, 0, order.cl_ord_id), (account, 0, chain)))

    def new_order(self) -> c.NewOrder:
        """An order; of a list, at times."""
        random, slot = self.random, self.slot()
        order = traders.new_order(random, self.account(), self.key(), slot.terms.symbol, slot.center, self.now)
        return self._in_a_list(order, slot) if random.random() < 0.18 else order

    def _in_a_list(self, order: c.NewOrder, slot: Slot) -> c.NewOrder:
        random = self.random
        self.lists = self.lists[-6:]
        if self.lists and random.random() < 0.7:
            account, list_id, kind, leg = self.lists.pop(random.randrange(len(self.lists)))
            if leg < {1: 2, 2: 4, 3: 3}[kind]:
                self.lists.append((account, list_id, kind, leg + 1))
            leg = random.choice((leg, leg, leg, leg, leg, 1, 2, 3, 9))
        else:
            account, list_id, kind, leg = order.account, f"l{self.number}", random.randint(1, 3), 1
            self.lists.append((account, list_id, kind, 2))
        kind = kind if random.random() < 0.98 else random.randint(1, 3)
        return traders.copy(order, account=account, list_id=list_id, contingency_type=kind, leg=leg)

    def _replace(self) -> c.ReplaceOrder:
        random = self.random
        account, order_id, orig = self._known()
        order = self.venue.orders.get(order_id) or next((o for o in self.venue.live if orig in o.keys), None)
        if order is None:
            return c.ReplaceOrder(account, self.key(), order_id, orig, 10**9, 10**7)
        return traders.replace(random, self.venue, order, c.ReplaceOrder(account, self.key(), order_id, orig))

    def _cancel(self) -> c.CancelOrder:
        account, order_id, orig = self._known()
        return c.CancelOrder(account, self.random.choice(("", self.key())), order_id, orig)

    def _again(self) -> c.Body:
        return self.random.choice(self.sent) if self.sent else self.new_order()

    def _conflict(self) -> c.Body:
        return traders.conflicting(self.random, self._again(), self.new_order())

    def _twin(self) -> c.Body:
        """The same order once more, by mistake."""
        orders = [body for body in self.sent if isinstance(body, c.NewOrder)]
        return traders.copy(self.random.choice(orders), cl_ord_id=self.key()) if orders else self.new_order()

    def _order_list(self) -> c.NewOrderList:
        random, account = self.random, self.account()
        if random.random() < 0.6:
            bracket = traders.bracket(random, account, self.key(), self.slot(), self.now)
            return c.NewOrderList(account, bracket)
        orders = [
            traders.copy(self.new_order(), account=account, cl_ord_id=f"{self.key()}-{number}")
            for number in range(random.randint(0, 4))
        ]
        if random.random() < 0.1:
            orders += [order for order in self.sent if isinstance(order, c.NewOrder) and order.account == account][:1]
        return c.NewOrderList(account, orders)

    def _quote(self) -> c.MassQuote:
        random = self.random
        entries = [
            traders.quote(random, slot.terms.symbol, slot.center)
            for slot in random.choices(self.slots, k=random.randint(0, 3))
        ]
        return c.MassQuote(random.choice(ACCOUNTS), self.key() if random.random() < 0.97 else "", entries)

    def _many_end(self) -> c.Body:
        random = self.random
        chosen: tuple[c.Body, ...] = (
            c.MassCancel(self.account(), self.key(), "", 0, ""),
            c.MassCancel(self.account(), self.key(), self.symbol(), 0, ""),
            c.MassCancel(self.account(), "", "", random.choice((1, 2, 5)), ""),
            c.MassCancel(self.account(), self.key(), "", 0, "s1"),
            c.EngageKillSwitch(1, "", self.key()) if random.random() < 0.1 else self._cancel(),
            c.CloseDay(self._next_day()),
        )
        return random.choice(chosen)

    def _mass_cancel(self) -> c.MassCancel:
        random = self.random
        symbol, side = random.choice(("", self.symbol())), random.choice((0, 0, 1, 2, 5))
        session_id = random.choice(("", "", "s1", "s2"))
        return c.MassCancel(self.account(), random.choice(("", self.key())), symbol, side, session_id)

    def _reference(self) -> c.SetReferencePrice:
        slot = self.slot()
        return c.SetReferencePrice(slot.terms.symbol, max(1, slot.center + self.random.randint(-4, 4)))

    def _adjust(self) -> c.Body:
        return traders.adjustment(self.random, self.account(), self.symbol(), self.key())

    def _limits(self) -> c.SetLimits:
        random = self.random
        account = random.choice(("", self.account(), self.account(), "CAROL", "DAVE"))
        symbol = random.choice(("", self.symbol(), self.symbol()))
        return traders.limits(random, account, symbol, self.key())

    def _session_change(self) -> c.Body:
        return self._next_session(self.symbol())

    def _client(self) -> c.Body:
        random = self.random
        session_id = random.choice(("s1", "s2", "s3"))
        dead_man_ns = random.choice((0, SECOND_NS, 3 * SECOND_NS))
        opened = c.OpenSession(session_id, random.choice(("gw-1", "gw-2")), random.random() < 0.7, dead_man_ns)
        closed = c.CloseSession(session_id if random.random() < 0.8 else "", "gw-1" if random.random() < 0.3 else "")
        bodies: list[c.Body] = [opened, opened, c.RenewSession(session_id), c.RenewSession(session_id), closed]
        return random.choice(bodies)

    def _tick(self) -> c.Body:
        return c.TimeTick()

    def _kill(self) -> c.Body:
        scope = self.random.randint(0, 4)
        nobody = self.random.random() < 0.2
        account, symbol = "NOBODY" if nobody else self.account(), "" if nobody else self.symbol()
        targets = {1: "x" * nobody, 2: account, 3: symbol, 4: "s1"}
        return c.EngageKillSwitch(scope, targets.get(scope, ""), self.key(), "why")

    def _next_day(self) -> int:
        self.day += self.random.choice((1, 1, 1, 0))
        return self.day

    def _day_end(self) -> c.Body:
        return c.CloseDay(self._next_day())

    def _configure(self) -> c.Body:
        return traders.configuration(self.random, self.account(), self.symbol(), self.key())

    def _rare(self) -> c.Body:
        """Instruments come and go."""
        random = self.random
        if random.random() < 0.5:
            known: list[c.Body] = [slot.terms for slot in self.slots]
            return random.choice([*known, c.OpenAccount(self.account())])
        index = random.randrange(len(self.slots))
        old = self.slots[index]
        symbol = f"{old.terms.symbol.split('-')[0]}-{self.number}"
        terms = traders.copy(old.terms, symbol=symbol, trading_session=random.choice((0, 2, 4)))
        self.slots[index] = Slot(terms, old.center)
        self.waiting.append(terms)
        if terms.asset_class != types.ASSET_CLASS_FX:
            self.waiting += [c.AdjustPosition(name, symbol, 200, old.center, f"lots-{symbol}") for name in ACCOUNTS]
        return c.DelistInstrument(old.terms.symbol, self.key())

    def _odd(self) -> c.Body:
        order_id = self.random.choice((0, 3, 2**64 - 1))
        waiting = [order for order in self.venue.live if order.place is Place.ARMED]
        orig = self.random.choice(waiting).cl_ord_id if waiting else "k1"
        return traders.odd(self.random, self.new_order(), order_id, orig, self.key())
