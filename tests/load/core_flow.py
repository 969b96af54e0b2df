"""Commands for measuring the core: everything on, and a market to trade in.

Fees, every limit of the risk rules, reference prices and funded accounts are in
place; the limits are checked for each order and are wide enough that none
denies. Commands are made as bytes, as a gateway sends them. Buyers and sellers
are different accounts, so no order meets its own account.
"""

from collections.abc import Iterable, Iterator, Sequence
from random import Random

from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from matching.convert import decode_command, encode_events
from matching.core.commands import Command
from matching.core.engine import Engine
from matching.core.events import Replay
from tests.load.peers.operations import DEPTH_TICKS, MARKET_TICKS, QTY_LOTS_MAX, Market, Operation

FIRST_TIME_UNIX_NS = 1_700_000_000_000_000_000
STEP_NS = 10_000
"""Between two commands: 100,000 a second."""
ACCOUNTS = tuple(tuple(f"{side}-{number}" for number in range(8)) for side in ("SELL", "BUY"))
"""Those that sell, and those that buy."""
FUNDS_MICRO = 10**16
FUNDS_LOTS = 10**7
NS_PER_S = 10**9
LIMITS = wire.Limits(
    order_qty_lots=10**6,
    order_notional_micro=10**15,
    price_collar_bps=5_000,
    reference_age_ns=86_400 * NS_PER_S,
    message_rate=10**9,
    duplicate_window_ns=STEP_NS // 2,
    repeated_executions=10**9,
    repeated_window_ns=NS_PER_S // 100,
    daily_loss_micro=10**15,
    open_notional_micro=10**16,
    position_lots=10**13,
    gross_position_micro=2**61,
)


def symbols(count: int) -> list[str]:
    """The symbols of so many instruments."""
    return [f"SYM{number}" for number in range(count)]


def account(number: int, is_buy: bool) -> str:
    """Whose order it is."""
    return ACCOUNTS[is_buy][number % len(ACCOUNTS[is_buy])]


def opening(listed: Sequence[str]) -> Iterator[bytes]:
    """Lists instruments, sets limits and fees, opens and funds accounts, gives reference prices."""
    for symbol in listed:
        yield _bytes(list_instrument=_equity(symbol))
        yield _bytes(set_reference_price=wire.SetReferencePrice(symbol=symbol, price_ticks=MARKET_TICKS))
    names = [field.name for field, _ in LIMITS.ListFields()]
    yield _bytes(set_limits=wire.SetLimits(request_id="limits", update_mask=names, limits=LIMITS))
    yield _bytes(
        set_fee_schedule=wire.SetFeeSchedule(fee_schedule="all", request_id="fees", maker_ppm=-10, taker_ppm=30)
    )
    for sellers_or_buyers in ACCOUNTS:
        for name in sellers_or_buyers:
            yield from _funded(name, listed)


def command(operation: Operation, symbol: str) -> bytes:
    """An operation as the command of one instrument's market; its number is part of the key."""
    key = f"{symbol}-{operation.number}"
    if not operation.qty_lots:
        return _bytes(
            cancel_order=wire.CancelOrder(
                account=account(operation.number, operation.is_buy), orig_cl_ord_id=key, cl_ord_id=f"{key}-c"
            )
        )
    return _bytes(
        new_order=wire.NewOrder(
            account=account(operation.number, operation.is_buy),
            cl_ord_id=key,
            symbol=symbol,
            side=types.SIDE_BUY if operation.is_buy else types.SIDE_SELL,
            ord_type=types.ORD_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_GTC,
            qty_lots=operation.qty_lots,
            price_ticks=operation.price_ticks,
            self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
        )
    )


def decoded(data: Iterable[bytes]) -> list[Command]:
    """The commands that the core takes."""
    return [decode_command(one) for one in data]


class Clock:
    """Engine time: a step for each command."""

    def __init__(self) -> None:
        self.now_unix_ns = FIRST_TIME_UNIX_NS

    def next(self) -> int:
        """The time of the next command."""
        self.now_unix_ns += STEP_NS
        return self.now_unix_ns

    def times(self, count: int) -> range:
        """The times of so many commands."""
        first = self.next()
        self.now_unix_ns += (count - 1) * STEP_NS
        return range(first, self.now_unix_ns + 1, STEP_NS)


def opened(listed: Sequence[str], clock: Clock) -> Engine:
    """A venue in which everything is ready."""
    engine = Engine()
    for one in decoded(opening(listed)):
        told = engine.execute(one, clock.next())
        assert not isinstance(told, Replay)
        for event in map(events.Event.FromString, encode_events(told)):
            assert not event.HasField("command_refused"), event
    return engine


def resting(engine: Engine, listed: Sequence[str], count: int, clock: Clock) -> list[Market]:
    """Places `count` orders that rest, over all instruments by turns; gives the markets as they then are."""
    markets = [Market(seed) for seed in range(len(listed))]
    for number in range(count):
        index = number % len(listed)
        operation = markets[index].place(takes=False)
        engine.execute(decode_command(command(operation, listed[index])), clock.next())
    return markets


def apart(number: int, random: Random) -> Operation:
    """An order that rests whatever the market is, for filling a venue without a book of its own."""
    is_buy, away = number % 2 == 0, random.randint(1, DEPTH_TICKS)
    return Operation(number, is_buy, MARKET_TICKS + (-away if is_buy else away), random.randint(1, QTY_LOTS_MAX))


def _bytes(**body: object) -> bytes:
    message = wire.Command(actor="bench", received_unix_ns=FIRST_TIME_UNIX_NS, **body)  # type: ignore[arg-type]
    return message.SerializeToString()


def _equity(symbol: str) -> wire.ListInstrument:
    return wire.ListInstrument(
        symbol=symbol,
        asset_class=types.ASSET_CLASS_EQUITY,
        currency="USD",
        tick_size_nano=10**7,
        lot_size_nano=10**9,
        multiplier=1,
    )


def _funded(name: str, listed: Sequence[str]) -> Iterator[bytes]:
    yield _bytes(open_account=wire.OpenAccount(account=name))
    yield _bytes(
        configure_account=wire.ConfigureAccount(
            account=name, request_id="fees", update_mask=["fee_schedule"], fee_schedule="all"
        )
    )
    yield _bytes(adjust_cash=wire.AdjustCash(account=name, currency="USD", amount_micro=FUNDS_MICRO, request_id="cash"))
    for symbol in listed if name in ACCOUNTS[False] else ():
        yield _bytes(
            adjust_position=wire.AdjustPosition(
                account=name, symbol=symbol, qty_lots=FUNDS_LOTS, price_ticks=MARKET_TICKS, request_id=f"lots-{symbol}"
            )
        )
