"""Gates: kill switches, and what an instrument's trading session lets in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matching.core.refusals import Refusal, denied, rejected
from matching.core.words import OrdType, Reason, TimeInForce, TradingSession

if TYPE_CHECKING:
    from matching.core.ledger import Account
    from matching.core.venue import Listing, Venue


def check_gates(venue: Venue, account: Account, listing: Listing, session_id: str) -> Refusal | None:
    """Rule `kill_switch`: the widest engaged switch that covers the request."""
    if venue.is_killed:
        return denied(Reason.KILL_SWITCH, "firm")
    if account.is_killed:
        return denied(Reason.KILL_SWITCH, "account")
    if listing.is_killed:
        return denied(Reason.KILL_SWITCH, "symbol")
    if session_id and session_id in venue.killed_sessions:
        return denied(Reason.KILL_SWITCH, "session")
    return None


def check_trading_session(listing: Listing, ord_type: int, time_in_force: int) -> Refusal | None:
    """Whether the instrument's session takes such an order."""
    trading_session = listing.trading_session
    if trading_session == TradingSession.CONTINUOUS:
        return None
    if trading_session == TradingSession.HALTED:
        return rejected(Reason.HALTED, "symbol")
    if trading_session == TradingSession.CLOSED:
        return rejected(Reason.SESSION_CLOSED, "symbol")
    if ord_type == OrdType.MARKET:
        return rejected(Reason.SESSION_CLOSED, "ord_type")
    if time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        return rejected(Reason.SESSION_CLOSED, "time_in_force")
    return None
