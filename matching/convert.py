"""Proto to command and event to proto: the one place where matching meets the wire.

Events are encoded here once; the bytes go to the journal, the feed and the
gateways as they are. A command's class has the fields of its message, by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, cast

from google.protobuf.message import Message
from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.matching.v1 import events_pb2 as wire_events

from matching.core import commands, events
from matching.decoding import plain_new_order
from matching.encoding import order_event

COMMANDS: dict[str, type] = {
    "mass_cancel": commands.MassCancel,
    "mass_quote": commands.MassQuote,
    "list_instrument": commands.ListInstrument,
    "open_account": commands.OpenAccount,
    "adjust_cash": commands.AdjustCash,
    "adjust_position": commands.AdjustPosition,
    "close_day": commands.CloseDay,
    "open_session": commands.OpenSession,
    "renew_session": commands.RenewSession,
    "close_session": commands.CloseSession,
    "configure_account": commands.ConfigureAccount,
    "configure_instrument": commands.ConfigureInstrument,
    "delist_instrument": commands.DelistInstrument,
    "set_fee_schedule": commands.SetFeeSchedule,
    "set_limits": commands.SetLimits,
    "engage_kill_switch": commands.EngageKillSwitch,
    "release_kill_switch": commands.ReleaseKillSwitch,
    "release_throttle": commands.ReleaseThrottle,
    "set_trading_session": commands.SetTradingSession,
    "set_reference_price": commands.SetReferencePrice,
    "time_tick": commands.TimeTick,
}
"""The commands that are built by the names of their fields."""


def decode_command(data: bytes) -> commands.Command:
    """The command that `data` encodes.

    Raises:
        google.protobuf.message.DecodeError: the bytes are not a Command.
        KeyError: the command has no body, or one that this version does not know.
    """
    plain = plain_new_order(data)
    if plain is not None:
        return plain
    message = wire.Command.FromString(data)
    return commands.Command(
        _body(message), message.actor, message.received_unix_ns, message.session_id, message.gateway_id
    )


def _body(message: wire.Command) -> commands.Body:
    name = cast(str, message.WhichOneof("body"))
    if name == "new_order":
        return _new_order(message.new_order)
    if name == "cancel_order":
        m = message.cancel_order
        return commands.CancelOrder(m.account, m.cl_ord_id, m.order_id, m.orig_cl_ord_id)
    if name == "replace_order":
        return _replace_order(message.replace_order)
    if name == "new_order_list":
        orders = message.new_order_list
        return commands.NewOrderList(orders.account, [_new_order(order) for order in orders.orders])
    return cast(commands.Body, _built(COMMANDS[name], getattr(message, name)))


def _new_order(m: wire.NewOrder) -> commands.NewOrder:
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
        m.stop_px_ticks,
        m.trail_offset,
        m.trail_unit,
        m.trigger_by,
        m.display_qty_lots,
        m.min_qty_lots,
        m.expire_unix_ns,
        m.post_only,
        m.reduce_only,
        m.contingency_type,
        m.list_id,
        m.leg,
        m.client_unix_ns,
    )


def _replace_order(m: wire.ReplaceOrder) -> commands.ReplaceOrder:
    return commands.ReplaceOrder(
        m.account,
        m.cl_ord_id,
        m.order_id,
        m.orig_cl_ord_id,
        m.qty_nano,
        m.price_nano,
        m.stop_px_nano,
        m.display_qty_nano,
    )


def _built(kind: type, message: Any) -> object:
    """A command, or a part of one, with the fields of its message."""
    return kind(**{field.name: _value(getattr(message, field.name)) for field in fields(kind)})


def _value(value: Any) -> object:
    if isinstance(value, wire.Limits):
        return _built(commands.Limits, value)
    if isinstance(value, str | int):
        return value
    return [_built(commands.QuoteEntry, part) if isinstance(part, wire.QuoteEntry) else part for part in value]


def encode_events(told: Sequence[events.Event]) -> list[bytes]:
    """The bytes of the events of one command, the last of them marked as such."""
    last = len(told) - 1
    return [encode_event(event, index == last) for index, event in enumerate(told)]


def encode_event(event: events.Event, last_of_command: bool) -> bytes:
    """The bytes of one event."""
    if isinstance(event, events.OrderEvent):
        if event.order_id and event.risk is None:
            return order_event(event, last_of_command)
        body: dict[str, Any] = {"order": _order(event)}
        actor = ""
    elif isinstance(event, events.VenueEvent):
        body = {event.name: _venue_event(event)}
        actor = event.actor
    else:
        assert isinstance(event, events.EncodedEvent), "every event has its bytes"
        return event.data
    message = wire_events.Event(
        seq=event.seq,
        command_seq=event.command_seq,
        last_of_command=last_of_command,
        time_unix_ns=event.time_unix_ns,
        actor=actor,
        **body,
    )
    return message.SerializeToString(deterministic=True)


def _order(event: events.OrderEvent) -> wire_events.OrderEvent:
    terms = event.terms
    # The numbers of the core's words are the contract's; a test holds them equal.
    return cast(Any, wire_events.OrderEvent)(  # type: ignore[no-any-return]
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
        received_unix_ns=event.received_unix_ns,
        field=event.field,
        actor=event.actor,
        session_id=event.session_id,
        decision_maker=terms.decision_maker,
        strategy_id=terms.strategy_id,
        self_trade_prevention=terms.self_trade_prevention,
        stop_px_ticks=event.stop_px_ticks,
        display_qty_lots=event.display_qty_lots,
        shown_qty_lots=event.shown_qty_lots,
        trail_offset=terms.trail_offset,
        trail_unit=terms.trail_unit,
        trigger_by=terms.trigger_by,
        min_qty_lots=terms.min_qty_lots,
        expire_unix_ns=terms.expire_unix_ns,
        post_only=terms.post_only,
        reduce_only=terms.reduce_only,
        contingency_type=terms.contingency_type,
        list_id=terms.list_id,
        leg=terms.leg,
        client_unix_ns=terms.client_unix_ns,
        risk=risk_numbers(event.risk) if event.risk is not None else None,
    )


def risk_numbers(risk: events.RiskNumbers) -> wire_events.RiskNumbers:
    """The numbers of a denial as a message."""
    return wire_events.RiskNumbers(
        rule=risk.rule,
        unit=cast(wire_events.RiskUnit.ValueType, risk.unit),
        limit=risk.limit,
        current=risk.current,
        projected=risk.projected,
        limits_version=risk.limits_version,
    )


def encode_command_part(command: object) -> Message:
    """A command that an event repeats, as its message."""
    kind = getattr(wire, type(command).__name__)
    values = {field.name: getattr(command, field.name) for field in fields(cast(Any, command))}
    if "limits" in values:
        values["limits"] = encode_command_part(values["limits"])
    return cast(Message, kind(**values))


def _venue_event(event: events.VenueEvent) -> Message:
    values = {
        name: value if isinstance(value, str | int) else encode_command_part(value)
        for name, value in event.fields.items()
    }
    kind = cast(Any, wire_events.Event.DESCRIPTOR.fields_by_name[event.name].message_type).name
    return cast(Message, getattr(wire_events, kind)(**values))
