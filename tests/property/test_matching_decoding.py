"""Commands read in place are the commands that the messages say, whatever bytes come."""

from hypothesis import given
from hypothesis import strategies as st
from ordergate.matching.v1 import commands_pb2 as wire

from gateway.encoding import Envelope
from matching.convert import decode_command
from matching.core.commands import NewOrder
from matching.core.keys import NEW_ORDER_FIELDS
from matching.decoding import plain_new_order

TEXTS = st.text(max_size=140)
NUMBERS = st.integers(0, 2**62)
ORDERS = st.builds(
    lambda actor, session, at, *terms: Envelope(actor, session, "gateway-0").new_order(at, *terms),
    TEXTS, TEXTS, NUMBERS, TEXTS, TEXTS, TEXTS, st.sampled_from((1, 2, 5)), st.integers(1, 5), st.integers(1, 6),
    NUMBERS, NUMBERS, st.integers(1, 4), TEXTS, TEXTS,
)  # fmt: skip


def told(data: bytes) -> list[object]:
    """What the message of these bytes says."""
    message = wire.Command.FromString(data)
    order = message.new_order
    head = [message.actor, message.session_id, message.gateway_id, message.received_unix_ns]
    return [*head, *(getattr(order, name) for name in (*NEW_ORDER_FIELDS, "client_unix_ns"))]


def read(data: bytes) -> list[object] | None:
    """The same, read in place."""
    command = plain_new_order(data)
    if command is None:
        return None
    assert isinstance(command.body, NewOrder)
    head = [command.actor, command.session_id, command.gateway_id, command.received_unix_ns]
    return [*head, *(getattr(command.body, name) for name in (*NEW_ORDER_FIELDS, "client_unix_ns"))]


@given(ORDERS)
def test_an_order_is_read_as_its_message(data: bytes) -> None:
    """Either in place, with the same content, or not at all; `decode_command` gives it in any case."""
    assert read(data) in (None, told(data))
    assert isinstance(decode_command(data).body, NewOrder)


def test_the_usual_order_is_read_in_place() -> None:
    """Otherwise nothing would be gained."""
    data = Envelope("ann", "s1", "gateway-0").new_order(5, "DEMO", "k1", "AAPL", 1, 2, 1, 10, 19_000, 1, "desk", "mm")
    assert read(data) == told(data)


@given(ORDERS, st.data())
def test_damaged_bytes_are_never_read_as_something_else(data: bytes, draw: st.DataObject) -> None:
    """A byte changed, or the end cut off: what is read in place is what the message says, or nothing."""
    place = draw.draw(st.integers(0, len(data) - 1))
    changed = bytearray(data)
    changed[place] = draw.draw(st.integers(0, 255))
    cut = bytes(changed[: draw.draw(st.sampled_from((len(data), place)))])
    got = read(cut)
    assert got is None or got == told(cut)
