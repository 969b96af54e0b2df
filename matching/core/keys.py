"""Idempotency: what became of a request, by the key that its client chose.

An account keeps its newest keys, and those of its open orders; an order that
has ended is forgotten with the last of its keys.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from matching.core.commands import (
    AdjustCash,
    AdjustPosition,
    Body,
    CancelOrder,
    ConfigureAccount,
    ConfigureInstrument,
    DelistInstrument,
    EngageKillSwitch,
    MassCancel,
    MassQuote,
    NewOrder,
    ReleaseKillSwitch,
    ReleaseThrottle,
    ReplaceOrder,
    SetFeeSchedule,
    SetLimits,
)
from matching.core.events import Event
from matching.core.orders import Order

if TYPE_CHECKING:
    from matching.core.ledger import Account
    from matching.core.venue import Venue

KEYS_MAX: Final = 100_000
"""Keys that an account keeps besides those of its open orders."""
REQUESTS_MAX: Final = 100_000
"""Administrative requests that the venue keeps."""

Request = NewOrder | ReplaceOrder | CancelOrder | MassCancel | MassQuote
Administration = (
    AdjustCash
    | AdjustPosition
    | ConfigureAccount
    | ConfigureInstrument
    | DelistInstrument
    | SetFeeSchedule
    | SetLimits
    | EngageKillSwitch
    | ReleaseKillSwitch
    | ReleaseThrottle
)

NEW_ORDER_FIELDS: Final = (
    "account", "cl_ord_id", "symbol", "side", "ord_type", "time_in_force", "qty_lots", "price_ticks",
    "self_trade_prevention", "decision_maker", "strategy_id", "stop_px_ticks", "trail_offset", "trail_unit",
    "trigger_by", "display_qty_lots", "min_qty_lots", "expire_unix_ns", "post_only", "reduce_only",
    "contingency_type", "list_id", "leg",
)  # fmt: skip
"""What makes two new orders the same: everything but the client's own time."""
REPLACE_ORDER_FIELDS: Final = (
    "account", "cl_ord_id", "order_id", "orig_cl_ord_id", "qty_nano", "price_nano", "stop_px_nano", "display_qty_nano",
)  # fmt: skip
CANCEL_ORDER_FIELDS: Final = ("account", "cl_ord_id", "order_id", "orig_cl_ord_id")


@mypyc_attr(acyclic=True)
class Outcome:
    """The request that used a key, its first event, and the order it was about."""

    def __init__(self, request: Request, event: Event, order: Order | None) -> None:
        self.request = request
        self.event = event
        self.order = order


@mypyc_attr(acyclic=True)
class Done:
    """An administrative request that was carried out, and its event."""

    def __init__(self, request: Body, event: Event) -> None:
        self.request = request
        self.event = event


def content_of(request: Body) -> tuple[str, ...]:
    """The names of the fields that make two requests the same."""
    if isinstance(request, NewOrder):
        return NEW_ORDER_FIELDS
    if isinstance(request, ReplaceOrder):
        return REPLACE_ORDER_FIELDS
    if isinstance(request, CancelOrder):
        return CANCEL_ORDER_FIELDS
    return tuple(field.name for field in fields(request))


def differing_field(first: Body, second: Body) -> str:
    """The first field in which two requests with the same key differ; empty when they are the same request."""
    if type(first) is not type(second):
        return "request"
    for name in content_of(first):
        if getattr(first, name) != getattr(second, name):
            return name
    return ""


def remember(venue: Venue, account: Account, key: str, outcome: Outcome) -> None:
    """Keeps what became of a key; the oldest falls out of the window for it."""
    account.keys[key] = outcome
    account.key_line.append(key)
    if outcome.order is not None:
        outcome.order.keys_kept += 1
    if len(account.key_line) > venue.keys_max:
        _fall_out(venue, account, account.key_line.popleft())


def forget_late(venue: Venue, order: Order) -> None:
    """Forgets the keys of an order that has just ended and that had fallen out of the window before; then the order,
    if that was its last key."""
    if order.late_keys is not None:
        for key in order.late_keys:
            del order.account.keys[key]
        order.keys_kept -= len(order.late_keys)
        order.late_keys = None
    if not order.keys_kept:
        _forget(venue, order)


def note(venue: Venue, account: str, request_id: str, done: Done) -> None:
    """Keeps what was carried out under a request_id."""
    venue.requests[(account, request_id)] = done
    venue.request_line.append((account, request_id))
    if len(venue.request_line) > venue.requests_max:
        del venue.requests[venue.request_line.popleft()]


def _fall_out(venue: Venue, account: Account, key: str) -> None:
    outcome = account.keys.pop(key)
    order = outcome.order
    if order is None:
        return
    if order.is_open:
        account.keys[key] = outcome
        if order.late_keys is None:
            order.late_keys = []
        order.late_keys.append(key)
        return
    order.keys_kept -= 1
    if not order.keys_kept:
        _forget(venue, order)


def _forget(venue: Venue, order: Order) -> None:
    del venue.orders[order.order_id]
    order.account.let_go(order)
