"""Random commands for the core: a busy market with every kind of request, repetitions and nonsense included.

All chance comes from one `Random`, so a seed, or Hypothesis, names the whole flow.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import msgspec

from matching.core import commands as c
from matching.core.events import Event, OrderEvent
from matching.core.words import ExecType, OrdType, Side, TimeInForce

ACCOUNTS = ("ALICE", "BOB", "CAROL")
LISTED = (
    c.ListInstrument("XYZ", 1, "USD", 10**7, 10**9),
    c.ListInstrument("OPT", 2, "USD", 5 * 10**7, 10**9, multiplier=100),
    c.ListInstrument("COIN", 4, "EUR", 10**7, 10**5),
)
FIRST_TIME_UNIX_NS = 1_700_000_000_000_000_000
FIRST_DAY = 20260101
ODD_NUMBERS = (0, -1, 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))
KNOWN_MAX = 60
"""Orders and requests that are remembered, to be asked for again."""


def opening() -> Iterator[c.Command]:
    """Lists the instruments and funds the accounts, so that some orders are denied and most are not."""
    for terms in LISTED:
        yield c.Command(terms)
    for account in ACCOUNTS:
        yield c.Command(c.OpenAccount(account))
        for currency in ("USD", "EUR"):
            yield c.Command(c.AdjustCash(account, currency, 2_000_000_000, f"cash-{currency}"))
        for terms in LISTED:
            yield c.Command(c.AdjustPosition(account, terms.symbol, 150, 100, f"lots-{terms.symbol}"))


class Flow:
    """An endless flow of commands; `hear` tells it what became of them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._number = 0
        self._day = FIRST_DAY
        self._orders: list[tuple[str, int, str]] = []
        self._requests: list[Any] = []

    def hear(self, events: Sequence[Event]) -> None:
        """Remembers accepted orders."""
        for event in events:
            if isinstance(event, OrderEvent) and event.exec_type == ExecType.NEW:
                self._orders = [*self._orders[-KNOWN_MAX:], (event.terms.account, event.order_id, event.cl_ord_id)]

    def next(self) -> c.Command:
        """The next command."""
        random = self._random
        self._number += 1
        kinds = (
            self._new,
            self._replace,
            self._cancel,
            self._again,
            self._conflict,
            self._adjust,
            self._odd,
            self._rare,
        )
        body = random.choices(kinds, (50, 14, 14, 5, 3, 4, 5, 1))[0]()
        if isinstance(body, (c.NewOrder, c.ReplaceOrder, c.CancelOrder, c.AdjustCash, c.AdjustPosition)):
            self._requests = [*self._requests[-KNOWN_MAX:], body]
        return c.Command(body, random.choice(("ann", "bot-7", "")), random.choice((0, 5, 99)))

    def _key(self) -> str:
        return f"k{self._number}"

    def _new(self) -> c.NewOrder:
        random = self._random
        is_limit = random.random() < 0.85
        return c.NewOrder(
            random.choice(ACCOUNTS),
            self._key(),
            random.choice(("XYZ", "XYZ", "XYZ", "OPT", "COIN")),
            random.choice((Side.BUY, Side.SELL)),
            OrdType.LIMIT if is_limit else OrdType.MARKET,
            random.choice(tuple(TimeInForce)),
            random.randint(1, 30),
            random.randint(94, 106) if is_limit else 0,
            decision_maker=random.choice(("", "ann")),
            strategy_id=random.choice(("", "s1")),
        )

    def _known(self) -> tuple[str, int, str]:
        """The account and the ids of an order: either id may be absent, and sometimes the account is another."""
        random = self._random
        if not self._orders:
            return random.choice(ACCOUNTS), 7, "k0"
        account, order_id, key = random.choice(self._orders)
        if random.random() < 0.05:
            account = random.choice(ACCOUNTS)
        return random.choice(((account, order_id, ""), (account, 0, key), (account, order_id, key)))

    def _replace(self) -> c.ReplaceOrder:
        random = self._random
        account, order_id, orig = self._known()
        qty_nano = random.choice((0, random.randint(1, 40))) * random.choice((10**9, 10**9, 10**5, 10**5 + 1))
        price_nano = random.choice((0, random.randint(94, 106))) * random.choice((10**7, 10**7, 5 * 10**7, 10**6))
        return c.ReplaceOrder(account, self._key(), order_id, orig, qty_nano, price_nano)

    def _cancel(self) -> c.CancelOrder:
        account, order_id, orig = self._known()
        return c.CancelOrder(account, self._random.choice(("", self._key())), order_id, orig)

    def _again(self) -> c.Body:
        return self._random.choice(self._requests) if self._requests else self._new()

    def _conflict(self) -> c.Body:
        used = self._again()
        if not isinstance(used, c.NewOrder) or self._random.random() < 0.3:
            return msgspec.structs.replace(self._new(), cl_ord_id=getattr(used, "cl_ord_id", "k1"))
        return msgspec.structs.replace(
            used, **self._random.choice(({"qty_lots": 31}, {"price_ticks": 90}, {"side": 2}))
        )

    def _adjust(self) -> c.Body:
        random = self._random
        account, request_id = random.choice((*ACCOUNTS, "NOBODY")), random.choice((self._key(), self._key(), "", "r1"))
        if random.random() < 0.5:
            currency = random.choice(("USD", "EUR", ""))
            return c.AdjustCash(account, currency, random.randint(-2_000, 2_000) * 1_000_003, request_id)
        symbol = random.choice(("XYZ", "OPT", "COIN", "NONE"))
        return c.AdjustPosition(account, symbol, random.randint(-50, 50), random.randint(-1, 200), request_id)

    def _odd(self) -> c.Body:
        """Requests that a gateway would have stopped."""
        random = self._random
        odd = random.choice(ODD_NUMBERS)
        account, order_id, orig = self._known()
        return random.choice(
            (
                msgspec.structs.replace(self._new(), qty_lots=odd),
                msgspec.structs.replace(self._new(), price_ticks=odd),
                msgspec.structs.replace(self._new(), side=random.choice((0, 3, 5, 9))),
                msgspec.structs.replace(self._new(), ord_type=random.choice((0, 3, 5))),
                msgspec.structs.replace(self._new(), time_in_force=random.choice((0, 4, 6))),
                msgspec.structs.replace(self._new(), self_trade_prevention=random.choice((0, 2))),
                msgspec.structs.replace(self._new(), symbol=random.choice(("", "NONE"))),
                msgspec.structs.replace(self._new(), account=random.choice(("", "NOBODY"))),
                msgspec.structs.replace(self._new(), cl_ord_id=random.choice(("", "käy ✓"))),
                c.ReplaceOrder(
                    account, random.choice(("", self._key())), order_id, orig, odd, random.choice(ODD_NUMBERS)
                ),
                c.CancelOrder(random.choice((account, "NOBODY")), "", random.choice((0, 3, 2**64 - 1)), orig),
                c.AdjustCash(account, "USD", odd, self._key()),
                c.AdjustPosition(account, "XYZ", odd, random.choice(ODD_NUMBERS), self._key()),
            )
        )

    def _rare(self) -> c.Body:
        random = self._random
        self._day += random.choice((1, 1, 1, 0, -1))
        return random.choice(
            (
                c.CloseDay(self._day),
                random.choice(LISTED),
                msgspec.structs.replace(LISTED[0], multiplier=2),
                c.OpenAccount(random.choice(ACCOUNTS)),
            )
        )
