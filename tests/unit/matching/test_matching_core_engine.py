"""Questions to the engine: an order by either id, an account's orders, what CheckOrder would say."""

import pytest

from matching.convert import encode_event
from matching.core import commands
from matching.core.commands import Command
from matching.core.events import EncodedEvent, VenueEvent
from matching.core.words import Side, TimeInForce
from tests.unit.matching.market import Market


def test_an_order_is_found_by_either_id(market: Market) -> None:
    """Its last event and the time of its acceptance; a refused replace is not the state of the order."""
    (accepted,) = market.buy("ALICE", 5, 99, key="A")
    (replaced,) = market.replace(accepted, qty=4, key="B")
    market.replace(accepted, price=-1)
    for order_id, key in ((accepted.order_id, ""), (0, "A"), (0, "B")):
        assert market.engine.lookup("ALICE", order_id, key) == (replaced, accepted.time_unix_ns)


def test_what_is_not_the_accounts_is_not_found(market: Market) -> None:
    """Neither another's order, nor an unknown id or account."""
    (accepted,) = market.buy("ALICE", 5, 99, key="A")
    assert market.engine.lookup("BOB", accepted.order_id, "") is None
    assert market.engine.lookup("BOB", 0, "A") is None
    assert market.engine.lookup("ALICE", 999, "") is None
    assert market.engine.lookup("NOBODY", accepted.order_id, "") is None


def test_a_request_that_never_became_an_order_gives_its_refusal(market: Market) -> None:
    """So that a client can ask what became of its key."""
    (refused,) = market.buy("ALICE", 0, 99, key="A")
    assert market.engine.lookup("ALICE", 0, "A") == (refused, refused.time_unix_ns)


def test_a_mass_cancel_is_found_by_its_key(market: Market) -> None:
    """Its first event is about no order."""
    (told,) = market.tell(commands.MassCancel("ALICE", "M"))
    assert isinstance(told, VenueEvent)
    assert market.engine.lookup("ALICE", 0, "M") == (told, told.time_unix_ns)


def test_orders_are_listed_newest_first(market: Market) -> None:
    """All or only open ones, of one instrument or all, a page at a time."""
    market.tell(commands.ListInstrument("ABC", 1, "USD", 10**7, 10**9))
    ids = [market.buy("ALICE", 5, 90, key=f"K{n}")[0].order_id for n in range(4)]
    other = market.buy("ALICE", 5, 90, symbol="ABC", key="ABC")[0].order_id
    market.tell(commands.CancelOrder("ALICE", "", ids[1]))

    def scan(symbol: str = "", open_only: bool = False, before: int = 0, limit: int = 10) -> list[int]:
        found = market.engine.scan("ALICE", symbol, open_only, before, limit)
        return [event.order_id for event, _ in found]  # type: ignore[attr-defined]

    assert scan() == [other, *reversed(ids)]
    assert scan(symbol="XYZ") == list(reversed(ids))
    assert scan(symbol="XYZ", open_only=True) == [ids[3], ids[2], ids[0]]
    assert scan(limit=2) == [other, ids[3]]
    assert scan(before=ids[3], limit=2) == [ids[2], ids[1]]
    assert market.engine.scan("NOBODY", "", False, 0, 10) == []


def test_an_account_can_be_read(market: Market) -> None:
    """By its name; None for one that does not exist."""
    found = market.engine.account("ALICE")
    assert found is not None
    assert (found.account, found.cash["USD"].cash_micro, found.positions["XYZ"].qty_lots) == ("ALICE", 10**12, 1_000)
    assert market.engine.account("NOBODY") is None


def test_an_event_of_the_past_keeps_its_bytes() -> None:
    """A snapshot brings it along as it stands in the journal, and so it is answered again."""
    event = EncodedEvent(7, 6, 5, b"as it was")
    assert (event.seq, event.command_seq, event.time_unix_ns) == (7, 6, 5)
    assert encode_event(event, last_of_command=True) == b"as it was"


def test_only_a_new_order_can_be_checked(market: Market) -> None:
    """Anything else is a bug of the caller."""
    with pytest.raises(TypeError, match="only a new order"):
        market.engine.check(Command(commands.CancelOrder("ALICE")), market.now_unix_ns + 1)


def test_a_check_changes_nothing(market: Market) -> None:
    """Neither sequence nor time, no balance and no position: an account that has nothing has nothing afterwards."""
    market.tell(commands.OpenAccount("CAROL"))
    market.tell(commands.ListInstrument("EURUSD", 3, "USD", 10**5, 10**9, base_currency="EUR"))
    before = market.engine.seq, market.engine.time_unix_ns
    for symbol in ("XYZ", "EURUSD"):
        for side in (Side.BUY, Side.SELL):
            assert market.check(market.order("CAROL", side, 5, 99, symbol=symbol)) is not None
    assert (market.engine.seq, market.engine.time_unix_ns) == before
    assert (market.account("CAROL").cash, market.account("CAROL").positions) == ({}, {})


def test_a_check_says_what_the_order_would_be_told(market: Market) -> None:
    """Before risk, too: account, symbol, shape, gate, session, contingency, post-only; None for one that passes."""
    market.sell("BOB", 5, 100)
    cases = [
        market.order("NOBODY", Side.BUY, 1, 99),
        market.order("ALICE", Side.BUY, 1, 99, symbol="NONE"),
        market.order("ALICE", Side.BUY, 0, 99),
        market.order("ALICE", Side.BUY, 1, 99, contingency_type=1, list_id="L", leg=2),
        market.order("ALICE", Side.BUY, 1, 100, post_only=True),
        market.order("ALICE", Side.SELL, 1_001, 101),
        market.order("ALICE", Side.BUY, 1, 99, time_in_force=TimeInForce.FOK),
    ]
    for order in cases:
        said = market.check(order)
        (told, *_) = market.tell(order)
        assert (told.reason, told.field) == ((said.reason, said.field) if said is not None else (0, ""))
        assert said is None or told.exec_type == said.exec_type


def test_keys_play_no_part_in_a_check(market: Market) -> None:
    """A key that was used is no reason for a check, and a check uses none up."""
    market.buy("ALICE", 1, 99, key="K")
    assert market.check(market.order("ALICE", Side.BUY, 2, 98, key="K")) is None
    other = market.order("ALICE", Side.BUY, 2, 98, key="L")
    assert market.check(other) is None
    assert market.tell(other).story == ["L NEW"]


def test_a_check_looks_at_the_time_it_is_asked_at(market: Market) -> None:
    """An expiry that is over by then is over; a time before the last command counts as that command's."""
    late = market.now_unix_ns + 100
    order = market.order("ALICE", Side.BUY, 1, 99, time_in_force=TimeInForce.GTD, expire_unix_ns=late)
    command = Command(order, "ann")
    assert market.engine.check(command, late - 1) is None
    assert market.engine.check(command, late) is not None
    assert market.engine.check(command, 1) is None
