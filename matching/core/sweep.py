"""Matching: an incoming order against the book, best price first, within a level from the front.

Before each trade: self-trade prevention, then reduce-only of the resting order,
then of the incoming one. After it: the ledger, both events, the lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matching.core import lifecycle
from matching.core.book import BookSide, Level
from matching.core.holds import hold, release
from matching.core.orders import Order, Stage
from matching.core.settlement import count_fill, settle
from matching.core.words import (
    Cause,
    ExecType,
    Liquidity,
    OrdStatus,
    Reason,
    SelfTradePrevention,
    TradingSession,
)

if TYPE_CHECKING:
    from matching.core.venue import Listing, Venue

BPS: Final = 10_000


class Stop:
    """Why a sweep ended."""

    DONE: Final = 0
    """Filled, or nothing left within its price."""
    SELF_TRADE: Final = 1
    BAND: Final = 2
    REDUCED: Final = 3
    """It may only reduce, and there is nothing to reduce."""


def is_own(order: Order, other: Order) -> bool:
    """Whether two orders may not trade with each other: same account or same group."""
    account, other_account = order.account, other.account
    if account is other_account:
        return True
    return bool(account.self_trade_group) and account.self_trade_group == other_account.self_trade_group


def band_of(listing: Listing) -> tuple[int, int]:
    """The lowest and the highest price of the price band in ticks; (0, 0) for none."""
    if not listing.price_band_bps or not listing.band_ticks:
        return 0, 0
    low = -(-listing.band_ticks * (BPS - listing.price_band_bps) // BPS)
    return low, listing.band_ticks * (BPS + listing.price_band_bps) // BPS


def sweep(venue: Venue, taker: Order, worst_ticks: int) -> int:
    """Trades an order down to `worst_ticks`; says why it stopped, one of `Stop`."""
    listing = taker.listing
    opposite = listing.book.opposite(taker.is_buy)
    sign = opposite.sign
    worst_rank = worst_ticks * sign
    ranks = opposite.ranks
    banded = listing.price_band_bps > 0
    while taker.leaves_qty_lots and ranks:
        rank = ranks[-1]
        if rank < worst_rank:
            return Stop.DONE
        price_ticks = rank * sign
        if banded and is_outside(listing, price_ticks):
            return Stop.BAND
        stop = _take_level(venue, taker, opposite, opposite.levels[rank], price_ticks)
        if stop:
            return stop
    return Stop.DONE


def is_outside(listing: Listing, price_ticks: int) -> bool:
    """Whether a trade at a price would leave the price band."""
    low, high = band_of(listing)
    return bool(high) and not low <= price_ticks <= high


def _take_level(venue: Venue, taker: Order, opposite: BookSide, level: Level, price_ticks: int) -> int:
    while taker.leaves_qty_lots:
        maker = level.first
        if maker is None:
            return Stop.DONE
        if is_own(taker, maker):
            if prevent(venue, taker, maker):
                return Stop.SELF_TRADE
            continue
        lots = maker.shown_qty_lots or maker.leaves_qty_lots
        if maker.reduce_only:
            lots = min(lots, maker.position.reducible_lots(maker.is_buy))
            if not lots:
                lifecycle.cancel(venue, maker, Cause.SYSTEM, Reason.POSITION_INSUFFICIENT)
                continue
        lots = min(lots, taker.leaves_qty_lots)
        if taker.reduce_only:
            lots = min(lots, taker.position.reducible_lots(taker.is_buy))
            if not lots:
                return Stop.REDUCED
        trade(venue, maker, taker, opposite, level, price_ticks, lots)
    return Stop.DONE


def prevent(venue: Venue, taker: Order, maker: Order) -> bool:
    """Prevents a self-trade in the incoming order's mode; True when that order ends with it."""
    mode = taker.terms.self_trade_prevention
    if mode == SelfTradePrevention.DECREMENT:
        return _decrement(venue, taker, maker)
    if mode == SelfTradePrevention.CANCEL_NEWEST:
        return True
    lifecycle.cancel(venue, maker, Cause.SELF_TRADE_PREVENTION, Reason.SELF_TRADE)
    return mode == SelfTradePrevention.CANCEL_BOTH


def _decrement(venue: Venue, taker: Order, maker: Order) -> bool:
    lots = min(maker.leaves_qty_lots, taker.leaves_qty_lots)
    ends = taker.leaves_qty_lots == lots
    if maker.leaves_qty_lots == lots:
        lifecycle.cancel(venue, maker, Cause.SELF_TRADE_PREVENTION, Reason.SELF_TRADE)
    else:
        reduce(maker, lots)
        venue.tell_ended(maker, ExecType.RESTATED, Cause.SELF_TRADE_PREVENTION, Reason.SELF_TRADE)
    if not ends and taker.is_open:
        reduce(taker, lots)
        venue.tell_ended(taker, ExecType.RESTATED, Cause.SELF_TRADE_PREVENTION, Reason.SELF_TRADE)
    return ends


def reduce(order: Order, lots: int) -> None:
    """Lowers what is ordered and open, in its place; what is shown at most to what is left."""
    if order.stage == Stage.RESTING:
        order.listing.book.side(order.is_buy).lower(order, lots)
    order.qty_lots -= lots
    order.leaves_qty_lots -= lots
    order.display_qty_lots = min(order.display_qty_lots, order.qty_lots)
    order.shown_qty_lots = min(order.shown_qty_lots, order.leaves_qty_lots)
    if order.stage == Stage.RESTING:
        hold(order)


def trade(
    venue: Venue,
    maker: Order,
    taker: Order,
    opposite: BookSide,
    level: Level,
    price_ticks: int,
    lots: int,
) -> None:
    """Carries out one trade of continuous trading."""
    listing = maker.listing
    if not listing.first_print_ticks:
        listing.first_print_ticks = price_ticks
    listing.last_ticks = price_ticks
    level.qty_lots -= lots
    fill(maker, lots, price_ticks)
    fill(taker, lots, price_ticks)
    if not maker.leaves_qty_lots:
        opposite.remove(maker)
        release(maker)
    else:
        hold(maker)
        if maker.display_qty_lots:
            show_again(maker, opposite, lots)
    maker_fee = settle(venue, maker, lots, price_ticks, Liquidity.MAKER)
    taker_fee = settle(venue, taker, lots, price_ticks, Liquidity.TAKER)
    trade_id = venue.seq + 2
    tell_fill(venue, maker, taker, trade_id, price_ticks, lots, Liquidity.MAKER, maker_fee)
    tell_fill(venue, taker, maker, trade_id, price_ticks, lots, Liquidity.TAKER, taker_fee)
    after_trade(venue, maker)
    after_trade(venue, taker)


def fill(order: Order, lots: int, price_ticks: int) -> None:
    """Counts a fill in an order."""
    order.cum_qty_lots += lots
    order.leaves_qty_lots -= lots
    order.cum_value_ticks_lots += lots * price_ticks
    order.status = OrdStatus.PARTIALLY_FILLED if order.leaves_qty_lots else OrdStatus.FILLED


def show_again(order: Order, side: BookSide, lots: int) -> None:
    """Takes a fill off what an iceberg shows; when that is used up it is filled up, at the back of the level."""
    order.shown_qty_lots -= lots
    if order.shown_qty_lots <= 0:
        order.shown_qty_lots = min(order.display_qty_lots, order.leaves_qty_lots)
        side.requeue(order)


def tell_fill(
    venue: Venue, order: Order, contra: Order, trade_id: int, price_ticks: int, lots: int, liquidity: int, fee: int
) -> None:
    """Writes one side of a trade."""
    if not order.leaves_qty_lots:
        order.shown_qty_lots = 0
    event = venue.tell(order, ExecType.TRADE, Cause.TRADE)
    event.trade_id = trade_id
    event.last_px_ticks = price_ticks
    event.last_qty_lots = lots
    event.liquidity = liquidity
    event.contra_order_id = contra.order_id
    event.fee_micro = fee


def after_trade(venue: Venue, order: Order) -> None:
    """What follows for an order from its trade: its end, its list, its throttle."""
    count_fill(venue, order)
    is_filled = not order.leaves_qty_lots
    if is_filled:
        lifecycle.close(venue, order)
    if order.order_list is not None:
        lifecycle.traded(venue, order)
        if is_filled:
            lifecycle.ended(venue, order)


def halt(venue: Venue, listing: Listing) -> None:
    """Halts an instrument whose next trade would leave its price band."""
    previous = listing.trading_session
    listing.trading_session = TradingSession.HALTED
    fields: dict[str, object] = {
        "symbol": listing.symbol,
        "previous": previous,
        "trading_session": TradingSession.HALTED,
        "cause": Cause.SYSTEM,
        "reason": Reason.PRICE_BAND,
    }
    venue.say("trading_session_changed", fields)
