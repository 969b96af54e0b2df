"""What random traders and operators ask for: the single requests of a stream."""

from random import Random
from typing import Any, TypeVar

from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.plain.state import Order, Venue, names_of

BUY, SELL, SHORT = types.SIDE_BUY, types.SIDE_SELL, types.SIDE_SELL_SHORT
MARKET, LIMIT, STOP = types.ORD_TYPE_MARKET, types.ORD_TYPE_LIMIT, types.ORD_TYPE_STOP
STOP_LIMIT, TRAILING = types.ORD_TYPE_STOP_LIMIT, types.ORD_TYPE_TRAILING_STOP
DAY, GTC, IOC, FOK, GTD = 1, 2, 3, 4, 6
SECOND_NS = 10**9
ODD_NUMBERS = (0, -1, 1, 2**31, 2**40, 2**62, 2**62 + 1, 2**63 - 1, -(2**63))
LIMITS: dict[str, tuple[int, ...]] = {
    "order_qty_lots": (15, 25, 60),
    "order_notional_micro": (15_000_000, 2_000_000_000, 20_000_000_000),
    "price_collar_bps": (100, 400, 20_000),
    "reference_age_ns": (SECOND_NS, 20 * SECOND_NS),
    "message_rate": (5, 20),
    "duplicate_window_ns": (SECOND_NS, 60 * SECOND_NS),
    "repeated_executions": (1, 2, 4),
    "repeated_window_ns": (SECOND_NS // 2, 10 * SECOND_NS),
    "daily_loss_micro": (5_000_000, 5_000_000_000),
    "open_notional_micro": (50_000_000, 5_000_000_000, 50_000_000_000),
    "position_lots": (50, 300, 1_000),
    "gross_position_micro": (2_000_000_000, 50_000_000_000),
    "basket_notional_micro": (50_000_000, 5_000_000_000),
    "restricted": (1,),
}
T = TypeVar("T")


def copy(body: T, **changes: Any) -> T:
    """The same with other values."""
    made: T = type(body)(**({name: getattr(body, name) for name in names_of(body)} | changes))
    return made


def new_order(random: Random, account: str, key: str, symbol: str, center: int, now: int) -> c.NewOrder:
    """An order that mostly makes sense."""
    ord_type = random.choices((LIMIT, MARKET, STOP, STOP_LIMIT, TRAILING), (62, 12, 8, 9, 9))[0]
    tif = random.choices((DAY, GTC, IOC, FOK, GTD), (40, 22, 12, 12, 14))[0]
    is_stop = ord_type in (STOP, STOP_LIMIT, TRAILING)
    if is_stop and tif in (IOC, FOK):
        tif = GTC
    if ord_type == MARKET and tif == GTD:
        tif = IOC
    side = random.choices((BUY, SELL, SHORT), (50, 42, 8))[0]
    spread = random.choice((1, 2, 3, max(3, min(6, center // 2))))
    price = max(1, center + random.randint(-spread, spread))
    has_limit, qty = ord_type in (LIMIT, STOP_LIMIT), random.randint(1, 30)
    rests = has_limit and tif not in (IOC, FOK)
    stop_px = max(1, center + (1 if side == BUY else -1) * random.randint(-2, 6))
    in_bps = random.random() < 0.4
    trails = ord_type == TRAILING
    return c.NewOrder(
        account,
        key,
        symbol,
        side,
        ord_type,
        tif,
        qty,
        price if has_limit else 0,
        random.choices((1, 2, 3, 4), (40, 30, 10, 20))[0],
        decision_maker=random.choice(("", "ann")),
        strategy_id=random.choice(("", "st")),
        stop_px_ticks=stop_px if ord_type in (STOP, STOP_LIMIT) or (trails and random.random() < 0.5) else 0,
        trail_offset=(random.choice((50, 300, 2_000)) if in_bps else random.randint(1, 6)) if trails else 0,
        trail_unit=(2 if in_bps else 1) if trails else 0,
        trigger_by=random.choice((0, 0, 1, 2, 3)) if is_stop else 0,
        display_qty_lots=random.randint(1, qty) if rests and random.random() < 0.2 else 0,
        min_qty_lots=random.randint(1, qty) if tif == IOC and random.random() < 0.4 else 0,
        expire_unix_ns=now + random.randint(1, 3 * SECOND_NS) if tif == GTD else 0,
        post_only=rests and random.random() < 0.1,
        reduce_only=random.random() < 0.12,
        client_unix_ns=random.choice((0, 0, 0, 77)),
    )


def bracket(random: Random, account: str, key: str, slot: Any, now: int) -> list[c.NewOrder]:
    """A parent and two legs, or two legs that cancel each other, as people use them."""
    symbol, center = slot.terms.symbol, slot.center
    kind = random.choice((1, 2, 3, 3))
    side, away = random.choice(((BUY, SELL), (SELL, BUY)))
    sign = 1 if side == BUY else -1
    qty = random.randint(1, 20)
    base = c.NewOrder(account, "", symbol, list_id=key, contingency_type=kind, qty_lots=qty)
    parent = copy(
        base,
        side=side,
        ord_type=random.choice((LIMIT, LIMIT, MARKET)),
        price_ticks=max(1, center + random.randint(-4, 4)),
        time_in_force=random.choice((DAY, IOC, GTC)),
    )
    if parent.ord_type == MARKET:
        parent = copy(parent, price_ticks=0)
    profit = copy(base, side=away, price_ticks=max(1, center + sign * random.randint(0, 5)), time_in_force=GTC)
    stop_px = max(1, center - sign * random.randint(0, 5))
    loss = copy(base, side=away, ord_type=STOP, price_ticks=0, stop_px_ticks=stop_px, time_in_force=GTC)
    orders = [profit, loss] if kind == 1 else [parent, profit, loss]
    orders = [copy(order, reduce_only=random.random() < 0.2) for order in orders]
    return [copy(order, cl_ord_id=f"{key}-{leg}", leg=leg) for leg, order in enumerate(orders, 1)]


def replace(random: Random, venue: Venue, order: Order, base: c.ReplaceOrder) -> c.ReplaceOrder:
    """A change of one or two things, sometimes off the grid."""
    terms = venue.listings[order.symbol].terms
    changes: dict[str, int] = {}
    names = ["qty"] + ["price"] * order.is_limit + ["display_qty"] * bool(order.display)
    names += ["stop_px"] * (order.status == types.ORD_STATUS_PENDING_NEW and order.is_stop)
    names = names if random.random() < 0.93 else ["qty", "price", "stop_px", "display_qty"]
    for name in random.sample(names, min(len(names), random.choice((1, 1, 2)))):
        if name == "qty":
            lots = random.choice((order.qty - 1, order.qty - 3, order.qty + 2, order.qty + 5, order.qty, order.cum, 1))
            changes[name] = lots * terms.lot_size_nano
        elif name == "display_qty":
            changes[name] = random.randint(1, 8) * terms.lot_size_nano
        else:
            now = order.price if name == "price" else order.stop_px
            changes[name] = (now + random.choice((-3, -2, -1, 0, 1, 1, 2, 3))) * terms.tick_size_nano
        if random.random() < 0.03:
            changes[name] = changes.get(name, 0) + random.choice((1, 10**6))
    return copy(base, **{f"{name}_nano": value for name, value in changes.items()})


def conflicting(random: Random, used: c.Body, fresh: c.NewOrder) -> c.Body:
    """A key that was used for something else."""
    if isinstance(used, c.NewOrder) and random.random() < 0.6:
        return copy(used, **random.choice(({"qty_lots": 31}, {"price_ticks": 90}, {"side": 2}, {"leg": 7})))
    if isinstance(used, (c.AdjustCash, c.SetLimits, c.ConfigureAccount, c.AdjustPosition, c.ReleaseThrottle)):
        return random.choice(
            (
                c.AdjustCash(used.account, "USD", 5, used.request_id),
                c.AdjustPosition(used.account, "XYZ", 1, 5, used.request_id),
                copy(used, account=random.choice(("ALICE", "BOB"))),
            )
        )
    key = getattr(used, "cl_ord_id", "") or getattr(used, "quote_id", "") or "k1"
    account = getattr(used, "account", "") or fresh.account
    return random.choice(
        (
            copy(fresh, account=account, cl_ord_id=key),
            c.CancelOrder(account, key, 0, "k1"),
            c.ReplaceOrder(account, key, 0, "k1", 10**9),
            c.MassCancel(account, key),
            c.MassQuote(account, key, [c.QuoteEntry("XYZ", 95, 1, 105, 1)]),
        )
    )


def quote(random: Random, symbol: str, center: int) -> c.QuoteEntry:
    """A bid and an ask, mostly apart."""
    bid, ask = max(1, center - random.randint(0, 3)), center + random.randint(0, 3)
    bid_px, ask_px = random.choice((bid, bid, bid, 0)), random.choice((ask, ask, ask, 0))
    return c.QuoteEntry(symbol, bid_px, random.choice((3, 5, 8)), ask_px, random.choice((3, 5, 8)))


def adjustment(random: Random, account: str, symbol: str, key: str) -> c.Body:
    """Cash or lots come or go."""
    request_id = random.choice((key, key, key, ""))
    account = random.choice((account, account, account, "NOBODY"))
    if random.random() < 0.6:
        amount = random.choice((1, -1)) * random.randint(0, 2_000_000_000)
        return c.AdjustCash(account, random.choice(("USD", "USD", "EUR", "")), amount, request_id)
    symbol = random.choice((symbol, symbol, "NONE"))
    return c.AdjustPosition(account, symbol, random.randint(-50, 80), random.randint(-1, 120), request_id)


def limits(random: Random, account: str, symbol: str, key: str) -> c.SetLimits:
    """Some limits are set, some are taken away."""
    names = random.sample(list(LIMITS), random.choice((1, 1, 2, 4)))
    names = [name for name in names if name != "restricted" or random.random() < 0.3] or ["position_lots"]
    values: dict[str, Any] = {}
    for name in names:
        values[name] = random.choice((*LIMITS[name], *LIMITS[name], 0))
        if random.random() < 0.02:
            values[name] = random.choice((-1, 2**62 + 1))
    if "restricted" in values:
        values["restricted"] = random.random() < 0.5
    mask = names if random.random() < 0.97 else random.choice(([], ["nothing"]))
    return c.SetLimits(account, symbol, key if random.random() < 0.98 else "", mask, c.Limits(**values))


def configuration(random: Random, account: str, symbol: str, key: str) -> c.Body:
    """Accounts, instruments and fees change."""
    account_names = ["short_sale_permitted", "short_margin_bps", "self_trade_group", "fee_schedule"]
    names = random.sample(account_names, random.randint(1, 4))
    return random.choice(
        (
            c.ConfigureAccount(
                account,
                key,
                names,
                random.random() < 0.7,
                random.choice((5_000, 10_000, 15_000, 15_000, -1)),
                random.choice(("", "G1", "G2")),
                random.choice(("", "STANDARD", "MAKER", "REBATE", "NONE")),
            ),
            c.ConfigureInstrument(
                symbol,
                key,
                random.choice((["market_collar_bps"], ["price_band_bps"], ["price_band_bps"], ["x"], [])),
                random.choice((100, 300, 1_000, 1_000, 10_000, 0)),
                random.choice((0, 0, 200, 300, 600, 10_000)),
            ),
            c.SetFeeSchedule(
                random.choice(("STANDARD", "MAKER", "REBATE", "")),
                key,
                random.choice((50, -20, -30, 0, 100_001)),
                random.choice((150, 100, -10, 0)),
                random.choice((0, 3, 250, -1)),
            ),
        )
    )


def odd(random: Random, order: c.NewOrder, order_id: int, orig: str, key: str) -> c.Body:
    """Requests that a gateway would have stopped."""
    number = random.choice(ODD_NUMBERS)
    fields: dict[str, tuple[Any, ...]] = {
        "qty_lots": (number,),
        "price_ticks": (number,),
        "stop_px_ticks": (number,),
        "display_qty_lots": (number, 40),
        "min_qty_lots": (number, 40),
        "trail_offset": (number, 10_001),
        "expire_unix_ns": (number, 5),
        "side": (0, 3, 9),
        "ord_type": (0, 9),
        "time_in_force": (0, 4, 5, 6),
        "self_trade_prevention": (0, 5),
        "trigger_by": (1, 9),
        "trail_unit": (1, 2, 9),
        "contingency_type": (0, 1, 9),
        "list_id": ("", "other"),
        "leg": (0, 1, 99),
        "post_only": (True,),
        "symbol": ("", "NONE"),
        "account": ("", "NOBODY"),
        "cl_ord_id": ("", "käy ✓"),
    }
    names = random.sample(list(fields), random.choice((1, 1, 2)))
    strange = copy(order, **{name: random.choice(fields[name]) for name in names})
    replaced = {"qty_nano": number, "price_nano": random.choice(ODD_NUMBERS)}
    pair = c.ListInstrument("NEW", types.ASSET_CLASS_FX, "USD", 10**5, 10**12, base_currency="EUR")
    return random.choice(
        (
            strange,
            strange,
            strange,
            strange,
            c.ReplaceOrder(order.account, random.choice(("", key)), order_id, orig, **replaced),
            c.CancelOrder(random.choice((order.account, "NOBODY")), "", order_id, orig),
            c.AdjustCash(order.account, "USD", number, key),
            c.AdjustPosition(order.account, order.symbol, number, random.choice(ODD_NUMBERS), key),
            c.SetReferencePrice(random.choice((order.symbol, "NONE")), random.choice((0, -1, 2**40))),
            c.SetTradingSession(random.choice((order.symbol, "NONE")), random.choice((0, 4, 9))),
            c.MassQuote(
                order.account, key, [c.QuoteEntry(random.choice((order.symbol, "NONE")), number, 1, 0, number)]
            ),
            c.OpenSession("", "gw-1"),
            c.OpenAccount(""),
            c.MassCancel("NOBODY", key),
            c.MassQuote("NOBODY", key, [c.QuoteEntry("XYZ", 95, 1, 105, 1)]),
            c.NewOrderList("NOBODY", [order]),
            c.NewOrderList(order.account, [order, copy(order, account="BOB", cl_ord_id=f"{key}-2")]),
            c.SetFeeSchedule("STANDARD", key, 0, 100_001, 0),
            copy(
                pair, lot_size_nano=random.choice((10**12, 10**7 + 10)), base_currency=random.choice(("", "USD", "EUR"))
            ),
            copy(pair, strike_nano=-1, trading_session=random.choice((0, 7))),
            copy(pair, trading_session=7),
            c.EngageKillSwitch(random.choice((1, 9)), "x", key),
            c.ListInstrument(random.choice(("", "NEW")), 1, random.choice(("", "USD")), 1, 10**9),
            copy(c.ListInstrument("XYZ", 1, "USD", 10**7, 10**9), multiplier=2),
        )
    )
