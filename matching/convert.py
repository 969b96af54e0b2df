"""Proto to command and event to proto: the one place where matching meets the wire.

Events are encoded here once; the bytes go to the journal, the feed and the
gateways as they are.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.matching.v1 import events_pb2 as wire_events

from matching.core import commands, events
from matching.encoding import order_event

Encoded = Sequence[bytes]


def decode_command(data: bytes) -> commands.Command:
    """The command that `data` encodes.

    Raises:
        google.protobuf.message.DecodeError: the bytes are not a Command.
        KeyError: the command has no body, or one that this version does not know.
    """
    message = wire.Command.FromString(data)
    body = _DECODERS[message.WhichOneof("body")](message)
    return commands.Command(body, message.actor, message.received_unix_ns)


def _new_order(message: wire.Command) -> commands.NewOrder:
    m = message.new_order
    return commands.NewOrder(
        m.account,
        m.cl_ord_id,
        m.symbol,
        m.side,
        m.ord_type,
        m.time_in_force,
        m.qty_lots,
        m.price_ticks,
        m.self_trade_prevention,
        m.decision_maker,
        m.strategy_id,
    )


def _replace_order(message: wire.Command) -> commands.ReplaceOrder:
    m = message.replace_order
    return commands.ReplaceOrder(m.account, m.cl_ord_id, m.order_id, m.orig_cl_ord_id, m.qty_nano, m.price_nano)


def _cancel_order(message: wire.Command) -> commands.CancelOrder:
    m = message.cancel_order
    return commands.CancelOrder(m.account, m.cl_ord_id, m.order_id, m.orig_cl_ord_id)


def _list_instrument(message: wire.Command) -> commands.ListInstrument:
    m = message.list_instrument
    return commands.ListInstrument(
        m.symbol,
        m.asset_class,
        m.currency,
        m.tick_size_nano,
        m.lot_size_nano,
        m.multiplier,
        m.description,
        m.base_currency,
        m.expiry_date,
        m.strike_nano,
        m.option_right,
    )


def _open_account(message: wire.Command) -> commands.OpenAccount:
    return commands.OpenAccount(message.open_account.account)


def _adjust_cash(message: wire.Command) -> commands.AdjustCash:
    m = message.adjust_cash
    return commands.AdjustCash(m.account, m.currency, m.amount_micro, m.request_id)


def _adjust_position(message: wire.Command) -> commands.AdjustPosition:
    m = message.adjust_position
    return commands.AdjustPosition(m.account, m.symbol, m.qty_lots, m.price_ticks, m.request_id)


def _close_day(message: wire.Command) -> commands.CloseDay:
    return commands.CloseDay(message.close_day.trading_day)


_DECODERS: dict[Any, Callable[[wire.Command], commands.Body]] = {
    "new_order": _new_order,
    "replace_order": _replace_order,
    "cancel_order": _cancel_order,
    "list_instrument": _list_instrument,
    "open_account": _open_account,
    "adjust_cash": _adjust_cash,
    "adjust_position": _adjust_position,
    "close_day": _close_day,
}


def encode_events(told: Sequence[events.Event]) -> list[bytes]:
    """The bytes of the events of one command, the last of them marked as such."""
    last = len(told) - 1
    return [encode_event(event, index == last) for index, event in enumerate(told)]


def encode_event(event: events.Event, last_of_command: bool) -> bytes:
    """The bytes of one event."""
    if type(event) is events.OrderEvent and event.order_id and event.risk is None:
        return order_event(event, last_of_command)
    name, body = _ENCODERS[type(event)](event)
    message = wire_events.Event(
        seq=event.seq,
        command_seq=event.command_seq,
        last_of_command=last_of_command,
        time_unix_ns=event.time_unix_ns,
        actor="" if isinstance(event, events.OrderEvent) else event.actor,
        **{name: body},
    )
    return message.SerializeToString(deterministic=True)


def _order(event: events.OrderEvent) -> tuple[str, Any]:
    terms = event.terms
    # The numbers of the core's enums are the contract's; a test holds them equal.
    message = cast(Any, wire_events.OrderEvent)(
        account=terms.account,
        account_seq=event.account_seq,
        cl_ord_id=event.cl_ord_id,
        orig_cl_ord_id=event.orig_cl_ord_id,
        order_id=event.order_id,
        exec_type=event.exec_type,
        ord_status=event.ord_status,
        reason=event.reason,
        cause=event.cause,
        request=event.request,
        symbol=terms.symbol,
        side=terms.side,
        ord_type=terms.ord_type,
        time_in_force=terms.time_in_force,
        qty_lots=event.qty_lots,
        price_ticks=event.price_ticks,
        cum_qty_lots=event.cum_qty_lots,
        leaves_qty_lots=event.leaves_qty_lots,
        cum_value_ticks_lots=event.cum_value_ticks_lots,
        trade_id=event.trade_id,
        last_px_ticks=event.last_px_ticks,
        last_qty_lots=event.last_qty_lots,
        liquidity=event.liquidity,
        contra_order_id=event.contra_order_id,
        received_unix_ns=event.received_unix_ns,
        field=event.field,
        actor=event.actor,
        decision_maker=terms.decision_maker,
        strategy_id=terms.strategy_id,
        self_trade_prevention=terms.self_trade_prevention,
        risk=_risk(event.risk) if event.risk is not None else None,
    )
    return "order", message


def _risk(risk: events.RiskNumbers) -> wire_events.RiskNumbers:
    return wire_events.RiskNumbers(
        rule=risk.rule,
        unit=cast(wire_events.RiskUnit.ValueType, risk.unit),
        limit=risk.limit,
        current=risk.current,
        projected=risk.projected,
        limits_version=risk.limits_version,
    )


def _listed(event: events.InstrumentListed) -> tuple[str, Any]:
    return "instrument_listed", wire_events.InstrumentListed(instrument=encode_instrument(event.instrument))


def encode_instrument(terms: commands.ListInstrument) -> wire.ListInstrument:
    """The terms of an instrument as a message."""
    message: wire.ListInstrument = wire.ListInstrument(
        **{name: getattr(terms, name) for name in terms.__struct_fields__}
    )
    return message


def _opened(event: events.AccountOpened) -> tuple[str, Any]:
    return "account_opened", wire_events.AccountOpened(account=event.account)


def _cash(event: events.CashAdjusted) -> tuple[str, Any]:
    return "cash_adjusted", wire_events.CashAdjusted(
        account=event.account,
        currency=event.currency,
        amount_micro=event.amount_micro,
        cash_micro=event.cash_micro,
        request_id=event.request_id,
    )


def _position(event: events.PositionAdjusted) -> tuple[str, Any]:
    return "position_adjusted", wire_events.PositionAdjusted(
        account=event.account,
        symbol=event.symbol,
        qty_lots=event.qty_lots,
        price_ticks=event.price_ticks,
        position_lots=event.position_lots,
        request_id=event.request_id,
    )


def _day(event: events.DayClosed) -> tuple[str, Any]:
    return "day_closed", wire_events.DayClosed(trading_day=event.trading_day, expired_orders=event.expired_orders)


def _refused(event: events.CommandRefused) -> tuple[str, Any]:
    return "command_refused", cast(Any, wire_events.CommandRefused)(
        account=event.account, reason=event.reason, field=event.field, request_id=event.request_id
    )


_ENCODERS: dict[type, Callable[[Any], tuple[str, Any]]] = {
    events.OrderEvent: _order,
    events.InstrumentListed: _listed,
    events.AccountOpened: _opened,
    events.CashAdjusted: _cash,
    events.PositionAdjusted: _position,
    events.DayClosed: _day,
    events.CommandRefused: _refused,
}
