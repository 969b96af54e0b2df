"""Idempotency: what became of a request, by the key that its client chose."""

import msgspec

from matching.core.commands import CancelOrder, NewOrder, ReplaceOrder
from matching.core.events import OrderEvent
from matching.core.orders import Order

Request = NewOrder | ReplaceOrder | CancelOrder


class Outcome:
    """The request that used a key, its first event, and the order it was about."""

    __slots__ = ("event", "order", "request")

    def __init__(self, request: Request, event: OrderEvent, order: Order | None) -> None:
        self.request = request
        self.event = event
        self.order = order


def differing_field(first: msgspec.Struct, second: msgspec.Struct) -> str:
    """The first field in which two requests with the same key differ; empty when they are the same request."""
    if type(first) is not type(second):
        return "request"
    for field in msgspec.structs.fields(first):
        if getattr(first, field.name) != getattr(second, field.name):
            return field.name
    return ""
