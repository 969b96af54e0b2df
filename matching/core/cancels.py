"""Cancels: of one order, of many, and of all that a gate or a session takes along. They always pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matching.core import lifecycle
from matching.core.commands import CancelOrder, EngageKillSwitch, MassCancel, ReleaseKillSwitch
from matching.core.keys import Done, Outcome, note, remember
from matching.core.orders import Order, id_of
from matching.core.refusals import rejected
from matching.core.requests import find, refuse, refuse_unknown
from matching.core.trading import work_line
from matching.core.words import Cause, KillSwitchScope, Reason, RequestKind, Side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matching.core.venue import Venue


def cancel_order(venue: Venue, command: CancelOrder) -> None:
    """Cancels what is open of an order."""
    account = venue.accounts.get(command.account)
    order = find(account, venue, command) if account is not None else None
    if account is None or order is None:
        refuse_unknown(venue, account, command)
        return
    if not order.is_open:
        refuse(venue, order, command, rejected(Reason.ORDER_NOT_OPEN))
        return
    orig_cl_ord_id = order.cl_ord_id
    if command.cl_ord_id:
        order.keys_kept += 1
    event = lifecycle.cancel(venue, order, Cause.CLIENT, Reason.NONE, RequestKind.CANCEL)
    if command.cl_ord_id:
        order.keys_kept -= 1
        event.cl_ord_id, event.orig_cl_ord_id = command.cl_ord_id, orig_cl_ord_id
        remember(venue, account, command.cl_ord_id, Outcome(command, event, order))
    work_line(venue)


def mass_cancel(venue: Venue, command: MassCancel) -> None:
    """Cancels an account's open orders that match every given filter."""
    account = venue.accounts.get(command.account)
    if account is None:
        venue.refuse(Reason.ACCOUNT_UNKNOWN, "account", command.account, command.cl_ord_id)
        return
    matching = [order for order in account.open_orders() if _matches(order, command)]
    fields: dict[str, object] = {
        "account": command.account,
        "cl_ord_id": command.cl_ord_id,
        "symbol": command.symbol,
        "side": command.side,
        "session_id": command.session_id,
        "canceled_orders": len(matching),
    }
    event = venue.say("orders_mass_canceled", fields)
    if command.cl_ord_id:
        remember(venue, account, command.cl_ord_id, Outcome(command, event, None))
    cancel_all(venue, matching, Cause.CLIENT, Reason.NONE)
    work_line(venue)


def cancel_all(venue: Venue, orders: Iterable[Order], cause: int, reason: int) -> None:
    """Cancels orders in the order of their ids; those that end with another of them are passed over."""
    for order in sorted(orders, key=id_of):
        if order.is_open:
            lifecycle.cancel(venue, order, cause, reason)


def engage_kill_switch(venue: Venue, command: EngageKillSwitch) -> None:
    """Stops new orders in a scope, then cancels those that are open."""
    if not _is_known(venue, command.scope, command.target):
        venue.refuse(Reason.FIELD_INVALID, _unknown(command.scope), request_id=command.request_id)
        return
    if _is_engaged(venue, command.scope, command.target):
        venue.refuse(Reason.ALREADY_EXISTS, "scope", request_id=command.request_id)
        return
    _switch(venue, command.scope, command.target, is_on=True)
    stopped = [order for order in _open_orders(venue) if _is_in_scope(order, command.scope, command.target)]
    event = venue.say("kill_switch_engaged", {"kill_switch": command, "canceled_orders": len(stopped)})
    note(venue, "", command.request_id, Done(command, event))
    cancel_all(venue, stopped, Cause.KILL_SWITCH, Reason.KILL_SWITCH)
    work_line(venue)


def release_kill_switch(venue: Venue, command: ReleaseKillSwitch) -> None:
    """Lets new orders in again; the one who approved it is not the one who asks."""
    if not command.approver or command.approver == venue.actor:
        reason = Reason.FIELD_INVALID if command.approver else Reason.FIELD_MISSING
        venue.refuse(reason, "approver", request_id=command.request_id)
    elif not _is_known(venue, command.scope, command.target):
        venue.refuse(Reason.FIELD_INVALID, _unknown(command.scope), request_id=command.request_id)
    elif not _is_engaged(venue, command.scope, command.target):
        venue.refuse(Reason.FIELD_INVALID, "scope", request_id=command.request_id)
    else:
        _switch(venue, command.scope, command.target, is_on=False)
        event = venue.say("kill_switch_released", {"kill_switch": command})
        note(venue, "", command.request_id, Done(command, event))


def _matches(order: Order, command: MassCancel) -> bool:
    if command.symbol and order.listing.symbol != command.symbol:
        return False
    if command.session_id and order.session_id != command.session_id:
        return False
    if command.side == Side.SELL_SHORT:
        return order.is_short
    return not command.side or order.is_buy == (command.side == Side.BUY)


def _open_orders(venue: Venue) -> list[Order]:
    return [order for account in venue.accounts.values() for order in account.open_orders()]


def _is_in_scope(order: Order, scope: int, target: str) -> bool:
    if scope == KillSwitchScope.ACCOUNT:
        return order.account.account == target
    if scope == KillSwitchScope.SYMBOL:
        return order.listing.symbol == target
    return scope == KillSwitchScope.FIRM or order.session_id == target


def _unknown(scope: int) -> str:
    """The field at fault when a switch names nothing."""
    return "target" if KillSwitchScope.FIRM <= scope <= KillSwitchScope.SESSION else "scope"


def _is_known(venue: Venue, scope: int, target: str) -> bool:
    if scope == KillSwitchScope.ACCOUNT:
        return target in venue.accounts
    if scope == KillSwitchScope.SYMBOL:
        return target in venue.listings
    return bool(target) if scope == KillSwitchScope.SESSION else scope == KillSwitchScope.FIRM and not target


def _is_engaged(venue: Venue, scope: int, target: str) -> bool:
    if scope == KillSwitchScope.ACCOUNT:
        return venue.accounts[target].is_killed
    if scope == KillSwitchScope.SYMBOL:
        return venue.listings[target].is_killed
    return target in venue.killed_sessions if scope == KillSwitchScope.SESSION else venue.is_killed


def _switch(venue: Venue, scope: int, target: str, *, is_on: bool) -> None:
    if scope == KillSwitchScope.ACCOUNT:
        venue.accounts[target].is_killed = is_on
    elif scope == KillSwitchScope.SYMBOL:
        venue.listings[target].is_killed = is_on
    elif scope == KillSwitchScope.FIRM:
        venue.is_killed = is_on
    elif is_on:
        venue.killed_sessions[target] = True
    else:
        del venue.killed_sessions[target]
