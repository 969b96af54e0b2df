"""The plain venue's ledger: what is held, owed and earned, counted anew each time it is asked for (section 5)."""

from collections.abc import Iterator

from ordergate.types.v1 import types_pb2 as types

from tests.simulation.plain.state import BOUND, Account, Holding, Listing, Order, Venue

OPTION_MARGIN_BPS = 2_000


def ceil_div(number: int, by: int) -> int:
    """The quotient, rounded up."""
    return -(-number // by)


def orders_in_book(v: Venue, account: str) -> Iterator[Order]:
    """The resting orders of an account."""
    return (order for order in v.live if order.account == account and order.in_book)


def rates(v: Venue, account: str) -> tuple[int, int, int]:
    """Maker and taker rate, and what a lot costs on top."""
    name = v.accounts[account].fee_schedule
    schedule = v.schedules.get(name) if name else None
    return (schedule.maker_ppm, schedule.taker_ppm, schedule.lot_micro) if schedule is not None else (0, 0, 0)


def fee(v: Venue, account: str, value: int, lots: int, *, taker: bool) -> int:
    """What a fill costs."""
    maker_ppm, taker_ppm, lot_micro = rates(v, account)
    return ceil_div(value * (taker_ppm if taker else maker_ppm), 1_000_000) + lots * lot_micro


def most_fee(v: Venue, account: str, value: int, lots: int) -> int:
    """What the fills of an order could cost together."""
    maker_ppm, taker_ppm, lot_micro = rates(v, account)
    rate = max(maker_ppm, taker_ppm, 0)
    return ceil_div(value * rate, 1_000_000) + lots * (lot_micro + (1 if rate else 0))


def strike_value(listing: Listing) -> int:
    """What the strike makes for a lot of an option."""
    terms = listing.terms
    return terms.strike_nano * terms.lot_size_nano * terms.multiplier // 10**12


def short_margin(v: Venue, account: str, symbol: str, lots: int, value: int) -> int:
    """The margin of `lots` sold short that are worth `value`."""
    listing = v.listings[symbol]
    if listing.terms.asset_class == types.ASSET_CLASS_OPTION:
        return value + ceil_div(lots * strike_value(listing) * OPTION_MARGIN_BPS, 10_000)
    return ceil_div(value * v.accounts[account].short_margin_bps, 10_000)


def size_value(v: Venue, symbol: str, holding: Holding, price: int) -> int:
    """What a position is worth, without its sign: at a price, else at cost."""
    size = abs(holding.lots) * price if price else abs(holding.cost)
    return size * v.listings[symbol].worth


def margin(v: Venue, account: str, currency: str) -> int:
    """The margin of all short positions in a currency."""
    return sum(
        short_margin(v, account, symbol, -holding.lots, size_value(v, symbol, holding, v.listings[symbol].mark))
        for symbol, holding in v.accounts[account].holdings.items()
        if holding.lots < 0 and not v.listings[symbol].is_fx and v.listings[symbol].terms.currency == currency
    )


def need(v: Venue, order: Order, lots: int, price: int) -> tuple[str, int]:
    """The currency and the cash that `lots` of an order at a price hold; a sale of what is held needs none."""
    value = lots * price * v.listings[order.symbol].worth
    return need_of_value(v, order, lots, value)


def need_of_value(v: Venue, order: Order, lots: int, value: int) -> tuple[str, int]:
    """The same for a value."""
    listing = v.listings[order.symbol]
    currency = listing.terms.currency
    if order.buys:
        return currency, value + most_fee(v, order.account, value, lots)
    if order.is_short:
        beyond = max(0, short_margin(v, order.account, order.symbol, lots, value) - value)
        return currency, beyond + most_fee(v, order.account, value, lots)
    if listing.is_fx:
        return listing.terms.base_currency, lots * listing.base_lot
    return currency, 0


def hold(v: Venue, order: Order) -> None:
    """A resting order has come to rest, or has changed: what it holds is what it needs now."""
    order.hold = need(v, order, order.leaves, order.price)


def held_cash(v: Venue, account: str, currency: str) -> int:
    """What all resting orders hold of a currency."""
    return sum(order.hold[1] for order in orders_in_book(v, account) if order.hold[0] == currency)


def held_lots(v: Venue, account: str, symbol: str, *, shorts: bool) -> int:
    """The lots that resting sales hold; with the open short sales, if wanted."""
    if v.listings[symbol].is_fx:
        return 0
    return sum(
        order.leaves
        for order in orders_in_book(v, account)
        if order.symbol == symbol and not order.buys and (shorts or not order.is_short)
    )


def free_cash(v: Venue, account: str, currency: str) -> int:
    """Buying power."""
    cash = v.accounts[account].cash.get(currency, 0)
    return cash - held_cash(v, account, currency) - margin(v, account, currency)


def unrealized(v: Venue, symbol: str, holding: Holding, price: int) -> int:
    """What a position would earn if it were closed at a price; 0 without one."""
    return (price * holding.lots - holding.cost) * v.listings[symbol].worth if price else 0


def result(v: Venue, account: Account, currency: str) -> int:
    """Realised and, against reference prices, unrealised profit in a currency, less fees."""
    earned = sum(
        holding.pnl + unrealized(v, symbol, holding, v.listings[symbol].reference)
        for symbol, holding in account.holdings.items()
        if v.listings[symbol].terms.currency == currency
    )
    return earned - account.fees.get(currency, 0)


def reducible(v: Venue, account: str, symbol: str, *, buys: bool) -> int:
    """The lots that a purchase or a sale could trade without increasing the position."""
    lots = v.accounts[account].lots(symbol)
    return max(0, -lots if buys else lots)


def move_lots(v: Venue, account: str, symbol: str, lots: int, price: int) -> None:
    """Lots come (or go) at a price: first what is there is closed, then the rest is opened."""
    holding, worth = v.accounts[account].holding(symbol), v.listings[symbol].worth
    sign = 1 if lots > 0 else -1
    closing = min(abs(lots), abs(holding.lots)) if holding.lots * sign < 0 else 0
    if closing:
        part = abs(holding.cost) * closing // abs(holding.lots)
        earned = (part - closing * price if sign > 0 else closing * price - part) * worth
        holding.pnl = max(-BOUND, min(BOUND, holding.pnl + earned))
        holding.cost += sign * part
    holding.lots += lots
    holding.cost += sign * (abs(lots) - closing) * price


def add_cash(account: Account, currency: str, amount: int) -> None:
    """Cash comes or goes."""
    account.cash[currency] = account.cash.get(currency, 0) + amount


def settle(v: Venue, order: Order, lots: int, price: int, *, taker: bool) -> int:
    """Books an order's side of a trade and gives its fee."""
    listing, account = v.listings[order.symbol], v.accounts[order.account]
    currency, value, sign = listing.terms.currency, lots * price * listing.worth, 1 if order.buys else -1
    cost = fee(v, order.account, value, lots, taker=taker)
    add_cash(account, currency, -sign * value - cost)
    if listing.is_fx:
        add_cash(account, listing.terms.base_currency, sign * lots * listing.base_lot)
    move_lots(v, order.account, order.symbol, sign * lots, price)
    account.fees[currency] = account.fees.get(currency, 0) + cost
    v.pot[currency] = v.pot.get(currency, 0) + cost
    return cost
