"""Mass quotes: an account's standing bid and ask of an instrument, replaced together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matching.core import lifecycle
from matching.core.commands import MassQuote, NewOrder, QuoteEntry
from matching.core.gates import check_gates
from matching.core.keys import Outcome, remember
from matching.core.orders import Order, Stage
from matching.core.replace import lower
from matching.core.trading import place, work_line
from matching.core.words import Cause, ExecType, OrdType, Reason, RequestKind, Side, TimeInForce

if TYPE_CHECKING:
    from matching.core.ledger import Account
    from matching.core.venue import Venue


def mass_quote(venue: Venue, command: MassQuote) -> None:
    """Carries out the entries one after the other."""
    account = venue.accounts.get(command.account)
    if account is None:
        venue.refuse(Reason.ACCOUNT_UNKNOWN, "account", command.account, command.quote_id)
        return
    if not command.quote_id or not command.entries:
        field = "entries" if command.quote_id else "quote_id"
        refused = venue.refuse(Reason.FIELD_MISSING, field, command.account, command.quote_id)
        if command.quote_id:
            remember(venue, account, command.quote_id, Outcome(command, refused, None))
        return
    fields: dict[str, object] = {
        "account": command.account,
        "quote_id": command.quote_id,
        "entries": len(command.entries),
    }
    event = venue.say("mass_quote_accepted", fields)
    remember(venue, account, command.quote_id, Outcome(command, event, None))
    for entry in command.entries:
        _quote(venue, account, command.quote_id, entry)
        work_line(venue)


def _quote(venue: Venue, account: Account, quote_id: str, entry: QuoteEntry) -> None:
    if entry.bid_px_ticks and entry.ask_px_ticks and entry.bid_px_ticks >= entry.ask_px_ticks:
        terms = _terms(account, quote_id, entry.symbol, Side.BUY, entry.bid_qty_lots, entry.bid_px_ticks)
        venue.tell_refused(
            account, terms, quote_id, ExecType.REJECTED, RequestKind.QUOTE, Reason.FIELDS_CONFLICT, "ask_px"
        )
        return
    position = account.positions.get(entry.symbol)
    bid = position.bid_quote if position is not None else None
    ask = position.ask_quote if position is not None else None
    keeps_bid = bid is not None and _stands(venue, bid, quote_id, entry.bid_px_ticks, entry.bid_qty_lots)
    keeps_ask = ask is not None and _stands(venue, ask, quote_id, entry.ask_px_ticks, entry.ask_qty_lots)
    if entry.bid_px_ticks and not keeps_bid:
        _enter(
            venue,
            account,
            _terms(account, quote_id, entry.symbol, Side.BUY, entry.bid_qty_lots, entry.bid_px_ticks),
        )
    if entry.ask_px_ticks and not keeps_ask:
        _enter(
            venue,
            account,
            _terms(account, quote_id, entry.symbol, Side.SELL, entry.ask_qty_lots, entry.ask_px_ticks),
        )


def _stands(venue: Venue, quote: Order, quote_id: str, price_ticks: int, qty_lots: int) -> bool:
    """Whether a standing quote serves for the new one, lowered where needed; if not it is cancelled."""
    same_price = quote.stage == Stage.RESTING and quote.price_ticks == price_ticks
    is_stopped = check_gates(venue, quote.account, quote.listing, venue.session_id) is not None
    if is_stopped or not same_price or not 0 < qty_lots <= quote.leaves_qty_lots:
        lifecycle.cancel(venue, quote, Cause.CLIENT, Reason.NONE, RequestKind.QUOTE)
        return False
    if qty_lots < quote.leaves_qty_lots:
        lower(quote, quote.cum_qty_lots + qty_lots)
        orig_cl_ord_id, quote.cl_ord_id = quote.cl_ord_id, quote_id
        event = venue.tell(quote, ExecType.REPLACED, Cause.CLIENT, RequestKind.QUOTE)
        event.orig_cl_ord_id = orig_cl_ord_id
    return True


def _enter(venue: Venue, account: Account, terms: NewOrder) -> None:
    order = place(venue, account, terms, RequestKind.QUOTE)
    if order is None or not order.is_open:
        return
    if order.is_buy:
        order.position.bid_quote = order
    else:
        order.position.ask_quote = order


def _terms(account: Account, quote_id: str, symbol: str, side: int, qty_lots: int, price_ticks: int) -> NewOrder:
    return NewOrder(account.account, quote_id, symbol, side, OrdType.LIMIT, TimeInForce.DAY, qty_lots, price_ticks)
