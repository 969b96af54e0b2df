"""Requests about orders that exist: who is meant, and how a refusal is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matching.core.commands import CancelOrder, MassCancel, MassQuote, NewOrder, ReplaceOrder
from matching.core.keys import Outcome, Request, differing_field, remember
from matching.core.words import Cause, ExecType, Reason, RequestKind

if TYPE_CHECKING:
    from matching.core.ledger import Account
    from matching.core.orders import Order
    from matching.core.refusals import Refusal
    from matching.core.venue import Venue


def key_of(request: Request) -> str:
    """The client's key of a request."""
    return request.quote_id if isinstance(request, MassQuote) else request.cl_ord_id


def kind_of(request: Request) -> int:
    """What a refusal calls a request."""
    if isinstance(request, NewOrder):
        return RequestKind.SUBMIT
    if isinstance(request, ReplaceOrder):
        return RequestKind.REPLACE
    if isinstance(request, CancelOrder):
        return RequestKind.CANCEL
    return RequestKind.MASS_CANCEL if isinstance(request, MassCancel) else RequestKind.QUOTE


def find(account: Account, venue: Venue, command: ReplaceOrder | CancelOrder) -> Order | None:
    """The account's order that a request names, by either id."""
    if command.order_id:
        order = venue.orders.get(command.order_id)
        return order if order is not None and order.account is account else None
    outcome = account.keys.get(command.orig_cl_ord_id)
    return outcome.order if outcome is not None else None


def conflict(venue: Venue, account: Account, request: Request, original: Outcome) -> None:
    """Refuses a request whose key was used before with another request; names the first field that differs."""
    venue.tell_refused(
        account,
        _terms_of(account.account, request),
        key_of(request),
        ExecType.REJECTED,
        kind_of(request),
        Reason.CL_ORD_ID_CONFLICT,
        differing_field(original.request, request),
    )


def refuse_unknown(venue: Venue, account: Account | None, command: ReplaceOrder | CancelOrder) -> None:
    """Refuses a request that names no order of the account."""
    event = venue.tell_refused(
        account,
        _terms_of(command.account, command),
        command.cl_ord_id,
        ExecType.DENIED if account is None else ExecType.REJECTED,
        kind_of(command),
        Reason.ACCOUNT_UNKNOWN if account is None else Reason.ORDER_UNKNOWN,
    )
    event.orig_cl_ord_id = command.orig_cl_ord_id
    if account is not None and command.cl_ord_id:
        remember(venue, account, command.cl_ord_id, Outcome(command, event, None))


def refuse(venue: Venue, order: Order, command: ReplaceOrder | CancelOrder, refusal: Refusal) -> None:
    """Refuses a request about an order, with the order's present state."""
    event = venue.tell(order, refusal.exec_type, Cause.CLIENT, kind_of(command))
    event.cl_ord_id = command.cl_ord_id or order.cl_ord_id
    event.orig_cl_ord_id = order.cl_ord_id if command.cl_ord_id else ""
    event.reason, event.field, event.risk = refusal.reason, refusal.field, refusal.risk
    if command.cl_ord_id:
        remember(venue, order.account, command.cl_ord_id, Outcome(command, event, None))


def _terms_of(account: str, request: Request) -> NewOrder:
    """What an event about a refused request repeats of it."""
    if isinstance(request, NewOrder):
        return request
    return NewOrder(account, side=0, ord_type=0, time_in_force=0, self_trade_prevention=0)
