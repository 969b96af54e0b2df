"""Events to what clients see: reports, orders, positions, and the errors of refusals."""

from typing import Any, cast

from ordergate.matching.v1 import events_pb2 as wire
from ordergate.matching.v1 import matching_pb2 as link
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from runtime.clock import timestamp
from runtime.decimals import format_nano
from runtime.errors import Refused
from runtime.instruments import Instrument, Instruments, money_text
from runtime.reasons import reason_name

REFUSALS = frozenset({types.EXEC_TYPE_DENIED, types.EXEC_TYPE_REJECTED})
_UNLISTED = Instrument("", 0, "", 10**9, 10**9)

# What the core calls otherwise than the contract.
_PUBLIC_FIELDS = {
    "qty_lots": "qty",
    "qty_nano": "qty",
    "price_ticks": "price",
    "price_nano": "price",
    "stop_px_ticks": "stop_px",
    "stop_px_nano": "stop_px",
    "display_qty_lots": "display_qty",
    "display_qty_nano": "display_qty",
    "min_qty_lots": "min_qty",
    "trail_offset": "trail.offset",
    "trail_unit": "trail.unit",
    "trigger_by": "trail.trigger_by",
    "expire_unix_ns": "expire_time",
    "post_only": "exec_inst.post_only",
    "reduce_only": "exec_inst.reduce_only",
    "contingency_type": "contingency.type",
    "list_id": "contingency.list_id",
    "leg": "contingency.leg",
}

_TEXTS: dict[int, str] = {
    types.REASON_ACCOUNT_UNKNOWN: "there is no such account",
    types.REASON_BUYING_POWER: "the account has not enough free cash",
    types.REASON_POSITION_INSUFFICIENT: "the account has not enough free position",
    types.REASON_SHORT_SALE_NOT_PERMITTED: "the account may not sell short, or holds what it would sell",
    types.REASON_ORDER_QTY_LIMIT: "the order's quantity is above its limit",
    types.REASON_ORDER_NOTIONAL_LIMIT: "the order's value is above its limit",
    types.REASON_PRICE_COLLAR: "the price is too far from the reference price",
    types.REASON_REFERENCE_STALE: "the reference price is missing or too old to check the price against",
    types.REASON_POSITION_LIMIT: "the position would be above its limit",
    types.REASON_OPEN_NOTIONAL_LIMIT: "the value of the open orders would be above its limit",
    types.REASON_DAILY_LOSS_LIMIT: "the day's loss is above its limit",
    types.REASON_MESSAGE_RATE_LIMIT: "the account sends faster than its limit",
    types.REASON_DUPLICATE_ORDER: "the same order was placed a moment ago",
    types.REASON_REPEATED_EXECUTION: "the account's executions repeat too often; an operator has to release it",
    types.REASON_RESTRICTED_INSTRUMENT: "the instrument is restricted",
    types.REASON_KILL_SWITCH: "a kill switch is engaged",
    types.REASON_CL_ORD_ID_CONFLICT: "the key was used before with another request",
    types.REASON_ORDER_UNKNOWN: "there is no such order",
    types.REASON_ORDER_NOT_OPEN: "the order is not open any more",
    types.REASON_NO_LIQUIDITY: "nothing left in the book to trade with",
    types.REASON_SELF_TRADE: "the order met an order of its own account or group",
    types.REASON_WOULD_TAKE: "the order is post-only and would have taken",
    types.REASON_HALTED: "the instrument is halted",
    types.REASON_SESSION_CLOSED: "the instrument's trading session does not take or keep such an order",
    types.REASON_QTY_BELOW_CUM: "the new quantity leaves nothing open",
    types.REASON_NOTHING_TO_REPLACE: "the replace changes nothing",
    types.REASON_EXPIRED: "the order's time in force has ended",
    types.REASON_NOT_FILLABLE: "the order could not trade at once as much as it has to",
    types.REASON_ALREADY_EXISTS: "it exists already",
    types.REASON_DELISTED: "the instrument is no longer listed",
    types.REASON_CONTINGENCY: "an order that it is tied to has traded, was triggered or has ended",
    types.REASON_PRICE_BAND: "the next trade would be outside the price band",
    types.REASON_PRICE_OFF_TICK: "the new price is not a multiple of the instrument's tick",
    types.REASON_QTY_OFF_LOT: "the new quantity is not a multiple of the instrument's lot",
    types.REASON_VALUE_TOO_LARGE: "the order is worth more than the venue can represent",
    types.REASON_FIELDS_CONFLICT: "the order and what is asked do not go together",
}


def report(
    event: wire.Event, instruments: Instruments, epoch: int, durable_unix_ns: int, correlation_id: int = 0
) -> orders.ExecutionReport:
    """The execution report of an order event; `sent_unix_ns` is left to the sender."""
    order = event.order
    instrument = instruments.get(order.symbol) or _UNLISTED
    seq = event.seq
    # The enums of the internal contract are those of the public one.
    made = cast(Any, orders.ExecutionReport)(
        seq=seq,
        epoch=epoch,
        account_seq=order.account_seq,
        prev_account_seq=order.account_seq - 1 if order.account_seq else 0,
        account=order.account,
        cl_ord_id=order.cl_ord_id,
        orig_cl_ord_id=order.orig_cl_ord_id,
        order_id=str(order.order_id) if order.order_id else "",
        exec_id=str(seq),
        exec_type=order.exec_type,
        ord_status=order.ord_status,
        cause=order.cause,
        request=order.request,
        symbol=order.symbol,
        side=order.side,
        ord_type=order.ord_type,
        time_in_force=order.time_in_force,
        qty=instrument.qty_text(order.qty_lots),
        price=_price_text(order.price_ticks, instrument),
        stop_px=_price_text(order.stop_px_ticks, instrument),
        display_qty=_qty_text(order.display_qty_lots, instrument),
        list_id=order.list_id,
        cum_qty=instrument.qty_text(order.cum_qty_lots),
        leaves_qty=instrument.qty_text(order.leaves_qty_lots),
        audit_index=seq - 1,
        transact_time=timestamp(event.time_unix_ns),
        received_unix_ns=order.received_unix_ns,
        sequenced_unix_ns=event.time_unix_ns,
        durable_unix_ns=durable_unix_ns,
        correlation_id=correlation_id,
    )
    if order.cum_qty_lots:
        made.avg_px = instrument.avg_px_text(order.cum_value_ticks_lots, order.cum_qty_lots)
    if order.last_qty_lots:
        made.trade_id = str(order.trade_id)
        made.last_px = instrument.price_text(order.last_px_ticks)
        made.last_qty = instrument.qty_text(order.last_qty_lots)
        made.liquidity = order.liquidity
        if order.fee_micro:
            made.fee = money_text(order.fee_micro)
            made.fee_currency = instrument.currency
    if order.reason:
        made.reason.CopyFrom(reason_detail(order, instrument))
    return made  # type: ignore[no-any-return]


def reason_detail(order: wire.OrderEvent | link.CheckOrderResponse, instrument: Instrument) -> types.ReasonDetail:
    """Why an order was, or would be, refused or ended, with the numbers of a denial as decimals."""
    field = _PUBLIC_FIELDS.get(order.field, order.field)
    detail = types.ReasonDetail(code=order.reason, text=_text(order.reason, field), field=field)
    if order.HasField("risk"):
        risk = order.risk
        detail.rule = risk.rule
        detail.limit = _risk_text(risk.limit, risk.unit, instrument)
        detail.current = _risk_text(risk.current, risk.unit, instrument)
        detail.projected = _risk_text(risk.projected, risk.unit, instrument)
        detail.limits_version = risk.limits_version
    return detail


def refusal(event: wire.Event, instruments: Instruments) -> Refused | None:
    """The error that a refused request is answered with; None when it was not refused."""
    order = event.order
    if order.exec_type not in REFUSALS:
        return None
    detail = reason_detail(order, instruments.get(order.symbol) or _UNLISTED)
    metadata = {
        "account": order.account,
        "cl_ord_id": order.cl_ord_id,
        "seq": str(event.seq),
        "audit_index": str(event.seq - 1),
        "exec_type": types.ExecType.Name(order.exec_type).removeprefix("EXEC_TYPE_"),
    }
    if detail.rule:
        metadata |= {
            "rule": detail.rule,
            "limit": detail.limit,
            "current": detail.current,
            "projected": detail.projected,
            "limits_version": str(detail.limits_version),
        }
    if detail.field:
        metadata["field"] = detail.field
    return Refused(order.reason, detail.text, field=detail.field, metadata=metadata)


def refused_command(refused: wire.CommandRefused) -> Refused:
    """The error that a refused request about many orders is answered with."""
    field = _PUBLIC_FIELDS.get(refused.field, refused.field)
    metadata = {"account": refused.account, "key": refused.request_id}
    return Refused(refused.reason, _text(refused.reason, field), field=field, metadata=metadata)


def mass_canceled(event: wire.Event, *, poss_dup: bool) -> entry.MassCancelOrdersResponse:
    """What a mass cancel is answered with."""
    told = event.orders_mass_canceled
    return entry.MassCancelOrdersResponse(
        cl_ord_id=told.cl_ord_id,
        canceled_orders=told.canceled_orders,
        seq=event.seq,
        transact_time=timestamp(event.time_unix_ns),
        poss_dup=poss_dup,
    )


def quoted(event: wire.Event, *, poss_dup: bool) -> entry.SubmitQuotesResponse:
    """What a mass quote is answered with, without the reports of its sides."""
    return entry.SubmitQuotesResponse(
        quote_id=event.mass_quote_accepted.quote_id,
        seq=event.seq,
        transact_time=timestamp(event.time_unix_ns),
        poss_dup=poss_dup,
    )


def checked(answer: link.CheckOrderResponse, instrument: Instrument) -> entry.CheckOrderResponse:
    """What would become of an order, with the numbers of a denial as decimals."""
    return entry.CheckOrderResponse(
        accepted=not answer.reason,
        exec_type=answer.exec_type,
        reason=reason_detail(answer, instrument) if answer.reason else None,
        as_of_seq=answer.as_of_seq,
    )


def order_of(state: link.OrderState, instruments: Instruments) -> orders.Order:
    """An order as its last event left it."""
    event = wire.Event.FromString(state.last_event)
    order = event.order
    instrument = instruments.get(order.symbol) or _UNLISTED
    return orders.Order(
        terms=terms_of(order, instrument),
        order_id=str(order.order_id) if order.order_id else "",
        ord_status=order.ord_status,
        cum_qty=instrument.qty_text(order.cum_qty_lots),
        leaves_qty=instrument.qty_text(order.leaves_qty_lots),
        avg_px=instrument.avg_px_text(order.cum_value_ticks_lots, order.cum_qty_lots),
        accepted_time=timestamp(state.accepted_unix_ns),
        updated_time=timestamp(event.time_unix_ns),
        last_seq=event.seq,
        reason=reason_detail(order, instrument) if order.reason else None,
    )


def terms_of(order: wire.OrderEvent, instrument: Instrument) -> orders.OrderTerms:
    """The terms of an order as they stand, in the client's words."""
    terms = orders.OrderTerms(
        account=order.account,
        cl_ord_id=order.cl_ord_id,
        symbol=order.symbol,
        side=order.side,
        ord_type=order.ord_type,
        time_in_force=order.time_in_force,
        qty=instrument.qty_text(order.qty_lots),
        price=_price_text(order.price_ticks, instrument),
        stop_px=_price_text(order.stop_px_ticks, instrument),
        display_qty=_qty_text(order.display_qty_lots, instrument),
        min_qty=_qty_text(order.min_qty_lots, instrument),
        self_trade_prevention=order.self_trade_prevention,
        decision_maker=order.decision_maker,
        strategy_id=order.strategy_id,
    )
    if order.trail_offset:
        by_price = order.trail_unit == types.TRAIL_UNIT_PRICE
        offset = instrument.price_text(order.trail_offset) if by_price else str(order.trail_offset)
        terms.trail.CopyFrom(orders.Trail(offset=offset, unit=order.trail_unit, trigger_by=order.trigger_by))
    if order.expire_unix_ns:
        terms.expire_time.CopyFrom(timestamp(order.expire_unix_ns))
    if order.post_only or order.reduce_only:
        terms.exec_inst.CopyFrom(orders.ExecInst(post_only=order.post_only, reduce_only=order.reduce_only))
    if order.contingency_type:
        terms.contingency.CopyFrom(
            orders.Contingency(type=order.contingency_type, list_id=order.list_id, leg=order.leg)
        )
    if order.client_unix_ns:
        terms.client_time.CopyFrom(timestamp(order.client_unix_ns))
    return terms


def _price_text(ticks: int, instrument: Instrument) -> str:
    """A price; empty for none."""
    return instrument.price_text(ticks) if ticks else ""


def _qty_text(lots: int, instrument: Instrument) -> str:
    """A quantity; empty for none."""
    return instrument.qty_text(lots) if lots else ""


def _text(reason: types.Reason.ValueType, field: str) -> str:
    text = _TEXTS.get(reason) or reason_name(reason).replace("_", " ").lower()
    return f"{text}: {field} differs" if reason == types.REASON_CL_ORD_ID_CONFLICT else text


def _risk_text(value: int, unit: int, instrument: Instrument) -> str:
    if unit == wire.RISK_UNIT_LOTS:
        return instrument.qty_text(value)
    if unit == wire.RISK_UNIT_TICKS:
        return format_nano(value * instrument.tick_size_nano)
    return money_text(value) if unit == wire.RISK_UNIT_MONEY_MICRO else str(value)
