"""Accounts, cash and lots, so plain that they are right by reading them: no hold is stored, each is counted anew."""

from dataclasses import dataclass, field
from typing import Any

from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c

BOUND = 2**62
Said = dict[str, Any]
"""An event: what it says beyond zero."""


@dataclass
class PlainOrder:
    """An order, open or not."""

    order_id: int
    command: c.NewOrder
    cl_ord_id: str
    qty: int
    price: int
    arrival: int
    accepted: int
    status: int = types.ORD_STATUS_NEW
    cum: int = 0
    value: int = 0
    last: Said = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.status in (types.ORD_STATUS_NEW, types.ORD_STATUS_PARTIALLY_FILLED)

    @property
    def leaves(self) -> int:
        return self.qty - self.cum if self.is_open else 0

    @property
    def buys(self) -> bool:
        return self.command.side == types.SIDE_BUY


@dataclass
class Holding:
    """Lots of one instrument, what they cost, and what their sales have earned."""

    lots: int = 0
    cost: int = 0
    pnl: int = 0


@dataclass
class PlainAccount:
    """What one account owns, and what became of its requests."""

    seq: int = 0
    cash: dict[str, int] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    keys: dict[str, tuple[Any, Said, PlainOrder | None]] = field(default_factory=dict)
    adjusted: dict[str, tuple[Any, Said]] = field(default_factory=dict)


class PlainLedger:
    """What is listed, who owns what, and every order there ever was; `say` writes an event.

    `live` are the orders that may be open, in the order of their ids.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.arrivals = 0
        self.listed: dict[str, tuple[c.ListInstrument, int, Said]] = {}
        self.accounts: dict[str, PlainAccount] = {}
        self.opened: dict[str, Said] = {}
        self.orders: dict[int, PlainOrder] = {}
        self.live: list[PlainOrder] = []
        self.now = self.command_seq = 0
        self.actor = ""
        self.closed_day = 0
        self.events: list[Said] = []

    def say(self, **body: Any) -> Said:
        """Writes an event."""
        self.seq += 1
        said = {"seq": self.seq, "command_seq": self.command_seq, "time_unix_ns": self.now} | body
        self.events.append({name: value for name, value in said.items() if value})
        return self.events[-1]

    def record(self, **body: Any) -> Said:
        """Writes an event that is about no order: it tells who asked."""
        return self.say(actor=self.actor, **body)

    def worth(self, symbol: str) -> int:
        """Units of 10^-6 for one tick on one lot."""
        return self.listed[symbol][1]

    def held_cash(self, account: str, currency: str) -> int:
        """What all open buy orders could cost."""
        return sum(
            order.leaves * order.price * self.worth(order.command.symbol)
            for order in self.live
            if order.command.account == account
            and order.buys
            and self.listed[order.command.symbol][0].currency == currency
        )

    def held_lots(self, account: str, symbol: str) -> int:
        """What all open sell orders could deliver."""
        return sum(
            order.leaves
            for order in self.live
            if (order.command.account, order.command.symbol, order.buys) == (account, symbol, False)
        )

    def list_instrument(self, body: c.ListInstrument) -> None:
        """Lists what is not listed; the flow gives only terms that make sense."""
        if body.symbol in self.listed:
            self.record(reason=types.REASON_ALREADY_EXISTS, field="symbol")
            return
        worth = body.tick_size_nano * body.lot_size_nano * body.multiplier // 10**12
        self.listed[body.symbol] = (body, worth, self.record(instrument=body))

    def open_account(self, body: c.OpenAccount) -> None:
        """Opens an account."""
        self.accounts[body.account] = PlainAccount()
        self.opened[body.account] = self.record(account=body.account)

    def adjust_cash(self, body: c.AdjustCash) -> None:
        """Moves cash once."""
        account = self.accounts.get(body.account)
        no = self._wrong_adjustment(account, body)
        if no is None and account is not None:
            free = account.cash.get(body.currency, 0) - self.held_cash(body.account, body.currency)
            total = sum(one.cash.get(body.currency, 0) for one in self.accounts.values())
            if not body.currency:
                no = types.REASON_FIELD_MISSING, "currency"
            elif free + body.amount_micro < 0:
                no = types.REASON_BUYING_POWER, "amount"
            elif total + body.amount_micro > BOUND:
                no = types.REASON_VALUE_TOO_LARGE, "amount"
        if no is not None or account is None:
            self._refuse_adjustment(body, no)
            return
        account.cash[body.currency] = account.cash.get(body.currency, 0) + body.amount_micro
        said = self.record(
            account=body.account,
            currency=body.currency,
            amount_micro=body.amount_micro,
            cash_micro=account.cash[body.currency],
            request_id=body.request_id,
        )
        account.adjusted[body.request_id] = (body, said)

    def adjust_position(self, body: c.AdjustPosition) -> None:
        """Books lots once."""
        account = self.accounts.get(body.account)
        no = self._wrong_adjustment(account, body)
        if no is None and body.symbol not in self.listed:
            no = types.REASON_SYMBOL_UNKNOWN, "symbol"
        if no is None and account is not None:
            holding = account.holdings.get(body.symbol, Holding())
            total = sum(one.holdings.get(body.symbol, Holding()).lots for one in self.accounts.values())
            cost = holding.cost + max(0, body.qty_lots) * body.price_ticks
            if holding.lots - self.held_lots(body.account, body.symbol) + body.qty_lots < 0:
                no = types.REASON_POSITION_INSUFFICIENT, "qty"
            elif total + body.qty_lots > BOUND:
                no = types.REASON_VALUE_TOO_LARGE, "qty"
            elif body.price_ticks < 0:
                no = types.REASON_FIELD_INVALID, "price"
            elif cost * self.worth(body.symbol) > BOUND:
                no = types.REASON_VALUE_TOO_LARGE, "price"
        if no is not None or account is None:
            self._refuse_adjustment(body, no)
            return
        holding = account.holdings.setdefault(body.symbol, Holding())
        if body.qty_lots >= 0:
            holding.cost += body.qty_lots * body.price_ticks
        else:
            holding.cost -= holding.cost * -body.qty_lots // holding.lots
        holding.lots += body.qty_lots
        said = self.record(
            account=body.account,
            symbol=body.symbol,
            qty_lots=body.qty_lots,
            price_ticks=body.price_ticks,
            position_lots=holding.lots,
            request_id=body.request_id,
        )
        account.adjusted[body.request_id] = (body, said)

    def _wrong_adjustment(self, account: PlainAccount | None, body: Any) -> tuple[int, str] | None:
        if account is None:
            return types.REASON_ACCOUNT_UNKNOWN, "account"
        if not body.request_id:
            return types.REASON_FIELD_MISSING, "request_id"
        if body.request_id in account.adjusted:
            used = account.adjusted[body.request_id][0]
            differs = [name for name in body.__struct_fields__ if getattr(used, name, None) != getattr(body, name)]
            return types.REASON_CL_ORD_ID_CONFLICT, differs[0] if type(used) is type(body) else "request"
        return None

    def _refuse_adjustment(self, body: Any, no: tuple[int, str] | None) -> None:
        assert no is not None
        self.record(reason=no[0], field=no[1], account=body.account, request_id=body.request_id)
