"""Trading sessions, reference prices, the end of a listing: what an operator or the calendar says of an instrument."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matching.core import triggers
from matching.core.auction import uncross, uncross_price
from matching.core.cancels import cancel_all
from matching.core.keys import Done, note
from matching.core.trading import work_line
from matching.core.words import Cause, Reason, TradingSession

if TYPE_CHECKING:
    from matching.core.commands import DelistInstrument, SetReferencePrice, SetTradingSession
    from matching.core.venue import Venue

CLOSED, PRE_OPEN, OPENING, CONTINUOUS, HALTED, CLOSING = 1, 2, 3, 4, 5, 6
FOLLOWING: Final = {
    TradingSession.CLOSED: (PRE_OPEN, OPENING, CONTINUOUS),
    TradingSession.PRE_OPEN: (OPENING, CONTINUOUS, HALTED, CLOSED),
    TradingSession.OPENING_AUCTION: (CONTINUOUS, HALTED, CLOSED),
    TradingSession.CONTINUOUS: (HALTED, CLOSING, CLOSED),
    TradingSession.HALTED: (OPENING, CONTINUOUS, CLOSED),
    TradingSession.CLOSING_AUCTION: (HALTED, CLOSED),
}
"""Which sessions may follow which."""


def set_trading_session(venue: Venue, command: SetTradingSession) -> None:
    """Changes an instrument's session; uncrosses the book where trading begins or the closing auction ends."""
    listing = venue.listings.get(command.symbol)
    if listing is None:
        venue.refuse(Reason.SYMBOL_UNKNOWN, "symbol")
        return
    previous, now = listing.trading_session, command.trading_session
    if listing.is_delisted or now not in FOLLOWING[previous]:
        reason = Reason.DELISTED if listing.is_delisted else Reason.FIELDS_CONFLICT
        venue.refuse(reason, "symbol" if listing.is_delisted else "trading_session")
        return
    listing.trading_session = now
    uncrosses = now == TradingSession.CONTINUOUS or (
        previous == TradingSession.CLOSING_AUCTION and now == TradingSession.CLOSED
    )
    price_ticks, lots = uncross_price(listing) if uncrosses else (0, 0)
    fields: dict[str, object] = {
        "symbol": command.symbol,
        "previous": previous,
        "trading_session": now,
        "auction_px_ticks": price_ticks,
        "auction_qty_lots": lots,
        "cause": Cause.OPERATOR,
    }
    venue.say("trading_session_changed", fields)
    while price_ticks:
        uncross(venue, listing, price_ticks, lots)
        price_ticks, lots = uncross_price(listing)
    triggers.look_at_all(venue, listing)
    work_line(venue)


def set_reference_price(venue: Venue, command: SetReferencePrice) -> None:
    """Sets the price that collars, bands, margins and marks refer to."""
    listing = venue.listings.get(command.symbol)
    if listing is None or command.price_ticks <= 0:
        reason = Reason.SYMBOL_UNKNOWN if listing is None else Reason.NOT_POSITIVE
        venue.refuse(reason, "symbol" if listing is None else "price")
        return
    listing.reference_ticks = listing.band_ticks = command.price_ticks
    listing.reference_unix_ns = venue.time_unix_ns
    for position in listing.holders:
        position.recount()
    venue.say("reference_price_set", {"symbol": command.symbol, "price_ticks": command.price_ticks})
    triggers.look_at_mark(venue, listing)
    work_line(venue)


def delist_instrument(venue: Venue, command: DelistInstrument) -> None:
    """Ends a listing for good: its orders are cancelled, positions stay."""
    listing = venue.listings.get(command.symbol)
    if listing is None or listing.is_delisted:
        reason = Reason.SYMBOL_UNKNOWN if listing is None else Reason.DELISTED
        venue.refuse(reason, "symbol", request_id=command.request_id)
        return
    listing.is_delisted = True
    stopped = [
        order for account in venue.accounts.values() for order in account.open_orders() if order.listing is listing
    ]
    fields: dict[str, object] = {
        "symbol": command.symbol,
        "request_id": command.request_id,
        "canceled_orders": len(stopped),
    }
    event = venue.say("instrument_delisted", fields)
    note(venue, "", command.request_id, Done(command, event))
    cancel_all(venue, stopped, Cause.OPERATOR, Reason.DELISTED)
    work_line(venue)
