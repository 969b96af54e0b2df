"""The engine: `execute` takes one command and gives its events; nothing else changes the venue.

Deterministic: the same commands with the same times give the same events.
Called by the sequencer, by recovery and by replay, one command at a time.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

from matching.core import administration, trading
from matching.core.commands import (
    AdjustCash,
    AdjustPosition,
    CancelOrder,
    CloseDay,
    Command,
    ListInstrument,
    NewOrder,
    OpenAccount,
    ReplaceOrder,
)
from matching.core.events import Event, Replay
from matching.core.keys import differing_field
from matching.core.ledger import Account
from matching.core.orders import Order
from matching.core.venue import Venue

_HANDLERS: dict[type, Callable[[Venue, Any], None]] = {
    NewOrder: trading.new_order,
    ReplaceOrder: trading.replace_order,
    CancelOrder: trading.cancel_order,
    ListInstrument: administration.list_instrument,
    OpenAccount: administration.open_account,
    AdjustCash: administration.adjust_cash,
    AdjustPosition: administration.adjust_position,
    CloseDay: administration.close_day,
}


class Engine:
    """The venue with its one way in, and read-only questions about it."""

    def __init__(self) -> None:
        self.venue = Venue()

    @property
    def seq(self) -> int:
        """The last event's sequence."""
        return self.venue.seq

    @property
    def time_unix_ns(self) -> int:
        """The last command's time."""
        return self.venue.time_unix_ns

    def execute(self, command: Command, now_unix_ns: int) -> list[Event] | Replay:
        """Carries out a command at a time later than every one before.

        Returns:
            Its events, at least one; or a Replay when the request was made
            before, in which case nothing has changed.
        """
        venue, body = self.venue, command.body
        if isinstance(body, (NewOrder, CancelOrder, ReplaceOrder)):
            account = venue.accounts.get(body.account)
            original = account.keys.get(body.cl_ord_id) if account is not None else None
            if account is not None and original is not None:
                if not differing_field(original.request, body):
                    return Replay(original.event)
                venue.begin(now_unix_ns, command.actor, command.received_unix_ns)
                trading.conflict(venue, account, body, original)
                return venue.events
        elif (made := administration.original(venue, body)) is not None:
            return Replay(made)
        venue.begin(now_unix_ns, command.actor, command.received_unix_ns)
        _HANDLERS[type(body)](venue, body)
        return venue.events

    def account(self, account: str) -> Account | None:
        """An account, to be read only."""
        return self.venue.accounts.get(account)

    def lookup(self, account: str, order_id: int, cl_ord_id: str) -> tuple[Event, int] | None:
        """An order's last event and the time of its acceptance; by either id.

        A request that never became an order gives the event of its refusal.
        """
        holder = self.venue.accounts.get(account)
        if holder is None:
            return None
        if order_id:
            order = self.venue.orders.get(order_id)
            return _state(order) if order is not None and order.account is holder else None
        outcome = holder.keys.get(cl_ord_id)
        if outcome is None:
            return None
        if outcome.order is not None:
            return _state(outcome.order)
        return outcome.event, outcome.event.time_unix_ns

    def scan(
        self, account: str, symbol: str, open_only: bool, before_order_id: int, limit: int
    ) -> list[tuple[Event, int]]:
        """Up to `limit` orders of an account, newest first, with ids below `before_order_id` (0 for all)."""
        holder = self.venue.accounts.get(account)
        if holder is None:
            return []
        orders = (
            self.venue.orders[order_id]
            for order_id in reversed(holder.open_orders if open_only else holder.order_ids)
            if not before_order_id or order_id < before_order_id
        )
        return [_state(order) for order in islice((o for o in orders if _is_of(o, symbol)), limit)]


def _is_of(order: Order, symbol: str) -> bool:
    return not symbol or order.terms.symbol == symbol


def _state(order: Order) -> tuple[Event, int]:
    assert order.last_event is not None, "an order has at least its first event"
    return order.last_event, order.accepted_unix_ns
