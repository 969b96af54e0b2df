"""Events as the gateway gets them: read in place where they have the usual layout, parsed where they have not."""

from __future__ import annotations

from ordergate.matching.v1 import events_pb2 as wire

from runtime.event_layout import (
    ACCOUNT,
    CL_ORD_ID,
    FEE,
    FEE_TAG,
    PLAIN_TAILS,
    REQUEST,
    REQUEST_TAG,
    STATE,
    STATE_TAGS,
    SYMBOL,
    TRADE,
    TRADE_TAGS,
)

SHORT_TEXT_MAX = 0x7F
_TRADE_BEGINS = TRADE_TAGS[0].to_bytes(2, "little")
_FEE_BEGINS = FEE_TAG.to_bytes(2, "little")


class Event:
    """One event: what the gateway needs of each, and the rest on demand.

    `state` holds the numbers of `runtime.event_layout.STATE`, in their order,
    when the event is one of an accepted order in the usual layout without
    extras or a reason; otherwise it is None and `parsed` is the way to everything.
    """

    __slots__ = ("account", "cl_ord_id", "data", "last_of_command", "seq", "state", "symbol", "tail")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.state: tuple[int, ...] | None = None
        if not (len(data) > STATE.size and self._read(data)):
            self._parse()

    def parsed(self) -> wire.Event:
        """The event as a message."""
        return wire.Event.FromString(self.data)

    def rest(self) -> tuple[int, tuple[int, ...] | None, int]:
        """What stands behind the texts of an event in the usual layout.

        When the request that it answers was received in unix ns, 0 for none;
        tags and numbers of `runtime.event_layout.TRADE` for a fill; and its fee
        in units of 10^-6, 0 for none.
        """
        data, place = self.data, self.tail
        trade, fee_micro = None, 0
        if data[place : place + 2] == _TRADE_BEGINS:
            trade = TRADE.unpack_from(data, place)
            place += TRADE.size
            if data[place : place + 2] == _FEE_BEGINS:
                fee_micro = FEE.unpack_from(data, place)[1]
                place += FEE.size
        if len(data) < place + REQUEST.size:
            return 0, trade, fee_micro
        tag, received_unix_ns = REQUEST.unpack_from(data, place)
        return received_unix_ns if tag == REQUEST_TAG else 0, trade, fee_micro

    def _read(self, data: bytes) -> bool:
        values = STATE.unpack_from(data)
        if values[::2] != STATE_TAGS:
            return False
        place = STATE.size
        account_end = place + 2 + data[place + 1]
        symbol_end = account_end + 2 + data[account_end + 1]
        key_end = symbol_end + 2 + data[symbol_end + 1]
        if (
            data[place] != ACCOUNT
            or data[account_end] != SYMBOL
            or data[symbol_end] != CL_ORD_ID
            or max(data[place + 1], data[account_end + 1], data[symbol_end + 1]) > SHORT_TEXT_MAX
            or data[key_end : key_end + 2] not in PLAIN_TAILS
        ):
            return False
        self.state = values[1::2]
        self.seq: int = values[1]
        self.last_of_command = bool(values[5])
        self.account = data[place + 2 : account_end].decode()
        self.symbol = data[account_end + 2 : symbol_end].decode()
        self.cl_ord_id = data[symbol_end + 2 : key_end]
        self.tail = key_end
        return True

    def _parse(self) -> None:
        event = self.parsed()
        self.seq = event.seq
        self.last_of_command = event.last_of_command
        self.account = event.order.account
        self.symbol = event.order.symbol
        self.cl_ord_id = b""
        self.tail = len(self.data)
