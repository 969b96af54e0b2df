"""Encodes once what many readers get.

A protobuf message is the concatenation of its fields, in any order and in any
number of pieces. So the part of a message that all readers share is encoded
once, and each stream puts its own few numbers in front of it. The streams use
it; nothing else writes protobuf by hand.
"""

from typing import Generic, TypeVar

from ordergate.marketdata.v1 import marketdata_pb2 as marketdata

Response = TypeVar(
    "Response",
    marketdata.SubscribeTicksResponse,
    marketdata.SubscribeBookResponse,
    marketdata.SubscribeTradesResponse,
)

_LENGTH_DELIMITED = 2


def embedded(field_number: int, encoded: bytes) -> bytes:
    """The field `field_number` that holds the encoded message `encoded`."""
    return b"".join((_varint(field_number << 3 | _LENGTH_DELIMITED), _varint(len(encoded)), encoded))


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class Envelope(Generic[Response]):
    """Numbers the messages of one stream: each carries its `seq` and that of the message before."""

    __slots__ = ("_head", "seq")

    def __init__(self, head: Response) -> None:
        """`head` holds what all messages of the stream have; it is changed by each."""
        self._head: Response = head
        self.seq = 0
        """`seq` of the last message."""

    def wrap(self, seq: int, epoch: int, body: bytes) -> bytes:
        """The encoded message `seq`, which holds the encoded fields `body`."""
        head = self._head
        head.epoch = epoch
        head.seq = seq
        head.prev_seq = self.seq
        self.seq = seq
        prefix: bytes = head.SerializeToString()
        return prefix + body
