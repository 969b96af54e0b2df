"""Lays out order events and journal batches as protobuf bytes, without building messages.

These two are made for every order; a message object for each would cost more
than the matching itself. The layout is that of `ordergate.matching.v1.Event`,
`OrderEvent` and `JournalBatch`: numbers of fixed width, packed at once. A test
holds it against the generated classes, field by field.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache

from matching.core.events import OrderEvent

_VARINT_1_MAX, _VARINT_2_MAX = 0x7F, 0x3FFF
_LENGTHS = tuple(
    bytes((n,)) if n <= _VARINT_1_MAX else bytes((n & 0x7F | 0x80, n >> 7)) for n in range(_VARINT_2_MAX + 1)
)
TEXTS_MAX = 65_536

# A tag is field number << 3 | wire type: 0 varint, 1 fixed 64 bits, 2 bytes. From field 16 on it has two bytes.
_HEAD = struct.Struct("<BQBQBBBqB")
_STATE = struct.Struct("<BQBQBBBBBBBBBBBBBBBqHqHqHqHqHB")
_REQUEST = struct.Struct("<Hq")
_TRADE = struct.Struct("<HQHqHqHBHQ")
_TIME = struct.Struct("<Bq")


def order_event(event: OrderEvent, last_of_command: bool) -> bytes:
    """The bytes of an order event that carries no risk numbers."""
    terms = event.terms
    body = _STATE.pack(
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
    parts = [
        b"",
        _text(b"\x0a", terms.account),
        _text(b"\x5a", terms.symbol),
        _key(b"\x1a", event.cl_ord_id),
        body,
    ]
    if event.request:
        parts.append(_REQUEST.pack(0x01C9, event.received_unix_ns))
        parts.append(_text(b"\xe2\x01", event.actor))
    if event.last_qty_lots:
        parts.append(
            _TRADE.pack(
                0x01A1,
                event.trade_id,
                0x01A9,
                event.last_px_ticks,
                0x01B1,
                event.last_qty_lots,
                0x01B8,
                event.liquidity,
                0x01C1,
                event.contra_order_id,
            )  # fmt: skip
        )
    if event.reason:
        parts.append(b"\x40" + _length(event.reason))
        if event.field:
            parts.append(_text(b"\xda\x01", event.field))
    if event.orig_cl_ord_id:
        parts.append(_key(b"\x22", event.orig_cl_ord_id))
    if terms.decision_maker:
        parts.append(_text(b"\xea\x01", terms.decision_maker))
    if terms.strategy_id:
        parts.append(_text(b"\xf2\x01", terms.strategy_id))
    length = sum(map(len, parts))
    head = _HEAD.pack(0x09, event.seq, 0x11, event.command_seq, 0x18, last_of_command, 0x21, event.time_unix_ns, 0x52)
    parts[0] = head + _length(length)
    return b"".join(parts)


def journal_entry(command: bytes, time_unix_ns: int, events: Sequence[bytes]) -> bytes:
    """The bytes of one entry, with the tag and length that it has inside its batch."""
    parts = [b"", b"\x0a", _length(len(command)), command, _TIME.pack(0x11, time_unix_ns)]
    for event in events:
        parts += (b"\x1a", _length(len(event)), event)
    parts[0] = b"\x0a" + _length(sum(map(len, parts)))
    return b"".join(parts)


def _length(length: int) -> bytes:
    """A length as a varint."""
    if length <= _VARINT_2_MAX:
        return _LENGTHS[length]
    encoded = bytearray()
    while length > _VARINT_1_MAX:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)


def _key(tag: bytes, text: str) -> bytes:
    """A string field that hardly repeats."""
    data = text.encode()
    return tag + _length(len(data)) + data


@lru_cache(maxsize=TEXTS_MAX)
def _text(tag: bytes, text: str) -> bytes:
    """A string field that repeats: accounts, symbols, actors."""
    return _key(tag, text)
