"""Limits: which apply to an account in an instrument. The tightest of all scopes counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matching.core.commands import Limits

if TYPE_CHECKING:
    from matching.core.ledger import Account, Position
    from matching.core.venue import Venue


def limits_of(venue: Venue, account: Account, position: Position) -> Limits | None:
    """The limits of an account in an instrument; None when nothing is limited.

    When they have changed, what the rules on duplicates and repeated executions
    remember begins anew.
    """
    if position.limits_version != venue.limits_version:
        position.limits_version = venue.limits_version
        position.limits = account_limits(venue, account, position.listing.symbol)
        position.recent.clear()
        position.recent_line.clear()
        position.buys.clear()
        position.sells.clear()
    return position.limits


def account_limits(venue: Venue, account: Account, symbol: str) -> Limits | None:
    """The limits of an account in an instrument; shared by all instruments that have none of their own."""
    if ("", symbol) in venue.limits or (account.account, symbol) in venue.limits:
        return _resolved(venue, account.account, symbol)
    if account.limits_version != venue.limits_version:
        account.limits_version = venue.limits_version
        account.limits = _resolved(venue, account.account, "")
    return account.limits


def _resolved(venue: Venue, account: str, symbol: str) -> Limits | None:
    found = [
        limits
        for scope in (("", ""), ("", symbol), (account, ""), (account, symbol))
        if (limits := venue.limits.get(scope)) is not None
    ]
    tightest = Limits()
    for limits in found:
        _tighten(tightest, limits)
    return tightest if tightest != Limits() else None


def _tighten(limits: Limits, more: Limits) -> None:
    limits.order_qty_lots = _least(limits.order_qty_lots, more.order_qty_lots)
    limits.order_notional_micro = _least(limits.order_notional_micro, more.order_notional_micro)
    limits.price_collar_bps = _least(limits.price_collar_bps, more.price_collar_bps)
    limits.reference_age_ns = _least(limits.reference_age_ns, more.reference_age_ns)
    limits.message_rate = _least(limits.message_rate, more.message_rate)
    limits.duplicate_window_ns = max(limits.duplicate_window_ns, more.duplicate_window_ns)
    limits.repeated_executions = _least(limits.repeated_executions, more.repeated_executions)
    limits.repeated_window_ns = max(limits.repeated_window_ns, more.repeated_window_ns)
    limits.daily_loss_micro = _least(limits.daily_loss_micro, more.daily_loss_micro)
    limits.open_notional_micro = _least(limits.open_notional_micro, more.open_notional_micro)
    limits.position_lots = _least(limits.position_lots, more.position_lots)
    limits.gross_position_micro = _least(limits.gross_position_micro, more.gross_position_micro)
    limits.basket_notional_micro = _least(limits.basket_notional_micro, more.basket_notional_micro)
    limits.restricted = limits.restricted or more.restricted


def _least(one: int, other: int) -> int:
    """The smaller limit; 0 is none."""
    if not one or not other:
        return one or other
    return min(one, other)
