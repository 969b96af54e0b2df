"""Lays out order events and journal batches as protobuf bytes, without building messages.

These two are made for every order; a message object for each would cost more
than the matching itself. `runtime.event_layout` says where an event has what. A
test holds both against the generated classes, field by field.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from matching.core.events import OrderEvent
from runtime.event_layout import (
    BODY_STATE_BYTES,
    FEE,
    FEE_TAG,
    REQUEST,
    REQUEST_TAG,
    STATE,
    TRADE,
    body_length,
)
from runtime.layout import nested, number, repeated_text, text, varint

_TIME = struct.Struct("<Bq")


def order_event(event: OrderEvent, last_of_command: bool) -> bytes:
    """The bytes of an event of an accepted order, whose enums have been checked, without risk numbers."""
    terms = event.terms
    parts = [
        repeated_text(b"\x0a", terms.account),
        repeated_text(b"\x5a", terms.symbol),
        text(b"\x1a", event.cl_ord_id),
    ]
    if not terms.is_plain:
        parts.extend(_extras(event))
    if event.reason:
        parts.append(b"\x40" + varint(event.reason))
        if event.field:
            parts.append(repeated_text(b"\xda\x01", event.field))
    if event.orig_cl_ord_id:
        parts.append(text(b"\x22", event.orig_cl_ord_id))
    if event.last_qty_lots:
        parts.append(_trade(event))
        if event.fee_micro:
            parts.append(FEE.pack(FEE_TAG, event.fee_micro))
    if event.request:
        parts.append(REQUEST.pack(REQUEST_TAG, event.received_unix_ns))
        parts.append(repeated_text(b"\xe2\x01", event.actor))
        if event.session_id:
            parts.append(repeated_text(b"\xfa\x02", event.session_id))
    if terms.decision_maker:
        parts.append(repeated_text(b"\xea\x01", terms.decision_maker))
    if terms.strategy_id:
        parts.append(repeated_text(b"\xf2\x01", terms.strategy_id))
    rest = b"".join(parts)
    state = STATE.pack(
        0x09, event.seq,
        0x11, event.command_seq,
        0x18, last_of_command,
        0x21, event.time_unix_ns,
        0x52, body_length(BODY_STATE_BYTES + len(rest)),
        0x11, event.account_seq,
        0x29, event.order_id,
        0x30, event.exec_type,
        0x38, event.ord_status,
        0x48, event.cause,
        0x50, event.request,
        0x60, terms.side,
        0x68, terms.ord_type,
        0x70, terms.time_in_force,
        0x79, event.qty_lots,
        0x0181, event.price_ticks,
        0x0189, event.cum_qty_lots,
        0x0191, event.leaves_qty_lots,
        0x0199, event.cum_value_ticks_lots,
        0x01F8, terms.self_trade_prevention,
    )  # fmt: skip
    return state + rest


def _extras(event: OrderEvent) -> list[bytes]:
    """What only orders have that are more than side, type, time in force, quantity and price."""
    terms = event.terms
    parts = [
        number(tag, value)
        for tag, value in (
            (b"\x80\x02", event.stop_px_ticks),
            (b"\x88\x02", event.display_qty_lots),
            (b"\x90\x02", event.shown_qty_lots),
            (b"\xa0\x02", terms.trail_offset),
            (b"\xa8\x02", terms.trail_unit),
            (b"\xb0\x02", terms.trigger_by),
            (b"\xb8\x02", terms.min_qty_lots),
            (b"\xc0\x02", terms.expire_unix_ns),
            (b"\xc8\x02", int(terms.post_only)),
            (b"\xd0\x02", int(terms.reduce_only)),
            (b"\xd8\x02", terms.contingency_type),
            (b"\xe8\x02", terms.leg),
            (b"\xf0\x02", terms.client_unix_ns),
        )
        if value
    ]
    if terms.list_id:
        parts.append(text(b"\xe2\x02", terms.list_id))
    return parts


def _trade(event: OrderEvent) -> bytes:
    return TRADE.pack(
        0x01A1, event.trade_id,
        0x01A9, event.last_px_ticks,
        0x01B1, event.last_qty_lots,
        0x01B8, event.liquidity,
        0x01C1, event.contra_order_id,
    )  # fmt: skip


def journal_entry(command: bytes, time_unix_ns: int, events: Sequence[bytes]) -> bytes:
    """The bytes of one entry, with the tag and length that it has inside its batch."""
    parts = [b"\x0a", varint(len(command)), command, _TIME.pack(0x11, time_unix_ns)]
    for event in events:
        parts += (b"\x1a", varint(len(event)), event)
    return nested(b"\x0a", parts)
