"""The drop copy: the reports of many accounts, or of all, in frames."""

from __future__ import annotations

from ordergate.orders.v1 import order_entry_pb2 as wire

from gateway.stream import Stream
from runtime.layout import nested, varint

ACCOUNTS_MAX = 64
"""Accounts that a request may name; one that names none gets all that its caller may see."""


class DropCopy(Stream):
    """The reports of many accounts, as many in a message as wait, up to a bound."""

    response = wire.StreamDropCopyResponse
    unit_max = 1_024

    def lay_out(self, unit: list[bytes]) -> bytes:
        """A frame."""
        parts: list[bytes] = []
        for made in unit:
            parts += (b"\x0a", varint(len(made)), made)
        return nested(b"\x32", parts)
