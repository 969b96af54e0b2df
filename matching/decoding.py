"""Reads the commands that come for every order without parsing them, where they have the layout of a gateway.

    actor, session_id, gateway_id, received_unix_ns, new_order:
        account, cl_ord_id, symbol, seven numbers, decision maker and strategy where there are any

Anything else, a longer text or another order of fields among it, is None, and
`matching.convert` parses it as the message that it is. Pure.
"""

from __future__ import annotations

import struct

from matching.core.commands import Command, NewOrder

_RECEIVED = struct.Struct("<Bq")
_NUMBERS = struct.Struct("<BBBBBBBqBqBB")
TEXTS_MAX = 4_096
_texts: dict[bytes, str] = {}
"""Texts that come again and again: actors, accounts, symbols."""


def plain_new_order(data: bytes) -> Command | None:
    """The command, when it places an order and has the usual layout."""
    try:
        return _plain(data)
    except UnicodeDecodeError:
        return None  # What such bytes are, the parser of messages says.


def _plain(data: bytes) -> Command | None:
    size = len(data)
    place = 0
    heads: list[str] = []
    for tag in (0x0A, 0x12, 0x1A):
        end = _text_end(data, place, tag, size)
        if not end:
            return None
        heads.append(_repeated(data[place + 2 : end]))
        place = end
    body = place + _RECEIVED.size + 2
    if body >= size or data[place] != 0x21 or data[body - 2] != 0x52:
        return None
    if data[body - 1] > 0x7F:
        body += 1
        if (data[body - 2] & 0x7F | data[body - 1] << 7) != size - body:
            return None
    elif data[body - 1] != size - body:
        return None
    received_unix_ns: int = _RECEIVED.unpack_from(data, place)[1]
    order = _new_order(data, body, size)
    return Command(order, heads[0], received_unix_ns, heads[1], heads[2]) if order is not None else None


def _new_order(data: bytes, place: int, size: int) -> NewOrder | None:
    account_end = _text_end(data, place, 0x0A, size)
    key_end = _text_end(data, account_end, 0x12, size) if account_end else 0
    symbol_end = _text_end(data, key_end, 0x1A, size) if key_end else 0
    if not symbol_end:
        return None
    labels = symbol_end + _NUMBERS.size
    if labels > size:
        return None
    side_tag, side, type_tag, ord_type, tif_tag, tif, qty_tag, qty, px_tag, price, stp_tag, prevention = (
        _NUMBERS.unpack_from(data, symbol_end)
    )
    if (side_tag, type_tag, tif_tag, qty_tag, px_tag, stp_tag) != (0x20, 0x28, 0x30, 0x39, 0x41, 0x48):
        return None
    if side > 0x7F or ord_type > 0x7F or tif > 0x7F or prevention > 0x7F:
        return None
    decision_maker = strategy_id = ""
    if labels < size and data[labels] == 0x52:
        end = _text_end(data, labels, 0x52, size)
        if not end:
            return None
        decision_maker, labels = _repeated(data[labels + 2 : end]), end
    if labels < size and data[labels] == 0x5A:
        end = _text_end(data, labels, 0x5A, size)
        if not end:
            return None
        strategy_id, labels = _repeated(data[labels + 2 : end]), end
    if labels != size:
        return None
    return NewOrder(
        _repeated(data[place + 2 : account_end]),
        data[account_end + 2 : key_end].decode(),
        _repeated(data[key_end + 2 : symbol_end]),
        side,
        ord_type,
        tif,
        qty,
        price,
        prevention,
        decision_maker,
        strategy_id,
    )


def _text_end(data: bytes, place: int, tag: int, size: int) -> int:
    """Where a short text field that begins at `place` ends; 0 when there is none."""
    if place + 2 > size or data[place] != tag:
        return 0
    length = data[place + 1]
    end = place + 2 + length
    return end if length <= 0x7F and end <= size else 0


def _repeated(data: bytes) -> str:
    text = _texts.get(data)
    if text is None:
        text = data.decode()
        if len(_texts) >= TEXTS_MAX:
            _texts.clear()
        _texts[data] = text
    return text
