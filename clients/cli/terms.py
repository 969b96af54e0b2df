"""The options that describe an order, and the terms they stand for.

What the options already say need not be said twice: a trail makes a trailing
stop, a trigger price a stop, a price a limit order, a time to end at GTD.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
from google.protobuf.timestamp_pb2 import Timestamp
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

SIDES = {"buy": types.SIDE_BUY, "sell": types.SIDE_SELL, "sell-short": types.SIDE_SELL_SHORT}
ORD_TYPES = {
    "market": types.ORD_TYPE_MARKET,
    "limit": types.ORD_TYPE_LIMIT,
    "stop": types.ORD_TYPE_STOP,
    "stop-limit": types.ORD_TYPE_STOP_LIMIT,
    "trailing-stop": types.ORD_TYPE_TRAILING_STOP,
}
TIMES_IN_FORCE = {
    "day": types.TIME_IN_FORCE_DAY,
    "gtc": types.TIME_IN_FORCE_GTC,
    "gtd": types.TIME_IN_FORCE_GTD,
    "ioc": types.TIME_IN_FORCE_IOC,
    "fok": types.TIME_IN_FORCE_FOK,
}
SELF_TRADE_PREVENTIONS = {
    "cancel-newest": types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
    "cancel-oldest": types.SELF_TRADE_PREVENTION_CANCEL_OLDEST,
    "cancel-both": types.SELF_TRADE_PREVENTION_CANCEL_BOTH,
    "decrement": types.SELF_TRADE_PREVENTION_DECREMENT,
}
TRIGGERS = {"last": types.TRIGGER_BY_LAST, "bid-ask": types.TRIGGER_BY_BID_ASK, "mark": types.TRIGGER_BY_MARK}
CONTINGENCIES = {
    "oco": types.CONTINGENCY_TYPE_OCO,
    "oto": types.CONTINGENCY_TYPE_OTO,
    "otoco": types.CONTINGENCY_TYPE_OTOCO,
}


class Moment(click.ParamType[Timestamp]):
    """A point in time in ISO 8601; in UTC where it names no offset."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Timestamp:
        """The time as a Timestamp."""
        try:
            moment = datetime.fromisoformat(value)
            made = Timestamp()
            made.FromDatetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-11-22T17:30:00+01:00", param, ctx)
        return made


class Leg(click.ParamType[orders.Contingency]):
    """A place in a list of orders, as TYPE:LIST:LEG."""

    name = "type:list:leg"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> orders.Contingency:
        """The tie that it describes; the list's own name may have colons."""
        kind, _, rest = value.partition(":")
        list_id, _, leg = rest.rpartition(":")
        if kind.lower() not in CONTINGENCIES or not list_id or not leg.isascii() or not leg.isdigit():
            self.fail(f"{value!r} is not {'|'.join(CONTINGENCIES)}:LIST:LEG, such as oco:exit-1:2", param, ctx)
        return orders.Contingency(type=CONTINGENCIES[kind.lower()], list_id=list_id, leg=int(leg))


def choice(words: dict[str, Any]) -> click.Choice[str]:
    """One of the words, in any case."""
    return click.Choice(list(words), case_sensitive=False)


_OPTIONS = (
    click.option("--price", default="", help="Limit price; without any price the order is a market order."),
    click.option("--type", "ord_type", type=choice(ORD_TYPES), help="Order type; by default what the prices say."),
    click.option("--tif", type=choice(TIMES_IN_FORCE), help="Time in force; day, or gtd with --expire-time."),
    click.option("--stop-px", default="", help="Trigger price."),
    click.option("--trail", default="", help="Distance of a trailing trigger, as a price."),
    click.option("--trail-bps", default="", help="Distance of a trailing trigger, in basis points of the price."),
    click.option("--trigger-by", type=choice(TRIGGERS), help="What a trailing trigger watches; last by default."),
    click.option("--display-qty", default="", help="The part of the quantity shown in the book."),
    click.option("--min-qty", default="", help="The smallest first fill accepted; with --tif ioc."),
    click.option("--expire-time", type=Moment(), help="When the order ends, ISO 8601."),
    click.option("--post-only", is_flag=True, help="Reject instead of taking liquidity."),
    click.option("--reduce-only", is_flag=True, help="Never increase the position."),
    click.option("--self-trade", type=choice(SELF_TRADE_PREVENTIONS), help="What to do when it meets its own account."),
    click.option("--contingency", type=Leg(), help="Ties the order to others: oco|oto|otoco:LIST:LEG."),
    click.option("--cl-ord-id", default="", help="The client's key; made when not given."),
    click.option("--decision-maker", default="", help="Who decided: a person or an algorithm."),
    click.option("--strategy", default="", help="The strategy the order belongs to."),
)


def terms_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Everything that `order_terms` takes beyond the account."""
    for option in reversed(_OPTIONS):
        command = option(command)
    arguments = (click.argument("symbol"), click.argument("side", type=choice(SIDES)), click.argument("qty"))
    for argument in reversed(arguments):
        command = argument(command)
    return command


def order_terms(
    account: str,
    *,
    side: str,
    ord_type: str | None,
    tif: str | None,
    trail: str,
    trail_bps: str,
    trigger_by: str | None,
    expire_time: Timestamp | None,
    post_only: bool,
    reduce_only: bool,
    self_trade: str | None,
    strategy: str,
    **plain: Any,
) -> orders.OrderTerms:
    """The terms that the options stand for.

    Raises:
        click.UsageError: the trail is given twice, or what it watches without it.
    """
    if trail and trail_bps:
        raise click.UsageError("give --trail or --trail-bps, not both")
    if trigger_by and not (trail or trail_bps):
        raise click.UsageError("--trigger-by needs --trail or --trail-bps")
    trails = bool(trail or trail_bps)
    kind = ord_type or _type_of(trails, bool(plain["stop_px"]), bool(plain["price"]))
    terms = orders.OrderTerms(
        account=account,
        side=SIDES[side],
        ord_type=ORD_TYPES[kind],
        time_in_force=TIMES_IN_FORCE[tif or ("gtd" if expire_time else "day")],
        strategy_id=strategy,
        expire_time=expire_time,
        **plain,
    )
    if trails:
        unit = types.TRAIL_UNIT_PRICE if trail else types.TRAIL_UNIT_BPS
        watched = TRIGGERS[trigger_by or "last"]
        terms.trail.CopyFrom(orders.Trail(offset=trail or trail_bps, unit=unit, trigger_by=watched))
    if post_only or reduce_only:
        terms.exec_inst.CopyFrom(orders.ExecInst(post_only=post_only, reduce_only=reduce_only))
    if self_trade:
        terms.self_trade_prevention = SELF_TRADE_PREVENTIONS[self_trade]
    return terms


def _type_of(trails: bool, stops: bool, limits: bool) -> str:
    """The order type that the given prices mean."""
    if trails:
        return "trailing-stop"
    return "-".join(word for word, given in (("stop", stops), ("limit", limits)) if given) or "market"
