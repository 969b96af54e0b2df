"""Cash, positions, fees and margin of accounts. Integers only; nothing here knows of orders' lives.

Cost is carried at the average and has the sign of the position; what a reducing
trade takes out of it is rounded down, and the last lot takes the rest, so that
rounding never accumulates.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

if TYPE_CHECKING:
    from matching.core.commands import Limits
    from matching.core.events import Event
    from matching.core.keys import Outcome
    from matching.core.orders import Order, OrderList
    from matching.core.venue import Listing

MONEY_MICRO_MAX: Final = 2**62
"""Bound of all money of one currency together, in units of 10^-6; keeps every sum within 64 bits."""
LOTS_MAX: Final = 2**62
"""Bound of all lots of one instrument together, for the same reason."""
SHORT_MARGIN_BPS: Final = 15_000
"""Margin of a short position at first: 150 % of its value, the proceeds of the sale included."""
OPTION_STRIKE_BPS: Final = 2_000
"""Part of the strike value that a short option needs on top of its premium."""
PPM: Final = 1_000_000
BPS: Final = 10_000


class FeeSchedule:
    """Rates in 10^-6 of the value, and money for each lot."""

    def __init__(self, fee_schedule: str) -> None:
        self.fee_schedule = fee_schedule
        self.maker_ppm = 0
        self.taker_ppm = 0
        self.lot_micro = 0
        self.most_ppm = 0
        """The higher of the two rates, and 0 for two rebates."""

    def change(self, maker_ppm: int, taker_ppm: int, lot_micro: int) -> None:
        """Gives it other rates."""
        self.maker_ppm = maker_ppm
        self.taker_ppm = taker_ppm
        self.lot_micro = lot_micro
        self.most_ppm = max(maker_ppm, taker_ppm, 0)

    def fee_micro(self, value_micro: int, lots: int, ppm: int) -> int:
        """The fee of a fill, rounded up; negative for a rebate."""
        return -(-value_micro * ppm // PPM) + lots * self.lot_micro

    def most_micro(self, value_micro: int, lots: int) -> int:
        """At least what fills of `lots` lots in any number of parts can cost: each part rounds up by less than 1."""
        if not self.most_ppm:
            return lots * self.lot_micro
        return (value_micro * self.most_ppm + PPM - 1) // PPM + lots * (self.lot_micro + 1)


class Cash:
    """Cash in one currency, in units of 10^-6."""

    def __init__(self) -> None:
        self.cash_micro = 0
        self.held_micro = 0
        self.open_micro = 0
        """Value of the account's orders in books of this currency."""
        self.fees_micro = 0
        self.realized_micro = 0
        self.unrealized_micro = 0
        """Of all positions, against their reference prices."""
        self.gross_micro = 0
        """Sum of the sizes of all positions."""
        self.day_result_micro = 0
        """`result_micro` at the last close of day."""

    def result_micro(self) -> int:
        """What trading has brought, fees included."""
        return self.realized_micro + self.unrealized_micro - self.fees_micro


@mypyc_attr(acyclic=True)
class Recent:
    """What makes an accepted order the same as another, and when it came."""

    def __init__(self, at_unix_ns: int, side: int, ord_type: int, qty_lots: int, price_ticks: int, stop: int) -> None:
        self.at_unix_ns = at_unix_ns
        self.side = side
        self.ord_type = ord_type
        self.qty_lots = qty_lots
        self.price_ticks = price_ticks
        self.stop_px_ticks = stop
        self.key = recent_key(side, ord_type, qty_lots, price_ticks, stop)
        """The same for equal orders, and rarely for others."""
        self.next: Recent | None = None
        """The one before it with the same `key`."""


def recent_key(side: int, ord_type: int, qty_lots: int, price_ticks: int, stop_px_ticks: int) -> int:
    """A number that mixes what makes two orders the same; small, so that it is quick to look up."""
    return (qty_lots * 64 + side * 8 + ord_type + (price_ticks + stop_px_ticks * 31) * 1_048_573) & 0xFFFFFFFFFFFF


class Position:
    """What an account has in one instrument, and what its risk remembers of it. Lots; cost in ticks times lots."""

    def __init__(self, owner: str, listing: Listing, cash: Cash, base: Cash | None) -> None:
        self.owner = owner
        self.listing = listing
        self.cash = cash
        self.base = base
        """The cash that is delivered instead of lots: of a currency pair."""
        self.qty_lots = 0
        self.cost_ticks_lots = 0
        self.realized_pnl_micro = 0
        self.held_lots = 0
        self.open_buy_lots = 0
        self.open_short_lots = 0
        self.counted_size_micro = 0
        self.counted_pnl_micro = 0
        """What `cash` counts of it, so that no sum over positions is needed."""
        self.is_used = False
        self.limits: Limits | None = None
        self.limits_version = -1
        self.recent: dict[int, Recent] = {}
        self.recent_line: deque[Recent] = deque()
        """Accepted orders, by what they have in common with others and oldest first, for the rule on duplicates."""
        self.buys: deque[int] = deque()
        self.sells: deque[int] = deque()
        """Times of fills, for the rule on repeated executions."""
        self.is_throttled = False
        self.throttle_fills = 0
        self.bid_quote: Order | None = None
        self.ask_quote: Order | None = None

    def trade(self, lots: int, price_ticks: int) -> None:
        """Takes lots in, or gives them away when negative, at a price; realises what closes."""
        self.is_used = True
        if self.qty_lots * lots < 0:
            closed = -lots if abs(lots) <= abs(self.qty_lots) else self.qty_lots
            cost = self.book_out(closed)
            pnl = self.realized_pnl_micro + (price_ticks * closed - cost) * self.listing.micro_per_tick_lot
            pnl = max(-MONEY_MICRO_MAX, min(MONEY_MICRO_MAX, pnl))
            self.cash.realized_micro += pnl - self.realized_pnl_micro
            self.realized_pnl_micro = pnl
            lots += closed
        self.qty_lots += lots
        self.cost_ticks_lots += lots * price_ticks
        self.recount()

    def book_out(self, lots: int) -> int:
        """Takes lots, of the position's sign, out at their average cost; gives that cost with the same sign."""
        cost = abs(self.cost_ticks_lots) * abs(lots) // abs(self.qty_lots)
        if lots < 0:
            cost = -cost
        self.qty_lots -= lots
        self.cost_ticks_lots -= cost
        return cost

    def unrealized_micro(self) -> int:
        """Profit or loss of what is held against the mark; 0 without one."""
        mark_ticks = self.listing.mark_ticks()
        if not mark_ticks:
            return 0
        return (mark_ticks * self.qty_lots - self.cost_ticks_lots) * self.listing.micro_per_tick_lot

    def recount(self) -> None:
        """Brings what `cash` counts of it in line with the position and its reference price."""
        listing, cash = self.listing, self.cash
        worth, reference_ticks = listing.micro_per_tick_lot, listing.reference_ticks
        if reference_ticks:
            size = reference_ticks * abs(self.qty_lots) * worth
            pnl = (reference_ticks * self.qty_lots - self.cost_ticks_lots) * worth
        else:
            size = abs(self.cost_ticks_lots) * worth
            pnl = 0
        cash.gross_micro += size - self.counted_size_micro
        cash.unrealized_micro += pnl - self.counted_pnl_micro
        self.counted_size_micro = size
        self.counted_pnl_micro = pnl

    def size_micro(self) -> int:
        """The position's value at the mark, else at its cost, without its sign."""
        mark_ticks = self.listing.mark_ticks()
        value = mark_ticks * abs(self.qty_lots) if mark_ticks else abs(self.cost_ticks_lots)
        return value * self.listing.micro_per_tick_lot

    def reducible_lots(self, is_buy: bool) -> int:
        """How many lots a trade in that direction can take off the position."""
        return max(0, -self.qty_lots if is_buy else self.qty_lots)


class Account:
    """One account: what it owns, its orders, and the requests it has made."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.opened: Event | None = None
        self.account_seq = 0
        self.cash: dict[str, Cash] = {}
        self.positions: dict[str, Position] = {}
        self.shorts: dict[str, Position] = {}
        """The positions that need margin."""
        self.newest: Order | None = None
        """The last of its orders that the venue knows; each knows the one before it."""
        self.open_count = 0
        self.lists: dict[str, OrderList] = {}
        self.keys: dict[str, Outcome] = {}
        self.key_line: deque[str] = deque()
        """The keys that have not fallen out of the window, oldest first."""
        self.short_sale_permitted = False
        self.short_margin_bps: int = SHORT_MARGIN_BPS
        self.self_trade_group = ""
        self.fees: FeeSchedule | None = None
        self.is_killed = False
        self.limits: Limits | None = None
        self.limits_version = -1
        """What limits it in instruments without limits of their own, and as of which version."""
        self.rate_second = 0
        self.rate_messages = 0

    def take_in(self, order: Order) -> None:
        """Adds its newest order."""
        before = self.newest
        order.older = before
        if before is not None:
            before.newer = order
        self.newest = order
        self.open_count += 1

    def let_go(self, order: Order) -> None:
        """Forgets one of its orders, which has ended."""
        older, newer = order.older, order.newer
        if older is not None:
            older.newer = newer
        if newer is not None:
            newer.older = older
        else:
            self.newest = older
        order.older = order.newer = None

    def open_orders(self) -> list[Order]:
        """Its open orders, oldest first; walks over all that it has."""
        found: list[Order] = []
        order, missing = self.newest, self.open_count
        while missing and order is not None:
            if order.is_open:
                found.append(order)
                missing -= 1
            order = order.older
        found.reverse()
        return found

    def cash_in(self, currency: str) -> Cash:
        """The account's cash in a currency, none at first."""
        cash = self.cash.get(currency)
        if cash is None:
            cash = self.cash[currency] = Cash()
        return cash

    def position_in(self, listing: Listing) -> Position:
        """The account's position in an instrument, none at first."""
        position = self.positions.get(listing.symbol)
        if position is None:
            instrument = listing.instrument
            base = self.cash_in(instrument.base_currency) if listing.base_micro_per_lot else None
            position = Position(self.account, listing, self.cash_in(instrument.currency), base)
            self.positions[listing.symbol] = position
            listing.holders.append(position)
        return position

    def position_seen(self, listing: Listing) -> Position:
        """The account's position in an instrument as it is, to be read only."""
        position = self.positions.get(listing.symbol)
        if position is not None:
            return position
        instrument = listing.instrument
        base = self.cash.get(instrument.base_currency, Cash()) if listing.base_micro_per_lot else None
        return Position(self.account, listing, self.cash.get(instrument.currency, Cash()), base)

    def margin_micro(self, cash: Cash) -> int:
        """Margin of the short positions that are settled in this cash."""
        margin = 0
        for position in self.shorts.values():
            if position.cash is cash:
                margin += self.short_margin_micro(position.listing, position.size_micro(), -position.qty_lots)
        return margin

    def sort_in(self, position: Position) -> None:
        """Notes whether a position that has just changed needs margin."""
        if position.qty_lots < 0 and position.base is None:
            self.shorts[position.listing.symbol] = position
        elif self.shorts:
            self.shorts.pop(position.listing.symbol, None)

    def short_margin_micro(self, listing: Listing, value_micro: int, lots: int) -> int:
        """What being short of lots of that value needs, the proceeds of the sale included."""
        if listing.strike_micro_per_lot:
            return value_micro - (-lots * listing.strike_micro_per_lot * OPTION_STRIKE_BPS // BPS)
        return -(-value_micro * self.short_margin_bps // BPS)
