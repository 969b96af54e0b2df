"""How the event of an accepted order is laid out: what matching writes and the gateway reads without parsing.

    head and state   every number that each order event has, at fixed offsets, each behind its tag
    texts            account, symbol, cl_ord_id
    extras           what only some orders have: trigger, shown quantity, trail, expiry, instructions, list
    reason, field, orig_cl_ord_id, where there are any
    trade            five numbers, for a fill, and its fee where there is one
    request          when it was received, who asked, and the session it came by, for an answer
    labels           decision maker, strategy

It is an ordinary `ordergate.matching.v1.Event`; whoever finds another order of
fields, other tags, extras or a reason parses it as one. Pure.
"""

import struct

STATE = struct.Struct("<BQBQBBBqBHBQBQBBBBBBBBBBBBBBBqHqHqHqHqHB")
"""Tag and number by turns: seq, command_seq, last_of_command, time_unix_ns, length of the body; account_seq, order_id,
exec_type, ord_status, cause, request, side, ord_type, time_in_force, qty_lots, price_ticks, cum_qty_lots,
leaves_qty_lots, cum_value_ticks_lots, self_trade_prevention."""
STATE_TAGS = (
    0x09, 0x11, 0x18, 0x21, 0x52,
    0x11, 0x29, 0x30, 0x38, 0x48, 0x50, 0x60, 0x68, 0x70, 0x79, 0x0181, 0x0189, 0x0191, 0x0199, 0x01F8,
)  # fmt: skip
HEAD_BYTES = struct.calcsize("<BQBQBBBqBH")
BODY_STATE_BYTES = STATE.size - HEAD_BYTES
BODY_BYTES_MAX = 0x3FFF

TRADE = struct.Struct("<HQHqHqHBHQ")
"""Tag and number by turns: trade_id, last_px_ticks, last_qty_lots, liquidity, contra_order_id."""
TRADE_TAGS = (0x01A1, 0x01A9, 0x01B1, 0x01B8, 0x01C1)
FEE = struct.Struct("<Hq")
FEE_TAG = 0x0299
REQUEST = struct.Struct("<Hq")
REQUEST_TAG = 0x01C9

ACCOUNT, SYMBOL, CL_ORD_ID = 0x0A, 0x5A, 0x1A
# What comes right behind the texts of an event without extras, a reason or another key.
PLAIN_TAILS = (b"", b"\xa1\x01", b"\xc9\x01", b"\xea\x01", b"\xf2\x01")


def body_length(length: int) -> int:
    """The length of a body as the two bytes of a varint, whatever it is, read as a little-endian number.

    Raises:
        ValueError: it does not fit into two bytes.
    """
    if length > BODY_BYTES_MAX:
        raise ValueError(f"an event's body has at most {BODY_BYTES_MAX} bytes, not {length}")
    return length >> 7 << 8 | length & 0x7F | 0x80
